"""Phase score: a pattern that repeats every 8, 16 or 32 px, such as the plaid of a generator's coarse layers.

The checkerboard's peaks end at 8 px, and a plaid of wider bars is spread over many frequencies. In the image it is
plain: gradients are larger at some columns, or rows, of the grid than at others.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

PERIODS = (8, 16, 32)
"""Periods in pixels: of layers that are three, four and five times half the size."""

GRID = PERIODS[-1]

SMALLEST = 2 * GRID
"""Shortest side of an image in pixels: both halves need all phases."""

ENOUGH_PIXELS = 2**13
"""Pixels of a class in each half of a set, below which the class is left out: 256 at each phase of 32 px."""

LARGEST = 2.0
"""Gradients count as at most so many times the mean of the image: a few long roads or roofs would be a pattern."""

ROUNDING = 0.5
"""Grey levels that are added to every mean gradient, so that rounding in flat areas is no pattern."""


def phase_sums(image: Tensor, map_: Tensor | None = None, classes: int = 0) -> NDArray[np.float64]:
    """Return the sums of an image's gradients at each phase of a grid of 32 px.

    A gradient is the absolute difference of neighbouring pixels, mean of the channels, across a column or a row, at
    most twice the mean of the image; its phase is the number of the column or row modulo 32. The image falls into two
    halves, the black and the white fields of a chessboard of 32 px, so that a phase can be chosen on one and measured
    on the other.

    Args:
        image: Red, green, blue, uint8, (3, H, W), from 64 px; its corner lies on the generator's grid.
        map_: Class indices (H, W); pixels of other indices than those below `classes` have no class.
        classes: Number of classes.

    Returns:
        Sum of the gradients in grey levels, and their number, (halves 2, columns and rows 2, 1 + classes, 32, 2): first
        all gradients, then those between two pixels of the same class.
    """
    pixels = image.float()
    found = [_sums(pixels, map_, classes), _sums(pixels.mT, None if map_ is None else map_.mT, classes)]
    return np.stack(found, 1)


def _sums(pixels: Tensor, map_: Tensor | None, classes: int) -> NDArray[np.float64]:
    """Return the sums across columns, (2, 1 + classes, 32, 2)."""
    gradient = pixels.diff(dim=-1).abs().mean(0)
    gradient = gradient.minimum(LARGEST * gradient.mean())
    rows, cols = torch.arange(gradient.shape[0])[:, None], torch.arange(gradient.shape[1])[None]
    half = (rows // GRID + cols // GRID) % 2
    place = (half * (1 + classes) * GRID + cols % GRID).to(gradient.device)
    places, gradients = [place.flatten()], [gradient.flatten()]
    if map_ is not None:
        inside = (map_[:, 1:] == map_[:, :-1]) & (map_[:, 1:] < classes)
        places.append((place + (1 + map_[:, 1:].long()) * GRID)[inside])
        gradients.append(gradient[inside])
    where, size = torch.cat(places), 2 * (1 + classes) * GRID
    both = [torch.bincount(where, weights, size).double() for weights in (torch.cat(gradients).double(), None)]
    sums: NDArray[np.float64] = torch.stack(both, -1).view(2, 1 + classes, GRID, 2).cpu().numpy()
    return sums


def phase_score(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean gradient at the phase where it is largest, divided by the mean gradient of all phases.

    All phases of the periods of 8, 16 and 32 px are compared, of columns and of rows, of the whole set and inside each
    class with enough pixels. The largest of so many means is above 1 by chance, most of all with few pixels. So the
    phase is chosen on one half of the pixels, as the one that exceeds the mean by most standard errors, and measured on
    the other half, and the other way round: white noise has 1 on average, however few its pixels.

    Args:
        sums: Of a set: the (weighted) sum of the `phase_sums` of its images, (…, 2, 2, 1 + classes, 32, 2).

    Returns:
        The scores (…): 1 without a pattern, 2 if the gradient is twice the mean at a phase.
    """
    ratios, excesses = [], []
    enough = enough_pixels(sums)[..., np.newaxis, :, :, np.newaxis]  # of both halves
    enough[..., 0, :] = True  # the whole set
    for period in PERIODS:
        folded = sums.reshape(*sums.shape[:-2], GRID // period, period, 2).sum(-3)
        gradient, count = folded[..., 0], folded[..., 1]
        mean = gradient.sum(-1, keepdims=True) / np.maximum(count.sum(-1, keepdims=True), 1)
        ratio = (gradient / np.maximum(count, 1) + ROUNDING) / (mean + ROUNDING)
        ratios.append(ratio)
        excesses.append(np.where(enough, (ratio - 1) * np.sqrt(count), -np.inf))
    ratio, excess = (np.concatenate(of, -1).reshape(*sums.shape[:-4], -1) for of in (ratios, excesses))
    chosen = excess.argmax(-1)[..., ::-1, np.newaxis]  # each half's phase for the other half
    score: NDArray[np.float64] = np.take_along_axis(ratio, chosen, -1)[..., 0].mean(-1)
    return score


def enough_pixels(sums: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether a class has enough pixels in both halves, (…, columns and rows 2, 1 + classes)."""
    enough: NDArray[np.bool_] = (sums[..., 1].sum(-1) >= ENOUGH_PIXELS).all(-3)
    return enough
