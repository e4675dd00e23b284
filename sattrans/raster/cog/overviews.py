"""Overviews of a large raster: their sizes and chunks, and the downsampling that makes each from the one before."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sattrans.raster.window import Window

Pixels = NDArray[np.uint8]

BLOCK = 512
"""Side of a block, and height of a chunk, in pixels."""

CHUNK_WIDTH = 8 * BLOCK
"""Width of a chunk in pixels; it limits what is held in memory."""

GROWTH = 4 / 3
"""Pixels of a raster with its overviews, relative to those of the raster alone."""


def chunk_windows(height: int, width: int) -> list[Window]:
    """Return the chunks of a raster, row by row: complete blocks, one high and up to `CHUNK_WIDTH` px wide."""
    return [
        Window(top, left, min(BLOCK, height - top), min(CHUNK_WIDTH, width - left))
        for top in range(0, height, BLOCK)
        for left in range(0, width, CHUNK_WIDTH)
    ]


@dataclass(frozen=True, slots=True, order=True)
class Chunk:
    """A chunk of a level: level 0 is the raster itself, each next level has half the size."""

    level: int
    window: Window

    @property
    def name(self) -> str:
        """The name of its file. The spelling is part of the format of interrupted outputs, which can be resumed."""
        kind = f"overview-{self.level}" if self.level else "piece"
        return f"{kind}-{self.window.row:08d}-{self.window.col:08d}.tif"


@dataclass(frozen=True)
class Pyramid:
    """The levels of a raster of this size: the raster, and overviews down to one that fits into a block."""

    height: int
    width: int

    @cached_property
    def sizes(self) -> list[tuple[int, int]]:
        """Height and width of each level; those of overviews are rounded up."""
        sizes = [(self.height, self.width)]
        while max(sizes[-1]) > BLOCK:
            height, width = sizes[-1]
            sizes.append((-(-height // 2), -(-width // 2)))
        return sizes

    def chunks(self, level: int) -> list[Chunk]:
        """Return the chunks of a level, row by row."""
        return [Chunk(level, window) for window in chunk_windows(*self.sizes[level])]

    def overviews(self) -> Iterator[Chunk]:
        """Yield the chunks of all overviews, children before parents."""
        for level in range(1, len(self.sizes)):
            yield from self.chunks(level)

    def _chunk_at(self, level: int, row: int, col: int) -> Chunk:
        height, width = self.sizes[level]
        return Chunk(level, Window(row, col, min(BLOCK, height - row), min(CHUNK_WIDTH, width - col)))

    def parent(self, chunk: Chunk) -> Chunk | None:
        """Return the chunk of the next overview that a chunk is downsampled into; None in the last overview."""
        if chunk.level + 1 == len(self.sizes):
            return None
        row, col = chunk.window.row // 2 // BLOCK * BLOCK, chunk.window.col // 2 // CHUNK_WIDTH * CHUNK_WIDTH
        return self._chunk_at(chunk.level + 1, row, col)

    def children(self, chunk: Chunk) -> list[Chunk]:
        """Return the two or four chunks, fewer at an edge, that a chunk of an overview is made from."""
        height, width = self.sizes[chunk.level - 1]
        top, left = 2 * chunk.window.row, 2 * chunk.window.col
        return [
            self._chunk_at(chunk.level - 1, row, col)
            for row in range(top, min(top + 2 * BLOCK, height), BLOCK)
            for col in range(left, min(left + 2 * CHUNK_WIDTH, width), CHUNK_WIDTH)
        ]


def merge_children(chunk: Chunk, downsampled: Mapping[Chunk, Pixels]) -> Pixels:
    """Return the pixels (bands, H, W) of an overview's chunk from its downsampled children."""
    window = chunk.window
    bands = next(iter(downsampled.values())).shape[0]
    merged = np.empty((bands, window.height, window.width), np.uint8)
    for child, pixels in downsampled.items():
        top, left = child.window.row // 2 - window.row, child.window.col // 2 - window.col
        merged[:, top : top + pixels.shape[1], left : left + pixels.shape[2]] = pixels
    return merged


