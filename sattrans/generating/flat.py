"""Flat field: what a generator paints into every window at the same place, found in many windows and taken out.

A generator that sees the whole tile knows where in it a pixel lies: zero padding, a bottleneck of one pixel. What it
paints by that place alone comes again with every window, as bands and a lattice of spots at the step of the windows,
which no blending hides. Microscopes and cameras correct such shading of theirs by a flat field; here it has one field
a class, additive, as in BaSiC (Peng et al. 2017, doi:10.1038/ncomms14836).
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from sattrans.blend import Floats
from sattrans.palette import UNKNOWN

WAVES = 8
"""Cosines along an axis that make up the coarse part: down to waves of a quarter of a window."""

FEWEST = 8
"""Windows that hold a class, below which nothing is said of it."""

SHARE = 0.02
"""Of a window's pixels that a class must have there to be looked at."""

USUAL = 2.0
"""Standard deviations up to which what comes again is texture; what stands out further is a spot."""


@dataclass(frozen=True)
class _ClassField:
    """Grey levels (3, S, S): `shade`, which is coarse or a whole row or column, and single `spots`."""

    shade: Floats
    spots: Floats

    def take_from(self, image: Floats, here: NDArray[np.bool_]) -> None:
        """Correct the pixels `here`, (S, S), of a window's image (3, S, S), in place."""
        image -= self.shade * here
        at = np.flatnonzero(self.spots.any(axis=0) & here)
        if not len(at):
            return
        # A spot that this window does not show is not taken from it: no pixel passes its class's mean.
        mean = _level(image * here, here)
        flat, spots = image.reshape(3, -1), self.spots.reshape(3, -1)[:, at]
        flat[:, at] -= np.clip(flat[:, at] - mean[:, None], np.minimum(spots, 0), np.maximum(spots, 0))


@dataclass(frozen=True)
class FlatField:
    """The fields of the classes that have one."""

    classes: dict[int, _ClassField]

    @property
    def strength(self) -> float:
        """Root mean square over the classes' fields, in grey levels of 255."""
        if not self.classes:
            return 0.0
        return float(np.sqrt(np.mean([np.square(one.shade + one.spots).mean() for one in self.classes.values()])))

    def correct(self, maps: NDArray[np.uint8], images: Floats) -> Floats:
        """Correct images (N, 3, S, S) of 0 to 255 by the classes (N, S, S) of their windows, in place."""
        for number, own in self.classes.items():
            for image, here in zip(images, maps == number, strict=True):
                if here.any():
                    own.take_from(image, here)
        return images

    def encode(self) -> str:
        """Return the fields as text."""
        buffer = BytesIO()
        numbers = sorted(self.classes)
        shades, spots = (
            np.array([_levels(getattr(self.classes[n], part)) for n in numbers], np.int16)
            for part in ("shade", "spots")
        )
        if numbers:  # a shade is sums of rows and columns, nearly: the differences of these are mostly none
            shades = np.diff(np.diff(shades, axis=2, prepend=np.int16(0)), axis=3, prepend=np.int16(0))
        np.savez_compressed(buffer, numbers=np.array(numbers, np.int16), shades=shades, spots=spots)
        return base64.b64encode(buffer.getvalue()).decode("ascii")

    @classmethod
    def decode(cls, text: str) -> "FlatField":
        """Return the fields that `encode` wrote, exactly."""
        with np.load(BytesIO(base64.b64decode(text)), allow_pickle=False) as arrays:
            numbers, shades, spots = arrays["numbers"].tolist(), arrays["shades"], arrays["spots"]
        if numbers:
            shades = shades.cumsum(axis=3, dtype=np.int16).cumsum(axis=2, dtype=np.int16)
        return cls({n: _ClassField(_grey(shades[at]), _grey(spots[at])) for at, n in enumerate(numbers)})


LEVEL = 8
"""Steps that a grey level is kept in: so what is written and read is what is applied."""


def _levels(values: Floats) -> NDArray[np.int16]:
    return np.rint(values * LEVEL).astype(np.int16)


def _level(own: Floats, here: NDArray[np.bool_]) -> NDArray[np.floating]:
    """Return the mean (3,) of an image's pixels `here`, which is 0 elsewhere."""
    mean: NDArray[np.floating] = own.sum(axis=(1, 2)) / np.count_nonzero(here)
    return mean


def _grey(levels: NDArray[np.int16]) -> Floats:
    return levels.astype(np.float32) / np.float32(LEVEL)


