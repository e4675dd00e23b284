"""Floors: what a score has to be better than - a mean colour for each class, and images of other maps."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sattrans.metrics.color import class_colors


def mean_colors(moments: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the mean colour of each class (256, 3) from `color.class_moments` (classes, 13) of training images.

    A class without pixels, and `UNKNOWN`, get the mean of all.
    """
    overall, _ = class_colors(moments.sum(0, keepdims=True))
    table = np.repeat(np.nan_to_num(overall, nan=127.5), 256, axis=0)
    means, _ = class_colors(moments)
    table[: len(means)] = np.where(np.isfinite(means), means, table[: len(means)])
    rounded: NDArray[np.uint8] = table.round().astype(np.uint8)
    return rounded


def paint(indices: Tensor, colors: NDArray[np.uint8]) -> Tensor:
    """Return the image (3, H, W) that gives each class of a map (H, W) its one colour.

    It is no satellite image at all. Pixel errors like it, as they like all that is blurred.
    """
    return torch.from_numpy(colors).to(indices.device)[indices.long()].permute(2, 0, 1)


def partners(images: int, seed: int = 0) -> NDArray[np.int64]:
    """Return for each image another one (N,), none its own; a score that does not mind has seen no pair.

    Images are dealt to a circle at random, and each takes the next. A single image has only itself.
    """
    circle = np.random.default_rng(seed).permutation(images)
    other = np.empty(images, np.int64)
    other[circle] = np.roll(circle, -1)
    return other


def evenly(count: int, wanted: int) -> list[int]:
    """Return `wanted` places of `count`, evenly spread; all of them, over again where there are fewer."""
    if count >= wanted:
        return [place * count // wanted for place in range(wanted)]
    return [place % count for place in range(wanted)]
