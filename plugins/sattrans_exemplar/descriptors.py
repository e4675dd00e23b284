"""Descriptors: what a map shows around a patch, as 40 whole numbers by which patches are compared.

Everything is counted in whole numbers, so that sums are exact: the same patches are found on every machine, whatever
the number of threads.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, minimum_filter1d

Ints = NDArray[np.int64]

SIDES = (48, 24, 12)
"""Sides in pixels of the patches that images are put together from, coarse to fine."""

REACH = 3
"""How far a descriptor sees beyond its patch, in sides of the patch."""

NUMBERS = 40
"""Numbers of a descriptor."""

LEVELS = 127
"""The largest of them."""

OPENING = 12
"""Half the side in pixels of the squares that tell open land: what of a class they fit into becomes a class of its own.
A class often means two things, such as the sea and the land between houses, and their shape tells which."""

RINGS = ((1, 6, 1.0), (3, 4, 0.7), (7, 2, 0.5))
"""The squares around a patch that are described: their sides in sides of the patch, into how many cells each side is
divided, and the weight of a cell."""

PRECISION = 16
"""Bits of the fractions of a basis."""


@cache
def cells_of(side: int) -> Ints:
    """Return the cells around a patch: top, left, bottom, right (56, 4), counted from its corner."""
    found = []
    for sides, count, _ in RINGS:
        start, step = -(sides - 1) * side // 2, sides * side // count
        edges = [start + step * number for number in range(count)]
        found += [(top, left, top + step, left + step) for top in edges for left in edges]
    return np.array(found)


@cache
def mirrored_cells() -> Ints:
    """Return the cells in the order in which the mirror image of a patch has them."""
    found, first = [], 0
    for _, count, _ in RINGS:
        found += [first + row * count + count - 1 - col for row in range(count) for col in range(count)]
        first += count**2
    return np.array(found)


def opened(maps: NDArray[np.uint8], classes: int, radius: int = OPENING) -> NDArray[np.uint8]:
    """Return maps (…, H, W) of class indices in which class k is k + `classes` wherever it is wide.

    It is wide where it holds a square of 2 * `radius` + 1 px. Values of `classes` or more stay. A pixel depends on
    2 * `radius` px around it; what lies beyond an edge may be wide.
    """
    result = maps.copy()
    for number in range(classes):
        mask = maps == number
        if not mask.any():
            continue
        wide = mask.astype(np.uint8)
        for extreme in (minimum_filter1d, maximum_filter1d):
            for axis in (-2, -1):
                wide = extreme(wide, 2 * radius + 1, axis=axis, mode="nearest")
        result[mask & (wide > 0)] = number + classes
    return result


def integral_of(map_: NDArray[np.uint8], classes: int) -> NDArray[np.int32]:
    """Return the number of pixels of each class above and left of each corner of a map (H, W): (H + 1, W + 1, K)."""
    sums = np.zeros((map_.shape[0] + 1, map_.shape[1] + 1, classes), np.int32)
    np.equal(map_[..., np.newaxis], np.arange(classes), out=sums[1:, 1:], casting="unsafe")
    np.cumsum(sums, axis=0, out=sums)
    np.cumsum(sums, axis=1, out=sums)
    return sums


def box_counts(sums: NDArray[np.int32], top: Ints, left: Ints, bottom: Ints, right: Ints) -> NDArray[np.int32]:
    """Return the pixels of each class in boxes of an `integral_of` a map, (…, K)."""
    found: NDArray[np.int32] = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    return found


def shares_around(sums: NDArray[np.int32], rows: Ints, cols: Ints, side: int) -> NDArray[np.uint8]:
    """Return the share of each class in each cell around patches, (n, 56, K), in 255ths, rounded down.

    Args:
        sums: `integral_of` a map that extends `REACH` sides beyond the patches.
        rows: The rows of the patches' corners in that map, (n,).
        cols: Their columns.
        side: The side of the patches.
    """
    cells = cells_of(side)
    top, left, bottom, right = cells.T
    boxes = rows[:, None] + top, cols[:, None] + left, rows[:, None] + bottom, cols[:, None] + right
    areas = (bottom - top) * (right - left)
    found: NDArray[np.uint8] = (box_counts(sums, *boxes) * 255 // areas[:, None]).astype(np.uint8)
    return found


def basis_of(shares: NDArray[np.uint8], weights: NDArray[np.float64]) -> tuple[NDArray[np.int32], float]:
    """Return the principal axes of cell shares (n, 56, K), and how long a unit of the descriptors is.

    Args:
        shares: Those of some patches.
        weights: The weight of each class, (K,).

    Returns:
        A basis (56 * K + 1, NUMBERS), whose last row is the mean, in 2**-PRECISION; and the units of a descriptor
        in the difference of one class's whole share in one cell.
    """
    cells = np.concatenate([np.full(count**2, weight) for _, count, weight in RINGS])
    scale = (cells[:, None] * np.sqrt(weights)).ravel() / 255
    values = shares.reshape(len(shares), -1) * scale
    mean = values.mean(0)
    centred = values - mean
    vectors = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :NUMBERS]
    vectors = np.pad(vectors, ((0, 0), (0, NUMBERS - vectors.shape[1])))
    unit = LEVELS / max(0.1, float(np.abs(centred @ vectors).max()))
    whole = vectors * (unit * 2.0**PRECISION)
    basis = np.concatenate([whole * scale[:, None], (mean @ whole)[None]])
    return np.rint(basis).astype(np.int32), unit


def descriptors(shares: NDArray[np.uint8], basis: NDArray[np.int32]) -> NDArray[np.float32]:
    """Return the descriptors (n, NUMBERS) of cell shares (n, 56, K): whole numbers from -LEVELS to LEVELS."""
    exact = basis.astype(np.float64)  # whole numbers below 2**53
    values = shares.reshape(len(shares), -1).astype(np.float64) @ exact[:-1] - exact[-1]
    whole: NDArray[np.float32] = np.clip(np.floor(values / 2.0**PRECISION), -LEVELS, LEVELS).astype(np.float32)
    return whole
