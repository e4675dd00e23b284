"""Flat field: what a generator paints into every window at the same place, and how it is taken out.

A generator that sees the whole tile knows where in it a pixel lies: zero padding, a bottleneck of one pixel. What it
paints by that place alone comes again with every window, as bands and a lattice of spots at the step of the windows,
which no blending hides. Microscopes and cameras correct such shading of theirs by a flat field; here it has one field
a class, additive, as in BaSiC (Peng et al. 2017, doi:10.1038/ncomms14836).
"""

import base64
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from functools import cached_property
from io import BytesIO
from math import gcd
from threading import local
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sattrans.generate.blending import Floats, blurred, cell_means, drawn_out
from sattrans.raster.palette import UNKNOWN

COARSE = 8
"""Cosines along an axis that make up the coarse part: down to waves of a quarter of a window."""


def waves_of(pattern: Floats, count: int) -> Floats:
    """Return the `count` coarsest waves along both axes of a pattern (3, S, S), (3, count, count), without its mean."""
    cosines = _cosines(count, pattern.shape[1])
    waves: Floats = np.matmul(cosines @ pattern, cosines.T, dtype=np.float32)
    waves[:, 0, 0] = 0
    return waves


def drawn(waves: Floats, size: int) -> Floats:
    """Return what waves (3, n, n) look like, (3, S, S)."""
    cosines = _cosines(waves.shape[1], size)
    pattern: Floats = np.matmul(cosines.T @ waves, cosines, dtype=np.float32)
    return pattern


def octaves(count: int) -> Iterator[Floats]:
    """Yield which waves are coarse, which are up to twice as fine, and so on, (count, count) of 1 and 0."""
    numbers = np.arange(count)
    finer = np.maximum(numbers[:, None], numbers)
    least, most = 0, COARSE
    while least < count:
        yield ((least <= finer) & (finer < most)).astype(np.float32)
        least, most = most, 2 * most


def _cosines(count: int, size: int) -> Floats:
    """Return the first `count` waves over `size` pixels, (count, size), orthonormal."""
    at = (np.arange(size, dtype=np.float32) + 0.5) / size
    numbers = np.arange(count, dtype=np.float32)[:, None]
    height = np.where(numbers == 0, np.sqrt(1 / size), np.sqrt(2 / size))
    return (np.cos(np.pi * numbers * at) * height).astype(np.float32)


CELL = 4
"""Side in pixels of the cells that have one strength; three of these to a side say what it is."""

ALIKE = 1 / 6
"""Of a texture's variance, what is left of it in the mean over those cells: it is alike over some 5 px."""

MOST = 10.0
"""Times the mean that a blotch is shown at the most."""

NOTHING = 1e-6


class Share:
    """Memory to look at a class's part of a window in: to ask for it anew each time is slow."""

    def __init__(self, size: int) -> None:
        self.mask = np.zeros((size, size), np.float32)
        """1 where the window is of the class at hand, else 0; (S, S)."""
        self.part = np.zeros((3, size, size), np.float32)
        """What it differs from that class's mean there, and 0 elsewhere; (3, S, S)."""

    def take(self, image: Floats, shade: Floats | None = None) -> None:
        """Take of an image (3, S, S), without its `shade`, what is of the class at hand."""
        np.subtract(image, 0 if shade is None else shade, out=self.part)
        self.part -= (self.part.reshape(3, -1) @ self.mask.ravel() / self.mask.sum())[:, None, None]
        self.part *= self.mask


