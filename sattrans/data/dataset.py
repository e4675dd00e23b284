"""Dataset: the base class of dataset plugins, which describe the scenes, classes and published split of a folder."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal
from unicodedata import normalize

from sattrans.errors import DatasetNotFound, OptionError
from sattrans.raster.palette import Palette
from sattrans.raster.tile_formats import IMAGE_SUFFIXES, READABLE
from sattrans.raster.window import Cell
from sattrans.utils.contents import contents_of

Split = Literal["train", "val", "test"]
"""What a scene or a tile with a map is for: training, validation or evaluation."""

SPLITS: tuple[Split, ...] = ("train", "val", "test")

UNPAIRED: Literal["unpaired"] = "unpaired"

TileSplit = Literal["train", "val", "test", "unpaired"]
"""The split of a tile; `unpaired` tiles come from scenes that have an image and no map."""

VECTOR_SUFFIXES = (".gpkg", ".geojson", ".shp", ".fgb", ".osm", ".pbf")
"""Suffixes of vector files in a folder."""

COPY = ".color.tif"
"""How the names of copies end that `colorize` writes beside masks."""

GENERATED = ".sat.tif"
"""How the names of images end that `generate` writes beside maps."""
LEGEND = "legend.png"
"""What `colorize` calls a legend. Files with these three endings are passed over if a folder is listed."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A georeferenced image and its map.

    Args:
        id: Name of the scene, unique in the dataset and without white space; file names of its tiles start with it.
        image: Path of the image, None if the dataset has the map only.
        map: Path of the map, None if the dataset has the image only.
        region: Name shared by scenes that belong together, such as a city.
        side_by_side: Whether image and map are the left and right half of one file, as in the pix2pix repositories.
    """

    id: str
    image: Path | None
    map: Path | None
    region: str = ""
    side_by_side: bool = False


class Dataset(ABC):
    """The base class of datasets. Subclass it and register the class through the hook `register_datasets`.

    The class attributes describe the dataset to users; `sattrans datasets show NAME` prints them.
    `sattrans.testing.check_dataset` checks what is expected of a dataset.

    Args:
        root: The dataset's folder.
    """

    name: ClassVar[str]
    """The name that users type: lower-case letters, digits, - and _. The entry point has the same name."""
    title: ClassVar[str] = ""
    """One line about the dataset for lists."""
    layout: ClassVar[str] = ""
    """The expected files and folders, one per line, such as `images/*.tif`."""
    licence: str = ""
    """Licence of the data."""
    homepage: ClassVar[str] = ""
    """Address of the dataset's page."""
    fallback: ClassVar[bool] = False
    """Whether the dataset is used only if no other one recognises a folder."""
    named_after_folder: ClassVar[bool] = False
    """Whether tilesets are named after the folder, not after the dataset: many folders may be of this kind."""
    published_size: ClassVar[int | None] = None
    """Tile size in pixels of a published split of tiles; None if scenes are split as a whole, or not at all."""

    attribution: str = ""
    """Whom to name as the source of the data."""
    published_splits: ClassVar[tuple[Split, ...]] = SPLITS
    """The splits of the published split; a note says which of them have no tiles."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def told(
        self, images: str | None = None, masks: str | None = None, threshold: int | None = None, vector: bool = False
    ) -> "Dataset":
        """Return the dataset as a user describes it, unless its files are where the publishers put them.

        Args:
            images: Glob of the images, relative to the folder.
            masks: Glob of the masks.
            threshold: The least grey level of masks that is the second of two classes.
            vector: Whether the masks are vector files, which `tile` draws.

        Raises:
            OptionError: The dataset does not need to be told, or has no two classes to tell apart.
        """
        if images or masks or vector:
            raise OptionError(f"--images, --masks and --rules are not for dataset '{self.name}', which knows its files")
        if threshold and (self.palette is None or len(self.palette) != 2):
            raise OptionError(f"--threshold is for masks of two classes, and dataset '{self.name}' has others")
        return self

    @property
    def tile_defaults(self) -> Mapping[str, Any]:
        """Options of `tile` that hold for this folder unless the user gives others, by field, such as `bidx`."""
        return {}

    @classmethod
    @abstractmethod
    def recognises(cls, root: Path) -> bool:
        """Return whether a folder looks like this dataset, judged by file names and small text files. Never raises.

        Args:
            root: A folder, a file, or a path that does not exist.

        Returns:
            Whether the folder has this dataset's layout.
        """

    @property
    @abstractmethod
    def palette(self) -> Palette | None:
        """The classes of the maps; None if the maps are RGB pictures without classes."""

    @abstractmethod
    def scenes(self) -> Iterator[Scene]:
        """Yield the scenes in a fixed order.

        Yields:
            Scenes with unique ids.

        Raises:
            DatasetNotFound: Files are missing; the message says which, where they are expected and how to get them.
        """

    def published_split(self, scene: Scene, cell: Cell) -> Split | None:
        """Return the split in which the dataset was published.

        Args:
            scene: A scene of this dataset.
            cell: A cell of the grid of `published_size` over the scene. Its counter `k` starts at 0 in the top left and
                counts all cells row by row, those cut by the edge included. If `published_size` is None, scenes are
                split as a whole, and the cell does not matter.

        Returns:
            The split of the cell, or None if the publishers do not assign one.
        """
        return None

    def split_notices(self, cells: Mapping[str, int]) -> Iterator[str]:
        """Yield notices about the published split, once the scenes have been opened.

        Args:
            cells: How many cells of `published_size` each scene has, by its id; 1 if `published_size` is None.

        Yields:
            A line of text for each notice, such as one that names entries of a list that are of no tile.
        """
        yield from ()

    def notices(self) -> Iterator[str]:
        """Yield notices about the folder for the user.

        Yields:
            A line of text for each notice; the default has none.
        """
        yield from ()


def named_as_raster(path: Path) -> bool:
    """Return whether a listed file counts as a raster: by its suffix, unless it is passed over."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not passed_over(path)


