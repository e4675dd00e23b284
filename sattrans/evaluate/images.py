"""The real images of an evaluation, and the sources of images to compare with them; `folders` has those of --pairs."""

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
from sattrans.errors import UsageError
from sattrans.metrics.baselines import partners
from sattrans.raster.bands import to_uint8
from sattrans.raster.palette import UNKNOWN
from sattrans.runs.run import Run
from sattrans.runs.translator import Translator
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

    @property
    def pixels(self) -> int:
        """The number of pixels of an image."""
        return self.size * self.size

    def partners(self, seed: int) -> NDArray[np.int64]:
        """Return for each image the index of a different one (N,), to pair it with; a single image gets itself."""
        return partners(len(self), seed)

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
    """Images that a run's generator makes from the maps of tiles; one that refines, from their images made coarse."""

    def __init__(self, run: Run, real_tiles: RealTiles, device: torch.device, seed: int, batch_size: int) -> None:
        self.run, self.name, self.folder = run, run.name, run.folder
        self._real_tiles, self._device, self._seed, self._batch_size = real_tiles, device, seed, batch_size
        best = run.checkpoint("best")
        if not best.is_file():
            raise UsageError(
                f"{best} does not exist, because the run was stopped early: sattrans train --resume {run.folder}"
            )
        if run.kind.makes_maps:
            raise UsageError(f"{run.folder} makes maps of images, and only images are scored: name another run")
        weights = sha256(best)
        self.key = hash_of(weights, str(seed))
        settings = {key: value for key, value in run.manifest["settings"].items() if key not in SEED_SETTINGS}
        self.recipe = hash_of(
            run.model_name, repr(sorted(run.manifest["options"].items())), repr(sorted(settings.items()))
        )
        self.about = {"model": run.model_name, "weights": weights, "seed": run.manifest["settings"]["seed"]}

    def on(self, real_tiles: RealTiles) -> "RunImages":
        """Return the images that the run makes of the maps of other tiles, under the same name."""
        other = RunImages(self.run, real_tiles, self._device, self._seed, self._batch_size)
        other.name = self.name
        return other

    @cached_property
    def _translator(self) -> Translator:
        return Translator(self.run, self._device, self._seed)

    def images(self, numbers: Sequence[int]) -> Iterator[Tensor]:
        """Yield a generated image for each of the tiles."""
        tiles = self._real_tiles.tiles
        for start in range(0, len(numbers), self._batch_size):
            batch = numbers[start : start + self._batch_size]
            real, maps = self._real_tiles.store.stack(batch)
            origins = [(tiles[number].window.row, tiles[number].window.col) for number in batch]
            yield from torch.from_numpy(to_uint8(self._translator.tiles(maps.numpy(), origins, real.numpy())))


def refining_notes(runs: Sequence[Run]) -> list[str]:
    """Return a note about each run that is given more than the maps."""
    return [
        f"{run.folder} sharpens the real images, made coarse: its scores are not those of runs that see maps"
        for run in runs
        if run.kind.refines
    ]


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
