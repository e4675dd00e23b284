"""Memorising: how near a generated image is to a training image."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

SIDE = 32
"""Pixels of the thumbnails that are compared: a copy that moved by a pixel or lost its noise is still one."""

BLOCK = 256


def thumbnail(image: Tensor) -> NDArray[np.float32]:
    """Return an image (3, H, W) averaged down to 32 px, as one row of numbers."""
    small: NDArray[np.float32] = F.adaptive_avg_pool2d(image.float(), SIDE).flatten().cpu().numpy()
    return small


def flipped(thumbnails: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return thumbnails (N, 3072) flipped left to right, as training shows them, too."""
    return thumbnails.reshape(-1, 3, SIDE, SIDE)[..., ::-1].reshape(len(thumbnails), -1)


def nearest(images: NDArray[np.float32], train: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return for thumbnails (N, 3072) the distance to the nearest of `train` (M, 3072), and which that is.

    The distance is the root of the mean squared difference, in grey levels. It has a meaning beside that of
    real test images only: a generator that is much nearer to its training tiles than those are repeats them.
    """
    return Nearest(train)(images)


class Nearest:
    """`nearest` of the same training thumbnails, again and again."""

    def __init__(self, train: NDArray[np.float32]) -> None:
        self._train = torch.from_numpy(train)
        self._squares = self._train.square().sum(1)

    def __call__(self, images: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the distances, and which are nearest."""
        ones = torch.from_numpy(images)
        # |a − b|² without |a|², which is the same for all b; the one that is found is then measured exactly.
        which = torch.cat([(self._squares - 2 * part @ self._train.T).argmin(1) for part in ones.split(BLOCK)])
        found = (ones.double() - self._train[which].double()).square().mean(1).sqrt()
        return found.numpy(), which.numpy()
