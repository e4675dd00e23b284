"""Any folder of images and masks with equal stems; the classes come from the folder itself."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from sattrans import CLASSES_FILE, Dataset, MaskFacts, Palette, Scene, inspect_mask, paired_scenes, read_classes


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
        merged = MaskFacts.merged(self.root, (inspect_mask(scene.map) for scene in self.scenes() if scene.map))
        values = merged.values
        if merged.colormap and merged.table_fits:
            return merged.palette(), f"classes {_listed(values)} from the masks' colour table"
        return merged.palette(), (
            f"{self.root} has no {CLASSES_FILE} and its masks no colour table: classes named after the values "
            f"found, {_listed(values)}"
        )


def _listed(values: Sequence[int]) -> str:
    return ", ".join(map(str, values[:12])) + (" …" if len(values) > 12 else "")
