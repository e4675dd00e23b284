"""Random fields by position in the map: smooth ones of several scales, and parcels that are constant within.

White noise on a coarse grid would be painted as blocks of that grid. Smooth noise shows no grid, and a parcel lies at
any angle, as fields do.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from sattrans.model import Noise

FAR = 2**22
"""Added to positions, in pixels, so that none is negative left of and above the map; a multiple of every stride."""

SMOOTH = ((8, 2), (32, 2))
"""Stride in pixels and channels of the smooth fields."""

PARCELS = (12, 32)
"""Mean length in pixels of a parcel, of each scale; two channels each."""

CHANNELS = sum(channels for _, channels in SMOOTH) + 2 * len(PARCELS)

_BLUR = (0.0625, 0.25, 0.375, 0.25, 0.0625)
_REACH = 4
"""Cells beyond a window that its smooth noise depends on: two of the blur, two of the interpolation."""

_HASH = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D)


def fields(noise: Noise) -> Tensor:
    """Draw all random fields.

    Args:
        noise: The seed and the windows' positions, multiples of 32 px.

    Returns:
        Fields (N, CHANNELS, size / 2, size / 2), float32, about mean 0 and variance 1: a value for 2×2 pixels.
    """
    smooth = [_smooth(noise, stride, channels) for stride, channels in SMOOTH]
    rows, cols = _positions(noise)
    parcels = [_parcels(noise.seed + number, rows, cols, length) for number, length in enumerate(PARCELS)]
    return torch.cat([*smooth, *parcels], dim=1)


def _smooth(noise: Noise, stride: int, channels: int) -> Tensor:
    """Draw noise at a stride, blurred and interpolated, (N, channels, size / 2, size / 2)."""
    beyond = _REACH * stride
    origins = [(row - beyond + FAR, col - beyond + FAR) for row, col in noise.origins]
    cells = Noise(noise.seed, origins, noise.size + 2 * beyond, noise.device).field(channels, stride)
    kernel = torch.tensor(_BLUR, device=cells.device)
    for shape in ((1, 1, 5, 1), (1, 1, 1, 5)):
        cells = F.conv2d(cells, kernel.view(shape).expand(channels, 1, *shape[2:]), groups=channels)
    side = cells.shape[-1] * stride
    halved = F.interpolate(cells, size=(side // 2, side // 2), mode="bicubic", align_corners=False)
    first, last = (beyond - 2 * stride) // 2, (beyond - 2 * stride + noise.size) // 2
    return halved[..., first:last, first:last] / kernel.square().sum()


def _positions(noise: Noise) -> tuple[Tensor, Tensor]:
    """Return the rows (N, size / 2, 1) and columns (N, 1, size / 2) of every second pixel of the windows."""
    span = torch.arange(0, noise.size, 2, device=noise.device)
    origins = torch.tensor(noise.origins, device=noise.device)
    return (origins[:, :1] + FAR + span)[:, :, None], (origins[:, 1:] + FAR + span)[:, None, :]


def _parcels(seed: int, rows: Tensor, cols: Tensor, length: int) -> Tensor:
    """Draw two values for each parcel, (N, 2, size / 2, size / 2).

    The map is divided into irregular districts (the nearest of jittered points); in each, parcels are the bricks of a
    wall with an angle, a length and a width of its own.
    """
    spacing = 5 * length
    nearest, district = torch.tensor(torch.inf, device=rows.device), torch.tensor(0, device=rows.device)
    cell_row, cell_col = rows // spacing, cols // spacing
    for down in (-1, 0, 1):
        for across in (-1, 0, 1):
            key = _hash(seed, cell_row + down, cell_col + across)
            point_row = (cell_row + down + _unit(key, 1)) * spacing
            point_col = (cell_col + across + _unit(key, 2)) * spacing
            distance = (rows - point_row).square() + (cols - point_col).square()
            district = torch.where(distance < nearest, key, district)
            nearest = torch.minimum(distance, nearest)
    angle = _unit(district, 3) * torch.pi
    long = length * (0.6 + 0.8 * _unit(district, 4))
    wide = long * (0.25 + 0.4 * _unit(district, 5))
    # Positions within a few districts of here keep single precision exact.
    row, col = (rows % (FAR // 16)).float(), (cols % (FAR // 16)).float()
    along, beside = col * angle.cos() + row * angle.sin(), row * angle.cos() - col * angle.sin()
    strip = (beside / wide).floor()
    brick = (along / long + _unit(_hash(seed, strip.long(), district), 6)).floor()
    key = _hash(seed + 7, strip.long() * 8191 + brick.long(), district)
    # The sum of three uniform numbers is nearly normal, and of variance 1/4.
    values = [sum(_unit(key, salt + part) for part in range(3)) for salt in (10, 20)]
    return (torch.stack(values, dim=1) - 1.5) * 2  # type: ignore[arg-type]


def _hash(seed: int, one: Tensor, two: Tensor) -> Tensor:
    """Mix a seed and two integers into 32 bits, as int64."""
    mixed = (one * _HASH[0] + two * _HASH[1] + (seed * _HASH[2] & 0xFFFFFFFF)) & 0xFFFFFFFF
    for factor in (0x7FEB352D, 0x045D9F3B):
        mixed = ((mixed ^ (mixed >> 15)) * factor) & 0xFFFFFFFF
    return mixed ^ (mixed >> 16)


def _unit(key: Tensor, salt: int) -> Tensor:
    """Return a number in [0, 1) for each key, float32."""
    return _hash(salt, key, key >> 7).float() / 2**32
