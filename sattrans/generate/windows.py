"""Windows over a map: where they start, their weights, which of them a chunk needs, and which a changed map touches."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sattrans.errors import OptionError
from sattrans.generate.blending import RAMPS, Floats, Ramp, axis_weights, cell_size
from sattrans.generate.options import Blend, read_overlap
from sattrans.raster.window import Window, window_starts

LARGE = 1536
"""Side in pixels of the windows of a model with a margin: the part of a window that is thrown away is then small."""


def window_size(tile: int, stride: int, margin: int | None, height: int, width: int, each_is_a_file: bool) -> int:
    """Return the side of the windows, in pixels.

    It is the tile size. A model that sees only `margin` pixels around a pixel gives the same pixel in a window of any
    size, so its windows are larger, up to about `LARGE`: of the sizes with which windows fill the map, the one with the
    fewest pixels in all.

    Args:
        tile: The tile size, in pixels.
        stride: Windows start at multiples of this many pixels (`Model.stride`).
        margin: How many pixels around a pixel decide its value (`Model.margin`); None if the whole tile does.
        height: Height of the map, in pixels.
        width: Width of the map, in pixels.
        each_is_a_file: Whether each window becomes a tile of its own, which should not be much larger than `tile`.
    """
    if margin is None:
        return tile
    if each_is_a_file:
        return max(tile, rounded_up(min(tile + 2 * margin, max(height, width) + stride), stride))
    sides = height + stride, width + stride
    if max(sides) <= LARGE:
        return max(tile, rounded_up(max(sides), stride))
    shared = rounded_up(2 * margin, stride)

    def counts(size: int) -> list[int]:
        return [max(1, -(-(side - shared) // (size - shared))) for side in sides]

    # Windows no larger than they have to be, for as many of them as the map needs, or one more along a side.
    fitting = [
        shared + rounded_up(-(-(side - shared) // count), stride)
        for side, least in zip(sides, counts(max(LARGE, shared + stride)), strict=True)
        for count in (least, least + 1)
    ]
    sizes = [max(tile, size) for size in fitting if size > shared]
    return min(sizes, key=lambda size: math.prod(counts(size)) * size**2)


def rounded_up(number: int, step: int) -> int:
    """Return the least multiple of a step that is not below a number."""
    return -(-number // step) * step


@dataclass(frozen=True)
class WindowPlan:
    """Overlapping windows over a map. The last row and column may extend beyond the map, where it is mirrored.

    Args:
        height: Height of the map, in pixels.
        width: Width of the map, in pixels.
        size: Side of a window, in pixels.
        overlap: Pixels that neighbouring windows share.
        blend: How windows are blended where they overlap.
    """

    height: int
    width: int
    size: int
    overlap: int
    blend: Blend

    @cached_property
    def rows(self) -> Sequence[int]:
        """First pixel row of each row of windows."""
        return window_starts(self.height, self.size, self.overlap)

    @cached_property
    def cols(self) -> Sequence[int]:
        """First pixel column of each column of windows."""
        return window_starts(self.width, self.size, self.overlap)

    @property
    def indices(self) -> list[tuple[int, int]]:
        """The (row, column) of each window in the grid of windows, row by row."""
        return [(row, col) for row in range(len(self.rows)) for col in range(len(self.cols))]

    @property
    def window_count(self) -> int:
        """Number of windows."""
        return len(self.rows) * len(self.cols)

    @property
    def _ramps(self) -> tuple[Ramp, ...]:
        return RAMPS[self.blend] if self.overlap else RAMPS["none"]

    @property
    def layers(self) -> int:
        """Number of weighted sums: one, or a fine and a coarse one."""
        return len(self._ramps)

    @cached_property
    def row_weights(self) -> list[Floats]:
        """The vertical weights of each row of windows, (rows, size), for each layer."""
        return [axis_weights(self.rows, self.size, self.overlap, ramp) for ramp in self._ramps]

    @cached_property
    def col_weights(self) -> list[Floats]:
        """The horizontal weights of each column of windows, (columns, size), for each layer."""
        return [axis_weights(self.cols, self.size, self.overlap, ramp) for ramp in self._ramps]

    @cached_property
    def cell(self) -> int:
        """Side in pixels of a cell of the coarse sum; windows start and end on cell borders."""
        return math.gcd(cell_size(self.overlap), self.size, self.size - self.overlap)

    @property
    def halo(self) -> int:
        """Pixels around a chunk that influence it; a multiple of `cell`."""
        return 2 * self.cell if self.layers > 1 else 0

    @property
    def extent(self) -> tuple[int, int]:
        """Height and width of the area that the windows cover, in pixels, rounded up to whole cells."""
        bottom, right = self.rows[-1] + self.size, self.cols[-1] + self.size
        return rounded_up(bottom, self.cell), rounded_up(right, self.cell)

    def with_halo(self, chunk: Window) -> Window:
        """Return a chunk with everything that its pixels depend on; the edges lie on cell borders."""
        (bottom, right), cell, halo = self.extent, self.cell, self.halo
        top, left = max(0, chunk.row - halo), max(0, chunk.col - halo)
        bottom = min(bottom, rounded_up(chunk.bottom, cell) + halo)
        right = min(right, rounded_up(chunk.right, cell) + halo)
        return Window(top, left, bottom - top, right - left)

    def windows_over(self, area: Window) -> tuple[range, range]:
        """Return the rows and the columns of the windows that overlap an area, by index."""
        return (
            _overlapping(self.rows, self.size, area.row, area.bottom),
            _overlapping(self.cols, self.size, area.col, area.right),
        )

    def boundaries(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the pixel rows and the pixel columns where the texture of a window ends and the next begins."""
        middle = (self.overlap + 1) // 2
        rows, cols = (np.array(starts[1:], np.int64) + middle for starts in (self.rows, self.cols))
        return rows[rows < self.height], cols[cols < self.width]


def _overlapping(starts: Sequence[int], size: int, first: int, end: int) -> range:
    step = starts[1] - starts[0] if len(starts) > 1 else size
    return range(max(0, (first - size) // step + 1), min(len(starts), -(-end // step)))


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
        changed: Which windows have a changed map, (rows, columns).
        existing: Reads all bands of a part of the existing image.
    """

    plan: WindowPlan
    changed: NDArray[np.bool_]
    existing: Callable[[Window], NDArray[np.uint8]]

    def touches(self, chunk: Window) -> bool:
        """Return whether a changed window overlaps a chunk."""
        rows, cols = self.plan.windows_over(chunk)
        return bool(self.changed[rows.start : rows.stop, cols.start : cols.stop].any())

    def requires(self, row: int, col: int) -> bool:
        """Return whether a window must be translated: it is changed, or a changed window is blended with it."""
        plan = self.plan
        near = (plan.size + plan.halo - 1) // (plan.size - plan.overlap)
        part = self.changed[max(0, row - near) : row + near + 1, max(0, col - near) : col + near + 1]
        return bool(part.any())

    def pixel_mask(self, chunk: Window) -> NDArray[np.bool_]:
        """Return the mask of the pixels of a chunk that lie in a changed window, (H, W)."""
        inside = np.zeros((chunk.height, chunk.width), bool)
        rows, cols = self.plan.windows_over(chunk)
        for row in rows:
            for col in cols:
                if self.changed[row, col]:
                    top, left = self.plan.rows[row] - chunk.row, self.plan.cols[col] - chunk.col
                    size = self.plan.size
                    inside[max(0, top) : max(0, top + size), max(0, left) : max(0, left + size)] = True
        return inside
