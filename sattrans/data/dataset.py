"""Dataset: what a dataset plugin tells about a folder - its scenes, its classes, its published split."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from sattrans.errors import DatasetNotFound
from sattrans.raster.palette import Palette
from sattrans.raster.window import Cell

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")

UNPAIRED: Literal["unpaired"] = "unpaired"

TileSplit = Literal["train", "val", "test", "unpaired"]
"""What a tile is for; `unpaired` are those of scenes that have an image and no map."""

COPY = ".color.tif"
LEGEND = "legend.png"
"""What colorize's copy of a single mask, and a legend, end in: found in a folder, they are not taken for rasters."""

IMAGE_SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".jp2")
"""Suffixes taken for rasters when a folder is listed; what a file is, its first bytes tell."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One georeferenced image with its map. `id` names its tiles; `region` groups scenes that belong together.

    `image` or `map` is None where the dataset publishes only the other. `side_by_side` says that both are the
    same file: its left half and its right half, as the pix2pix repositories keep them.
    """

    id: str
    image: Path | None
    map: Path | None
    region: str = ""
    side_by_side: bool = False


class Dataset(ABC):
    """A folder in a known layout. Subclass it, and register the class through `register_datasets`.

    The class attributes describe the dataset to people; `sattrans datasets show NAME` prints them.
    """

    name: ClassVar[str]
    """The name users type; equal to the name of the entry point."""
    title: ClassVar[str] = ""
    layout: ClassVar[str] = ""
    """The files expected, one line each, as a person would draw them."""
    licence: ClassVar[str] = ""
    homepage: ClassVar[str] = ""
    fallback: ClassVar[bool] = False
    """A fallback is taken only where no other dataset recognises the folder."""
    published_size: ClassVar[int | None] = None
    """The tile size in pixels that the published split is defined on, if it is one of tiles."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    @abstractmethod
    def recognises(cls, root: Path) -> bool:
        """Say whether `root` looks like this dataset. Looks at names only, opens no raster, never raises."""

    @property
    @abstractmethod
    def palette(self) -> Palette | None:
        """The classes of the maps; None where a map is a picture."""

    @abstractmethod
    def scenes(self) -> Iterator[Scene]:
        """Yield the scenes in a fixed order. Raises `DatasetNotFound`: what is missing, where, how to get it."""

    def published_split(self, scene: Scene, cell: Cell) -> Split | None:
        """Return the split the publishers put this cell of a scene into, or None where they did not say.

        Where `published_size` is set, `cell` is one of the grid of that size over the scene, and its counter
        `k` runs over every cell from the top left, row by row, those cut by the edge included. Otherwise the
        split is one of whole scenes, and `cell` is any.
        """
        return None

    def notices(self) -> Iterator[str]:
        """Yield what a user should know about this folder, a line each."""
        yield from ()


def named_as_raster(path: Path) -> bool:
    """Say whether a file found in a folder is taken for a raster: by its suffix, and not hidden or colorize's own."""
    ours = path.name.startswith(".") or path.name.endswith((COPY, LEGEND))
    return path.suffix.lower() in IMAGE_SUFFIXES and not ours


def rasters_by_stem(folder: Path) -> dict[str, Path]:
    """Return the rasters of a folder by their stem, sorted. Raises `DatasetNotFound` where two share a stem."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if named_as_raster(path):
            if path.stem in found:
                raise DatasetNotFound(f"{found[path.stem]} and {path.name} share a stem: which is meant? Move one away")
            found[path.stem] = path
    return found


def paired_scenes(images: Path, masks: Path) -> Iterator[Scene]:
    """Yield a scene for each stem that both folders hold.

    Raises `DatasetNotFound` where a folder is missing or empty, or an image has no mask or the reverse.
    """
    image_of, mask_of = rasters_by_stem(images), rasters_by_stem(masks)
    for folder, held in ((images, image_of), (masks, mask_of)):
        if not held:
            raise DatasetNotFound(
                f"no rasters in {folder}: expected images in {images} and masks of the same names in {masks}"
            )
    for held, other, what, other_folder in (
        (image_of, mask_of, "image", masks),
        (mask_of, image_of, "mask", images),
    ):
        lone = [stem for stem in held if stem not in other]
        if lone:
            more = f" (and {len(lone) - 1} more)" if len(lone) > 1 else ""
            raise DatasetNotFound(
                f"{what} {held[lone[0]]} has no partner in {other_folder}{more}: add it, or move the lone file away"
            )
    for stem, image in image_of.items():
        yield Scene(stem, image, mask_of[stem])
