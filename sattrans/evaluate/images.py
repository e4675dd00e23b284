"""Reference: the real images that others are scored against, those of a tileset's split first of all."""

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
from sattrans.raster.bands import image_bands, read_image, to_uint8
from sattrans.raster.open import Raster, open_raster
from sattrans.raster.window import Window
from sattrans.runs.run import Run
from sattrans.runs.translator import Translator
from sattrans.utils.console import counted
from sattrans.utils.hashing import hash_of, sha256


class Real(NamedTuple):
    """A real image (3, H, W) uint8, and its class indices (H, W); None where its map is a picture, or there is none."""

    image: Tensor
    map: Tensor | None


class Reference(ABC):
    """Real images of one size. `ids` are their names, `size` their shorter side, `classes` those of their maps.

    `key` says which images these are: another key, other images.
    """

    ids: Sequence[str]
    size: int
    classes: tuple[str, ...] = ()
    key: str

    def __len__(self) -> int:
        return len(self.ids)

    @abstractmethod
    def real(self, number: int) -> Real:
        """Return an image. Raises what its file is guilty of."""

    def map_picture(self, number: int) -> NDArray[np.uint8] | None:
        """Return the map of an image in its colours, (3, H, W), for looking."""
        return None


class TileReference(Reference):
    """Tiles of a tileset."""

    def __init__(self, tileset: Tileset, tiles: Sequence[Tile]) -> None:
        self.tileset, self.tiles = tileset, list(tiles)
        self.store = TileStore(tileset, tiles)
        self.ids = [tile.id for tile in tiles]
        self.size = tileset.size
        self.classes = tileset.palette.names if tileset.palette else ()
        self.key = hash_of(tileset.hash, *self.ids)

    def real(self, number: int) -> Real:
        """Return a tile."""
        image, map_ = self.store[number]
        return Real(image, map_ if self.tileset.palette else None)

    def map_picture(self, number: int) -> NDArray[np.uint8] | None:
        """Return a tile's map."""
        return to_picture(self.store[number][1], self.tileset.palette)


class Subject(ABC):
    """Gives images. `name` is its own among those scored together; `about` what `scores.json` says of it.

    Subjects with one `recipe` differ by their seed alone, and are shown as one; None is a recipe of its own. `key`
    says which images these are, `folder` where they come from.
    """

    name: str
    folder: Path
    about: Mapping[str, Any]
    recipe: str | None = None
    key: str

    @abstractmethod
    def images(self, numbers: Sequence[int]) -> Iterator[Tensor]:
        """Yield the image (3, H, W) uint8 for each of some real ones."""


SEEDS = frozenset({"seed"})
"""The settings of a run that make it another run of the same recipe."""


class RunSubject(Subject):
    """A run's generator, given the maps of tiles."""

    def __init__(self, run: Run, reference: TileReference, device: torch.device, seed: int, batch_size: int) -> None:
        self.run, self.name, self.folder = run, run.name, run.folder
        self._reference, self._device, self._seed, self._batch = reference, device, seed, batch_size
        best = run.checkpoint("best")
        if not best.is_file():
            raise UsageError(f"{best} is not there: the run was stopped early; sattrans train --resume {run.folder}")
        weights = sha256(best)
        self.key = hash_of(weights, str(seed))
        settings = {key: value for key, value in run.manifest["settings"].items() if key not in SEEDS}
        self.recipe = hash_of(
            run.model_name, repr(sorted(run.manifest["options"].items())), repr(sorted(settings.items()))
        )
        self.about = {"model": run.model_name, "weights": weights, "seed": run.manifest["settings"]["seed"]}

    @cached_property
    def _translator(self) -> Translator:
        return Translator(self.run, self._device, self._seed)

    def images(self, numbers: Sequence[int]) -> Iterator[Tensor]:
        """Yield a generated image for each tile."""
        tiles = self._reference.tiles
        for start in range(0, len(numbers), self._batch):
            batch = numbers[start : start + self._batch]
            _, maps = self._reference.store.stack(batch)
            origins = [(tiles[number].window.row, tiles[number].window.col) for number in batch]
            yield from torch.from_numpy(to_uint8(self._translator(maps.numpy(), origins)))


