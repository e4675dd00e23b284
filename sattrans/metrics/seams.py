"""The seam score of a generated image: do its windows show where they meet?"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sattrans.raster.window import Window

Read = Callable[[Window], NDArray[np.uint8]]
"""Gives the red, green and blue of a part of an image, (3, H, W)."""

Positions = NDArray[np.int64]


PERIOD = 32
"""Pixels after which the grid of a generator's own repeats: of its last five doublings."""


FEWEST = 1000
"""Pixels along boundaries that a score is taken from; of fewer it says nothing."""


@dataclass(frozen=True, slots=True)
class Seams:
    """Both are 1 for an image without seams.

    `gradient` is the mean difference of neighbouring pixels across the lines where one window's texture gives way to
    the next, over that inside windows: an edge raises it, blur lowers it. `detail` is the energy of second
    differences where windows overlap over that inside: what blending takes from texture. Both compare pixels of the
    same phase, their place in a window modulo 32: transposed convolutions draw a grid of their own, which is no seam.
    """

    gradient: float
    detail: float


@dataclass
class _Axis:
    """Sums along one axis: of differences and of second differences, by position."""

    first: NDArray[np.float64]
    second: NDArray[np.float64]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, length: int) -> "_Axis":
        return cls(np.zeros(length), np.zeros(length), np.zeros(length, np.int64))

    def add(self, pixels: NDArray[np.int16], start: int, known: NDArray[np.bool_]) -> None:
        """Add pixels (3, H, W) whose columns begin at `start`; the first two have no differences."""
        steps = np.diff(pixels, axis=2)  # (3, H, W - 1)
        curves = np.diff(steps, axis=2)  # (3, H, W - 2): around the middle pixel
        both = known[:, 2:] & known[:, 1:-1] & known[:, :-2]
        place = slice(start + 1, start + 1 + curves.shape[2])
        # Sums over bands fit small numbers, which are several times quicker to add.
        first = np.abs(steps[:, :, :-1]).sum(axis=0, dtype=np.int16)
        second = np.square(curves, dtype=np.int32).sum(axis=0, dtype=np.int32)
        self.first[place] += (first * both).sum(axis=0)
        self.second[place] += (second * both).sum(axis=0)
        self.counts[place] += both.sum(axis=0)

    def ratios(self, boundaries: Positions, overlap: int) -> tuple[float, float] | None:
        """Return gradient and detail, None where nothing can be compared."""
        at = np.arange(len(self.first))
        middle = (overlap + 1) // 2
        owner = np.searchsorted(boundaries, at, side="right")  # the number of the window a pixel's texture is from
        phase = (at - np.concatenate([[0], boundaries - middle])[owner]) % PERIOD
        here = np.isin(at, boundaries)
        shared = here.copy()
        for boundary in boundaries:
            shared[max(0, boundary - middle - 1) : boundary + overlap - middle + 1] = True
        inside = ~shared if not shared.all() else ~here  # windows that share everything
        if self.counts[here].sum() < FEWEST or not self.counts[inside].any():
            return None
        gradient = self._against(self.first, here, inside, phase)
        detail = self._against(self.second, shared, inside, phase)
        return None if gradient is None or detail is None else (gradient, detail)

    def _against(
        self, values: NDArray[np.float64], which: NDArray[np.bool_], inside: NDArray[np.bool_], phase: Positions
    ) -> float | None:
        """Return the values of some positions over those that positions inside of the same phases have."""
        total, count = (np.bincount(phase[inside], v[inside], PERIOD) for v in (values, self.counts))
        usual = np.divide(total, count, out=np.zeros(PERIOD), where=count > 0)
        known = which & (count[phase] > 0)
        expected = float((usual[phase] * self.counts)[known].sum())
        return float(values[known].sum()) / expected if expected else None


STRIP = 1 << 16
"""Pixels that are looked at in one go: so many stay in a processor's cache."""

MOST = 64
"""Parts of an image that its score is taken from."""


def some(parts: Sequence[Window]) -> Sequence[Window]:
    """Return the parts to look at: all, or of more than enough about so many at even distances."""
    return parts[:: max(1, len(parts) // MOST)]


def seams(
    read: Read,
    valid: Callable[[Window], NDArray[np.bool_]] | None,
    parts: Iterable[Window],
    size: tuple[int, int],
    boundaries: tuple[Positions, Positions],
    overlap: int,
) -> Seams | None:
    """Return the seam score of an image of `size` (height, width), over some `parts` of it; both axes count alike.

    `boundaries` are the rows and the columns at which a new window's texture begins, `overlap` how many pixels two
    windows share. `valid` says which pixels hold anything. None where no two windows meet, where too few pixels lie
    there, or where nothing differs.
    """
    height, width = size
    down, across = _Axis.of(height), _Axis.of(width)
    for part in parts:
        # Two more pixels before, so that nothing is lost between one part and the next.
        top, left = max(0, part.row - 2), max(0, part.col - 2)
        around = Window(top, left, part.bottom - top, part.right - left)
        pixels = read(around).astype(np.int16)
        known = np.ones(pixels.shape[1:], bool) if valid is None else valid(around)
        above, before = part.row - top, part.col - left
        rows = max(1, STRIP // part.width)
        for first in range(0, part.height, rows):
            own = slice(above + first, above + first + rows)
            across.add(pixels[:, own], left, known[own])
            own = slice(max(0, own.start - 2), own.stop)
            down.add(pixels[:, own, before:].transpose(0, 2, 1), top + own.start, known[own, before:].T)
    found = [
        ratios
        for axis, where in ((down, boundaries[0]), (across, boundaries[1]))
        if len(where) and (ratios := axis.ratios(where, overlap))
    ]
    if not found:
        return None
    return Seams(*(float(np.mean([ratios[which] for ratios in found])) for which in (0, 1)))
