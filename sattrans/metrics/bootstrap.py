"""Bootstrap intervals: how much a score varies when the images are resampled with replacement."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
LEVEL = 0.95


class Interval(NamedTuple):
    """The range that holds the middle 95 % of the resampled scores."""

    low: float
    high: float


def resample_counts(images: int, count: int = RESAMPLES, seed: int = 0) -> NDArray[np.float64]:
    """Return how often each image occurs in each of `count` resamples with replacement, (count, images).

    The same seed gives the same resamples, so the resampled scores of two runs are paired, resample by resample.
    """
    rng = np.random.default_rng(seed)
    return rng.multinomial(images, np.full(images, 1 / images), size=count).astype(np.float64)


def centred(resampled: NDArray[np.float64], value: float) -> NDArray[np.float64]:
    """Return resampled scores without their bias: shifted so that their mean is the score itself.

    A resampled set has fewer distinct images, so the distance between two resampled sets is on average larger than
    the distance between the sets themselves: with few images, every resampled distance may exceed it. The difference
    of the means is the bootstrap's estimate of this bias (Efron and Tibshirani: An Introduction to the Bootstrap,
    1993, chapter 10). A score that is a mean over images has no such bias.
    """
    finite = resampled[np.isfinite(resampled)]
    return resampled + (value - finite.mean()) if len(finite) else resampled


def interval(resampled: NDArray[np.float64]) -> Interval | None:
    """Return the middle 95 % of resampled scores (percentiles; Efron 1979), or None if no score is finite.

    Trap: it assumes independent images. Tiles of one scene are alike, so the true interval is wider.
    """
    finite = resampled[np.isfinite(resampled)]
    if not len(finite):
        return None
    low, high = np.quantile(finite, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))


def mean_interval(values: NDArray[np.float64], count: int = RESAMPLES, seed: int = 0) -> Interval | None:
    """Return the interval of the mean of values (N,), one per image."""
    return interval(resample_counts(len(values), count, seed) @ values / len(values)) if len(values) else None


def difference_interval(a: NDArray[np.float64], b: NDArray[np.float64]) -> Interval | None:
    """Return the interval of `a` minus `b`, two scores that were resampled with the same counts.

    Two runs are compared on the same images, and most of what changes a score changes both, so their difference is
    known far better than either score. If the interval contains 0, these images do not separate the runs.
    """
    return interval(a - b)


def excludes_zero(difference: Interval | None) -> bool:
    """Return whether the interval of a difference does not contain 0."""
    return difference is not None and not difference.low <= 0 <= difference.high
