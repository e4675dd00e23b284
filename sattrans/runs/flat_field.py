"""The flat field: a pattern that a generator repeats at the same position of every window, and its subtraction.

A generator that sees the whole tile knows the position of a pixel in it, through zero padding and a bottleneck of one
pixel. A pattern that depends on this position alone repeats in every window, as bands and a lattice of spots, and
blending does not hide it. Microscopes and cameras correct their shading with a flat field; here there is one additive
field for each class, as in BaSiC (Peng et al. 2017, doi:10.1038/ncomms14836).
"""

import base64
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from functools import cached_property
from hashlib import sha256
from io import BytesIO
from math import gcd
from threading import local
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sattrans.raster.cells import Floats, blur, cell_means, upsample
from sattrans.raster.palette import UNKNOWN
from sattrans.utils.arrays import read_arrays

COARSE = 8
"""DCT coefficients along an axis that make up the coarse part: wavelengths down to a quarter of a window."""


def dct(pattern: Floats, count: int) -> Floats:
    """Return the `count` lowest DCT-II coefficients along both axes of a pattern (3, S, S), without its mean."""
    cosines = _dct_basis(count, pattern.shape[1])
    waves: Floats = np.matmul(cosines @ pattern, cosines.T, dtype=np.float32)
    waves[:, 0, 0] = 0
    return waves


def inverse_dct(waves: Floats, size: int) -> Floats:
    """Return the pattern (3, S, S) that DCT coefficients (3, n, n) describe."""
    cosines = _dct_basis(waves.shape[1], size)
    pattern: Floats = np.matmul(cosines.T @ waves, cosines, dtype=np.float32)
    return pattern


def octaves(count: int) -> Iterator[Floats]:
    """Yield masks (count, count) of DCT coefficients: the coarse ones, then those up to twice as fine, and so on."""
    numbers = np.arange(count)
    finer = np.maximum(numbers[:, None], numbers)
    least, most = 0, COARSE
    while least < count:
        yield ((least <= finer) & (finer < most)).astype(np.float32)
        least, most = most, 2 * most


def _dct_basis(count: int, size: int) -> Floats:
    """Return the first `count` vectors of the orthonormal DCT-II basis over `size` pixels, (count, size)."""
    at = (np.arange(size, dtype=np.float32) + 0.5) / size
    numbers = np.arange(count, dtype=np.float32)[:, None]
    height = np.where(numbers == 0, np.sqrt(1 / size), np.sqrt(2 / size))
    return (np.cos(np.pi * numbers * at) * height).astype(np.float32)


VISIBILITY_CELL = 4
"""Side in pixels of the cells that share one visibility; it is estimated from 3 × 3 cells."""

ALIKE = 1 / 6
"""Share of a texture's variance that is left in the mean over 3 × 3 cells: texture is correlated over about 5 px."""

MOST = 10.0
"""The highest visibility of a blotch, as a multiple of its mean."""

TINY = 1e-6


class ClassResidual:
    """Buffers for one class of a window, reused because allocating them for each window is slow."""

    def __init__(self, size: int) -> None:
        self.mask = np.zeros((size, size), np.float32)
        """1 on the pixels of the class, else 0; (S, S)."""
        self.part = np.zeros((3, size, size), np.float32)
        """Deviation from the mean of the class on its pixels, else 0; (3, S, S)."""

    def set(self, image: Floats, shading: Floats | None = None) -> None:
        """Fill `part` from an image (3, S, S), with its `shading` subtracted."""
        np.subtract(image, 0 if shading is None else shading, out=self.part)
        self.part -= (self.part.reshape(3, -1) @ self.mask.ravel() / self.mask.sum())[:, None, None]
        self.part *= self.mask


