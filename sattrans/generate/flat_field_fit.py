"""What windows repeat at the same place: summed class by class, and made a flat field of."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from sattrans.generate.blending import Floats
from sattrans.generate.flat_field import (
    COARSE,
    ClassField,
    Each,
    FlatField,
    Share,
    classes_of,
    drawn,
    octaves,
    rounded,
    waves_of,
)
from sattrans.metrics.seams import PERIOD
from sattrans.raster.palette import UNKNOWN

FEWEST = 8
"""Windows that hold a class, below which nothing is said of it."""

SHARE = 0.02
"""Of a window's pixels that a class must have there to be looked at."""

RIM = 4
"""Pixels along the edge of a class that are not looked at: what is painted there comes of the map."""


OUT = 4
"""Times the median of what comes again, beyond which a place stands out."""


class _Sums:
    """Of a class's windows: what they differ from its mean, by place, in two halves."""

    def __init__(self, size: int) -> None:
        self.totals: list[Floats] = [np.zeros((3, size, size), np.float32) for _ in range(2)]
        self.counts: list[Floats] = [np.zeros((size, size), np.float32) for _ in range(2)]
        self._share = Share(size)
        self.windows = 0

    def add(self, image: Floats, here: NDArray[np.bool_]) -> None:
        """Add a window's image (3, S, S), `here` (S, S) being of the class."""
        share, half = self._share, self.windows % 2
        np.copyto(share.mask, here)
        share.take(image)
        self.totals[half] += share.part
        self.counts[half] += share.mask
        self.windows += 1

    def field(self) -> ClassField:
        """Return what both halves have, kind by kind; what was found is taken from them before the next is looked for.

        The generator's own grain, which comes again every `PERIOD` px, runs through all windows alike: it is left.
        """
        size = len(self.counts[0])
        both = list(zip(self.totals, self.counts, strict=True))
        halves: list[Floats] = [np.divide(total, np.maximum(1, n), dtype=np.float32) for total, n in both]

        def take(parts: Iterable[Floats]) -> None:
            for half, part in zip(halves, parts, strict=True):
                half -= part

        coarse = [waves_of(_levelled(half), min(COARSE, size)) for half in halves]
        take(drawn(waves, size) for waves in coarse)
        rows = self._along(halves, 2)
        take(means[:, :, None] for means in rows)
        columns = self._along(halves, 1)
        take(means[:, None, :] for means in columns)
        take(_levelled(_grain(half)) for half in halves)
        # Of a blotch where few windows show the class, most is theirs alone: it is drawn to nothing.
        fine = [waves_of(half * (n / (n + FEWEST)), size) for half, n in zip(halves, self.counts, strict=True)]
        found = np.sum([_agreed(*(waves * octave for waves in fine)) for octave in octaves(size)], axis=0)
        return ClassField(_agreed(*coarse), _agreed(*rows), _agreed(*columns), rounded(drawn(found, size)))

    def _along(self, halves: Sequence[Floats], axis: int) -> list[Floats]:
        """Return the halves' means over an axis, (3, S), weighed by how often each place was seen."""
        return [
            (_levelled(half) * counts).sum(axis=axis) / np.maximum(1, counts.sum(axis=axis - 1))
            for half, counts in zip(halves, self.counts, strict=True)
        ]


class FlatFieldEstimator:
    """Learns from windows what comes again in them, class by class: what two halves of them agree on."""

    def __init__(self) -> None:
        self._classes: dict[int, _Sums] = {}

    def add(self, maps: NDArray[np.uint8], images: Floats, each: Each = map) -> None:
        """Add images (N, 3, S, S) of 0 to 255 by the classes (N, S, S) of their windows.

        `each` may be the `map` of a pool of threads: a class's windows are added by one, in order.
        """
        inner = list(each(_inner, maps))
        shown: dict[int, list[int]] = {}
        for place, window in enumerate(inner):
            for number in classes_of(window, SHARE):
                shown.setdefault(number, []).append(place)

        def add(number: int) -> None:
            sums = self._classes[number]
            for place in shown[number]:
                sums.add(images[place], inner[place] == number)

        for number in shown:
            self._classes.setdefault(number, _Sums(maps.shape[-1]))
        for _ in each(add, shown):
            pass

    def field(self, each: Each = map) -> FlatField:
        """Return what came again in the windows."""
        seen = {n: sums for n, sums in sorted(self._classes.items()) if sums.windows >= FEWEST}
        found = dict(zip(seen, each(_Sums.field, seen.values()), strict=True))
        return FlatField({n: one for n, one in found.items() if one.shade.any() or one.blotches.any()})


def _inner(window: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a window's classes (S, S) with `UNKNOWN` where another class is `RIM` px away."""
    inner = window.copy()
    across, down = window[:, RIM:] != window[:, :-RIM], window[RIM:] != window[:-RIM]
    for part, other in ((inner[:, RIM:], across), (inner[:, :-RIM], across), (inner[RIM:], down), (inner[:-RIM], down)):
        part[other] = UNKNOWN
    return inner


def _levelled(half: Floats) -> Floats:
    """Return a half (3, S, S) with what stands out cut to the height of the rest: a blotch is no shade."""
    most = OUT * np.median(np.abs(half), axis=(1, 2), keepdims=True)
    return np.clip(half, -most, most) if most.all() else half


def _grain(half: Floats) -> Floats:
    """Return what comes again in a half (3, S, S) every `PERIOD` px; what stands out once is none of it."""
    size = half.shape[1]
    times = size // PERIOD
    if not times:
        return np.zeros_like(half)
    whole = half[:, : times * PERIOD, : times * PERIOD].reshape(3, times, PERIOD, times, PERIOD)
    once = np.median(whole, axis=(1, 3))
    grain: Floats = np.tile(once, (1, times + 1, times + 1))[:, :size, :size]
    return grain


def _agreed(one: Floats, other: Floats) -> Floats:
    """Return the mean of two halves' patterns, smaller the less they are alike: by Spearman and Brown's reliability."""
    power = float(np.sqrt(np.square(one).sum() * np.square(other).sum()))
    alike = max(0.0, float((one * other).sum()) / power) if power else 0.0
    mean: Floats = (one + other) * np.float32(alike / (1 + alike))
    return mean


MEMORY = 64_000_000
"""Bytes of windows that are looked at first; they are kept, so that no network's work is done twice."""


def bytes_of(size: int) -> int:
    """Return what a window of `size` px takes: its image in grey levels, and its map."""
    return 4 * size**2


def sampled(places: Sequence[tuple[int, int]], size: int) -> list[tuple[int, int]]:
    """Return which windows of `size` px to look at: all, or as many as `MEMORY` holds, drawn evenly."""
    most = MEMORY // bytes_of(size)
    if len(places) <= most:
        return list(places)
    drawn = np.random.default_rng(0).choice(len(places), most, replace=False)
    return [places[number] for number in sorted(drawn)]
