"""Texture: the sliced Wasserstein distance of patches, at several scales."""

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

PATCH = 7
SCALES = 3
SMALLEST = 16
"""Pixels of the coarsest scale's shorter side."""

DIRECTIONS = 128
PATCHES = 128
"""Patches of an image at each scale, where there are not too many images."""

MOST = 2**13
"""Patches of a set at each scale: with more images there are fewer of each, so that memory has a bound."""


def scales(height: int, width: int) -> int:
    """Return how many scales an image has: three, or fewer where the coarsest would be under 16 px."""
    return max(1, sum(min(height, width) >> scale >= SMALLEST for scale in range(SCALES)))


def patches_each(images: int) -> int:
    """Return how many patches to take of each image of a set."""
    return max(8, min(PATCHES, MOST // max(images, 1)))


def laplacian_pyramid(image: Tensor, levels: int) -> list[Tensor]:
    """Return what each scale adds to the next coarser one, and the coarsest itself: (3, H, W), (3, H/2, W/2), …

    The binomial filter 1 4 6 4 1 smooths, edges mirrored (Burt and Adelson 1983).
    """
    pyramid, current = [], image.float()
    for _ in range(levels - 1):
        coarser = _smooth(current)[:, ::2, ::2]
        finer = F.interpolate(coarser[None], size=current.shape[-2:], mode="bilinear", align_corners=False)[0]
        pyramid.append(current - finer)
        current = coarser
    return [*pyramid, current]


def _smooth(planes: Tensor) -> Tensor:
    kernel = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], device=planes.device) / 16
    padded = F.pad(planes[:, None], (2, 2, 2, 2), mode="reflect")
    across = F.conv2d(padded, kernel.view(1, 1, 1, 5))
    return F.conv2d(across, kernel.view(1, 1, 5, 1))[:, 0]


def patches(image: Tensor, count: int, number: int = 0) -> NDArray[np.float32]:
    """Return (scales, count, 147): patches of 7×7 px at random places of an image (3, H, W), at each scale.

    The places depend on `number`, the image's place in its set, and on nothing else: the same for any batches, and
    the same in an image and in the one it is compared with.
    """
    generator = torch.Generator().manual_seed(0x5EED + number)
    found = []
    for level in laplacian_pyramid(image, scales(*image.shape[-2:])):
        windows = level.unfold(1, PATCH, 1).unfold(2, PATCH, 1)  # (3, rows, cols, 7, 7)
        rows = torch.randint(windows.shape[1], (count,), generator=generator)
        cols = torch.randint(windows.shape[2], (count,), generator=generator)
        found.append(windows[:, rows, cols].permute(1, 0, 2, 3).flatten(1))
    drawn: NDArray[np.float32] = torch.stack(found).cpu().numpy()
    return drawn


@cache
def _directions(length: int) -> Tensor:
    drawn = torch.randn(length, DIRECTIONS, generator=torch.Generator().manual_seed(1))
    directions: Tensor = drawn / drawn.norm(dim=0)
    return directions


def sliced_distance(
    fake: NDArray[np.float32], real: NDArray[np.float32], weights: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return the sliced Wasserstein distance (B,) of two sets of patches (N, P, 147), P of each of N images.

    `weights` (B, N) say how much each image counts, in B ways: all alike where there are none. Patches are
    normalised, channel by channel, with mean and deviation of the *real* ones: to normalise each set by itself, as
    the first code of this metric did, hides that a set has other colours or less contrast. Then the mean over 128
    directions of the distance between the two distributions along each: 1 is a deviation of the real patches.
    (Rabin et al. 2011; Karras et al. 2018, section 5.)
    """
    images, each, length = fake.shape
    weights = np.full((1, images), 1 / images) if weights is None else weights
    bands = torch.from_numpy(real).double().reshape(-1, 3, length // 3)
    mean, deviation = bands.mean((0, 2)), bands.std((0, 2), correction=0).clamp(min=1e-6)
    projected = []
    for one in (fake, real):
        normal = (torch.from_numpy(one).double().reshape(-1, 3, length // 3) - mean[:, None]) / deviation[:, None]
        projected.append(normal.flatten(1).float() @ _directions(length))
    values, order = torch.cat(projected).sort(0)  # (2·N·P, directions)
    gaps = values.diff(dim=0).T.contiguous()  # (directions, 2·N·P - 1)
    order = order.T.contiguous()
    distances = []
    for row in torch.from_numpy(weights):
        mass = (row / row.sum() / each).float().repeat_interleave(each)
        signed = torch.cat([mass, -mass])[order[:, :-1]]  # the two distributions' steps, in order
        distances.append(float((signed.cumsum(1).abs_() * gaps).sum(1).mean()))
    return np.array(distances)