class _Sums:
    """Of a class's windows: what they differ from its mean, by place, in two halves."""

    def __init__(self, size: int) -> None:
        self.totals: list[Floats] = [np.zeros((3, size, size), np.float32) for _ in range(2)]
        self.counts: list[Floats] = [np.zeros((size, size), np.float32) for _ in range(2)]
        self.windows = 0

    def add(self, image: Floats, here: NDArray[np.bool_]) -> None:
        own = image * here
        own -= _level(own, here)[:, None, None] * here
        half = self.windows % 2
        self.totals[half] += own
        self.counts[half] += here
        self.windows += 1

    def field(self) -> _ClassField:
        weights = self.counts
        halves = [_mean(*both) for both in zip(self.totals, weights, strict=True)]
        shade = np.zeros_like(halves[0])
        for part in (_coarse, _rows, _columns):
            parts = [part(half, weight) for half, weight in zip(halves, weights, strict=True)]
            halves = [np.subtract(half, one, dtype=np.float32) for half, one in zip(halves, parts, strict=True)]
            shade += _agreed(*parts)
        seen = np.minimum(*weights) >= FEWEST / 4
        spots = _least(*(_standing_out(np.where(seen, half, np.float32(0))) for half in halves))
        return _ClassField(_grey(_levels(shade)), _grey(_levels(spots)))


class FlatFieldEstimator:
    """Learns from windows what comes again in them, class by class: what two halves of them agree on."""

    def __init__(self) -> None:
        self._classes: dict[int, _Sums] = {}

    def add(self, maps: NDArray[np.uint8], images: Floats) -> None:
        """Add images (N, 3, S, S) of 0 to 255 by the classes (N, S, S) of their windows."""
        for window, image in zip(maps, images, strict=True):
            counts = np.bincount(window.ravel(), minlength=UNKNOWN)[:UNKNOWN]
            for number in np.flatnonzero(counts > SHARE * window.size):
                sums = self._classes.setdefault(int(number), _Sums(len(window)))
                sums.add(image, window == number)

    def field(self) -> FlatField:
        """Return what came again in the windows."""
        found = {n: sums.field() for n, sums in sorted(self._classes.items()) if sums.windows >= FEWEST}
        return FlatField({n: one for n, one in found.items() if one.shade.any() or one.spots.any()})


def _mean(total: Floats, weights: Floats) -> Floats:
    mean: Floats = np.divide(total, np.maximum(1, weights), dtype=np.float32)
    return mean


def _coarse(pattern: Floats, weights: Floats) -> Floats:
    """Return the coarse waves of a pattern (3, S, S)."""
    size = pattern.shape[1]
    at = (np.arange(size, dtype=np.float32) + 0.5) / size
    numbers = np.arange(min(WAVES, size), dtype=np.float32)[:, None]
    height = np.where(numbers == 0, np.sqrt(1 / size), np.sqrt(2 / size))
    waves = (np.cos(np.pi * numbers * at) * height).astype(np.float32)  # (waves, S), orthonormal: DCT-II
    sizes = waves @ pattern @ waves.T
    sizes[:, 0, 0] = 0  # the mean is the class's colour
    part: Floats = waves.T @ sizes @ waves
    return part


def _rows(pattern: Floats, weights: Floats) -> Floats:
    mean = (pattern * weights).sum(axis=2) / np.maximum(1, weights.sum(axis=1))
    return np.broadcast_to(mean[:, :, None], pattern.shape)


def _columns(pattern: Floats, weights: Floats) -> Floats:
    mean = (pattern * weights).sum(axis=1) / np.maximum(1, weights.sum(axis=0))
    return np.broadcast_to(mean[:, None, :], pattern.shape)


def _agreed(one: Floats, other: Floats) -> Floats:
    """Return the mean of two halves' patterns, smaller the less they are alike: by Spearman and Brown's reliability."""
    power = float(np.sqrt(np.square(one).sum() * np.square(other).sum()))
    alike = max(0.0, float((one * other).sum()) / power) if power else 0.0
    mean: Floats = (one + other) * np.float32(alike / (1 + alike))
    return mean


def _standing_out(pattern: Floats) -> Floats:
    deviation = 1.4826 * float(np.median(np.abs(pattern - np.median(pattern))))
    out: Floats = pattern - np.clip(pattern, -USUAL * deviation, USUAL * deviation)
    return out


def _least(one: Floats, other: Floats) -> Floats:
    """Return what both have, of the smaller size; nothing where their signs differ."""
    return np.where(one * other > 0, np.sign(one) * np.minimum(np.abs(one), np.abs(other)), np.float32(0))


MEMORY = 64_000_000
"""Bytes of windows that are looked at first; they are kept, so that no network's work is done twice."""


def bytes_of(size: int) -> int:
    """Return what the image of a window of `size` px takes."""
    return 3 * size**2 * 4


def sampled(places: Sequence[tuple[int, int]], size: int) -> list[tuple[int, int]]:
    """Return which windows of `size` px to look at: all, or as many as `MEMORY` holds, drawn evenly."""
    most = MEMORY // bytes_of(size)
    if len(places) <= most:
        return list(places)
    drawn = np.random.default_rng(0).choice(len(places), most, replace=False)
    return [places[number] for number in sorted(drawn)]
