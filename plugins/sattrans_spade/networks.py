"""The generator of SPADE: residual blocks whose norms are scaled and shifted by the map, and a style encoder."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sattrans.networks import SpectralConv2d

Norm = Literal["batch", "instance"]

WIDTHS = (16, 16, 16, 8, 4, 2, 1)
"""Channels that each residual block makes, as multiples of the width: 1024 to 64 at width 64."""

DOUBLED = (1, 3, 4, 5, 6)
"""Blocks before which the features are enlarged by two."""

COARSEST = 32
"""Pixels of the image for one of the first block's features."""

STYLE = 256
"""Length of a style."""


class SPADE(nn.Module):
    """norm(x)·(1 + γ) + β, where γ and β are computed from the map by two 3×3 convolutions (equation 1).

    The map is resized to the features by nearest neighbour. The norm has no scale and shift of its own.

    Args:
        channels: Channels of the features.
        source_channels: Channels of the map.
        hidden: Channels between both convolutions, 128 in the paper.
        norm: The norm: statistics of the batch, or of each image.
    """

    def __init__(self, channels: int, source_channels: int, hidden: int, norm: Norm) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False) if norm == "batch" else nn.InstanceNorm2d(channels)
        self.shared = nn.Conv2d(source_channels, hidden, 3, padding=1)
        self.modulation = nn.Conv2d(hidden, 2 * channels, 3, padding=1)  # γ and β, as one: quicker than two

    def forward(self, features: Tensor, source: Tensor) -> Tensor:
        """Normalise features (N, C, h, w) by a map (N, source_channels, H, W)."""
        labels = F.interpolate(source, size=features.shape[-2:], mode="nearest")
        gamma, beta = self.modulation(F.relu(self.shared(labels))).chunk(2, dim=1)
        scaled: Tensor = self.norm(features) * (1 + gamma) + beta
        return scaled


class Residual(nn.Module):
    """Twice SPADE, ReLU and a 3×3 convolution; where the number of channels changes, SPADE and 1×1 on the shortcut.

    The convolutions have spectral norm. (Figure 4; that the shortcut is 1×1 without bias follows from the number of
    parameters.)
    """

    def __init__(self, entering: int, leaving: int, source_channels: int, hidden: int, norm: Norm) -> None:
        super().__init__()
        middle = min(entering, leaving)
        self.spades = nn.ModuleList(SPADE(channels, source_channels, hidden, norm) for channels in (entering, middle))
        self.convolutions = nn.ModuleList([SpectralConv2d(entering, middle, 3), SpectralConv2d(middle, leaving, 3)])
        self.shortcut: nn.ModuleList | None = None
        if entering != leaving:
            spade = SPADE(entering, source_channels, hidden, norm)
            self.shortcut = nn.ModuleList([spade, SpectralConv2d(entering, leaving, 1, bias=False)])

    def forward(self, features: Tensor, source: Tensor) -> Tensor:
        """Add the residual to features (N, C, h, w)."""
        residual = features
        for spade, convolution in zip(self.spades, self.convolutions, strict=True):
            residual = convolution(F.relu(spade(residual, source)))
        if self.shortcut is not None:
            spade, convolution = self.shortcut
            features = convolution(spade(features, source))
        return features + residual


