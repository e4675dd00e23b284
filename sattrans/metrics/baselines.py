"""Baselines that a generator has to beat: each class in its mean colour, and images paired with other maps."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sattrans.metrics.color import class_colors


def mean_colors(moments: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the mean colour of each class (256, 3) from `color.class_moments` (classes, 13) of training images.

    Classes without pixels, and `UNKNOWN`, get the mean colour of all pixels.
    """
    overall, _ = class_colors(moments.sum(0, keepdims=True))
    table = np.repeat(np.nan_to_num(overall, nan=127.5), 256, axis=0)
    means, _ = class_colors(moments)
    table[: len(means)] = np.where(np.isfinite(means), means, table[: len(means)])
    rounded: NDArray[np.uint8] = table.round().astype(np.uint8)
    return rounded


def paint(indices: Tensor, colors: NDArray[np.uint8]) -> Tensor:
    """Return an image (3, H, W) in which each class of a map (H, W) has a single colour.

    Although it does not look like a satellite image, pixel errors favour it, as they favour blurred images.
    """
    return torch.from_numpy(colors).to(indices.device)[indices.long()].permute(2, 0, 1)


def partners(images: int, seed: int = 0) -> NDArray[np.int64]:
    """Return for each image the index of a different one (N,), to pair it with.

    A score that stays the same on such shuffled pairs does not depend on the pairing. The images are put in a random
    cyclic order, and each gets the next one. A single image gets itself.
    """
    order = np.random.default_rng(seed).permutation(images)
    partner = np.empty(images, np.int64)
    partner[order] = np.roll(order, -1)
    return partner


def evenly_spaced(count: int, wanted: int) -> list[int]:
    """Return `wanted` indices below `count`, evenly spaced; if `count` is smaller, indices repeat from 0."""
    if count >= wanted:
        return [index * count // wanted for index in range(wanted)]
    return [index % count for index in range(wanted)]
