"""Discriminators: heads on pretrained features, and a small one on pixels."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sattrans.networks import EfficientNetLite, SpectralConv2d, load_efficientnet_lite

BLOCKS = (0, 2, 4, 10, 15)
"""Blocks of EfficientNet-Lite0 whose features are judged."""

STRIDES = (2, 4, 8, 16, 32)
"""Pixels of the image for one of each block's features."""

MIXED = (32, 48, 64, 96, 128)
"""Channels after random mixing, of each block."""

SHARES = (0.5, 0.75, 1.0, 1.0, 1.0)
"""Channels of the head of each block, as a multiple of the width: fine features are many and cost most."""


class MixedFeatures(nn.Module):
    """Pretrained features, each divided by its standard deviation and mixed at random, fixed.

    Each block's features are mixed by a 1×1 convolution, then added from coarse to fine through 3×3 convolutions: so
    every head sees more than one layer (Sauer et al. 2021, section 3.2). The mixing is the same for every model.
    """

    def __init__(self) -> None:
        super().__init__()
        self.network: EfficientNetLite = load_efficientnet_lite("lite0", BLOCKS)
        random = torch.Generator().manual_seed(0)

        def fixed(channels: int, entering: int, kernel: int) -> nn.Parameter:
            weight = torch.randn(channels, entering, kernel, kernel, generator=random)
            return nn.Parameter(weight / (entering * kernel**2) ** 0.5, requires_grad=False)

        self.across = nn.ParameterList(
            fixed(mixed, channels, 1) for mixed, channels in zip(MIXED, self.network.channels, strict=True)
        )
        coarser = [*MIXED[1:], 0]
        self.down = nn.ParameterList(
            fixed(mixed, above, 3) for mixed, above in zip(MIXED, coarser, strict=True) if above
        )

    def plain(self, images: Tensor) -> list[Tensor]:
        """Return the features of images (N, 3, H, W) in [-1, 1], neither divided nor mixed."""
        found: list[Tensor] = self.network(images)
        return found

    def mix(self, features: Sequence[Tensor], deviations: Sequence[Tensor]) -> list[Tensor]:
        """Divide features by their deviations and mix them."""
        mixed = [
            F.conv2d(maps / deviation.view(1, -1, 1, 1), weight)
            for maps, deviation, weight in zip(features, deviations, self.across, strict=True)
        ]
        for level in range(len(mixed) - 2, -1, -1):
            above = F.interpolate(mixed[level + 1], size=mixed[level].shape[-2:], mode="bilinear", align_corners=False)
            mixed[level] = (mixed[level] + F.conv2d(above, self.down[level], padding=1)) * 0.7071
        return mixed


class Head(nn.Module):
    """Judges mixed features given the map: one logit for each place."""

    def __init__(self, channels: int, source_channels: int, stride: int, width: int) -> None:
        super().__init__()
        self.stride = stride
        unshuffled = min(stride, 4)
        self.features = SpectralConv2d(channels, width, 1)
        self.map = SpectralConv2d(source_channels * unshuffled**2, width, 1, bias=False)
        self.unshuffled = unshuffled
        self.stages = nn.Sequential(
            nn.LeakyReLU(0.2),
            SpectralConv2d(width, width, 3),
            nn.LeakyReLU(0.2),
            SpectralConv2d(width, width, 4, 2) if stride < 16 else SpectralConv2d(width, width, 3),
            nn.LeakyReLU(0.2),
            SpectralConv2d(width, 1, 3),
        )

    def forward(self, features: Tensor, source: Tensor) -> Tensor:
        """Return logits (N, 1, h, w) of features (N, C, H / stride, W / stride), given maps (N, classes, H, W)."""
        shares = F.avg_pool2d(source, self.stride // self.unshuffled) if self.stride > self.unshuffled else source
        logits: Tensor = self.stages(self.features(features) + self.map(F.pixel_unshuffle(shares, self.unshuffled)))
        return logits


class Heads(nn.Module):
    """A head for each block's features."""

    def __init__(self, source_channels: int, width: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            Head(channels, source_channels, stride, round(width * share))
            for channels, stride, share in zip(MIXED, STRIDES, SHARES, strict=True)
        )

    def forward(self, features: Sequence[Tensor], source: Tensor) -> list[Tensor]:
        """Return the logits of each head."""
        return [head(maps, source) for head, maps in zip(self.heads, features, strict=True)]


class PixelDiscriminator(nn.Module):
    """Judges small patches of pixels given the map: what features of photographs overlook."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.stages = nn.Sequential(
            nn.Conv2d(in_channels, width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 3 * width, 3, 1, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(3 * width, 1, 3, 1, 1),
        )

    def forward(self, source: Tensor, image: Tensor) -> Tensor:
        """Return logits (N, 1, H / 4, W / 4)."""
        logits: Tensor = self.stages(torch.cat([source, image], dim=1))
        return logits