def each_once(subjects: Sequence[Subject]) -> tuple[list[Subject], list[str]]:
    """Return the subjects without those that were given before, and a sentence about each that is left out.

    The same weights again, in a copy of a run, are no other seed either.
    """
    kept: list[Subject] = []
    told = []
    for subject in subjects:
        before = next((one for one in kept if _same(one, subject)), None)
        if before is None:
            kept.append(subject)
        elif before.folder.resolve() == subject.folder.resolve():
            told.append(f"{subject.folder} was given more than once: it counts once")
        else:
            told.append(f"{subject.folder} has the weights of {before.folder}: they count once, as one seed")
    return kept, list(dict.fromkeys(told))


def _same(one: Subject, other: Subject) -> bool:
    if one.folder.resolve() == other.folder.resolve():
        return True
    return one.recipe is not None and (one.recipe, one.key) == (other.recipe, other.key)


SUFFIXES = frozenset({".tif", ".tiff", ".png", ".jpg", ".jpeg", ".jp2"})


class FolderReference(Reference):
    """The real images of a folder that another folder has, too. All are of one size, and that is at least 16 px."""

    def __init__(self, real: Path, others: Sequence[Path]) -> None:
        self.files = _images(real)
        self.others = {other: _images(other) for other in others}
        for other, theirs in self.others.items():
            lacking = sorted(set(self.files) ^ set(theirs))
            if len(lacking) == len(set(self.files) | set(theirs)):
                raise UsageError(f"--pairs {real} {other}: no image of one has the name of an image of the other")
            if lacking:
                where = other if lacking[0] in self.files else real
                more = f", nor {counted(len(lacking) - 1, 'other')}" if len(lacking) > 1 else ""
                raise UsageError(f"--pairs {real} {other}: {where} has no {lacking[0]}{more}: pairs have one name")
        self.ids = sorted(self.files)
        self.shape = _shape(self.files[self.ids[0]])
        for files in (self.files, *self.others.values()):
            for name in self.ids:
                shape = _shape(files[name])
                if shape != self.shape:
                    raise UsageError(
                        f"{files[name]} is {shape[1]} × {shape[0]} px, {self.files[self.ids[0]]} {self.shape[1]} × "
                        f"{self.shape[0]}: images of one size are compared"
                    )
        self.size = min(self.shape)
        self.key = hash_of(*(sha256(self.files[name]) for name in self.ids))

    def real(self, number: int) -> Real:
        """Return an image."""
        return Real(_read(self.files[self.ids[number]]), None)


class FolderSubject(Subject):
    """The images of one of the reference's other folders."""

    def __init__(self, folder: Path, reference: FolderReference) -> None:
        self.name, self.folder = folder.resolve().name, folder
        self._files = [reference.others[folder][name] for name in reference.ids]
        self.key = hash_of(*map(sha256, self._files))
        self.about = {"images": self.key}

    def images(self, numbers: Sequence[int]) -> Iterator[Tensor]:
        """Yield the images."""
        for number in numbers:
            yield _read(self._files[number])


def _images(folder: Path) -> dict[str, Path]:
    """Return the images of a folder by their names without suffix."""
    if not folder.is_dir():
        raise UsageError(f"--pairs: {folder} is no folder")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES:
            if path.stem in found:
                raise UsageError(f"{path} and {found[path.stem].name} have one name: which of them is meant?")
            found[path.stem] = path
    if not found:
        raise UsageError(f"--pairs: {folder} has no images ({', '.join(sorted(SUFFIXES))})")
    return found


def _shape(path: Path) -> tuple[int, int]:
    with open_raster(path) as raster:
        _check(raster)
        return raster.height, raster.width


def _check(raster: Raster) -> None:
    if raster.dtype != "uint8":
        raise RasterError(
            f"{raster.path} holds {raster.dtype} pixels: images of 8 bits are compared, without NaN; "
            "gdal_translate -ot Byte -scale makes them"
        )


def _read(path: Path) -> Tensor:
    with open_raster(path) as raster:
        _check(raster)
        pixels, valid = read_image(raster, Window(0, 0, raster.height, raster.width), image_bands(raster, None))
    if valid is not None:  # what holds nothing is black in both, as in tiles
        pixels = np.where(valid, pixels, np.uint8(0))
    return torch.from_numpy(pixels)
