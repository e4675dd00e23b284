"""Joining overlapping windows: what each weighs where they overlap, and the sums that finished rows are taken from.

Weights along rows and columns are apart: a pixel's weight is the product of two. They are divided by their sum over all
windows, so that what is summed is a mean. The blend `bands` sums twice, with two weights: see `Bands`.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Blend = Literal["none", "linear", "hann", "bands"]

Floats = NDArray[np.float32]
Ramp = Callable[[int], Floats]
"""How a window's weight rises over an overlap, (overlap,); with its mirror image it sums to 1 at every pixel."""


def _flat(overlap: int) -> Floats:
    # The middle of an overlap is a hard edge: each pixel comes from the window whose centre is nearer.
    return (np.arange(overlap) >= (overlap + 1) // 2).astype(np.float32)


def _linear(overlap: int) -> Floats:
    return ((np.arange(overlap) + 0.5) / max(1, overlap)).astype(np.float32)


def _hann(overlap: int) -> Floats:
    return (0.5 - 0.5 * np.cos(np.pi * (np.arange(overlap) + 0.5) / max(1, overlap))).astype(np.float32)


def _within(ramp: Ramp, inset: int, overlap: int) -> Floats:
    """Let a ramp rise `inset` pixels away from both ends of the overlap."""
    whole = np.zeros(overlap, np.float32)
    whole[overlap - inset :] = 1
    whole[inset : overlap - inset] = ramp(overlap - 2 * inset)
    return whole


def coarseness(overlap: int) -> int:
    """Return the side in pixels of the cells that `bands` takes for coarse, for an overlap: a power of two up to 16."""
    return 1 << min(4, max(0, (overlap // 16).bit_length() - 1))


FINE_CELLS = 2
"""Over how many cells fine texture goes from one window to the next."""


def _coarse(overlap: int) -> Floats:
    # A window's outermost cells say nothing about the coarse part: so a filter of that reach keeps within the window.
    inset = 3 * coarseness(overlap)
    return _within(_hann, inset, overlap) if 2 * inset < overlap else _fine(overlap)


def _fine(overlap: int) -> Floats:
    return _within(_linear, max(0, overlap - FINE_CELLS * coarseness(overlap)) // 2, overlap)


RAMPS: dict[Blend, tuple[Ramp, ...]] = {
    "none": (_flat,),
    "linear": (_linear,),
    "hann": (_hann,),
    "bands": (_fine, _coarse),
}
"""The ramps of a blend: one, or one for fine texture and one for what is coarse."""


def axis_weights(starts: Sequence[int], size: int, overlap: int, ramp: Ramp) -> Floats:
    """Return what each window weighs along one axis, (windows, size); at every pixel they sum to 1.

    The first has no neighbour before it and the last none behind: there they weigh 1.
    """
    up = ramp(overlap)
    weights = np.ones((len(starts), size), np.float32)
    weights[1:, :overlap] *= up
    weights[:-1, size - overlap :] *= 1 - up
    total = np.zeros(starts[-1] + size, np.float32)
    for start, weight in zip(starts, weights, strict=True):
        total[start : start + size] += weight
    for start, weight in zip(starts, weights, strict=True):
        weight /= total[start : start + size]
    return weights


class RollingRows:
    """Sums rows of windows from the top, and lets go of what is finished: memory is width × (rows not finished)."""

    def __init__(self, bands: int, width: int, first_row: int = 0) -> None:
        self.top, self.width = first_row, width
        self._sum = np.zeros((bands, 0, width), np.float32)

    def add(self, row: int, pixels: Floats, weights: Floats) -> None:
        """Add pixels (bands, h, width) from `row` down, weighed by `weights` (bands, h); rows let go are left out."""
        above, height = max(0, self.top - row), pixels.shape[1]
        if above >= height:
            return
        self._grow(row + height)
        place = self._sum[:, row + above - self.top : row + height - self.top]
        place += pixels[:, above:] * weights[:, above:, np.newaxis]

    def _grow(self, bottom: int) -> None:
        bands, height, width = self._sum.shape
        missing = bottom - self.top - height
        if missing > 0:
            self._sum = np.concatenate([self._sum, np.zeros((bands, missing, width), np.float32)], axis=1)

    def look(self, top: int, bottom: int) -> Floats:
        """Return the sums of some rows, (bands, rows, width)."""
        self._grow(bottom)
        return self._sum[:, top - self.top : bottom - self.top]

    def let_go(self, until: int) -> None:
        """Forget the rows above `until`."""
        if until > self.top:
            self._grow(until)
            self._sum = self._sum[:, until - self.top :].copy()
            self.top = until


def cell_means(pixels: Floats, cell: int) -> Floats:
    """Return the means of cells, (bands, H / cell, W / cell).

    Sums run in one order, so a part gives the bytes of the whole.
    """
    rows = pixels[:, ::cell].copy()
    for row in range(1, cell):
        rows += pixels[:, row::cell]
    cells = rows[..., ::cell].copy()
    for col in range(1, cell):
        cells += rows[..., col::cell]
    cells /= np.float32(cell**2)
    return cells


def blurred(cells: Floats) -> Floats:
    """Return cells (bands, h, w) weighed 1 2 1 with their neighbours, down and across."""
    for axis in (1, 2):
        before, behind = _neighbours(cells, axis)
        before += behind
        before *= np.float32(0.25)
        cells = before + np.float32(0.5) * cells
    return cells


def drawn_out(cells: Floats, cell: int) -> Floats:
    """Return cells (bands, h, w) as pixels (bands, h * cell, w * cell), linearly from middle to middle."""
    for axis in (2, 1):  # across first, while there are few: long rows are quick
        size = list(cells.shape)
        size[axis] *= cell
        drawn = np.empty(size, np.float32)
        before, behind = (other - cells for other in _neighbours(cells, axis))
        for pixel in range(cell):
            place = (pixel + 0.5) / cell - 0.5  # from a cell's middle, in cells
            part = np.float32(abs(place)) * (before if place < 0 else behind)
            part += cells
            drawn[(slice(None),) * axis + (slice(pixel, None, cell),)] = part
        cells = drawn
    return cells


def _neighbours(cells: Floats, axis: int) -> tuple[Floats, Floats]:
    """Return the cells before and behind each, along an axis; beyond an edge is the cell at it."""
    every = (slice(None),) * axis
    first, last = cells[(*every, slice(None, 1))], cells[(*every, slice(-1, None))]
    before = np.concatenate([first, cells[(*every, slice(None, -1))]], axis=axis)
    return before, np.concatenate([cells[(*every, slice(1, None))], last], axis=axis)
