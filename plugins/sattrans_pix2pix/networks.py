"""The U-Net generator and the PatchGAN discriminator of pix2pix."""

from typing import Literal

import torch
from torch import Tensor, nn

from sattrans.networks import Conv2d, ConvTranspose2d, join

Upsampling = Literal["transposed", "resize"]

DROPOUT_STAGES = 3
"""Number of innermost decoder stages with dropout, as in the paper (its PyTorch port differs)."""


def stage_widths(size: int, width: int) -> list[int]:
    """Return the number of channels of each encoder stage: eight stages, or fewer for tiles below 256 px.

    Raises `ValueError` if `size` is not a power of two of at least 8.
    """
    if size < 8 or size & (size - 1):
        raise ValueError(f"the tile size of a U-Net must be a power of two of at least 8, got {size}")
    halvings = min(8, size.bit_length() - 1)
    return [width * min(8, 2**stage) for stage in range(halvings)]


class UNet(nn.Module):
    """An encoder of 4×4 convolutions with stride 2, a mirrored decoder, and a skip between equal sizes.

    (N, in_channels, H, W) to (N, out_channels, H, W) in [-1, 1]; H and W are multiples of 2^stages. Batch
    norm everywhere but in the first, the innermost and the last convolution. Biases only in the last, as in
    the PyTorch reference: 54,413,955 parameters for 3 channels in and out at 256 px.

    Activations are in place: the features of a skip connection go through a ReLU, whose result is the same after the
    LeakyReLU.
    """

    def __init__(
        self, size: int, in_channels: int, out_channels: int, width: int = 64, upsampling: Upsampling = "transposed"
    ) -> None:
        super().__init__()
        widths = stage_widths(size, width)
        last = len(widths) - 1
        self.downs = nn.ModuleList()
        self.ups = nn.ModuleList()  # ups[i] turns stage i's size into stage i-1's
        for stage, channels in enumerate(widths):
            entering = in_channels if stage == 0 else widths[stage - 1]
            self.downs.append(self.down(entering, channels, first=stage == 0, innermost=stage == last))
            leaving = out_channels if stage == 0 else widths[stage - 1]
            dropout = stage > 0 and stage > last - DROPOUT_STAGES
            joined = channels if stage == last else 2 * channels
            self.ups.append(self.up(joined, leaving, stage == 0, dropout, upsampling))

    def down(self, entering: int, leaving: int, first: bool, innermost: bool) -> nn.Module:
        """Return an encoder stage: half the size."""
        layers: list[nn.Module] = [] if first else [nn.LeakyReLU(0.2, inplace=True)]
        layers.append(Conv2d(entering, leaving, 4, 2, 1, bias=False))
        if not first and not innermost:
            layers.append(nn.BatchNorm2d(leaving))
        return nn.Sequential(*layers)

    def up(self, entering: int, leaving: int, outermost: bool, dropout: bool, upsampling: Upsampling) -> nn.Module:
        """Return a decoder stage: twice the size."""
        layers: list[nn.Module] = [nn.ReLU(inplace=True)]
        if upsampling == "transposed":
            layers.append(ConvTranspose2d(entering, leaving, 4, 2, 1, bias=outermost))
        else:
            layers += [nn.Upsample(scale_factor=2), Conv2d(entering, leaving, 3, 1, 1, bias=outermost)]
        layers.append(nn.Tanh() if outermost else nn.BatchNorm2d(leaving))
        if dropout:
            layers.append(nn.Dropout(0.5))
        return nn.Sequential(*layers)

    def forward(self, source: Tensor) -> Tensor:
        """Translate."""
        features = [source]
        for down in self.downs:
            features.append(down(features[-1]))  # (N, C, H/2, W/2)
        decoded = self.ups[-1](features[-1])
        for stage in range(len(self.ups) - 2, -1, -1):
            decoded = self.ups[stage](join(decoded, features[stage + 1]))
        image: Tensor = decoded
        return image


class PatchDiscriminator(nn.Module):
    """Classifies patches as real or generated: (N, in_channels, H, W) to one logit per patch, (N, 1, h, w).

    With 1 to 6 stride-2 convolutions (`layers`) the patches are 16, 34, 70, 142, 286 or 574 px; three give the
    paper's 70 px patches, with 2,768,705 parameters for 6 channels.
    """

    def __init__(self, in_channels: int, width: int = 64, layers: int = 3, norm: bool = True) -> None:
        super().__init__()
        channels = width
        stages: list[nn.Module] = [nn.Conv2d(in_channels, channels, 4, 2, 1), nn.LeakyReLU(0.2)]
        for layer in range(1, layers + 1):
            entering, channels = channels, width * min(2**layer, 8)
            stages.append(self.stage(entering, channels, stride=2 if layer < layers else 1, norm=norm))
        stages.append(nn.Conv2d(channels, 1, 4, 1, 1))
        self.stages = nn.Sequential(*stages)

    def stage(self, entering: int, leaving: int, stride: int, norm: bool) -> nn.Module:
        """Return one stage: a convolution, a norm, LeakyReLU."""
        layers: list[nn.Module] = [Conv2d(entering, leaving, 4, stride, 1, bias=not norm)]
        if norm:
            layers.append(nn.BatchNorm2d(leaving))
        return nn.Sequential(*layers, nn.LeakyReLU(0.2))

    def forward(self, *images: Tensor) -> Tensor:
        """Return the logits of what is joined along the channels: sources, and targets (N, 3, H, W)."""
        logits: Tensor = self.stages(torch.cat(images, dim=1))
        return logits
