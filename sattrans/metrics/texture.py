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


NODES = 2**12
"""Steps from the lowest to the highest value along a direction: a patch counts at the nearest of their ends."""


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
    normalised, channel by channel, with mean and deviation of the *real* ones, each as often as it counts: to
    normalise each set by itself, as the first code of this metric did, hides that a set has other colours or less
    contrast. Then the mean over 128 directions of the distance between the two distributions along each: 1 is a
    deviation of the real patches. (Rabin et al. 2011; Karras et al. 2018, section 5.)

    Along a direction, it is the area between the two cumulative distributions. They are compared at `NODES` + 1
    places, to which values are rounded: off by some 1e-5 of the distance, and no values are sorted again and again.
    """
    images, each, length = fake.shape
    weights = np.ones((1, images)) if weights is None else weights
    shares = torch.from_numpy(weights / weights.sum(1, keepdims=True))  # (B, N)
    patches = torch.from_numpy(np.concatenate([fake, real])).reshape(2 * images * each, 3, length // 3)
    by_channel = zip(patches.unbind(1), _directions(length).reshape(3, length // 3, DIRECTIONS), strict=True)
    projected = torch.stack([(values @ directions).T for values, directions in by_channel])  # (3, directions, 2·N·P)
    rows = (NODES + 1) * torch.arange(DIRECTIONS, dtype=torch.int32)[:, None]
    distances = []
    for share, deviation in zip(shares, _deviations(real, shares), strict=True):
        # The mean is the same in both sets and all along: it moves no distance.
        values = torch.tensordot((1 / deviation).float(), projected, 1)
        low, high = values.aminmax(dim=1, keepdim=True)
        step = ((high - low) / NODES).clamp(min=torch.finfo(torch.float32).tiny)
        node = ((values - low) / step).round_().int().clamp_(max=NODES) + rows
        mass = (share / each).repeat_interleave(each).repeat(DIRECTIONS)
        ours, theirs = (torch.bincount(half.flatten(), mass, DIRECTIONS * (NODES + 1)) for half in node.chunk(2, 1))
        apart = (ours - theirs).view(DIRECTIONS, NODES + 1).cumsum(1)[:, :-1].abs_().sum(1)
        distances.append(float((apart * step[:, 0]).mean()))
    return np.array(distances)


def _deviations(real: NDArray[np.float32], shares: Tensor) -> Tensor:
    """Return the deviation (B, 3) of the values of patches (N, P, 147) in each channel; never 0."""
    bands = torch.from_numpy(real).double().reshape(*real.shape[:2], 3, -1)
    bands = bands - bands.mean((0, 1, 3), keepdim=True)  # so that squares lose no digits
    mean, square = (shares @ power.mean((1, 3)) for power in (bands, bands**2))
    return (square - mean**2).clamp(min=0).sqrt().clamp(min=1e-6)
