"""Blending of overlapping windows: their weights, and the rolling sums that give finished rows.

Weights are separable: the weight of a pixel is a row weight times a column weight. They are normalised over all
windows, so a weighted sum is a mean. The blend `bands` keeps two sums, a fine and a coarse one (Burt and Adelson 1983,
doi:10.1145/245.247); see `panel.Panel`.

To add a blend: a ramp, an entry of `RAMPS`, and its name in `Blend` (`generate/options.py`).
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from sattrans.generate.options import Blend

Floats = NDArray[np.float32]
Ramp = Callable[[int], Floats]
"""The rise of a window's weight over an overlap, (overlap,); it and its mirror image sum to 1 at every pixel."""


def _nearest(overlap: int) -> Floats:
    # The middle of an overlap is a hard edge: each pixel comes from the window whose centre is nearer.
    return (np.arange(overlap) >= (overlap + 1) // 2).astype(np.float32)


def _linear(overlap: int) -> Floats:
    return ((np.arange(overlap) + 0.5) / max(1, overlap)).astype(np.float32)


def _hann(overlap: int) -> Floats:
    return (0.5 - 0.5 * np.cos(np.pi * (np.arange(overlap) + 0.5) / max(1, overlap))).astype(np.float32)


def _inset(ramp: Ramp, inset: int, overlap: int) -> Floats:
    """Return a ramp that rises `inset` pixels away from both ends of the overlap."""
    whole = np.zeros(overlap, np.float32)
    whole[overlap - inset :] = 1
    whole[inset : overlap - inset] = ramp(overlap - 2 * inset)
    return whole


def cell_size(overlap: int) -> int:
    """Return the side in pixels of the cells of the coarse image for an overlap: a power of two up to 16."""
    return 1 << min(4, max(0, (overlap // 16).bit_length() - 1))


FINE_CELLS = 2
"""Cells over which fine texture changes from one window to the next."""


def _coarse(overlap: int) -> Floats:
    # The outermost cells of a window get no weight, so that the blur never reads beyond the window.
    inset = 3 * cell_size(overlap)
    return _inset(_hann, inset, overlap) if 2 * inset < overlap else _fine(overlap)


def _fine(overlap: int) -> Floats:
    return _inset(_linear, max(0, overlap - FINE_CELLS * cell_size(overlap)) // 2, overlap)


RAMPS: dict[Blend, tuple[Ramp, ...]] = {
    "none": (_nearest,),
    "linear": (_linear,),
    "hann": (_hann,),
    "bands": (_fine, _coarse),
}
"""The ramps of each blend: one, or one for fine texture and one for the coarse image."""


def axis_weights(starts: Sequence[int], size: int, ramp: Ramp) -> Floats:
    """Return the weights of the windows along one axis, (windows, size); at every pixel they sum to 1.

    Args:
        starts: The first pixel of each window.
        size: Side of a window, in pixels.
        ramp: How a weight rises over an overlap.
    """
    weights = np.ones((len(starts), size), np.float32)
    rises: dict[int, Floats] = {}
    for index in range(1, len(starts)):
        overlap = starts[index - 1] + size - starts[index]
        if overlap not in rises:
            rises[overlap] = ramp(overlap)
        weights[index, :overlap] *= rises[overlap]
        weights[index - 1, size - overlap :] *= 1 - rises[overlap]
    total = np.zeros(starts[-1] - starts[0] + size, np.float32)
    for start, weight in zip(starts, weights, strict=True):
        total[start - starts[0] :][:size] += weight
    for start, weight in zip(starts, weights, strict=True):
        weight /= total[start - starts[0] :][:size]
    return weights


class RollingRows:
    """Sums windows from the top and frees finished rows: it holds width × (unfinished rows)."""

    def __init__(self, bands: int, width: int, first_row: int = 0) -> None:
        self.top, self.width = first_row, width
        self._sum = np.zeros((bands, 0, width), np.float32)

    def add(self, row: int, pixels: Floats, weights: Floats) -> None:
        """Add pixels (bands, h, width) from `row` down, weighted by `weights` (bands, h); freed rows are left out."""
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

    def rows(self, top: int, bottom: int) -> Floats:
        """Return the sums of the rows from `top` to `bottom`, (bands, rows, width)."""
        self._grow(bottom)
        return self._sum[:, top - self.top : bottom - self.top]

    def release(self, until: int) -> None:
        """Free the rows above `until`."""
        if until > self.top:
            self._grow(until)
            self._sum = self._sum[:, until - self.top :].copy()
            self.top = until