class Workspace(Share):
    """Memory to look at one window in, class by class, and then as a whole."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._cell = gcd(size, CELL)
        self._planes = np.zeros((10, size, size), np.float32)
        self._own, self._image, self._blotches = self._planes[0], self._planes[1:4], self._planes[4:7]
        self._shade = np.zeros((3, size, size), np.float32)
        self._shares: list[Floats] = []

    def begin(self) -> None:
        """Forget the window before."""
        self._shares.clear()

    def lay(self, image: Floats, shade: Floats, blotches: Floats) -> None:
        """Lay what is of the class at hand, and what is repeated there, beside those of other classes."""
        self.take(image, shade)
        beside = np.add if self._shares else lambda _, part, out: np.copyto(out, part)
        beside(self._own, self.mask, out=self._own)
        beside(self._image, self.part, out=self._image)
        for whole, part in ((self._shade, shade), (self._blotches, blotches)):
            np.multiply(part, self.mask, out=self.part)
            beside(whole, self.part, out=whole)
        self._shares.append(cell_means(self.mask[np.newaxis], self._cell)[0])

    def take_from(self, image: Floats) -> None:
        """Take from the window's image (3, S, S) what it shows of all that was laid, in place."""
        if self._shares:
            self._blotches *= self._shown()
            image -= self._shade
            image -= self._blotches

    def _shown(self) -> Floats:
        """Return how strongly the window shows the blotches, (S, S): 1 as the mean of all windows does.

        Around each cell it is fitted with them by least squares, held to 1 where they are faint beside the texture:
        ridge regression (Hoerl and Kennard 1970, doi:10.1080/00401706.1970.10488634).
        """
        products = (self._image, self._blotches), (self._image, self._image), (self._blotches, self._blotches)
        for plane, (one, other) in zip(self._planes[7:], products, strict=True):
            np.einsum("chw,chw->hw", one, other, out=plane)
        cells = blurred(cell_means(self._planes, self._cell))
        filled, image, blotch = np.maximum(cells[0], NOTHING), cells[1:4], cells[4:7]
        common = cells[7] - (image * blotch).sum(axis=0) / filled
        texture = (cells[8] - (image * image).sum(axis=0) / filled) / filled
        power = cells[9] - (blotch * blotch).sum(axis=0) / filled
        held = np.full_like(filled, NOTHING)
        for share in self._shares:
            held += share * (ALIKE / 3 * max(0, float(np.median(texture[share > 0]))))
        strength: Floats = np.clip((common + held) / (np.maximum(power, 0) + held), 0, MOST)
        drawn: Floats = drawn_out(blurred(strength[np.newaxis]), self._cell)[0]
        return drawn


Each = Callable[..., Iterator[Any]]
"""Gives what a function returns of each element, in order: `map`, or that of a pool of threads."""

HELPERS = min(4, os.cpu_count() or 1)
"""Threads that look for the field and take it out, while no network works on this thread."""


@dataclass(frozen=True)
class ClassField:
    """Grey levels that are added up: coarse `waves` (3, n, n), whole `rows` and `columns` (3, S), `blotches` (3, S, S).

    All but the blotches are shade, which lies over every window; a blotch one window shows more than another.
    """

    waves: Floats
    rows: Floats
    columns: Floats
    blotches: Floats

    @cached_property
    def shade(self) -> Floats:
        """What lies over every window, (3, S, S)."""
        return drawn(self.waves, self.blotches.shape[1]) + self.rows[:, :, None] + self.columns[:, None, :]


PARTS = [part.name for part in fields(ClassField)]


@dataclass(frozen=True)
class FlatField:
    """The fields of the classes that have one."""

    classes: dict[int, ClassField]
    _threads: local = field(default_factory=local, init=False, repr=False, compare=False)

    @property
    def strength(self) -> float:
        """Root mean square over the classes' fields, in grey levels of 255."""
        if not self.classes:
            return 0.0
        return float(np.sqrt(np.mean([np.square(one.shade + one.blotches).mean() for one in self.classes.values()])))

    def correct(self, maps: NDArray[np.uint8], images: Floats, each: Each = map) -> Floats:
        """Correct images (N, 3, S, S) of 0 to 255 by the classes (N, S, S) of their windows, in place.

        `each` may be the `map` of a pool of threads.
        """
        if self.classes:  # nor is any window looked through, else
            for _ in each(self._correct, maps, images):
                pass
        return images

    def _correct(self, window: NDArray[np.uint8], image: Floats) -> None:
        if not hasattr(self._threads, "space"):
            self._threads.space = Workspace(len(window))
        space: Workspace = self._threads.space
        space.begin()
        for number in classes_of(window):
            if one := self.classes.get(number):
                np.equal(window, number, out=space.mask)
                space.lay(image, one.shade, one.blotches)
        space.take_from(image)

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
        return cls({n: ClassField(**{name: parts[f"{n}.{name}"] for name in PARTS}) for n in numbers})


DENSE = "blotches"
STEP = 2
"""Steps of a grey level that blotches are rounded to, of which a byte holds 127: more is not taken."""


def rounded(values: Floats) -> Floats:
    """Return blotches as they can be written."""
    return _grey(_steps(values))


def _steps(values: Floats) -> NDArray[np.int8]:
    return np.clip(np.rint(values * STEP), -127, 127).astype(np.int8)


def _grey(steps: NDArray[np.int8]) -> Floats:
    return steps.astype(np.float32) / np.float32(STEP)


def classes_of(window: NDArray[np.uint8], share: float = 0.0) -> list[int]:
    """Return the classes that have more than a `share` of a window's pixels."""
    counts = np.bincount(window.ravel(), minlength=UNKNOWN)[:UNKNOWN]
    found: list[int] = np.flatnonzero(counts > share * window.size).tolist()
    return found
