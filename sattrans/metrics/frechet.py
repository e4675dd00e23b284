"""Distances of two sets of features: Fréchet (FID) and kernel (KID)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 2048
"""Rows of a kernel matrix that are in memory at once."""


def frechet(x: NDArray[Any], y: NDArray[Any]) -> float:
    """Fréchet distance of the normal distributions that fit two sets of features, (N, D) and (M, D).

    ‖μ₁ − μ₂‖² + Tr(Σ₁ + Σ₂ − 2(Σ₁Σ₂)^½), with sample covariances (Heusel et al. 2017). The trace of the root is the
    sum of the singular values of X·Yᵀ, both centred, over √((N−1)(M−1)): an N×M matrix instead of the root of a
    D×D one that has no full rank. Known: N(0, I) against N(μ, s²I) is ‖μ‖² + D(s − 1)².

    Trap: with few images it is biased upwards. Below about 2,048 images the bias is so large that only sets of the
    same size can be compared: report N with it, and the score of real images against real ones.
    """
    if min(len(x), len(y)) < 2:
        return float("nan")
    (mean_x, x), (mean_y, y) = _centred(x), _centred(y)
    shift = np.square(mean_x - mean_y).sum()
    root = np.linalg.svd(_narrow(x) @ _narrow(y).T, compute_uv=False).sum()
    return float(shift + np.square(x).sum() + np.square(y).sum() - 2 * root)


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
    `weights` (B, N) say how often each image counts in each of B resamples; `y` has the same weights, because its
    images are the partners of those of `x`. Pairs of an image with itself are left out. The distance may be below 0.
    Tables show it × 10³.
    """
    x, y = x.astype(np.float64), y.astype(np.float64)
    weights_x, weights_y = (np.ones((1, len(rows))) if weights is None else weights for rows in (x, y))
    within = _within(x, weights_x) + _within(y, weights_y)
    across = _sum(x, y, weights_x, weights_y) / (weights_x.sum(1) * weights_y.sum(1))
    distance: NDArray[np.float64] = within - 2 * across
    return distance


def _kernel(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    kernel: NDArray[np.float64] = (x @ y.T / x.shape[1] + 1) ** 3
    return kernel


def _sum(
    x: NDArray[np.float64], y: NDArray[np.float64], weights_x: NDArray[np.float64], weights_y: NDArray[np.float64]
) -> NDArray[np.float64]:
    total = np.zeros(len(weights_x))
    for start in range(0, len(x), BLOCK):
        rows = slice(start, start + BLOCK)
        total += ((weights_x[:, rows] @ _kernel(x[rows], y)) * weights_y).sum(1)
    return total


def _within(x: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean kernel of two different images of a set."""
    diagonal = (np.square(x).sum(1) / x.shape[1] + 1) ** 3
    squares = np.square(weights)
    pairs = weights.sum(1) ** 2 - squares.sum(1)
    total = _sum(x, x, weights, weights) - squares @ diagonal
    mean: NDArray[np.float64] = total / np.where(pairs > 0, pairs, np.nan)  # a single image has no pair
    return mean


def cosines(x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    """Return the cosine (N,) of each row of `x` (N, D) with the same row of `y`; 0 if either row is 0.

    Features after a ReLU are never negative, so even *unrelated* images have cosines near 1: subtract the mean
    feature of the real images from both first, and compare with shuffled pairs.
    """
    lengths = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    cosine: NDArray[np.float64] = (x * y).sum(1, dtype=np.float64) / np.where(lengths > 0, lengths, 1)
    return cosine


def centred_cosines(x: NDArray[Any], y: NDArray[Any], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean cosine (B,) of rows of `x` (N, D) with the same rows of `y`, both less the mean of `y`.

    `weights` (B, N) say how much each pair counts in each of B resamples, in the mean of `y` as well. The cosine of a
    pair is 0 if either row equals the mean.
    """
    shares = weights / weights.sum(1, keepdims=True)
    x, y = (rows - y.mean(0, dtype=np.float64) for rows in (x, y))  # changes no result and loses fewer digits
    mean = shares @ y  # (B, D)
    with_x, with_y = mean @ x.T, mean @ y.T  # (B, N)
    square = (mean**2).sum(1, keepdims=True)
    products = (x * y).sum(1) - with_x - with_y + square
    lengths = [(rows**2).sum(1) - 2 * with_rows + square for rows, with_rows in ((x, with_x), (y, with_y))]
    rounding = 1e-9 * (y**2).sum(1).mean()  # smaller differences of squares are rounding errors
    nonzero = (lengths[0] > rounding) & (lengths[1] > rounding)
    cosine = np.where(nonzero, products, 0) / np.sqrt(np.where(nonzero, lengths[0] * lengths[1], 1))
    found: NDArray[np.float64] = (shares * cosine).sum(1)
    return found