class Generator(nn.Module):
    """Seven residual blocks, from a 32nd of the size to the whole: 97,450,947 parameters at width 64 for 183 classes.

    (N, source_channels, S, S) to (N, out_channels, S, S) in [-1, 1]; S is a multiple of 32. With `styles` the first
    features are a linear function of a style (N, 256), and S is fixed; without, they are a convolution of the map.

    Args:
        size: Side of a tile in pixels.
        source_channels: Channels of the map.
        out_channels: Channels of the image.
        width: Channels of the last block; the modulation has twice as many between its convolutions.
        styles: Whether images depend on a style.
        norm: The norm in each SPADE.
    """

    def __init__(
        self,
        size: int,
        source_channels: int,
        out_channels: int,
        width: int = 64,
        styles: bool = False,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        self.cells = size // COARSEST
        self.channels = [width * factor for factor in WIDTHS]
        first = self.channels[0]
        self.start: nn.Module
        if styles:
            self.start = nn.Linear(STYLE, first * self.cells**2)
        else:
            self.start = nn.Conv2d(source_channels, first, 3, padding=1)
        self.blocks = nn.ModuleList(
            Residual(entering, leaving, source_channels, 2 * width, norm)
            for entering, leaving in pairwise([first, *self.channels])
        )
        self.end = nn.Conv2d(self.channels[-1], out_channels, 3, padding=1)

    def forward(self, source: Tensor, style: Tensor | None = None) -> Tensor:
        """Paint maps (N, source_channels, S, S) in styles (N, 256)."""
        if isinstance(self.start, nn.Linear):
            assert style is not None
            features = self.start(style).view(len(source), self.channels[0], self.cells, self.cells)
            features = features.contiguous(memory_format=torch.channels_last)
        else:
            features = self.start(F.interpolate(source, scale_factor=1 / COARSEST, mode="nearest"))
        for number, block in enumerate(self.blocks):
            if number in DOUBLED:
                features = F.interpolate(features, scale_factor=2, mode="nearest")
            features = block(features, source)
        return torch.tanh(self.end(F.relu(features)))


class StyleEncoder(nn.Module):
    """An image (N, channels, H, W) in [-1, 1] to the mean and the logarithmic variance of its style, both (N, 256).

    Six 3×3 convolutions with stride 2 and instance norm on the image at 256 px, or at its own size from 128 px on, then
    two linear layers (figure 14).
    """

    def __init__(self, size: int, channels: int, width: int) -> None:
        super().__init__()
        self.side = max(128, min(256, size))
        widths = [channels, *(width * factor for factor in (1, 2, 4, 8, 8, 8))]
        layers: list[nn.Module] = []
        for entering, leaving in pairwise(widths):
            layers += [SpectralConv2d(entering, leaving, 3, 2), nn.InstanceNorm2d(leaving), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers)
        self.end = nn.Linear(widths[-1] * (self.side // 64) ** 2, 2 * STYLE)  # the mean and the variance, as one

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Encode."""
        if images.shape[-2:] != (self.side, self.side):
            images = F.interpolate(images, size=(self.side, self.side), mode="bilinear", align_corners=False)
        mean, log_variance = self.end(self.layers(images).flatten(1)).float().chunk(2, dim=1)
        return mean, log_variance


class Painter(nn.Module):
    """What `translate` runs: the generator, the style encoder, and the styles of the training scenes.

    Args:
        size: Side of a tile in pixels.
        source_channels: Channels of the map.
        channels: Channels of the image.
        width: Channels of the last block of the generator and of the first layer of the encoder.
        scenes: Number of scenes.
        encoder: Whether images depend on a style.
        norm: The norm in each SPADE.
    """

    means: Tensor
    squares: Tensor
    seen: Tensor

    def __init__(
        self, size: int, source_channels: int, channels: int, width: int, scenes: int, encoder: bool, norm: Norm
    ) -> None:
        super().__init__()
        self.paint = Generator(size, source_channels, channels, width, encoder, norm)
        self.encoder = StyleEncoder(size, channels, width) if encoder else None
        self.register_buffer("means", torch.zeros(scenes, STYLE))
        self.register_buffer("squares", torch.ones(scenes, STYLE))
        self.register_buffer("seen", torch.zeros(scenes))

    def forward(self, source: Tensor, style: Tensor | None = None) -> Tensor:
        """Paint maps in styles (N, 256); in random ones if none are given, as when statistics are estimated."""
        if self.encoder is not None and style is None:
            style = torch.randn(len(source), STYLE, device=source.device)
        image: Tensor = self.paint(source, style)
        return image

    @torch.no_grad()
    def keep(self, styles: Tensor, scenes: Sequence[int]) -> None:
        """Add styles (N, 256) to the mean and mean square of their scenes, over about the last hundred of each."""
        for style, scene in zip(styles.detach().float(), scenes, strict=True):
            weight = 1 / min(100.0, float(self.seen[scene]) + 1)
            self.means[scene].lerp_(style, weight)
            self.squares[scene].lerp_(style.square(), weight)
            self.seen[scene] += 1

    def style_of(self, scene: int | None, normal: Tensor) -> Tensor:
        """Return a style (256,) like those of a scene's images, from normal noise (256,); the noise if it has none."""
        if scene is None or not self.seen[scene]:
            return normal
        variance = self.squares[scene] - self.means[scene].square()
        return self.means[scene] + variance.clamp_min(0).sqrt() * normal
