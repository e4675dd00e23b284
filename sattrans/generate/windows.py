"""Windows over a map: where they start, their weights, which of them a chunk needs, and which a changed map touches."""

import math
from bisect import bisect_left, bisect_right
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


@dataclass(frozen=True)
class Span:
    """One axis of a map.

    Attributes:
        length: Pixels of the whole map.
        part: The pixels of it that are translated.
        anchor: Where the map's first pixel lies, in pixels from the origin of the CRS.
    """

    length: int
    part: range
    anchor: int = 0

    @classmethod
    def all_of(cls, length: int, anchor: int = 0) -> "Span":
        """Return the axis of a map that is translated as a whole."""
        return cls(length, range(length), anchor)


@dataclass(frozen=True)
class Axis:
    """The windows along one axis of a map. Positions are counted in pixels from the start of the first window.

    The windows of a part of a map are windows of the whole map, with the weights that they have in it: so a pixel is
    the same, whatever part of the map is translated.

    Attributes:
        starts: The first pixel of each window of the whole map.
        size: Pixels of a window.
        overlap: Pixels that neighbouring windows share, at least.
        map_start: The position of the map's first pixel.
        map_length: Pixels of the whole map. Windows may extend beyond, where the map is mirrored.
        part: The positions of the part that is translated.
        origin: Where position 0 lies, in pixels from the origin of the CRS.
        ramps: How the weight of a window rises over an overlap, for each layer.
    """

    starts: Sequence[int]
    size: int
    overlap: int
    map_start: int
    map_length: int
    part: range
    origin: int
    ramps: tuple[Ramp, ...]

    @cached_property
    def weights(self) -> list[Floats]:
        """The weights of each window, (windows, size), for each layer; at every position they sum to 1."""
        return [axis_weights(self.starts, self.size, ramp) for ramp in self.ramps]

    @cached_property
    def _reaches(self) -> tuple[list[int], list[int]]:
        """The first position at which each window counts, and the first one after it."""
        counts = np.any([weights > 0 for weights in self.weights], axis=0)
        starts = np.asarray(self.starts)
        first, behind = counts.argmax(axis=1), self.size - counts[:, ::-1].argmax(axis=1)
        return (starts + first).tolist(), (starts + behind).tolist()

    @property
    def end(self) -> int:
        """The position where the last window ends."""
        return self.starts[-1] + self.size

    def needed(self, first: int, end: int) -> range:
        """Return the windows that count at any position from `first` to `end`, by index."""
        firsts, ends = self._reaches
        return range(bisect_right(ends, first), bisect_left(firsts, end))

    def over(self, first: int, end: int) -> range:
        """Return the windows that overlap the positions from `first` to `end`, by index."""
        return range(bisect_right(self.starts, first - self.size), bisect_left(self.starts, end))

    def relative(self, windows: range) -> list[int]:
        """Return where windows start, counted from the part's first pixel."""
        return [self.starts[index] - self.part.start for index in windows]

    def map_pixels(self, first: int, end: int) -> NDArray[np.int64]:
        """Return the pixel of the map at each position from `first` to `end`; beyond its edges it is mirrored."""
        turn = np.arange(first - self.map_start, end - self.map_start) % (2 * self.map_length)
        return np.minimum(turn, 2 * self.map_length - 1 - turn)


def anchored_axis(span: Span, size: int, overlap: int, stride: int, ramps: tuple[Ramp, ...]) -> Axis:
    """Return windows that start at multiples of their distance from the origin of the CRS.

    So maps of the same pixels have the same windows wherever they begin. A map that fits into one window has one.
    """
    step = size - overlap
    ahead = span.anchor % (step if span.length > size else stride)
    starts = window_starts(ahead + span.length, size, overlap)
    part = range(ahead + span.part.start, ahead + span.part.stop)
    return Axis(starts, size, overlap, ahead, span.length, part, span.anchor - ahead, ramps)


