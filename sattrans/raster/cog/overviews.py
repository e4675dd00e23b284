"""The pieces of a large raster and of its overviews: where they lie, and which make which."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sattrans.raster.window import Window

BLOCK = 512
"""Side of a block, and height of a piece, in pixels."""

PANEL = 8 * BLOCK
"""Width of a piece, in pixels: what is held in memory grows no wider than that."""


def pieces_of(height: int, width: int) -> list[Window]:
    """Return what is written at a time: whole blocks, one high and up to `PANEL` px wide, row by row."""
    return [
        Window(top, left, min(BLOCK, height - top), min(PANEL, width - left))
        for top in range(0, height, BLOCK)
        for left in range(0, width, PANEL)
    ]


@dataclass(frozen=True, slots=True, order=True)
class Piece:
    """A piece of a level: 0 is the raster itself, each further one half the size of the one before."""

    level: int
    window: Window

    @property
    def name(self) -> str:
        """The name of its file."""
        what = f"overview-{self.level}" if self.level else "piece"
        return f"{what}-{self.window.row:08d}-{self.window.col:08d}.tif"


@dataclass(frozen=True)
class Pyramid:
    """A raster of this size and its overviews, down to one that fits into a block."""

    height: int
    width: int

    @cached_property
    def sizes(self) -> list[tuple[int, int]]:
        """Height and width of each level. Those of an overview are rounded up."""
        sizes = [(self.height, self.width)]
        while max(sizes[-1]) > BLOCK:
            height, width = sizes[-1]
            sizes.append((-(-height // 2), -(-width // 2)))
        return sizes

    def pieces(self, level: int) -> list[Piece]:
        """Return the pieces of a level, row by row."""
        return [Piece(level, window) for window in pieces_of(*self.sizes[level])]

    def overviews(self) -> Iterator[Piece]:
        """Yield the pieces of all overviews, those first that others are made from."""
        for level in range(1, len(self.sizes)):
            yield from self.pieces(level)

    def _at(self, level: int, row: int, col: int) -> Piece:
        """Return the piece whose top left is there."""
        height, width = self.sizes[level]
        return Piece(level, Window(row, col, min(BLOCK, height - row), min(PANEL, width - col)))

    def above(self, piece: Piece) -> Piece | None:
        """Return the piece of an overview that this one is a part of; None for that of the last one."""
        if piece.level + 1 == len(self.sizes):
            return None
        window = piece.window
        return self._at(piece.level + 1, window.row // 2 // BLOCK * BLOCK, window.col // 2 // PANEL * PANEL)

    def below(self, piece: Piece) -> list[Piece]:
        """Return the two or four pieces, fewer at an edge, that an overview's piece is made from."""
        height, width = self.sizes[piece.level - 1]
        top, left = 2 * piece.window.row, 2 * piece.window.col
        return [
            self._at(piece.level - 1, row, col)
            for row in range(top, min(top + 2 * BLOCK, height), BLOCK)
            for col in range(left, min(left + 2 * PANEL, width), PANEL)
        ]


Overviews = Literal["average", "mode", "nearest"]
Pixels = NDArray[np.uint8]

STRIP = 16
"""Rows that are halved at a time."""


def halve(pixels: Pixels, how: Overviews, nodata: float | None = None, alpha: bool = False) -> Pixels:
    """Return (bands, H, W) at half the size, rounded up; at an odd edge a pixel stands for two, or for one.

    A mean leaves out what is empty: where the last band, `alpha`, is 0, or where every band has `nodata`.
    """
    odd = [(0, length % 2) for length in pixels.shape[1:]]
    whole = np.pad(pixels, ((0, 0), *odd), mode="edge") if any(map(any, odd)) else pixels
    if how != "average":
        return HALVES[how](whole)
    valid = _valid(whole, nodata, alpha)
    if valid is None:
        return _mean(whole)
    halved = _mean_of_valid(whole, valid, 0 if alpha or nodata is None else int(nodata))
    if alpha:
        halved[-1] = _mean(whole[-1:])[0]
    return halved


def _valid(pixels: Pixels, nodata: float | None, alpha: bool) -> NDArray[np.bool_] | None:
    """Return which pixels hold anything, (H, W); None where all do."""
    if not alpha and nodata is None:
        return None
    valid: NDArray[np.bool_] = pixels[-1] != 0 if alpha else (pixels != nodata).any(axis=0)
    return None if valid.all() else valid


def _quarters(pixels: Pixels) -> tuple[Pixels, Pixels, Pixels, Pixels]:
    return pixels[:, ::2, ::2], pixels[:, ::2, 1::2], pixels[:, 1::2, ::2], pixels[:, 1::2, 1::2]


def _mean(pixels: Pixels) -> Pixels:
    bands, height, width = pixels.shape
    halved = np.empty((bands, height // 2, width // 2), np.uint8)
    for top in range(0, height, STRIP):  # what is in between stays in the processor's cache
        rows = pixels[:, top : top + STRIP]
        # Two neighbours in a row are the halves of one 32-bit number: several times quicker than steps of two.
        pairs = np.add(rows[:, ::2], rows[:, 1::2], dtype=np.uint16, order="C").view(np.uint32)
        four = pairs & 0xFFFF
        pairs >>= 16
        four += pairs
        four += 2
        four >>= 2
        halved[:, top // 2 : (top + STRIP) // 2] = four
    return halved


def _mean_of_valid(pixels: Pixels, valid: NDArray[np.bool_], empty: int) -> Pixels:
    kept = np.where(valid, pixels, 0)
    total = sum(part.astype(np.uint16) for part in _quarters(kept))
    count = sum(part.astype(np.uint16) for part in _quarters(valid[np.newaxis].view(np.uint8)))
    mean = (total + count // 2) // np.maximum(count, 1)
    return np.where(count, mean, empty).astype(np.uint8)


def _nearest(pixels: Pixels) -> Pixels:
    return np.ascontiguousarray(pixels[:, ::2, ::2])


def _mode(pixels: Pixels) -> Pixels:
    """Return the value that most of the four have; of two that are as frequent, the one that comes first."""
    a, b, c, d = _quarters(pixels)
    second = (b == c) | (b == d)
    first = (a == b) | (a == c) | (a == d) | ~(second | (c == d))
    return np.where(first, a, np.where(second, b, c))


HALVES: dict[Overviews, Callable[[Pixels], Pixels]] = {"average": _mean, "mode": _mode, "nearest": _nearest}
