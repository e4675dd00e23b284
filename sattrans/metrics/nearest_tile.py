"""Distance to the nearest training tile: whether a generator copies what it was trained on."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

SIDE = 32
"""Side of the compared thumbnails in pixels: a copy that is shifted by a pixel or denoised is still found."""

BLOCK = 256


def thumbnail(image: Tensor) -> NDArray[np.float32]:
    """Return an image (3, H, W) averaged down to 32 px, flattened (3072,)."""
    small: NDArray[np.float32] = F.adaptive_avg_pool2d(image.float(), SIDE).flatten().cpu().numpy()
    return small


def flipped(thumbnails: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return thumbnails (N, 3072) flipped left to right, because training flips tiles, too."""
    return thumbnails.reshape(-1, 3, SIDE, SIDE)[..., ::-1].reshape(len(thumbnails), -1)


def nearest(images: NDArray[np.float32], train: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return for thumbnails (N, 3072) the distance to the nearest of `train` (M, 3072), and its index.

    The distance is the root of the mean squared difference, in grey levels. Compare it with the distance of real test
    images: a generator whose images are much nearer to the training tiles than real ones copies these tiles.
    """
    return ThumbnailIndex(train)(images)


class ThumbnailIndex:
    """Finds the `nearest` of a fixed set of training thumbnails (M, 3072)."""

    def __init__(self, train: NDArray[np.float32]) -> None:
        self._train = torch.from_numpy(train)
        self._squares = self._train.square().sum(1)

    def __call__(self, images: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the distances (N,), and the indices of the nearest thumbnails (N,)."""
        thumbnails = torch.from_numpy(images)
        # |a − b|² without |a|², which is the same for all b; the distance to the nearest is then computed exactly.
        indices = torch.cat([(self._squares - 2 * part @ self._train.T).argmin(1) for part in thumbnails.split(BLOCK)])
        distances = (thumbnails.double() - self._train[indices].double()).square().mean(1).sqrt()
        return distances.numpy(), indices.numpy()
