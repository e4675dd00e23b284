"""Windows along one axis of a map: where they start, what they weigh, and how large they are."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sattrans.generate.blending import RAMPS, Ramp, axis_weights
from sattrans.raster.cells import Floats, mirrored
from sattrans.raster.window import window_starts

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
        return mirrored(first - self.map_start, end - self.map_start, self.map_length)


def anchored_axis(span: Span, size: int, overlap: int, stride: int, ramps: tuple[Ramp, ...]) -> Axis:
    """Return windows that start at multiples of their distance from the origin of the CRS.

    So maps of the same pixels have the same windows wherever they begin. A map that fits into one window has one.
    """
    step = size - overlap
    ahead = span.anchor % (step if span.length > size else stride)
    return _axis(span, ahead, window_starts(ahead + span.length, size, overlap), size, overlap, ramps)


def _axis(span: Span, ahead: int, starts: Sequence[int], size: int, overlap: int, ramps: tuple[Ramp, ...]) -> Axis:
    """Return an axis whose first position lies so many pixels ahead of the map."""
    part = range(ahead + span.part.start, ahead + span.part.stop)
    return Axis(starts, size, overlap, ahead, span.length, part, span.anchor - ahead, ramps)


@dataclass(frozen=True)
class Fit:
    """How windows are fitted to an area, for a model that sees only a few pixels around a pixel.

    Attributes:
        rows: The rows of the map.
        cols: The columns of the map.
        stride: Windows start at multiples of this many pixels from the origin of the CRS (`Model.stride`).
        margin: How many pixels around a pixel decide its value (`Model.margin`).
    """

    rows: Span
    cols: Span
    stride: int
    margin: int


def fitted_axis(span: Span, over: range, size: int, overlap: int, fit: Fit) -> Axis:
    """Return the fewest windows over some pixels of the map, for a model that sees only a few pixels around a pixel.

    Such a model gives the same pixel in every window that extends `margin` pixels beyond it, or to the same edge of the
    map, if windows start at multiples of `stride` from the origin of the CRS.
    """
    stride, margin = fit.stride, fit.margin
    ahead = span.anchor % stride
    last = max(0, rounded_up(ahead + span.length, stride) - size)
    first = min(last, max(0, ahead + over.start - margin) // stride * stride)
    final = min(last, max(first, rounded_up(ahead + over.stop + margin, stride) - size))
    count = -(-(final - first) // (size - overlap))
    starts = [first + (final - first) // stride * number // count * stride for number in range(count)] + [final]
    return _axis(span, ahead, starts, size, overlap, RAMPS["none"])


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
