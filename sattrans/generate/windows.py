"""Windows over a map: which of them a chunk needs, and which a changed map touches."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sattrans.errors import OptionError
from sattrans.generate.axis import Axis, Fit, Span, anchored_axis, fitted_axis, rounded_up
from sattrans.generate.blending import RAMPS, cell_size
from sattrans.generate.options import Blend, read_overlap
from sattrans.raster.window import Window


@dataclass(frozen=True)
class WindowPlan:
    """Overlapping windows over a part of a map. Chunks are parts of the part, counted from its corner.

    Args:
        rows: The rows of windows.
        cols: The columns of windows.
        fit: How windows can be fitted to a smaller area, if they can.
        context: Pixels of map on each side of a window that its image depends on.
    """

    rows: Axis
    cols: Axis
    fit: Fit | None = None
    context: int = 0

    @classmethod
    def anchored(cls, rows: Span, cols: Span, size: int, overlap: int, blend: Blend, stride: int = 1) -> "WindowPlan":
        """Return windows on the grid of the CRS; see `anchored_axis`."""
        more = size, overlap, stride, RAMPS[blend] if overlap else RAMPS["none"]
        return cls(anchored_axis(rows, *more), anchored_axis(cols, *more))

    @classmethod
    def side_by_side(cls, rows: Span, cols: Span, size: int, context: int) -> "WindowPlan":
        """Return windows on the grid of the CRS that do not overlap, and whose images depend on the map around them."""
        plan = cls.anchored(rows, cols, size, 0, "none", stride=size)
        return replace(plan, context=context)

    @classmethod
    def fitted(cls, rows: Span, cols: Span, size: int, overlap: int, stride: int, margin: int) -> "WindowPlan":
        """Return windows that fit the part; see `fitted_axis`."""
        fit = Fit(rows, cols, stride, margin)
        down, across = (fitted_axis(span, span.part, size, overlap, fit) for span in (rows, cols))
        return cls(down, across, fit)

    def over(self, chunk: Window) -> "WindowPlan":
        """Return windows that give a chunk the same pixels, and need not give the rest of the part any."""
        fit = self.fit
        if fit is None:
            return self
        area = chunk.shifted(fit.rows.part.start, fit.cols.part.start)
        rows = fitted_axis(fit.rows, range(area.row, area.bottom), self.size, self.overlap, fit)
        cols = fitted_axis(fit.cols, range(area.col, area.right), self.size, self.overlap, fit)
        return WindowPlan(rows, cols, fit)

    @property
    def height(self) -> int:
        """Height of the part, in pixels."""
        return len(self.rows.part)

    @property
    def width(self) -> int:
        """Width of the part, in pixels."""
        return len(self.cols.part)

    @property
    def size(self) -> int:
        """Side of a window, in pixels."""
        return self.rows.size

    @property
    def seen(self) -> int:
        """Side of a window with its context, in pixels."""
        return self.size + 2 * self.context

    @property
    def overlap(self) -> int:
        """Pixels that neighbouring windows share, at least."""
        return self.rows.overlap

    @property
    def layers(self) -> int:
        """Number of weighted sums: one, or a fine and a coarse one."""
        return len(self.rows.ramps)

    @cached_property
    def used(self) -> tuple[range, range]:
        """The rows and columns of the windows that the part depends on, by index."""
        return self.windows_over(Window(0, 0, self.height, self.width))

    @property
    def indices(self) -> list[tuple[int, int]]:
        """The (row, column) of each window that the part depends on, row by row."""
        rows, cols = self.used
        return [(row, col) for row in rows for col in cols]

    @property
    def window_count(self) -> int:
        """Number of windows that the part depends on."""
        rows, cols = self.used
        return len(rows) * len(cols)

    @property
    def starts(self) -> tuple[list[int], list[int]]:
        """Where the windows of the part start, down and across, counted from the corner of the part."""
        rows, cols = self.used
        return self.rows.relative(rows), self.cols.relative(cols)

    def place(self, row: int, col: int) -> Window:
        """Return where a window lies, counted from the corner of the part."""
        rows, cols = self.rows, self.cols
        return Window(rows.starts[row] - rows.part.start, cols.starts[col] - cols.part.start, self.size, self.size)

    @cached_property
    def cell(self) -> int:
        """Side in pixels of a cell of the coarse sum; windows start and end on cell borders."""
        if self.layers == 1:
            return 1
        return math.gcd(cell_size(self.overlap), self.size, self.size - self.overlap)

    @property
    def halo(self) -> int:
        """Pixels around a chunk that influence it; a multiple of `cell`."""
        return 2 * self.cell if self.layers > 1 else 0

    def by_position(self, chunk: Window) -> Window:
        """Return a chunk with its corner as positions of the axes."""
        return chunk.shifted(self.rows.part.start, self.cols.part.start)

    def with_halo(self, chunk: Window) -> Window:
        """Return a chunk with everything that its pixels depend on, by position; its edges lie on cell borders."""
        cell, halo = self.cell, self.halo
        area = self.by_position(chunk)
        top, left = max(0, area.row // cell * cell - halo), max(0, area.col // cell * cell - halo)
        bottom = min(rounded_up(self.rows.end, cell), rounded_up(area.bottom, cell) + halo)
        right = min(rounded_up(self.cols.end, cell), rounded_up(area.right, cell) + halo)
        return Window(top, left, bottom - top, right - left)

    def windows_over(self, chunk: Window) -> tuple[range, range]:
        """Return the rows and the columns of the windows that a chunk depends on, by index."""
        area = self.with_halo(chunk)
        return self.rows.needed(area.row, area.bottom), self.cols.needed(area.col, area.right)


def panels(chunks: Sequence[Window]) -> Iterator[list[Window]]:
    """Yield the chunks of each panel (a range of columns), from the top."""
    for left in sorted({chunk.col for chunk in chunks}):
        yield sorted((chunk for chunk in chunks if chunk.col == left), key=lambda chunk: chunk.row)


def parse_overlap(text: str, size: int, stride: int = 1, margin: int | None = None) -> int:
    """Return an overlap in pixels.

    It is rounded up until windows start at multiples of `stride` and share at least twice the `margin`.

    Args:
        text: Pixels, such as "64", or a percentage of the tile size, such as "25%".
        size: The tile size, in pixels.
        stride: Windows start at multiples of this many pixels (`Model.stride`).
        margin: How many pixels around a pixel decide its value (`Model.margin`); None if the whole tile does.

    Raises:
        OptionError: If the overlap is not a number or does not fit the tile size.
    """
    number, is_part = read_overlap(text)
    most = size * 3 // 4
    pixels = round(number / 100 * size) if is_part else int(number)
    if is_part and number <= 75:  # three quarters of 33 px are 24.75, which would round to more than the most
        pixels = min(pixels, most)
    if not 0 <= pixels <= most:
        raise OptionError(f"--overlap {text} is {pixels} px; tiles of {size} px take 0 to {most} px")
    pixels = max(pixels, 2 * (margin or 0))
    step = (size - pixels) // stride * stride
    if margin is not None and step < 1:
        raise OptionError(f"a model that sees {margin} px around a pixel needs larger tiles than {size} px")
    return size - max(stride, step)


@dataclass(frozen=True)
class ChangedWindows:
    """What a change of the map touches.

    Args:
        plan: The windows.
        changed: Which windows of the part have a changed map, (rows, columns) as in `plan.used`.
        existing: Reads all bands of a chunk of the existing image.
    """

    plan: WindowPlan
    changed: NDArray[np.bool_]
    existing: Callable[[Window], NDArray[np.uint8]]

    def touches(self, chunk: Window) -> bool:
        """Return whether a changed window overlaps a chunk."""
        return self._any(*self._over(chunk))

    def requires(self, row: int, col: int) -> bool:
        """Return whether a window must be translated: it is changed, or a changed window is blended with it."""
        return self._any(self._near(self.plan.rows, row), self._near(self.plan.cols, col))

    def pixel_mask(self, chunk: Window) -> NDArray[np.bool_]:
        """Return the mask of the pixels of a chunk that lie in a changed window, (H, W)."""
        inside = np.zeros((chunk.height, chunk.width), bool)
        rows, cols = self._over(chunk)
        for row in rows:
            for col in cols:
                place = self.plan.place(row, col).intersection(chunk)
                if place is not None and self._any(range(row, row + 1), range(col, col + 1)):
                    inside[place.shifted(-chunk.row, -chunk.col).slices] = True
        return inside

    def _over(self, chunk: Window) -> tuple[range, range]:
        """Return the rows and the columns of windows that overlap a chunk."""
        area = self.plan.by_position(chunk)
        return self.plan.rows.over(area.row, area.bottom), self.plan.cols.over(area.col, area.right)

    def _near(self, axis: Axis, index: int) -> range:
        """Return the windows that a window is blended with, and itself."""
        start, reach = axis.starts[index], axis.size + self.plan.halo
        return range(bisect_right(axis.starts, start - reach), bisect_left(axis.starts, start + reach))

    def _any(self, rows: range, cols: range) -> bool:
        used_rows, used_cols = self.plan.used
        top, left = max(0, rows.start - used_rows.start), max(0, cols.start - used_cols.start)
        bottom, right = max(0, rows.stop - used_rows.start), max(0, cols.stop - used_cols.start)
        return bool(self.changed[top:bottom, left:right].any())
