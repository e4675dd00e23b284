"""Distances of two sets of features: Fréchet (FID) and kernel (KID)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 2048
"""Rows of a kernel matrix that are held at once."""


def frechet(x: NDArray[Any], y: NDArray[Any]) -> float:
    """Fréchet distance of the normal distributions that fit two sets of features, (N, D) and (M, D).

    ‖μ₁ − μ₂‖² + Tr(Σ₁ + Σ₂ − 2(Σ₁Σ₂)^½), with sample covariances (Heusel et al. 2017). The trace of the root is the
    sum of the singular values of X·Yᵀ, both centred, over √((N−1)(M−1)): an N×M matrix instead of the root of a
    D×D one that has no full rank. Known: N(0, I) against N(μ, s²I) is ‖μ‖² + D(s − 1)².

    Trap: with few images it is biased upwards, under about 2,048 so much that it only compares sets of one size;
    say N beside it, and what real images score against real ones.
    """
    if min(len(x), len(y)) < 2:
        return float("nan")
    (mean, one), (other_mean, other) = _centred(x), _centred(y)
    apart = np.square(mean - other_mean).sum()
    root = np.linalg.svd(_narrow(one) @ _narrow(other).T, compute_uv=False).sum()
    return float(apart + np.square(one).sum() + np.square(other).sum() - 2 * root)


def _centred(rows: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean, and the rows without it, scaled so that their squares are the sample covariance."""
    mean: NDArray[np.float64] = rows.mean(0, dtype=np.float64)
    return mean, (rows - mean) / np.sqrt(len(rows) - 1)


def _narrow(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return rows of the same covariance, at most as many as there are columns: the triangle of QR."""
    if len(rows) <= rows.shape[1]:
        return rows
    triangle: NDArray[np.float64] = np.linalg.qr(rows).R
    return triangle


def kid(x: NDArray[Any], y: NDArray[Any], weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Kernel distance (B,) of two sets of features (N, D): the squared MMD of (x·y/D + 1)³, without bias.

    (Bińkowski et al. 2018.) The whole sets are compared, not subsets of 1000, which small sets do not have.
    `weights` (B, N) say how often each image counts, in B ways; `y` has the same weights, as its images are the
    partners of those of `x`. Pairs of an image with itself are left out. It may be below 0. Tables have it × 10³.
    """
    one: NDArray[np.float64] = x.astype(np.float64)
    other: NDArray[np.float64] = y.astype(np.float64)
    ones, others = (np.ones((1, len(rows))) if weights is None else weights for rows in (one, other))
    within = _within(one, ones) + _within(other, others)
    across = _sum(one, other, ones, others) / (ones.sum(1) * others.sum(1))
    distance: NDArray[np.float64] = within - 2 * across
    return distance


def _kernel(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    kernel: NDArray[np.float64] = (x @ y.T / x.shape[1] + 1) ** 3
    return kernel


def _sum(
    x: NDArray[np.float64], y: NDArray[np.float64], ones: NDArray[np.float64], others: NDArray[np.float64]
) -> NDArray[np.float64]:
    total = np.zeros(len(ones))
    for start in range(0, len(x), BLOCK):
        rows = slice(start, start + BLOCK)
        total += ((ones[:, rows] @ _kernel(x[rows], y)) * others).sum(1)
    return total


def _within(x: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean kernel of two different images of a set."""
    itself = (np.square(x).sum(1) / x.shape[1] + 1) ** 3
    squares = np.square(weights)
    pairs = weights.sum(1) ** 2 - squares.sum(1)
    total = _sum(x, x, weights, weights) - squares @ itself
    mean: NDArray[np.float64] = total / np.where(pairs > 0, pairs, np.nan)  # one image, drawn alone, has no pair
    return mean


def cosines(x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    """Return the cosine (N,) of each row of `x` (N, D) with its row of `y`; 0 where one of them is 0.

    Features behind a ReLU are all positive, so those of *unrelated* images have cosines near 1, too: subtract
    the mean feature of the real images from both first, and look at pairs that are shuffled.
    """
    lengths = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    cosine: NDArray[np.float64] = (x * y).sum(1, dtype=np.float64) / np.where(lengths > 0, lengths, 1)
    return cosine


def centred_cosines(x: NDArray[Any], y: NDArray[Any], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean cosine (B,) of rows of `x` (N, D) with their rows of `y`, the mean of `y` subtracted from both.

    `weights` (B, N) say how much each pair counts, in B ways: in the means, too. A pair counts 0 where one of them is
    the mean.
    """
    shares = weights / weights.sum(1, keepdims=True)
    x, y = (one - y.mean(0, dtype=np.float64) for one in (x, y))  # the same in all of it, and fewer digits are lost
    mean = shares @ y  # (B, D)
    with_x, with_y = mean @ x.T, mean @ y.T  # (B, N)
    square = (mean**2).sum(1, keepdims=True)
    products = (x * y).sum(1) - with_x - with_y + square
    lengths = [(one**2).sum(1) - 2 * with_one + square for one, with_one in ((x, with_x), (y, with_y))]
    floor = 1e-9 * (y**2).sum(1).mean()  # a difference of squares is 0 but for rounding
    there = (lengths[0] > floor) & (lengths[1] > floor)
    cosine = np.where(there, products, 0) / np.sqrt(np.where(there, lengths[0] * lengths[1], 1))
    found: NDArray[np.float64] = (shares * cosine).sum(1)
    return found