class Workspace(ClassResidual):
    """Buffers for one window: its classes are added one by one, then the field is subtracted from the whole."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._cell = gcd(size, VISIBILITY_CELL)
        self._planes = np.zeros((10, size, size), np.float32)
        self._own, self._image, self._blotches = self._planes[0], self._planes[1:4], self._planes[4:7]
        self._shade = np.zeros((3, size, size), np.float32)
        self._shares: list[Floats] = []

    def clear(self) -> None:
        """Start a new window."""
        self._shares.clear()

    def add_class(self, image: Floats, shading: Floats, blotches: Floats) -> None:
        """Add the class that `mask` marks: its image, its shading and its blotches."""
        self.set(image, shading)
        combine = np.add if self._shares else lambda _, part, out: np.copyto(out, part)
        combine(self._own, self.mask, out=self._own)
        combine(self._image, self.part, out=self._image)
        for whole, part in ((self._shade, shading), (self._blotches, blotches)):
            np.multiply(part, self.mask, out=self.part)
            combine(whole, self.part, out=whole)
        self._shares.append(cell_means(self.mask[np.newaxis], self._cell)[0])

    def subtract_from(self, image: Floats) -> None:
        """Subtract shading, and blotches as strongly as the window shows them, from its image (3, S, S), in place."""
        if self._shares:
            self._blotches *= self._visibility()
            image -= self._shade
            image -= self._blotches

    def _visibility(self) -> Floats:
        """Return how strongly the window shows the blotches, (S, S); 1 is the mean of all windows.

        Around each cell, a least-squares fit of the blotches to the image, drawn towards 1 if they are faint beside the
        texture: ridge regression (Hoerl and Kennard 1970, doi:10.1080/00401706.1970.10488634).
        """
        products = (self._image, self._blotches), (self._image, self._image), (self._blotches, self._blotches)
        for plane, (left, right) in zip(self._planes[7:], products, strict=True):
            np.einsum("chw,chw->hw", left, right, out=plane)
        cells = blur(cell_means(self._planes, self._cell))
        filled, image, blotch = np.maximum(cells[0], TINY), cells[1:4], cells[4:7]
        common = cells[7] - (image * blotch).sum(axis=0) / filled
        texture = (cells[8] - (image * image).sum(axis=0) / filled) / filled
        power = cells[9] - (blotch * blotch).sum(axis=0) / filled
        held = np.full_like(filled, TINY)
        for share in self._shares:
            held += share * (ALIKE / 3 * max(0, float(np.median(texture[share > 0]))))
        strength: Floats = np.clip((common + held) / (np.maximum(power, 0) + held), 0, MOST)
        inverse_dct: Floats = upsample(blur(strength[np.newaxis]), self._cell)[0]
        return inverse_dct


MapFunction = Callable[..., Iterator[Any]]
"""`map`, or the `map` method of a thread pool."""

THREADS = min(4, os.cpu_count() or 1)
"""Threads that estimate and subtract the field."""


@dataclass(frozen=True)
class ClassField:
    """The field of a class, in grey levels, as the sum of its parts.

    Args:
        waves: DCT coefficients of the coarse part, (3, n, n).
        rows: One value for each row, (3, S).
        columns: One value for each column, (3, S).
        blotches: Fine spots, (3, S, S). Their strength differs from window to window; the other parts, the shading,
            are the same in every window.
    """

    waves: Floats
    rows: Floats
    columns: Floats
    blotches: Floats

    @property
    def side(self) -> int:
        """Side of the windows in pixels, S."""
        return int(self.blotches.shape[-1])

    def check(self, number: int) -> None:
        """Raise `ValueError` if the parts of this class do not fit each other."""
        coarse, side = self.waves.shape[-1], self.side
        fits = (
            0 <= number < UNKNOWN
            and self.waves.shape == (3, coarse, coarse)
            and 0 < coarse <= side
            and self.rows.shape == self.columns.shape == (3, side)
            and self.blotches.shape == (3, side, side)
        )
        if not fits:
            raise ValueError(f"has arrays of class {number} that do not fit each other")

    @cached_property
    def shading(self) -> Floats:
        """The part that is the same in every window, (3, S, S)."""
        return inverse_dct(self.waves, self.blotches.shape[1]) + self.rows[:, :, None] + self.columns[:, None, :]


MAX_FIELDS = 1 << 26
"""Bytes that all fields of a record may take: those of 80 classes in windows of 512 px."""

PARTS = [part.name for part in fields(ClassField)]


@dataclass(frozen=True)
class FlatField:
    """The fields of classes, by class index; a class without a repeated pattern has none."""

    classes: dict[int, ClassField]
    _threads: local = field(default_factory=local, init=False, repr=False, compare=False)

    @property
    def strength(self) -> float:
        """Root mean square over the classes' fields, in grey levels of 255."""
        if not self.classes:
            return 0.0
        return float(
            np.sqrt(np.mean([np.square(field_.shading + field_.blotches).mean() for field_ in self.classes.values()]))
        )

    def correct(self, maps: NDArray[np.uint8], images: Floats, each: MapFunction = map) -> Floats:
        """Subtract the field from images, in place, and return them.

        Args:
            maps: Class indices, (N, S, S).
            images: Grey levels from 0 to 255, (N, 3, S, S).
            each: `map`, or that of a thread pool.
        """
        if self.classes:
            for _ in each(self._correct, maps, images):
                pass
        return images

    def _correct(self, window: NDArray[np.uint8], image: Floats) -> None:
        if not hasattr(self._threads, "space"):
            self._threads.space = Workspace(len(window))
        space: Workspace = self._threads.space
        space.clear()
        for number in classes_in(window):
            if field_ := self.classes.get(number):
                np.equal(window, number, out=space.mask)
                space.add_class(image, field_.shading, field_.blotches)
        space.subtract_from(image)

    @property
    def digest(self) -> str:
        """A short hash of the fields, which an image records."""
        found = sha256()
        for number, field_ in sorted(self.classes.items()):
            for name in PARTS:
                array = np.ascontiguousarray(getattr(field_, name), "<f4")
                found.update(f"{number}.{name} {array.shape}".encode() + array.tobytes())
        return found.hexdigest()[:16]

    def encode(self) -> str:
        """Return the fields as text: a compressed NumPy archive in base64."""
        buffer = BytesIO()
        arrays = {f"{n}.{name}": getattr(field_, name) for n, field_ in self.classes.items() for name in PARTS}
        # Blotches, the large part, were rounded when they were estimated, so bytes hold them without loss.
        packed: dict[str, Any] = {k: _quantize(part) if k.endswith(DENSE) else part for k, part in arrays.items()}
        np.savez_compressed(buffer, **packed)
        return base64.b64encode(buffer.getvalue()).decode("ascii")

    @classmethod
    def decode(cls, text: str) -> "FlatField":
        """Return the fields that `encode` wrote, exactly. Raises `ValueError` for another text."""
        arrays = read_arrays(base64.b64decode(text, validate=True), MAX_FIELDS)
        parts = {k: _dequantize(part) if k.endswith(DENSE) else part for k, part in arrays.items()}
        try:
            numbers = sorted({int(key.split(".")[0]) for key in parts})
            read = {n: ClassField(**{name: parts[f"{n}.{name}"] for name in PARTS}) for n in numbers}
        except KeyError as error:
            raise ValueError(f"lacks the array {error}") from error
        for number, part in read.items():
            part.check(number)
        return cls(read)


DENSE = "blotches"
STEP = 2
"""Blotches are rounded to 1 / STEP grey levels and clipped to what a signed byte holds."""


def quantized(values: Floats) -> Floats:
    """Return blotches rounded and clipped as `encode` stores them."""
    return _dequantize(_quantize(values))


def _quantize(values: Floats) -> NDArray[np.int8]:
    return np.clip(np.rint(values * STEP), -127, 127).astype(np.int8)


def _dequantize(steps: NDArray[np.int8]) -> Floats:
    return steps.astype(np.float32) / np.float32(STEP)


def classes_in(window: NDArray[np.uint8], share: float = 0.0) -> list[int]:
    """Return the classes that cover more than a `share` (0 to 1) of a window's pixels."""
    counts = np.bincount(window.ravel(), minlength=UNKNOWN)[:UNKNOWN]
    found: list[int] = np.flatnonzero(counts > share * window.size).tolist()
    return found
