"""Any folder of images and masks: found by the usual names of folders and files, or told by globs."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any
from unicodedata import normalize

from sattrans import (
    CLASSES_FILE,
    Cell,
    ClassesError,
    Dataset,
    LandClass,
    Layout,
    MaskFacts,
    Palette,
    Scene,
    Split,
    SplitLists,
    distinct_colors,
    find_layout,
    globbed_layout,
    has_layout,
    inspect_mask,
    read_classes,
    read_dataset_toml,
    read_split_lists,
    vector_layout,
)


class Folder(Dataset):
    """Images and masks in folders, or with endings, of the usual names; or where `dataset.toml` or a user says.

    The classes are those of `classes.toml` or `dataset.toml`, of a colour table, or the values found. Folders named
    train, val and test, or lists of these names, are the published split.
    """

    name = "folder"
    title = "any folder of images and masks"
    layout = (
        "images|imgs|sat|rgb|photos|chips|ortho/* (or *_sat.*, *_image.*)\n"
        "masks|labels|gt|annotations|segmentation/* (or *_mask.*, *_label.*)\n"
        "train, val, test inside or around them (optional)\n"
        "classes.toml, dataset.toml (optional)"
    )
    licence = "yours"
    fallback = True
    named_after_folder = True

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._told = read_dataset_toml(root)
        self._globs = (self._told.images, self._told.masks)
        self._threshold = self._told.threshold
        self._vector = self._told.rules is not None
        self.licence, self.attribution = self._told.licence, self._told.attribution

    @classmethod
    def recognises(cls, root: Path) -> bool:
        """Return whether names say which files are images and which are masks, or a `dataset.toml` does."""
        return (root / "dataset.toml").is_file() or has_layout(root)

    def told(
        self, images: str | None = None, masks: str | None = None, threshold: int | None = None, vector: bool = False
    ) -> Dataset:
        """Return the dataset with these globs and this threshold in place of those of `dataset.toml`."""
        other = Folder(self.root)
        other._globs = (images or self._globs[0], masks or self._globs[1])
        other._threshold = threshold or self._threshold
        other._vector = vector or self._vector
        return other

    @property
    def tile_defaults(self) -> Mapping[str, Any]:
        """The bands, the threshold and the rules of `dataset.toml`."""
        rules = self._told.rules
        if rules and (self.root / rules).is_file():
            rules = str(self.root / rules)
        return {"bidx": self._told.bands, "threshold": self._threshold, "rules": rules}

    def scenes(self) -> Iterator[Scene]:
        """Yield a scene for each image."""
        yield from self._layout.scenes

    def published_split(self, scene: Scene, cell: Cell) -> Split | None:
        """Return the split of the scene's folder, or of the list that names it."""
        if scene.id in self._layout.split_of:
            return self._layout.split_of[scene.id]
        return next((self._lists.split_of[name] for name in _names(scene) if name in self._lists.split_of), None)

    def split_notices(self, cells: Mapping[str, int]) -> Iterator[str]:
        """Yield which entries of the lists name no scene."""
        known = {name for scene in self.scenes() if scene.id in cells for name in _names(scene)}
        yield from self._lists.notices(known, "scene")

    @property
    def palette(self) -> Palette:
        """The classes. Raises `ClassesError` if they are not defined validly, or masks do not have classes."""
        return self._classes[0]

    def notices(self) -> Iterator[str]:
        """Yield what was taken for images and masks, and the origin of the classes, where the user did not say it."""
        if self._layout.taken and not self._globs[0]:
            yield self._layout.taken
        if not self._vector and (notice := self._classes[1]):
            yield notice

    @cached_property
    def _layout(self) -> Layout:
        images, masks = self._globs
        if self._vector:
            return vector_layout(self.root, images, masks)
        return globbed_layout(self.root, images, masks) if images and masks else find_layout(self.root)

    @cached_property
    def _lists(self) -> SplitLists:
        return read_split_lists(self.root)

    @cached_property
    def _classes(self) -> tuple[Palette, str]:
        if self._vector:
            raise ClassesError(f"{self.root} has vector files as masks, whose classes are those of the rules")
        path = self.root / CLASSES_FILE
        palette = read_classes(path) if path.is_file() else self._told.palette
        if self._threshold:
            return self._two_classes(palette), ""
        if palette:
            return palette, ""
        masks = (scene.map for scene in self.scenes() if scene.map)
        merged = MaskFacts.merged(self.root, (inspect_mask(mask) for mask in masks))
        values = merged.values
        if merged.colormap and merged.table_fits:
            return merged.palette(), f"classes {_listed(values)} from the masks' colour table"
        return merged.palette(), (
            f"{self.root} has no {CLASSES_FILE} and its masks have no colour table, so the classes are named after the "
            f"values found, {_listed(values)}"
        )

    def _two_classes(self, palette: Palette | None) -> Palette:
        """Return the two classes on both sides of the threshold."""
        if palette is None:
            below, above = distinct_colors(2)
            return Palette((LandClass(0, "class_0", below), LandClass(255, "class_255", above)))
        if len(palette) != 2:
            raise ClassesError(f"{self.root}: a threshold tells two classes apart, but there are {palette}")
        return palette


def _names(scene: Scene) -> set[str]:
    """Return the names that a list may have for a scene: its id, and the stems of its files."""
    return {scene.id, *(normalize("NFC", path.stem) for path in (scene.image, scene.map) if path)}


def _listed(values: Sequence[int]) -> str:
    return ", ".join(map(str, values[:12])) + (" …" if len(values) > 12 else "")