OverviewMethod = Literal["average", "mode", "nearest"]

STRIP = 16
"""Rows that are downsampled at a time, so that intermediate results stay in the processor's cache."""


def default_method(has_colormap: bool) -> OverviewMethod:
    """Return the method for a raster: values of a colour table cannot be averaged."""
    return "nearest" if has_colormap else "average"


def downsample(pixels: Pixels, method: OverviewMethod, nodata: float | None = None, alpha: bool = False) -> Pixels:
    """Return pixels at half the size, rounded up: a row or column at an odd edge is repeated.

    Args:
        pixels: (bands, H, W).
        method: "average" leaves out invalid pixels.
        nodata: A pixel is invalid if every band has this value.
        alpha: Whether the last band is alpha, where 0 is invalid.
    """
    odd = [(0, length % 2) for length in pixels.shape[1:]]
    padded = np.pad(pixels, ((0, 0), *odd), mode="edge") if any(map(any, odd)) else pixels
    if method != "average":
        return DOWNSAMPLERS[method](padded)
    valid = _valid(padded, nodata, alpha)
    if valid is None:
        return _mean(padded)
    downsampled = _mean_of_valid(padded, valid, 0 if alpha or nodata is None else int(nodata))
    if alpha:
        downsampled[-1] = _mean(padded[-1:])[0]
    return downsampled


def _valid(pixels: Pixels, nodata: float | None, alpha: bool) -> NDArray[np.bool_] | None:
    """Return which pixels are valid, (H, W); None if all are."""
    if not alpha and nodata is None:
        return None
    valid: NDArray[np.bool_] = pixels[-1] != 0 if alpha else (pixels != nodata).any(axis=0)
    return None if valid.all() else valid


def _quarters(pixels: Pixels) -> tuple[Pixels, Pixels, Pixels, Pixels]:
    return pixels[:, ::2, ::2], pixels[:, ::2, 1::2], pixels[:, 1::2, ::2], pixels[:, 1::2, 1::2]


def _mean(pixels: Pixels) -> Pixels:
    bands, height, width = pixels.shape
    means = np.empty((bands, height // 2, width // 2), np.uint8)
    for top in range(0, height, STRIP):
        rows = pixels[:, top : top + STRIP]
        # Two neighbours in a row are the halves of a 32-bit number: several times faster than slices with a step of 2.
        pairs = np.add(rows[:, ::2], rows[:, 1::2], dtype=np.uint16, order="C").view(np.uint32)
        sums = pairs & 0xFFFF
        pairs >>= 16
        sums += pairs
        sums += 2
        sums >>= 2
        means[:, top // 2 : (top + STRIP) // 2] = sums
    return means


def _mean_of_valid(pixels: Pixels, valid: NDArray[np.bool_], nodata: int) -> Pixels:
    total = sum(part.astype(np.uint16) for part in _quarters(np.where(valid, pixels, 0)))
    count = sum(part.astype(np.uint16) for part in _quarters(valid[np.newaxis].view(np.uint8)))
    mean = (total + count // 2) // np.maximum(count, 1)
    return np.where(count, mean, nodata).astype(np.uint8)


def _nearest(pixels: Pixels) -> Pixels:
    return np.ascontiguousarray(pixels[:, ::2, ::2])


def _mode(pixels: Pixels) -> Pixels:
    """Return the most frequent of four values; if two are equally frequent, the first of them."""
    a, b, c, d = _quarters(pixels)
    second = (b == c) | (b == d)
    first = (a == b) | (a == c) | (a == d) | ~(second | (c == d))
    return np.where(first, a, np.where(second, b, c))


DOWNSAMPLERS: dict[OverviewMethod, Callable[[Pixels], Pixels]] = {
    "average": _mean,
    "mode": _mode,
    "nearest": _nearest,
}
