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
"""Shortest side of the coarsest scale in pixels."""

DIRECTIONS = 128
PATCHES = 128
"""Patches per image at each scale, unless there are many images."""

MAX_PATCHES = 2**13
"""Patches of a set at each scale: with more images each has fewer patches, so that memory is bounded."""


def scales(height: int, width: int) -> int:
    """Return the number of scales of an image: three, or fewer if the coarsest would be smaller than 16 px."""
    return max(1, sum(min(height, width) >> scale >= SMALLEST for scale in range(SCALES)))


def patches_each(images: int) -> int:
    """Return the number of patches per image and scale, for a set of so many images."""
    return max(8, min(PATCHES, MAX_PATCHES // max(images, 1)))


def laplacian_pyramid(image: Tensor, levels: int) -> list[Tensor]:
    """Return the difference of each scale from the next coarser one, then the coarsest: (3, H, W), (3, H/2, W/2), …

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
    """Return patches of 7×7 px at random positions of an image (3, H, W) at each scale, (scales, count, 147).

    The positions depend on `number`, the index of the image in its set, alone: they do not depend on the batches, and
    are the same in an image and in the one it is compared with.
    """
    generator = torch.Generator().manual_seed(0x5EED + number)
    drawn = []
    for level in laplacian_pyramid(image, scales(*image.shape[-2:])):
        windows = level.unfold(1, PATCH, 1).unfold(2, PATCH, 1)  # (3, rows, cols, 7, 7)
        rows = torch.randint(windows.shape[1], (count,), generator=generator)
        cols = torch.randint(windows.shape[2], (count,), generator=generator)
        drawn.append(windows[:, rows, cols].permute(1, 0, 2, 3).flatten(1))
    stacked: NDArray[np.float32] = torch.stack(drawn).cpu().numpy()
    return stacked


NODES = 2**12
"""Steps from the lowest to the highest value along a direction; each value is rounded to the nearest step."""


@cache
def _directions(length: int) -> Tensor:
    drawn = torch.randn(length, DIRECTIONS, generator=torch.Generator().manual_seed(1))
    directions: Tensor = drawn / drawn.norm(dim=0)
    return directions


def sliced_distance(
    fake: NDArray[np.float32], real: NDArray[np.float32], weights: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return the sliced Wasserstein distance (B,) of two sets of patches (N, P, 147), P of each of N images.

    `weights` (B, N) say how much each image counts in each of B resamples; without them all images count alike.
    Patches are normalised, channel by channel, with the weighted mean and deviation of the *real* patches:
    normalising each set by itself, as the first code of this metric did, hides differences of colour and contrast. The
    result is the mean, over 128 directions, of the distance between the two distributions along each: 1 is one
    deviation of the real patches. (Rabin et al. 2011; Karras et al. 2018, section 5.)

    Along a direction, the distance is the area between the two cumulative distributions. Values are rounded to
    `NODES` + 1 steps instead of sorted for each resample, which changes the distance by about 1e-5 of itself.
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
        # Subtracting the same mean from both sets would change no distance.
        values = torch.tensordot((1 / deviation).float(), projected, 1)
        low, high = values.aminmax(dim=1, keepdim=True)
        step = ((high - low) / NODES).clamp(min=torch.finfo(torch.float32).tiny)
        node = ((values - low) / step).round_().int().clamp_(max=NODES) + rows
        mass = (share / each).repeat_interleave(each).repeat(DIRECTIONS)
        of_fake, of_real = (torch.bincount(half.flatten(), mass, DIRECTIONS * (NODES + 1)) for half in node.chunk(2, 1))
        area = (of_fake - of_real).view(DIRECTIONS, NODES + 1).cumsum(1)[:, :-1].abs_().sum(1)
        distances.append(float((area * step[:, 0]).mean()))
    return np.array(distances)


def _deviations(real: NDArray[np.float32], shares: Tensor) -> Tensor:
    """Return the deviation (B, 3) of the values of patches (N, P, 147) in each channel, at least 1e-6."""
    bands = torch.from_numpy(real).double().reshape(*real.shape[:2], 3, -1)
    bands = bands - bands.mean((0, 1, 3), keepdim=True)  # so that the squares lose no digits
    mean, square = (shares @ power.mean((1, 3)) for power in (bands, bands**2))
    return (square - mean**2).clamp(min=0).sqrt().clamp(min=1e-6)
