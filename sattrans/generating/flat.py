"""Flat field: what a generator paints into every window at the same place, found in many windows and taken out.

A generator that sees the whole tile knows where in it a pixel lies: zero padding, a bottleneck of one pixel. What it
paints by that place alone comes again with every window, as bands and a lattice of spots at the step of the windows,
which no blending hides. Microscopes and cameras correct such shading of theirs by a flat field; here it has one field
a class, additive, as in BaSiC (Peng et al. 2017, doi:10.1038/ncomms14836).
"""

import base64
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sattrans.blend import Floats
from sattrans.metrics.seams import PERIOD
from sattrans.palette import UNKNOWN

COARSE = 8
"""Cosines along an axis that make up the coarse part: down to waves of a quarter of a window."""

FEWEST = 8
"""Windows that hold a class, below which nothing is said of it."""

SHARE = 0.02
"""Of a window's pixels that a class must have there to be looked at."""

RIM = 4
"""Pixels along the edge of a class that are not looked at: what is painted there comes of the map."""


@dataclass(frozen=True)
class _ClassField:
    """Grey levels that are added up: coarse `waves` (3, n, n), whole `rows` and `columns` (3, S), `blotches` (3, S, S).

    All but the blotches are shade, which lies over every window; a blotch a window may lack.
    """

    waves: Floats
    rows: Floats
    columns: Floats
    blotches: Floats

    @cached_property
    def shade(self) -> Floats:
        """What lies over every window, (3, S, S)."""
        return _drawn(self.waves, self.blotches.shape[1]) + self.rows[:, :, None] + self.columns[:, None, :]

    @cached_property
    def _range(self) -> tuple[Floats, Floats]:
        """The least and the most that is taken for a blotch, (3, S, S)."""
        return np.minimum(self.blotches, 0), np.maximum(self.blotches, 0)

    def take_from(self, image: Floats, own: Floats, room: Floats) -> None:
        """Correct a window's image (3, S, S) where `own`, (S, S), is 1, not 0, in place; `room` is of its shape."""
        np.subtract(image, self.shade, out=room)
        # A blotch that this window does not show is not taken from it: no pixel passes its class's mean.
        room -= _level(room, own)[:, None, None]
        least, most = self._range
        np.minimum(np.maximum(room, least, out=room), most, out=room)  # so np.clip does, but takes six times as long
        room += self.shade
        room *= own
        image -= room


PARTS = [part.name for part in fields(_ClassField)]


@dataclass(frozen=True)
class FlatField:
    """The fields of the classes that have one."""

    classes: dict[int, _ClassField]

    @property
    def strength(self) -> float:
        """Root mean square over the classes' fields, in grey levels of 255."""
        if not self.classes:
            return 0.0
        return float(np.sqrt(np.mean([np.square(one.shade + one.blotches).mean() for one in self.classes.values()])))

    def correct(self, maps: NDArray[np.uint8], images: Floats) -> Floats:
        """Correct images (N, 3, S, S) of 0 to 255 by the classes (N, S, S) of their windows, in place."""
        if not self.classes:  # nor is any window looked through, then
            return images
        room, own = _room_for(images)
        for window, image in zip(maps, images, strict=True):
            for number in _classes(window):
                if number in self.classes:
                    np.equal(window, number, out=own)
                    self.classes[number].take_from(image, own, room)
        return images

    def encode(self) -> str:
        """Return the fields as text."""
        buffer = BytesIO()
        arrays = {f"{n}.{name}": getattr(one, name) for n, one in self.classes.items() for name in PARTS}
        # What there is much of is packed as it was rounded, into bytes.
        packed: dict[str, Any] = {k: _steps(part) if k.endswith(DENSE) else part for k, part in arrays.items()}
        np.savez_compressed(buffer, **packed)
        return base64.b64encode(buffer.getvalue()).decode("ascii")

    @classmethod
    def decode(cls, text: str) -> "FlatField":
        """Return the fields that `encode` wrote, exactly."""
        with np.load(BytesIO(base64.b64decode(text)), allow_pickle=False) as arrays:
            parts = {k: _grey(part) if k.endswith(DENSE) else part for k, part in arrays.items()}
        numbers = sorted({int(key.split(".")[0]) for key in parts})
        return cls({n: _ClassField(**{name: parts[f"{n}.{name}"] for name in PARTS}) for n in numbers})


DENSE = "blotches"
STEP = 2
"""Steps of a grey level that blotches are rounded to, of which a byte holds 127: more is not taken."""


def _steps(values: Floats) -> NDArray[np.int8]:
    return np.clip(np.rint(values * STEP), -127, 127).astype(np.int8)


def _grey(steps: NDArray[np.int8]) -> Floats:
    return steps.astype(np.float32) / np.float32(STEP)


def _level(image: Floats, own: Floats) -> Floats:
    """Return the mean (3,) of an image's pixels where `own` is 1, not 0."""
    mean: Floats = image.reshape(3, -1) @ own.ravel() / own.sum()
    return mean