def fitted_axis(span: Span, size: int, overlap: int, stride: int, margin: int, ramps: tuple[Ramp, ...]) -> Axis:
    """Return the fewest windows over the part, for a model that sees only `margin` pixels around a pixel.

    Such a model gives the same pixel in every window that extends `margin` pixels beyond it, or to the same edge of the
    map, if windows start at multiples of `stride` from the origin of the CRS.
    """
    ahead = span.anchor % stride
    last = max(0, rounded_up(ahead + span.length, stride) - size)
    part = range(ahead + span.part.start, ahead + span.part.stop)
    first = min(last, max(0, part.start - margin) // stride * stride)
    final = min(last, max(first, rounded_up(part.stop + margin, stride) - size))
    count = -(-(final - first) // (size - overlap))
    starts = [first + (final - first) // stride * number // count * stride for number in range(count)] + [final]
    return Axis(starts, size, overlap, ahead, span.length, part, span.anchor - ahead, ramps)


def window_size(tile: int, stride: int, margin: int | None, rows: Span, cols: Span, each_is_a_file: bool) -> int:
    """Return the side of the windows, in pixels.

    It is the tile size. A model that sees only `margin` pixels around a pixel gives the same pixel in a window of any
    size, so its windows are larger, up to about `LARGE`: of the sizes with which windows fill the map, the one with the
    fewest pixels in all.

    Args:
        tile: The tile size, in pixels.
        stride: Windows start at multiples of this many pixels (`Model.stride`).
        margin: How many pixels around a pixel decide its value (`Model.margin`); None if the whole tile does.
        rows: The rows of the map.
        cols: The columns of the map.
        each_is_a_file: Whether each window becomes a tile of its own, which should not be much larger than `tile`.
    """
    if margin is None:
        return tile
    sides = [rounded_up(span.anchor % stride + span.length, stride) for span in (rows, cols)]
    if each_is_a_file:
        return max(tile, min(rounded_up(tile + 2 * margin, stride), max(sides)))
    if max(sides) <= LARGE:
        return max(tile, *sides)
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
    """Overlapping windows over a part of a map. Chunks are parts of the part, counted from its corner.

    Args:
        rows: The rows of windows.
        cols: The columns of windows.
    """

    rows: Axis
    cols: Axis

    @classmethod
    def anchored(cls, rows: Span, cols: Span, size: int, overlap: int, blend: Blend, stride: int = 1) -> "WindowPlan":
        """Return windows on the grid of the CRS; see `anchored_axis`."""
        more = size, overlap, stride, RAMPS[blend] if overlap else RAMPS["none"]
        return cls(anchored_axis(rows, *more), anchored_axis(cols, *more))

    @classmethod
    def fitted(cls, rows: Span, cols: Span, size: int, overlap: int, stride: int, margin: int) -> "WindowPlan":
        """Return windows that fit the part; see `fitted_axis`."""
        more = size, overlap, stride, margin, RAMPS["none"]
        return cls(fitted_axis(rows, *more), fitted_axis(cols, *more))

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

    def with_halo(self, chunk: Window) -> Window:
        """Return a chunk with everything that its pixels depend on, by position; its edges lie on cell borders."""
        cell, halo = self.cell, self.halo
        area = chunk.shifted(self.rows.part.start, self.cols.part.start)
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
        plan = self.plan
        top, left = plan.rows.part.start + chunk.row, plan.cols.part.start + chunk.col
        return plan.rows.over(top, top + chunk.height), plan.cols.over(left, left + chunk.width)

    def _near(self, axis: Axis, index: int) -> range:
        """Return the windows that a window is blended with, and itself."""
        start, reach = axis.starts[index], axis.size + self.plan.halo
        return range(bisect_right(axis.starts, start - reach), bisect_left(axis.starts, start + reach))

    def _any(self, rows: range, cols: range) -> bool:
        used_rows, used_cols = self.plan.used
        top, left = max(0, rows.start - used_rows.start), max(0, cols.start - used_cols.start)
        bottom, right = max(0, rows.stop - used_rows.start), max(0, cols.stop - used_cols.start)
        return bool(self.changed[top:bottom, left:right].any())
