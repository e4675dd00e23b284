"""Any folder of images and masks with the same stems; the classes are found in the folder."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from sattrans import CLASSES_FILE, Dataset, MaskFacts, Palette, Scene, inspect_mask, paired_scenes, read_classes


class Folder(Dataset):
    """`images/` and `masks/`; the classes are those of `classes.toml`, of a colour table, or the values found."""

    name = "folder"
    title = "any folder of images and masks"
    layout = "images/*\nmasks/* (same stems)\nclasses.toml (optional)"
    licence = "yours"
    fallback = True

    @classmethod
    def recognises(cls, root: Path) -> bool:
        """Return whether there are `images/` and `masks/`."""
        return (root / "images").is_dir() and (root / "masks").is_dir()

    def scenes(self) -> Iterator[Scene]:
        """Yield a scene for each image and mask of the same stem."""
        yield from paired_scenes(self.root / "images", self.root / "masks")

    @property
    def palette(self) -> Palette:
        """The classes. Raises `ClassesError` if `classes.toml` is invalid."""
        return self._classes[0]

    def notices(self) -> Iterator[str]:
        """Yield the origin of the classes, unless the user defined them in `classes.toml`."""
        notice = self._classes[1]
        if notice:
            yield notice

    @cached_property
    def _classes(self) -> tuple[Palette, str]:
        path = self.root / CLASSES_FILE
        if path.is_file():
            return read_classes(path), ""
        merged = MaskFacts.merged(self.root, (inspect_mask(scene.map) for scene in self.scenes() if scene.map))
        values = merged.values
        if merged.colormap and merged.table_fits:
            return merged.palette(), f"classes {_listed(values)} from the masks' colour table"
        return merged.palette(), (
            f"{self.root} has no {CLASSES_FILE} and its masks have no colour table, so the classes are named after the "
            f"values found, {_listed(values)}"
        )


def _listed(values: Sequence[int]) -> str:
    return ", ".join(map(str, values[:12])) + (" …" if len(values) > 12 else "")
