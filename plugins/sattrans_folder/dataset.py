"""Any folder of images and masks with equal stems; the classes come from the folder itself."""

import re
import tomllib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from sattrans import (
    ClassesError,
    Dataset,
    LandClass,
    MaskFacts,
    Palette,
    Scene,
    inspect_mask,
    paired_scenes,
)

CLASSES_FILE = "classes.toml"
HEX = re.compile(r"#[0-9a-fA-F]{6}")


class Folder(Dataset):
    """`images/` and `masks/`: classes from `classes.toml`, else from a colour table, else from the values found."""

    name = "folder"
    title = "any folder of images and masks"
    layout = "images/*\nmasks/* (same stems)\nclasses.toml (optional)"
    licence = "yours"
    fallback = True

    @classmethod
    def recognises(cls, root: Path) -> bool:
        """Take a folder with `images/` and `masks/`."""
        return (root / "images").is_dir() and (root / "masks").is_dir()

    def scenes(self) -> Iterator[Scene]:
        """Yield a scene for each image and mask of equal stem."""
        yield from paired_scenes(self.root / "images", self.root / "masks")

    @property
    def palette(self) -> Palette:
        """The classes; raises `ClassesError` where `classes.toml` is not right."""
        return self._classes[0]

    def notices(self) -> Iterator[str]:
        """Say where the classes come from, unless the user told."""
        notice = self._classes[1]
        if notice:
            yield notice

    @cached_property
    def _classes(self) -> tuple[Palette, str]:
        told = self.root / CLASSES_FILE
        if told.is_file():
            return read_classes(told), ""
        facts = [inspect_mask(scene.map) for scene in self.scenes() if scene.map]
        values = tuple(sorted({value for fact in facts for value in fact.values}))
        table = next((fact.colormap for fact in facts if fact.colormap), None)
        merged = MaskFacts(values, table)
        if merged.colormap and merged.table_fits:
            return merged.palette(), f"classes {_listed(values)} from the masks' colour table"
        return merged.palette(), (
            f"{self.root} has no {CLASSES_FILE} and its masks no colour table: classes named after the values "
            f"found, {_listed(values)}"
        )


def read_classes(path: Path) -> Palette:
    """Read `classes.toml`: a table a class, `[building]` with `value = 1` and `color = "#614a4a"` or `[97, 74, 74]`.

    Raises `ClassesError` naming the class that is not right.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ClassesError(f"{path} is no TOML: {error}") from error
    try:
        return Palette(tuple(_class(name, table) for name, table in tables.items()))
    except ClassesError as error:
        raise ClassesError(f"{path}: {error}") from error


def _class(name: str, table: Any) -> LandClass:
    if not isinstance(table, dict) or set(table) != {"value", "color"} or type(table["value"]) is not int:
        raise ClassesError(f"[{name}] needs a whole number `value` and a `color`, and nothing else")
    return LandClass(table["value"], name, _color(name, table["color"]))


def _color(name: str, color: Any) -> tuple[int, int, int]:
    if isinstance(color, str) and HEX.fullmatch(color):
        return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)
    if isinstance(color, list) and len(color) == 3 and all(type(band) is int for band in color):
        return color[0], color[1], color[2]
    raise ClassesError(f'[{name}] has color {color!r}: write "#614a4a" or [97, 74, 74]')


def _listed(values: Sequence[int]) -> str:
    return ", ".join(map(str, values[:12])) + (" …" if len(values) > 12 else "")
