"""Estimate a flat field: what the windows of a class repeat at the same position, by comparing two halves of them."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from sattrans.raster.cells import PERIOD, Floats
from sattrans.raster.palette import UNKNOWN
from sattrans.runs.flat_field import (
    COARSE,
    ClassField,
    ClassResidual,
    FlatField,
    MapFunction,
    classes_in,
    dct,
    inverse_dct,
    octaves,
    quantized,
)

MIN_WINDOWS = 8
"""Windows that must show a class before a field is estimated for it."""

MIN_CLASS_SHARE = 0.02
"""Share of a window's pixels that a class must cover for the window to count, 0 to 1."""

EDGE_MARGIN = 4
"""Pixels along the edges of a class that are left out: what is painted there depends on the map."""


OUTLIER_FACTOR = 4
"""Times the median absolute value beyond which a pixel counts as an outlier."""


class _ClassSums:
    """Sums of what the windows of a class deviate from its mean, by position, in two halves (even and odd windows)."""

    def __init__(self, size: int) -> None:
        self.totals: list[Floats] = [np.zeros((3, size, size), np.float32) for _ in range(2)]
        self.counts: list[Floats] = [np.zeros((size, size), np.float32) for _ in range(2)]
        self._share = ClassResidual(size)
        self.windows = 0

    def add(self, image: Floats, here: NDArray[np.bool_]) -> None:
        """Add the image of a window (3, S, S); `here` (S, S) marks the pixels of the class."""
        share, half = self._share, self.windows % 2
        np.copyto(share.mask, here)
        share.set(image)
        self.totals[half] += share.part
        self.counts[half] += share.mask
        self.windows += 1

    def fit(self) -> ClassField:
        """Return the pattern that both halves share, component by component; each is subtracted before the next.

        The generator's own grain, which repeats every `PERIOD` px, is the same in all windows and is left in.
        """
        size = len(self.counts[0])
        both = list(zip(self.totals, self.counts, strict=True))
        halves: list[Floats] = [np.divide(total, np.maximum(1, n), dtype=np.float32) for total, n in both]

        def subtract(parts: Iterable[Floats]) -> None:
            for half, part in zip(halves, parts, strict=True):
                half -= part

        coarse = [dct(_clip_outliers(half), min(COARSE, size)) for half in halves]
        subtract(inverse_dct(waves, size) for waves in coarse)
        rows = self._axis_means(halves, 2)
        subtract(means[:, :, None] for means in rows)
        columns = self._axis_means(halves, 1)
        subtract(means[:, None, :] for means in columns)
        subtract(_clip_outliers(_periodic_grain(half)) for half in halves)
        # If few windows show the class at a position, most of what they show there is their own: shrink it towards 0.
        fine = [dct(half * (n / (n + MIN_WINDOWS)), size) for half, n in zip(halves, self.counts, strict=True)]
        found = np.sum([_reliable_mean(*(waves * octave for waves in fine)) for octave in octaves(size)], axis=0)
        return ClassField(
            _reliable_mean(*coarse),
            _reliable_mean(*rows),
            _reliable_mean(*columns),
            quantized(inverse_dct(found, size)),
        )

    def _axis_means(self, halves: Sequence[Floats], axis: int) -> list[Floats]:
        """Return the means of the halves along an axis, (3, S), weighted by how often each position was seen."""
        return [
            (_clip_outliers(half) * counts).sum(axis=axis) / np.maximum(1, counts.sum(axis=axis - 1))
            for half, counts in zip(halves, self.counts, strict=True)
        ]


class FlatFieldEstimator:
    """Estimates a flat field from windows, class by class."""

    def __init__(self) -> None:
        self._classes: dict[int, _ClassSums] = {}

    def add(self, maps: NDArray[np.uint8], images: Floats, each: MapFunction = map) -> None:
        """Add windows.

        Args:
            maps: Class indices, (N, S, S).
            images: Grey levels from 0 to 255, (N, 3, S, S).
            each: `map`, or that of a thread pool; the windows of a class are added by one thread, in order.
        """
        inner = list(each(_without_class_edges, maps))
        windows_of: dict[int, list[int]] = {}
        for place, window in enumerate(inner):
            for number in classes_in(window, MIN_CLASS_SHARE):
                windows_of.setdefault(number, []).append(place)

        def add(number: int) -> None:
            sums = self._classes[number]
            for place in windows_of[number]:
                sums.add(images[place], inner[place] == number)

        for number in windows_of:
            self._classes.setdefault(number, _ClassSums(maps.shape[-1]))
        for _ in each(add, windows_of):
            pass

    def fit(self, each: MapFunction = map) -> FlatField:
        """Return the flat field of the windows that were added."""
        seen = {n: sums for n, sums in sorted(self._classes.items()) if sums.windows >= MIN_WINDOWS}
        found = dict(zip(seen, each(_ClassSums.fit, seen.values()), strict=True))
        return FlatField({n: one for n, one in found.items() if one.shading.any() or one.blotches.any()})


def _without_class_edges(window: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the classes of a window (S, S), `UNKNOWN` within `EDGE_MARGIN` px of another class."""
    inner = window.copy()
    across, down = window[:, EDGE_MARGIN:] != window[:, :-EDGE_MARGIN], window[EDGE_MARGIN:] != window[:-EDGE_MARGIN]
    for part, other in (
        (inner[:, EDGE_MARGIN:], across),
        (inner[:, :-EDGE_MARGIN], across),
        (inner[EDGE_MARGIN:], down),
        (inner[:-EDGE_MARGIN], down),
    ):
        part[other] = UNKNOWN
    return inner


def _clip_outliers(half: Floats) -> Floats:
    """Return a half (3, S, S) with outliers clipped, so that a blotch does not count as shading."""
    most = OUTLIER_FACTOR * np.median(np.abs(half), axis=(1, 2), keepdims=True)
    return np.clip(half, -most, most) if most.all() else half


def _periodic_grain(half: Floats) -> Floats:
    """Return what repeats in a half (3, S, S) every `PERIOD` px, by medians, so outliers do not count."""
    size = half.shape[1]
    times = size // PERIOD
    if not times:
        return np.zeros_like(half)
    whole = half[:, : times * PERIOD, : times * PERIOD].reshape(3, times, PERIOD, times, PERIOD)
    once = np.median(whole, axis=(1, 3))
    grain: Floats = np.tile(once, (1, times + 1, times + 1))[:, :size, :size]
    return grain


def _reliable_mean(first: Floats, second: Floats) -> Floats:
    """Return the mean of two patterns, shrunk by their reliability (Spearman-Brown formula)."""
    power = float(np.sqrt(np.square(first).sum() * np.square(second).sum()))
    alike = max(0.0, float((first * second).sum()) / power) if power else 0.0
    mean: Floats = (first + second) * np.float32(alike / (1 + alike))
    return mean
