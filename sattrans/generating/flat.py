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
from threading import local
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sattrans.blend import Floats
from sattrans.generating.showing import Workspace
from sattrans.generating.waves import drawn
from sattrans.palette import UNKNOWN

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
