"""The class-modulated generator."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STRIDES = (8, 4, 2)
"""Pixels of the map for one of the feature map at each level, from the coarsest."""

SHARES = (1.0, 0.75, 0.5, 0.25)
"""Channels of each level and of the full resolution, as a multiple of the width."""

BRIGHTEST = 0.98
"""Colours of a sketch are brought into this range, so that the inverse of tanh is finite."""

COARSE_BLOCKS = 2
"""Number of blocks at the coarsest level; the others have one."""


class Generator(nn.Module):
    """Paints an image over a sketch, from coarse to fine; at each level the conditions scale and shift the features.

    As spatially-adaptive normalisation (Park et al., CVPR 2019), but features are divided by their root mean square at
    each pixel, so that no pixel depends on the statistics of the whole image. All but the last two convolutions work
    at half the resolution or less.

    Args:
        source_channels: Channels of a map.
        width: Channels at a stride of 8 px; the other levels have a part of them.
    """

    def __init__(self, source_channels: int, width: int) -> None:
        super().__init__()
        widths = [max(8, round(width * share / 8) * 8) for share in SHARES]
        conditions = source_channels + 3
        self.first = nn.Conv2d(conditions, widths[0], 1)
        self.narrow = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in pairwise(widths))
        self.levels = nn.ModuleList()
        for stride, channels in zip(STRIDES, widths[:-1], strict=True):
            count = COARSE_BLOCKS if stride == STRIDES[0] else 1
            self.levels.append(nn.ModuleList(Block(channels, conditions + 1) for _ in range(count)))
        self.detail = Conv3(conditions + 1, widths[-1])
        self.last = Conv3(widths[-1], 3)

    def forward(self, source: Tensor, sketch: Tensor, white: Sequence[Tensor]) -> Tensor:
        """Paint.

        Args:
            source: Maps (N, source_channels, H, W); H and W are multiples of 8.
            sketch: Colours (N, 3, H / 2, W / 2) in [-1, 1].
            white: White noise (N, 1, H / stride, W / stride), for the strides 8, 4, 2 and 1.

        Returns:
            Images (N, 3, H, W) in [-1, 1].
        """
        full = F.interpolate(sketch, scale_factor=2, mode="bilinear", align_corners=False)
        pyramid = [torch.cat([F.avg_pool2d(source, 2), sketch], dim=1)]
        for _ in STRIDES[1:]:
            pyramid.append(F.avg_pool2d(pyramid[-1], 2))
        pyramid.reverse()
        maps = self.first(pyramid[0])
        for level, blocks in enumerate(self.levels):
            if level:
                maps = _double(self.narrow[level - 1](maps))
            conditions = torch.cat([pyramid[level], white[level]], dim=1)
            for block in blocks.children():
                maps = block(maps, conditions)
        maps = _double(self.narrow[-1](maps)) + self.detail(torch.cat([source, full, white[-1]], dim=1))
        changed = self.last(F.leaky_relu(maps, 0.2))
        image: Tensor = torch.tanh(changed + torch.atanh(full.clamp(-BRIGHTEST, BRIGHTEST)))
        return image


def _double(maps: Tensor) -> Tensor:
    return F.interpolate(maps, scale_factor=2, mode="bilinear", align_corners=False)


class Block(nn.Module):
    """Two modulated 3×3 convolutions, added to their input."""

    def __init__(self, channels: int, conditions: int) -> None:
        super().__init__()
        self.one = Modulated(channels, conditions)
        self.two = Modulated(channels, conditions)

    def forward(self, maps: Tensor, conditions: Tensor) -> Tensor:
        """Return features (N, channels, H, W)."""
        changed: Tensor = maps + self.two(self.one(maps, conditions), conditions)
        return changed * 0.7071


class Modulated(nn.Module):
    """Normalise at each pixel, scale and shift by the conditions, activate, and convolve."""

    def __init__(self, channels: int, conditions: int) -> None:
        super().__init__()
        self.modulation = nn.Conv2d(conditions, 2 * channels, 1)
        self.conv = Conv3(channels, channels)

    def forward(self, maps: Tensor, conditions: Tensor) -> Tensor:
        """Return features (N, channels, H, W)."""
        scale, shift = self.modulation(conditions).chunk(2, dim=1)
        normal = maps * torch.rsqrt(maps.square().mean(1, keepdim=True) + 1e-4)
        changed: Tensor = self.conv(F.leaky_relu(torch.addcmul(normal + shift, normal, scale), 0.2))
        return changed


class Conv3(nn.Conv2d):
    """A 3×3 convolution whose input is mirrored at the edge: zeros would tell the network where the edge is."""

    def __init__(self, entering: int, channels: int) -> None:
        super().__init__(entering, channels, 3)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  its name in PyTorch
        """Return features of the same size."""
        return super().forward(F.pad(input, (1, 1, 1, 1), mode="reflect"))
