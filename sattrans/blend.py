"""Joining overlapping windows: weights, and the rolling rows that hold what is not finished yet."""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Blend = Literal["none", "linear", "hann"]


def _flat(overlap: int) -> NDArray[np.float32]:
    # The middle of an overlap is a hard edge: each pixel comes from the window whose centre is nearer.
    return (np.arange(overlap) >= (overlap + 1) // 2).astype(np.float32)


def _linear(overlap: int) -> NDArray[np.float32]:
    return ((np.arange(overlap) + 0.5) / max(1, overlap)).astype(np.float32)


def _hann(overlap: int) -> NDArray[np.float32]:
    return (0.5 - 0.5 * np.cos(np.pi * (np.arange(overlap) + 0.5) / max(1, overlap))).astype(np.float32)


RAMPS: dict[str, Callable[[int], NDArray[np.float32]]] = {"none": _flat, "linear": _linear, "hann": _hann}
"""How a window's weight rises over the overlap; with its mirror image it sums to 1 at every pixel."""


def window_weight(
    size: int, overlap: int, blend: Blend, top: bool, left: bool, bottom: bool, right: bool
) -> NDArray[np.float32]:
    """Return a window's weights, (size, size); a side at the raster's edge (True) has no neighbour and keeps 1.

    The overlap may be over half the window: the weights then are those of the window's own ramps, and whoever
    sums them divides by their sum.
    """

    def side(first: bool, last: bool) -> NDArray[np.float32]:
        weight = np.ones(size, np.float32)
        ramp = RAMPS[blend](overlap)
        if not first:
            weight[:overlap] *= ramp
        if not last:
            weight[size - overlap :] *= ramp[::-1] if blend != "none" else 1 - ramp
        return weight

    return np.outer(side(top, bottom), side(left, right))


class RollingRows:
    """Sums weighted windows of one row of windows after the other, and gives rows away when they are finished.

    Memory is width × (rows not finished), whatever the raster's height.
    """

    def __init__(self, bands: int, height: int, width: int, first_row: int = 0) -> None:
        self.height = height
        self.width = width
        self.top = first_row
        self._bands = bands
        self._sum = np.zeros((bands, 0, width), np.float32)
        self._weight = np.zeros((0, width), np.float32)

    def add(self, row: int, col: int, pixels: NDArray[np.float32], weight: NDArray[np.float32]) -> None:
        """Add a window whose top left is (`row`, `col`): `pixels` (bands, h, w), `weight` (h, w).

        What lies outside the raster, or above the rows already given away, is left out.
        """
        above = max(0, self.top - row)
        bottom, right = min(row + weight.shape[0], self.height), min(col + weight.shape[1], self.width)
        if bottom <= row + above or right <= col:
            return
        self._grow(bottom)
        inside = (slice(above, bottom - row), slice(0, right - col))
        place = (slice(row + above - self.top, bottom - self.top), slice(col, right))
        self._sum[:, *place] += pixels[:, *inside] * weight[inside]
        self._weight[place] += weight[inside]

    def _grow(self, bottom: int) -> None:
        missing = bottom - self.top - self._weight.shape[0]
        if missing > 0:
            self._sum = np.concatenate([self._sum, np.zeros((self._bands, missing, self.width), np.float32)], axis=1)
            self._weight = np.concatenate([self._weight, np.zeros((missing, self.width), np.float32)])

    def take(self, rows: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Give away the next `rows` rows: their weighted means (bands, rows, W), and where there was anything."""
        self._grow(self.top + rows)
        total, weight = self._sum[:, :rows], self._weight[:rows]
        mean = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
        self._sum, self._weight = self._sum[:, rows:].copy(), self._weight[rows:].copy()
        self.top += rows
        return mean, weight > 0


def to_uint8(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Round to grey levels 0 to 255."""
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def reaches(starts: Sequence[int], size: int, row: int) -> int:
    """Return the position in `starts` of the first window that reaches `row` or lies below it."""
    return next((i for i, start in enumerate(starts) if start + size > row), len(starts))