class _Sums:
    """Of a class's windows: what they differ from its mean, by place, in two halves."""

    def __init__(self, size: int) -> None:
        self.totals: list[Floats] = [np.zeros((3, size, size), np.float32) for _ in range(2)]
        self.counts: list[Floats] = [np.zeros((size, size), np.float32) for _ in range(2)]
        self.windows = 0

    def add(self, image: Floats, own: Floats, room: Floats) -> None:
        """Add a window's image (3, S, S) where `own`, (S, S), is 1, not 0; `room` is of the image's shape."""
        np.subtract(image, _level(image, own)[:, None, None], out=room)
        room *= own
        half = self.windows % 2
        self.totals[half] += room
        self.counts[half] += own
        self.windows += 1

    def field(self) -> _ClassField:
        """Return what both halves have, kind by kind; what was found is taken from them before the next is looked for.

        The generator's own grain, which comes again every `PERIOD` px, runs through all windows alike: it is left.
        """
        size = len(self.counts[0])
        halves: list[Floats] = [_mean(*both) for both in zip(self.totals, self.counts, strict=True)]

        def take(parts: Iterable[Floats]) -> None:
            for half, part in zip(halves, parts, strict=True):
                half -= part

        coarse = [_waves(half, min(COARSE, size)) for half in halves]
        take(_drawn(waves, size) for waves in coarse)
        rows = self._along(halves, 2)
        take(means[:, :, None] for means in rows)
        columns = self._along(halves, 1)
        take(means[:, None, :] for means in columns)
        take(_grain(half) for half in halves)
        seen = np.minimum(*self.counts) >= FEWEST / 4
        fine = [_waves(half * seen, size) for half in halves]
        found = np.sum([_agreed(*(waves * octave for waves in fine)) for octave in _octaves(size)], axis=0)
        return _ClassField(_agreed(*coarse), _agreed(*rows), _agreed(*columns), _grey(_steps(_drawn(found, size))))

    def _along(self, halves: Sequence[Floats], axis: int) -> list[Floats]:
        """Return the halves' means over an axis, (3, S), weighed by how often each place was seen."""
        return [
            _mean((half * counts).sum(axis=axis), counts.sum(axis=axis - 1))
            for half, counts in zip(halves, self.counts, strict=True)
        ]


class FlatFieldEstimator:
    """Learns from windows what comes again in them, class by class: what two halves of them agree on."""

    def __init__(self) -> None:
        self._classes: dict[int, _Sums] = {}

    def add(self, maps: NDArray[np.uint8], images: Floats) -> None:
        """Add images (N, 3, S, S) of 0 to 255 by the classes (N, S, S) of their windows."""
        room, own = _room_for(images)
        for window, image in zip(maps, images, strict=True):
            inner = _inner(window)
            for number in _classes(inner, SHARE):
                np.equal(inner, number, out=own)
                self._classes.setdefault(number, _Sums(len(window))).add(image, own, room)

    def field(self) -> FlatField:
        """Return what came again in the windows."""
        found = {n: sums.field() for n, sums in sorted(self._classes.items()) if sums.windows >= FEWEST}
        return FlatField({n: one for n, one in found.items() if one.shade.any() or one.blotches.any()})


def _room_for(images: Floats) -> tuple[Floats, Floats]:
    """Return an image's and a map's worth of memory, (3, S, S) and (S, S): to ask for it anew each time is slow."""
    shape = images.shape[1:]
    return np.empty(shape, np.float32), np.empty(shape[1:], np.float32)


def _classes(window: NDArray[np.uint8], share: float = 0.0) -> list[int]:
    """Return the classes that have more than a `share` of a window's pixels."""
    counts = np.bincount(window.ravel(), minlength=UNKNOWN)[:UNKNOWN]
    found: list[int] = np.flatnonzero(counts > share * window.size).tolist()
    return found


def _inner(window: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a window's classes (S, S) with `UNKNOWN` where another class is `RIM` px away."""
    inner = window.copy()
    across, down = window[:, RIM:] != window[:, :-RIM], window[RIM:] != window[:-RIM]
    for part, other in ((inner[:, RIM:], across), (inner[:, :-RIM], across), (inner[RIM:], down), (inner[:-RIM], down)):
        part[other] = UNKNOWN
    return inner


def _mean(total: Floats, counts: Floats) -> Floats:
    mean: Floats = np.divide(total, np.maximum(1, counts), dtype=np.float32)
    return mean


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


def _cosines(count: int, size: int) -> Floats:
    """Return the first `count` waves over `size` pixels, (count, size), orthonormal: the DCT-II's."""
    at = (np.arange(size, dtype=np.float32) + 0.5) / size
    numbers = np.arange(count, dtype=np.float32)[:, None]
    height = np.where(numbers == 0, np.sqrt(1 / size), np.sqrt(2 / size))
    return (np.cos(np.pi * numbers * at) * height).astype(np.float32)


def _waves(pattern: Floats, count: int) -> Floats:
    """Return the `count` coarsest waves along both axes of a pattern (3, S, S), (3, count, count)."""
    cosines = _cosines(count, pattern.shape[1])
    waves: Floats = np.matmul(cosines @ pattern, cosines.T, dtype=np.float32)
    waves[:, 0, 0] = 0  # the mean is the class's colour
    return waves


def _drawn(waves: Floats, size: int) -> Floats:
    """Return what waves look like, (3, S, S)."""
    cosines = _cosines(waves.shape[1], size)
    drawn: Floats = np.matmul(cosines.T @ waves, cosines, dtype=np.float32)
    return drawn


def _octaves(count: int) -> Iterator[Floats]:
    """Yield which waves are coarse, which are up to twice as fine, and so on, (count, count) of 1 and 0."""
    numbers = np.arange(count)
    finer = np.maximum(numbers[:, None], numbers)
    least, most = 0, COARSE
    while least < count:
        yield ((least <= finer) & (finer < most)).astype(np.float32)
        least, most = most, 2 * most


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
