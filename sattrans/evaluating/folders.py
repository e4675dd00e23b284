"""Folders: images from anywhere - real ones in one folder, others of the same names in another."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sattrans.errors import RasterError, UsageError
from sattrans.evaluating.reference import Real, Reference
from sattrans.evaluating.subject import Subject
from sattrans.files import hash_of, sha256
from sattrans.grid import Window
from sattrans.raster.gate import Raster, open_raster
from sattrans.raster.read import image_bands, read_image
from sattrans.words import counted

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
