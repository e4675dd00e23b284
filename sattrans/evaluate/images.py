"""The real images of an evaluation, and the sources of images to compare with them: runs, or folders of images."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sattrans.data.batches import TileStore, to_picture
from sattrans.data.tileset import Tile, Tileset
from sattrans.errors import RasterError, UsageError
from sattrans.raster.bands import choose_bands, read_image, rgb_bands, to_uint8
from sattrans.raster.open import Raster, open_raster
from sattrans.raster.palette import UNKNOWN
from sattrans.raster.tile_formats import IMAGE_SUFFIXES, READABLE
from sattrans.runs.run import Run
from sattrans.runs.translator import Translator
from sattrans.utils.console import log_few, pluralize
from sattrans.utils.contents import contents_of
from sattrans.utils.hashing import hash_of, sha256


class RealImage(NamedTuple):
    """A real image (3, H, W) uint8, and the class indices (H, W) of its map; None if the map has no classes."""

    image: Tensor
    map: Tensor | None


class RealImages(ABC):
    """Real images of one size.

    Attributes:
        ids: Their names.
        size: Their shorter side in pixels.
        classes: The classes of their maps; empty if there are none.
        key: Identifies the images: another key means other images.
    """

    ids: Sequence[str]
    size: int
    classes: tuple[str, ...] = ()
    key: str

    def __len__(self) -> int:
        return len(self.ids)

    @abstractmethod
    def read(self, number: int) -> RealImage:
        """Read an image. Raises `RasterError` if its file cannot be read."""

    def valid(self, number: int) -> Tensor | None:
        """Return which pixels of an image that was read hold data, (H, W); None if all do."""
        return None

    def map_picture(self, number: int) -> NDArray[np.uint8] | None:
        """Return the map of an image in its colours, (3, H, W), or None if there is no map."""
        return None


class RealTiles(RealImages):
    """The images of some tiles of a tileset."""

    def __init__(self, tileset: Tileset, tiles: Sequence[Tile]) -> None:
        self.tileset, self.tiles = tileset, list(tiles)
        self.store = TileStore(tileset, tiles)
        self.ids = [tile.id for tile in tiles]
        self.size = tileset.size
        self.classes = tileset.palette.names if tileset.palette else ()
        self.key = hash_of(tileset.hash, *self.ids)

    def read(self, number: int) -> RealImage:
        """Read a tile."""
        image, map_ = self.store[number]
        return RealImage(image, map_ if self.tileset.palette else None)

    def valid(self, number: int) -> Tensor | None:
        """Return which pixels of a tile hold data; without classes, those that are not black in image and map."""
        if self.tiles[number].valid == 1:
            return None
        image, map_ = self.store[number]
        return map_ != UNKNOWN if self.tileset.palette else image.any(0) | map_.any(0)

    def map_picture(self, number: int) -> NDArray[np.uint8] | None:
        """Return the map of a tile in its colours, (3, H, W)."""
        return to_picture(self.store[number][1], self.tileset.palette)


MAX_PIXELS = 1 << 26
"""The most pixels of an image of --pairs, as its header declares them: 8192 × 8192, which scores hold in memory."""


class RealFolder(RealImages):
    """The images of a folder, each of which must exist in the compared folders, too. All have the same size."""

    def __init__(self, real: Path, compared: Sequence[Path]) -> None:
        self.folder, self.files = real, _images_in(real)
        self.compared = {folder: _images_in(folder) for folder in compared}
        for folder, files in self.compared.items():
            unmatched = sorted(set(self.files) ^ set(files))
            if len(unmatched) == len(set(self.files) | set(files)):
                raise UsageError(f"--pairs {real} {folder}: the folders have no image name in common")
            if unmatched:
                lacking = folder if unmatched[0] in self.files else real
                more = f" and {pluralize(len(unmatched) - 1, 'other')}" if len(unmatched) > 1 else ""
                raise UsageError(
                    f"--pairs {real} {folder}: {lacking} has no image named {unmatched[0]}{more}; "
                    "both folders need images of the same names"
                )
        self.ids = sorted(self.files)
        first = self.files[self.ids[0]]
        self.shape = _shape(first, [])
        notices: list[str] = []
        for files in (self.files, *self.compared.values()):
            for name in self.ids:
                shape = _shape(files[name], notices)
                if shape != self.shape:
                    raise UsageError(
                        f"{files[name]} is {shape[1]} × {shape[0]} px, but {first} is {self.shape[1]} × "
                        f"{self.shape[0]} px: all images must have the same size"
                    )
        log_few(notices)
        self.size = min(self.shape)
        self._valid: dict[int, Tensor | None] = {}
        self.key = hash_of(*(sha256(self.files[name]) for name in self.ids))

    def read(self, number: int) -> RealImage:
        """Read an image."""
        image, self._valid[number] = _read(self.files[self.ids[number]])
        return RealImage(image, None)

    def valid(self, number: int) -> Tensor | None:
        """Return which pixels of an image hold data."""
        return self._valid.get(number)


class ImageSource(ABC):
    """A source of images to compare with the real ones.

    Attributes:
        name: Its name, unique within an evaluation.
        folder: Where the images come from.
        about: What `scores.json` records about it.
        recipe: Sources with the same recipe differ in their seed only and share a column; None for a column of its own.
        key: Identifies the images: another key means other images.
    """

    name: str
    folder: Path
    about: Mapping[str, Any]
    recipe: str | None = None
    key: str

    @abstractmethod
    def images(self, numbers: Sequence[int]) -> Iterator[Tensor]:
        """Yield the images (3, H, W) uint8 that belong to the real images of these numbers."""

    def valid(self, number: int) -> Tensor | None:
        """Return which pixels of the image that was yielded for a number hold data, (H, W); None if all do."""
        return None


SEED_SETTINGS = frozenset({"seed"})
"""Settings in which runs of the same recipe may differ."""


class RunImages(ImageSource):
    """Images that a run's generator makes from the maps of tiles."""

    def __init__(self, run: Run, real_tiles: RealTiles, device: torch.device, seed: int, batch_size: int) -> None:
        self.run, self.name, self.folder = run, run.name, run.folder
        self._real_tiles, self._device, self._seed, self._batch_size = real_tiles, device, seed, batch_size
        best = run.checkpoint("best")
        if not best.is_file():
            raise UsageError(
                f"{best} does not exist, because the run was stopped early: sattrans train --resume {run.folder}"
            )
        weights = sha256(best)
        self.key = hash_of(weights, str(seed))
        settings = {key: value for key, value in run.manifest["settings"].items() if key not in SEED_SETTINGS}
        self.recipe = hash_of(
            run.model_name, repr(sorted(run.manifest["options"].items())), repr(sorted(settings.items()))
        )
        self.about = {"model": run.model_name, "weights": weights, "seed": run.manifest["settings"]["seed"]}

    @cached_property
    def _translator(self) -> Translator:
        return Translator(self.run, self._device, self._seed)

    def images(self, numbers: Sequence[int]) -> Iterator[Tensor]:
        """Yield a generated image for each of the tiles."""
        tiles = self._real_tiles.tiles
        for start in range(0, len(numbers), self._batch_size):
            batch = numbers[start : start + self._batch_size]
            _, maps = self._real_tiles.store.stack(batch)
            origins = [(tiles[number].window.row, tiles[number].window.col) for number in batch]
            yield from torch.from_numpy(to_uint8(self._translator(maps.numpy(), origins)))


