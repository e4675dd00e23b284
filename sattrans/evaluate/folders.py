"""Folders of images that `evaluate --pairs` compares; large images are read and scored by windows."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sattrans.errors import RasterError, UsageError
from sattrans.evaluate.images import ImageSource, RealImage, RealImages
from sattrans.metrics.baselines import partners
from sattrans.mosaic.dataset_pool import DatasetPool
from sattrans.raster.bands import choose_bands, read_image, rgb_bands
from sattrans.raster.gate import SEQUENTIAL_DRIVERS
from sattrans.raster.open import Raster, open_raster
from sattrans.raster.tile_formats import IMAGE_SUFFIXES, READABLE
from sattrans.raster.validity import may_be_invalid
from sattrans.raster.window import Window
from sattrans.utils.console import log_few, pluralize
from sattrans.utils.contents import contents_of
from sattrans.utils.hashing import hash_of, sha256

MAX_WHOLE = 1 << 22
"""The most pixels of an image that is scored as a whole: 2048 × 2048."""

WINDOW_SIDE = 1024
"""The longest side of a window of a larger image."""

Picture = tuple[NDArray[np.uint8], NDArray[np.bool_] | None]
"""Pixels (3, H, W), and which hold data (H, W); None if all do."""


class RealFolder(RealImages):
    """The images of a folder, each of which must exist in the compared folders, too. All have the same size.

    Larger images than `MAX_WHOLE` count as their windows. As a context manager, it closes its files at the end.

    Attributes:
        files: The files of the real images by name.
        compared: The same of each folder that is compared with them.
        windows: For each image to score, the name of its file and its window there.
        notes: What the user should know.
    """

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
        names = sorted(self.files)
        first = self.files[names[0]]
        height, width = _shape(first, [])
        notices: list[str] = []
        for files in (self.files, *self.compared.values()):
            for name in names:
                shape = _shape(files[name], notices)
                if shape != (height, width):
                    raise UsageError(
                        f"{files[name]} is {shape[1]} × {shape[0]} px, but {first} is {width} × {height} px: "
                        "all images must have the same size"
                    )
        log_few(notices)
        grid = windows_of(height, width)
        self.shape = grid[0].height, grid[0].width
        self.size, self.notes = min(self.shape), tuple[str, ...]()
        self.reader = WindowReader()
        self.windows = [(name, window) for name in names for window in grid]
        self.ids = names
        if len(grid) > 1:
            with_data = [(name, number) for name in names for number in self._with_data(self.files[name], grid)]
            self.windows = [(name, grid[number]) for name, number in with_data]
            self.ids = [f"{name}_{number}" for name, number in with_data]
            self.notes = (_note(height, width, grid[0], len(with_data), len(names) * len(grid)),)
        self._valid: tuple[int, Tensor | None] | None = None
        self.key = hash_of(*(sha256(self.files[name]) for name in names))

    def __enter__(self) -> "RealFolder":
        return self

    def __exit__(self, *_: object) -> None:
        self.reader.close()

    @property
    def pixels(self) -> int:
        """See `RealImages`."""
        return self.shape[0] * self.shape[1]

    def partners(self, seed: int) -> NDArray[np.int64]:
        """See `RealImages`. Windows of an image get windows of one other, so that few files are read at a time."""
        of_file: dict[str, list[int]] = {}
        for number, (name, _) in enumerate(self.windows):
            of_file.setdefault(name, []).append(number)
        groups = list(of_file.values())
        if len(groups) == 1:
            return super().partners(seed)
        others = [groups[other] for other in partners(len(groups), seed)]
        pairs = zip(groups, others, strict=True)
        return np.array([other[k % len(other)] for group, other in pairs for k in range(len(group))], np.int64)

    def read(self, number: int) -> RealImage:
        """Read an image."""
        image, valid = self.read_from(self.files, number)
        self._valid = number, valid
        return RealImage(image, None)

    def valid(self, number: int) -> Tensor | None:
        """Return which pixels of an image hold data."""
        if self._valid is None or self._valid[0] != number:
            self.read(number)
        assert self._valid is not None
        return self._valid[1]

    def read_from(self, files: dict[str, Path], number: int) -> tuple[Tensor, Tensor | None]:
        """Return an image (3, H, W) of one of the folders, black where it holds nothing, and which pixels hold data.

        None for these means that all do.
        """
        name, window = self.windows[number]
        pixels, valid = self.reader.read(files[name], window)
        if valid is None or valid.all():
            return torch.from_numpy(pixels), None
        return torch.from_numpy(np.where(valid, pixels, np.uint8(0))), torch.from_numpy(valid)

    def _with_data(self, file: Path, grid: Sequence[Window]) -> list[int]:
        """Return the numbers of the windows in which an image holds data."""
        with open_raster(file) as raster:
            if not may_be_invalid(raster, raster.nodata) and raster.table is None:
                return list(range(len(grid)))
        read = (self.reader.read(file, window)[1] for window in grid)
        found = [number for number, valid in enumerate(read) if valid is None or valid.any()]
        if not found:
            raise RasterError(f"{file} holds no data in any pixel; remove it and the images of its name")
        return found


class FolderImages(ImageSource):
    """The images of a folder that is compared with a folder of real images."""

    def __init__(self, folder: Path, real_folder: RealFolder) -> None:
        self.name, self.folder = folder.resolve().name, folder
        self._real, self._files = real_folder, real_folder.compared[folder]
        self._valid: tuple[int, Tensor | None] = -1, None
        self.key = hash_of(*(sha256(self._files[name]) for name in sorted(self._files)))
        self.about = {"images": self.key}

    def images(self, numbers: Sequence[int]) -> Iterator[Tensor]:
        """Yield the images."""
        for number in numbers:
            image, valid = self._real.read_from(self._files, number)
            self._valid = number, valid
            yield image

    def valid(self, number: int) -> Tensor | None:
        """Return which pixels of the image that was yielded last hold data."""
        assert number == self._valid[0]
        return self._valid[1]


class WindowReader:
    """Reads windows of images, and keeps what reading the next windows needs: open files and decoded strips."""

    def __init__(self) -> None:
        self._pool = DatasetPool(MAX_STRIPS)
        self._strips: dict[Path, tuple[Window, Picture]] = {}  # in the order of their last use

    def close(self) -> None:
        """Close the files."""
        self._pool.close()
        self._strips.clear()

    def read(self, file: Path, window: Window) -> Picture:
        """Return a window of an image. Raises `RasterError` if it cannot be read."""
        with self._pool.open(file) as raster:
            _check_8_bit(raster)
            bands = rgb_bands(raster, None)
            if raster.src.driver not in SEQUENTIAL_DRIVERS:
                return read_image(raster, window, bands)
            # Decoded from the top for any window, so all windows of some rows are cut from one strip.
            strip = Window(window.row, 0, window.height, raster.width)
            kept = self._strips.pop(file, None)
            pixels, valid = kept[1] if kept and kept[0] == strip else read_image(raster, strip, bands)
        self._strips[file] = strip, (pixels, valid)
        if len(self._strips) > MAX_STRIPS:
            del self._strips[next(iter(self._strips))]
        columns = slice(window.col, window.right)
        return pixels[..., columns].copy(), None if valid is None else valid[:, columns].copy()


MAX_STRIPS = 3
"""Images that are read in turn: a real one, the one to score, and another real one for a shuffled pair."""


def windows_of(height: int, width: int) -> list[Window]:
    """Return the windows of one size, row by row, that an image is scored in; a small image is one window.

    They are as even as possible: neighbours share a pixel or none.
    """
    if height * width <= MAX_WHOLE:
        return [Window(0, 0, height, width)]
    rows, cols = _starts(height), _starts(width)
    size = height - rows[-1], width - cols[-1]
    return [Window(row, col, *size) for row in rows for col in cols]


def _starts(length: int) -> list[int]:
    count = -(-length // WINDOW_SIDE)
    side = -(-length // count)
    return [(length - side) * number // max(1, count - 1) for number in range(count)]


def _note(height: int, width: int, window: Window, scored: int, count: int) -> str:
    empty = f", without {count - scored} that hold no data" if scored < count else ""
    return (
        f"the images of {width} × {height} px are scored in {pluralize(scored, 'window')} of {window.width} × "
        f"{window.height} px{empty}; intervals take windows for independent images"
    )


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
        notices += filter(None, (*raster.notices, choose_bands(raster).notice))
        return raster.height, raster.width


def _check_8_bit(raster: Raster) -> None:
    if raster.dtype != "uint8":
        raise RasterError(
            f"{raster.path} has {raster.dtype} pixels, but evaluate compares 8-bit images; "
            "convert it: gdal_translate -ot Byte -scale"
        )
