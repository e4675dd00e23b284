"""Warps map and image of a training crop together, so that a few tiles show more shapes than they have."""

import torch
from torch import Tensor
from torch.nn import functional as F

CELL = 32
"""Pixels between the points whose displacements are drawn."""


def displacements(count: int, side: int, reach: float, generator: torch.Generator) -> Tensor:
    """Draw where the pixels of square crops come from: smooth random displacements.

    Each point of a grid of 32 px is displaced by up to `reach` px along each axis, and bicubic interpolation makes the
    field between them smooth. (Elastic distortions: Simard, Steinkraus, Platt, Best Practices for Convolutional Neural
    Networks, ICDAR 2003.)

    Args:
        count: Number of crops.
        side: Their side in pixels.
        reach: Largest displacement of a point in pixels.
        generator: Where random numbers come from.

    Returns:
        For each pixel the place in the crop that it shows, x and y from -1 to 1, (N, side, side, 2), for `grid_sample`.
    """
    points = side // CELL + 2
    drawn = (torch.rand(count, 2, points, points, generator=generator) * 2 - 1) * reach
    field = F.interpolate(drawn, size=(side, side), mode="bicubic", align_corners=True)
    centres = (torch.arange(side) + 0.5) * 2 / side - 1
    still = torch.stack(torch.meshgrid(centres, centres, indexing="xy"), -1)
    return still + field.permute(0, 2, 3, 1) * 2 / side


def warp(pixels: Tensor, places: Tensor) -> Tensor:
    """Return crops whose pixels are those at `places`; beyond the edge the crop is mirrored.

    Class indices (N, S, S) are taken from the nearest pixel and keep their type; colours (N, 3, S, S) are interpolated
    and become float32.
    """
    places = places.to(pixels.device)
    if pixels.ndim == 4:
        return F.grid_sample(pixels.float(), places, "bilinear", "reflection", align_corners=False)
    taken = F.grid_sample(pixels[:, None].float(), places, "nearest", "reflection", align_corners=False)
    return taken[:, 0].to(pixels.dtype)
