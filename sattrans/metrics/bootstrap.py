"""Intervals: how much a score would move with other images, by drawing the images again and again."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DRAWS = 1000
LEVEL = 0.95


class Interval(NamedTuple):
    """From where to where 95 % of the redrawn scores lie."""

    low: float
    high: float


def draws(images: int, count: int = DRAWS, seed: int = 0) -> NDArray[np.float64]:
    """Return (count, images): how often each image is drawn, as many as there are, with putting back.

    The same seed gives the same draws, so the redrawn scores of two runs belong together, draw by draw.
    """
    rng = np.random.default_rng(seed)
    return rng.multinomial(images, np.full(images, 1 / images), size=count).astype(np.float64)


def centred(redrawn: NDArray[np.float64], value: float) -> NDArray[np.float64]:
    """Return redrawn scores less their bias: moved so that their mean is the score itself.

    A set that is drawn again has fewer different images, and so a distance between two sets is larger in the mean
    than that of the sets themselves: of few images, all redrawn distances may be above it. What the mean is off by is
    the bootstrap's estimate of that bias (Efron and Tibshirani: An Introduction to the Bootstrap, 1993, chapter 10).
    The score of a mean has none.
    """
    there = redrawn[np.isfinite(redrawn)]
    return redrawn + (value - there.mean()) if len(there) else redrawn


def interval(redrawn: NDArray[np.float64]) -> Interval | None:
    """Return the middle 95 % of redrawn scores (percentiles; Efron 1979); None where there are none.

    Trap: it takes images for independent. Tiles of one scene are alike, so the truth is wider.
    """
    there = redrawn[np.isfinite(redrawn)]
    if not len(there):
        return None
    low, high = np.quantile(there, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))


def mean_interval(values: NDArray[np.float64], count: int = DRAWS, seed: int = 0) -> Interval | None:
    """Return the interval of the mean of one value an image (N,)."""
    return interval(draws(len(values), count, seed) @ values / len(values)) if len(values) else None


def difference(one: NDArray[np.float64], other: NDArray[np.float64]) -> Interval | None:
    """Return the interval of `one` minus `other`, two scores redrawn with the same draws.

    Two runs are compared on the same images, and most of what moves a score moves both: the difference is known
    far better than either. Where the interval holds 0, these images do not tell the runs apart.
    """
    return interval(one - other)


def tells_apart(apart: Interval | None) -> bool:
    """Return whether a difference is one: its interval does not hold 0."""
    return apart is not None and not apart.low <= 0 <= apart.high