def passed_over(path: Path) -> bool:
    """Return whether a listed file is no data: it is hidden, or a command wrote it beside the data."""
    return path.name.startswith(".") or path.name.endswith((COPY, LEGEND, GENERATED))


def rasters_by_stem(folder: Path) -> dict[str, Path]:
    """List the rasters of a folder.

    Args:
        folder: The folder; one that does not exist has no rasters.

    Returns:
        Paths by stem, sorted by name. Hidden files and files that `colorize` wrote are ignored.

    Raises:
        DatasetNotFound: Two rasters have the same stem.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if named_as_raster(path):
            stem = normalize("NFC", path.stem)  # some systems write an accent as a sign of its own
            if stem in found:
                raise DatasetNotFound(f"{found[stem]} and {path.name} have the same stem: move one of them away")
            found[stem] = path
    return found


def no_partner(what: str, unmatched: Sequence[Path], folder: Path) -> DatasetNotFound:
    """Return the error for images without masks, or masks without images; `folder` is where partners lie."""
    more = f" (and {len(unmatched) - 1} more)" if len(unmatched) > 1 else ""
    return DatasetNotFound(f"{what} {unmatched[0]} has no partner in {folder}{more}: add it, or move this file away")


def paired_scenes(images: Path, masks: Path) -> Iterator[Scene]:
    """Pair the images and masks of two folders by stem.

    Args:
        images: Folder of the images.
        masks: Folder of the masks.

    Yields:
        A scene for each stem, which is also its id.

    Raises:
        DatasetNotFound: A folder is missing or empty, an image has no mask, or a mask has no image.
    """
    image_of, mask_of = rasters_by_stem(images), rasters_by_stem(masks)
    for folder, rasters in ((images, image_of), (masks, mask_of)):
        if not rasters:
            raise DatasetNotFound(
                f"no rasters in {folder} (it holds {contents_of(folder)}): expected images in {images} and masks of "
                f"the same names in {masks}, as {READABLE}"
            )
    for rasters, partners, what, partner_folder in (
        (image_of, mask_of, "image", masks),
        (mask_of, image_of, "mask", images),
    ):
        unmatched = [path for stem, path in rasters.items() if stem not in partners]
        if unmatched:
            raise no_partner(what, unmatched, partner_folder)
    for stem, image in image_of.items():
        yield Scene(stem, image, mask_of[stem])