class FolderImages(ImageSource):
    """The images of a folder that is compared with a folder of real images."""

    def __init__(self, folder: Path, real_folder: RealFolder) -> None:
        self.name, self.folder = folder.resolve().name, folder
        self._files = [real_folder.compared[folder][name] for name in real_folder.ids]
        self._valid: dict[int, Tensor | None] = {}
        self.key = hash_of(*map(sha256, self._files))
        self.about = {"images": self.key}

    def images(self, numbers: Sequence[int]) -> Iterator[Tensor]:
        """Yield the images."""
        for number in numbers:
            image, self._valid[number] = _read(self._files[number])
            yield image

    def valid(self, number: int) -> Tensor | None:
        """Return which pixels of an image hold data."""
        return self._valid.get(number)


def without_duplicates(sources: Sequence[ImageSource]) -> tuple[list[ImageSource], list[str]]:
    """Return the sources without repeated ones, and a note about each that is left out.

    A copy of a run with the same weights is a duplicate as well: it is not another seed.
    """
    distinct: list[ImageSource] = []
    notes = []
    for source in sources:
        duplicate = next((earlier for earlier in distinct if _same(earlier, source)), None)
        if duplicate is None:
            distinct.append(source)
        elif duplicate.folder.resolve() == source.folder.resolve():
            notes.append(f"{source.folder} was given more than once: it counts once")
        else:
            notes.append(f"{source.folder} has the same weights as {duplicate.folder}: they count once, as one seed")
    return distinct, list(dict.fromkeys(notes))


def _same(a: ImageSource, b: ImageSource) -> bool:
    if a.folder.resolve() == b.folder.resolve():
        return True
    return a.recipe is not None and (a.recipe, a.key) == (b.recipe, b.key)


def _images_in(folder: Path) -> dict[str, Path]:
    """Return the image files of a folder by their names without suffix."""
    if not folder.is_dir():
        raise UsageError(f"--pairs: {folder} is not a folder")
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in IMAGE_SUFFIXES:
            if path.stem in files:
                raise UsageError(f"{path} and {files[path.stem].name} have the same name: remove one of them")
            files[path.stem] = path
    if not files:
        raise UsageError(f"--pairs: {folder} has no images (it holds {contents_of(folder)}); images are {READABLE}")
    return files


def _shape(path: Path, notices: list[str]) -> tuple[int, int]:
    """Return height and width of an image, and add what the user should know about its file."""
    with open_raster(path) as raster:
        _check_8_bit(raster)
        if raster.height * raster.width > MAX_PIXELS:
            raise RasterError(
                f"{path} is {raster.width} wide × {raster.height} high, over {MAX_PIXELS >> 20} million pixels, and "
                "scores need whole images; cut both folders into tiles of the same names, such as with gdal_retile.py"
            )
        notices += filter(None, (*raster.notices, choose_bands(raster).notice))
        return raster.height, raster.width


def _check_8_bit(raster: Raster) -> None:
    if raster.dtype != "uint8":
        raise RasterError(
            f"{raster.path} has {raster.dtype} pixels, but evaluate compares 8-bit images; "
            "convert it: gdal_translate -ot Byte -scale"
        )


def _read(path: Path) -> tuple[Tensor, Tensor | None]:
    """Return an image (3, H, W), black where it holds nothing, and which pixels hold data; None if all do."""
    with open_raster(path) as raster:
        _check_8_bit(raster)
        pixels, valid = read_image(raster, raster.window, rgb_bands(raster, None))
    if valid is None or valid.all():
        return torch.from_numpy(pixels), None
    return torch.from_numpy(np.where(valid, pixels, np.uint8(0))), torch.from_numpy(valid)
