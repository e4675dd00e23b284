"""The plan of a map's windows: where they start, what they weigh, which of them a piece of the image needs."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sattrans.errors import OptionError
from sattrans.generate.blending import RAMPS, Blend, Floats, Ramp, axis_weights, coarseness
from sattrans.raster.window import Window, cover_starts


@dataclass(frozen=True)
class Plan:
    """Windows of `size` px over a map of `height` × `width` px, neighbours sharing `overlap` px, blended by `blend`.

    The last row and column of windows may stick out: what lies there is summed too, so that a filter at the map's
    edge sees the same in every window.
    """

    height: int
    width: int
    size: int
    overlap: int
    blend: Blend

    @cached_property
    def rows(self) -> Sequence[int]:
        """Where the rows of windows start."""
        return cover_starts(self.height, self.size, self.overlap)

    @cached_property
    def cols(self) -> Sequence[int]:
        """Where the columns of windows start."""
        return cover_starts(self.width, self.size, self.overlap)

    @property
    def places(self) -> list[tuple[int, int]]:
        """The row and the column of each window, by number, row by row."""
        return [(row, col) for row in range(len(self.rows)) for col in range(len(self.cols))]

    @property
    def windows(self) -> int:
        """How many there are."""
        return len(self.rows) * len(self.cols)

    @property
    def _ramps(self) -> tuple[Ramp, ...]:
        return RAMPS[self.blend] if self.overlap else RAMPS["none"]

    @property
    def layers(self) -> int:
        """How many sums are kept: one, or one of fine texture and one of what is coarse."""
        return len(self._ramps)

    @cached_property
    def row_weights(self) -> list[Floats]:
        """The weights down each row of windows, (rows, size), for each layer."""
        return [axis_weights(self.rows, self.size, self.overlap, ramp) for ramp in self._ramps]

    @cached_property
    def col_weights(self) -> list[Floats]:
        """The weights across each column of windows, (columns, size), for each layer."""
        return [axis_weights(self.cols, self.size, self.overlap, ramp) for ramp in self._ramps]

    @cached_property
    def cell(self) -> int:
        """The side of a cell of what is coarse: windows start and end at whole ones."""
        return math.gcd(coarseness(self.overlap), self.size, self.size - self.overlap)

    @property
    def halo(self) -> int:
        """How many pixels around a piece its pixels depend on; a multiple of `cell`."""
        return 2 * self.cell if self.layers > 1 else 0

    @property
    def extent(self) -> tuple[int, int]:
        """Height and width of all that the windows cover, to whole cells."""
        bottom, right = self.rows[-1] + self.size, self.cols[-1] + self.size
        return -(-bottom // self.cell) * self.cell, -(-right // self.cell) * self.cell

    def around(self, piece: Window) -> Window:
        """Return a piece of the image with all that its pixels depend on; edges at whole cells."""
        (bottom, right), cell, halo = self.extent, self.cell, self.halo
        top, left = max(0, piece.row - halo), max(0, piece.col - halo)
        bottom = min(bottom, -(-piece.bottom // cell) * cell + halo)
        right = min(right, -(-piece.right // cell) * cell + halo)
        return Window(top, left, bottom - top, right - left)

    def touching(self, area: Window) -> tuple[range, range]:
        """Return which rows and columns of windows reach into an area, by number."""
        return (
            _reaching(self.rows, self.size, area.row, area.bottom),
            _reaching(self.cols, self.size, area.col, area.right),
        )

    def boundaries(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows and the columns of the image where one window's texture gives way to the next."""
        middle = (self.overlap + 1) // 2
        rows, cols = (np.array(starts[1:], np.int64) + middle for starts in (self.rows, self.cols))
        return rows[rows < self.height], cols[cols < self.width]


def _reaching(starts: Sequence[int], size: int, first: int, end: int) -> range:
    step = starts[1] - starts[0] if len(starts) > 1 else size
    return range(max(0, (first - size) // step + 1), min(len(starts), -(-end // step)))


def panels(pieces: Sequence[Window]) -> Iterator[list[Window]]:
    """Yield the pieces of each panel of columns, from the top."""
    for left in sorted({piece.col for piece in pieces}):
        yield sorted((piece for piece in pieces if piece.col == left), key=lambda piece: piece.row)


Wanted = Callable[[int, int], bool]
"""Whether the window of a row and a column of windows, by number, is to be translated."""


def read_overlap(text: str) -> tuple[float, bool]:
    """Return a number, and whether it is a percentage: else it is a whole number of pixels. Raises `OptionError`."""
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise OptionError(f"--overlap {text}: a number of pixels or a part such as 25% is needed")
    if not text.endswith("%") and not number.is_integer():
        raise OptionError(f"--overlap {text}: pixels are whole: {round(number)}, or a part of the tile such as 25%")
    return number, text.endswith("%")


def parse_overlap(text: str, size: int, stride: int = 1, margin: int | None = None) -> int:
    """Return an overlap in pixels, from "64" or "25%" of the tile size. Raises `OptionError`.

    It is made larger until windows start at multiples of the model's `stride`, and until they share twice the
    `margin` of a model of finite view.
    """
    number, is_part = read_overlap(text)
    pixels = round(number / 100 * size) if is_part else int(number)
    if not 0 <= pixels <= size * 3 // 4:
        raise OptionError(f"--overlap {text} is {pixels} px: 0 to {size * 3 // 4} fit the run's tiles of {size} px")
    pixels = max(pixels, 2 * (margin or 0))
    step = (size - pixels) // stride * stride
    if margin is not None and step < 1:
        raise OptionError(f"a model that sees {margin} px around a pixel needs larger tiles than {size} px")
    return size - max(stride, step)


@dataclass(frozen=True)
class Change:
    """The windows whose map changed, (rows, columns) of windows, and how to read the image made before.

    `before` gives the bands of a part of that image, alpha included.
    """

    plan: Plan
    changed: NDArray[np.bool_]
    before: Callable[[Window], NDArray[np.uint8]]

    def touches(self, piece: Window) -> bool:
        """Say whether a changed window reaches into a piece."""
        rows, cols = self.plan.touching(piece)
        return bool(self.changed[rows.start : rows.stop, cols.start : cols.stop].any())

    def needs(self, row: int, col: int) -> bool:
        """Say whether a window shares pixels with a changed one, and so is needed to blend them."""
        plan = self.plan
        near = (plan.size + plan.halo - 1) // (plan.size - plan.overlap)
        part = self.changed[max(0, row - near) : row + near + 1, max(0, col - near) : col + near + 1]
        return bool(part.any())

    def within(self, piece: Window) -> NDArray[np.bool_]:
        """Return which pixels of a piece lie in a changed window, (H, W)."""
        inside = np.zeros((piece.height, piece.width), bool)
        rows, cols = self.plan.touching(piece)
        for row in rows:
            for col in cols:
                if self.changed[row, col]:
                    top, left = self.plan.rows[row] - piece.row, self.plan.cols[col] - piece.col
                    size = self.plan.size
                    inside[max(0, top) : max(0, top + size), max(0, left) : max(0, left + size)] = True
        return inside
