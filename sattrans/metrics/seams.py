"""The seam score of a generated image: whether the borders of its windows are visible."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sattrans.raster.cells import PERIOD
from sattrans.raster.window import Window

Read = Callable[[Window], NDArray[np.uint8]]
"""Reads the red, green and blue of a part of an image, (3, H, W)."""

Positions = NDArray[np.int64]

MIN_PIXELS = 1000
"""A score needs this many pixels along the boundaries."""


EDGES = ((1.5, "visible edges where windows meet"), (1.15, "faint edges where windows meet"))
BLUR = ((0.4, "blur where windows overlap"), (0.7, "slight blur where windows overlap"))
"""From which score on edges and blur are to be seen, judged by eye on a Sentinel-2 image with known steps and blurs.

Steps of 12 grey levels (gradient 1.3) are visible on water only, of 18 (1.6) on fields and woods, too. A blur of
σ 0.6 px (detail 0.38) can just be seen, of 0.8 px (0.21) clearly.
"""


@dataclass(frozen=True, slots=True)
class Seams:
    """The two seam scores; both are 1 for an image without seams.

    `gradient` is the mean difference of neighbouring pixels across the lines where the texture of one window changes
    to the next, divided by that inside windows: an edge raises it, blur lowers it. `detail` is the energy of second
    differences where windows overlap, divided by that inside: blending removes texture and lowers it. Both compare
    pixels of the same phase (position in a window modulo 32), because transposed convolutions draw a grid of their own,
    which is not a seam.
    """

    gradient: float
    detail: float

    def verdict(self) -> str:
        """Return in a few words what is to be seen of the seams."""
        edges = next((text for least, text in EDGES if self.gradient > least), "")
        blur = next((text for most, text in BLUR if self.detail < most), "")
        return " and ".join(filter(None, (edges, blur))) or "none visible"


@dataclass
class _AxisSums:
    """Sums along one axis: of differences and of second differences, by position."""

    first: NDArray[np.float64]
    second: NDArray[np.float64]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, length: int) -> "_AxisSums":
        return cls(np.zeros(length), np.zeros(length), np.zeros(length, np.int64))

    def add(self, pixels: NDArray[np.int16], start: int, known: NDArray[np.bool_]) -> None:
        """Add pixels (3, H, W) whose columns begin at `start`; the first two have no differences."""
        steps = np.diff(pixels, axis=2)  # (3, H, W - 1)
        curves = np.diff(steps, axis=2)  # (3, H, W - 2): around the middle pixel
        both = known[:, 2:] & known[:, 1:-1] & known[:, :-2]
        columns = slice(start + 1, start + 1 + curves.shape[2])
        # Sums over bands fit into small integers, which are several times quicker to add.
        first = np.abs(steps[:, :, :-1]).sum(axis=0, dtype=np.int16)
        second = np.square(curves, dtype=np.int32).sum(axis=0, dtype=np.int32)
        self.first[columns] += (first * both).sum(axis=0)
        self.second[columns] += (second * both).sum(axis=0)
        self.counts[columns] += both.sum(axis=0)

    def ratios(self, starts: Sequence[int], size: int, overlap: int) -> tuple[float, float] | None:
        """Return gradient and detail, or None if nothing can be compared."""
        positions, first = np.arange(len(self.first)), np.asarray(starts, np.int64)
        middles = (first[:-1] + size + first[1:] + 1) // 2
        window = np.searchsorted(middles, positions, side="right")  # the window that a pixel's texture is from
        phase = (positions - first[window]) % PERIOD
        boundaries, middle = middles[(middles > 0) & (middles < len(positions))], (overlap + 1) // 2
        at_boundary = np.isin(positions, boundaries)
        shared = at_boundary.copy()
        for boundary in boundaries:
            shared[max(0, boundary - middle - 1) : boundary + overlap - middle + 1] = True
        inside = ~shared if not shared.all() else ~at_boundary  # if windows overlap everywhere
        if self.counts[at_boundary].sum() < MIN_PIXELS or not self.counts[inside].any():
            return None
        gradient = self._ratio(self.first, at_boundary, inside, phase)
        detail = self._ratio(self.second, shared, inside, phase)
        return None if gradient is None or detail is None else (gradient, detail)

    def _ratio(
        self, values: NDArray[np.float64], selected: NDArray[np.bool_], inside: NDArray[np.bool_], phase: Positions
    ) -> float | None:
        """Return the values at selected positions, divided by those at positions inside with the same phases."""
        total, count = (np.bincount(phase[inside], v[inside], PERIOD) for v in (values, self.counts))
        usual = np.divide(total, count, out=np.zeros(PERIOD), where=count > 0)
        known = selected & (count[phase] > 0)
        expected = float((usual[phase] * self.counts)[known].sum())
        return float(values[known].sum()) / expected if expected else None


STRIP = 1 << 16
"""Pixels that are processed at once: this many fit into a processor's cache."""

MAX_PARTS = 64
"""A score is computed from about this many parts of an image at most."""


def sampled_parts(parts: Sequence[Window]) -> Sequence[Window]:
    """Return the parts to compute the score from: all, or about `MAX_PARTS` of them, evenly spaced."""
    return parts[:: max(1, len(parts) // MAX_PARTS)]


def seams(
    read: Read,
    valid: Callable[[Window], NDArray[np.bool_]] | None,
    parts: Iterable[Window],
    size: tuple[int, int],
    starts: tuple[Sequence[int], Sequence[int]],
    window: int,
    overlap: int,
) -> Seams | None:
    """Return the seam score of an image from some parts of it, or None if it cannot be computed.

    Args:
        read: Reads the pixels of a window, (3, H, W) uint8.
        valid: Reads which pixels of a window are not nodata, (H, W); None if all are.
        parts: The windows to compute the score from.
        size: Height and width of the image in pixels.
        starts: The rows and the columns at which windows start; the first and the last may lie beyond the image.
        window: Side of a window, in pixels.
        overlap: Pixels that two neighbouring windows share.

    Returns:
        The mean of both axes; None if no two windows meet, too few pixels lie along the boundaries, or the image is
        flat.
    """
    height, width = size
    down, across = _AxisSums.of(height), _AxisSums.of(width)
    for part in parts:
        # Two more pixels above and to the left, so that no difference between two parts is lost.
        top, left = max(0, part.row - 2), max(0, part.col - 2)
        padded = Window(top, left, part.bottom - top, part.right - left)
        pixels = read(padded).astype(np.int16)
        known = np.ones(pixels.shape[1:], bool) if valid is None else valid(padded)
        above, before = part.row - top, part.col - left
        height_of_strip = max(1, STRIP // part.width)
        for first in range(0, part.height, height_of_strip):
            rows = slice(above + first, above + first + height_of_strip)
            across.add(pixels[:, rows], left, known[rows])
            rows = slice(max(0, rows.start - 2), rows.stop)
            down.add(pixels[:, rows, before:].transpose(0, 2, 1), top + rows.start, known[rows, before:].T)
    per_axis = [
        ratios
        for axis, own in ((down, starts[0]), (across, starts[1]))
        if len(own) > 1 and (ratios := axis.ratios(own, window, overlap))
    ]
    if not per_axis:
        return None
    gradients, details = zip(*per_axis, strict=True)
    return Seams(float(np.mean(gradients)), float(np.mean(details)))
