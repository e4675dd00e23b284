"""Waves over a square, from coarse to fine: the cosines of the DCT-II, by octaves."""

from collections.abc import Iterator

import numpy as np

from sattrans.blend import Floats

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
