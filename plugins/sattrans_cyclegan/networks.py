"""The networks of CycleGAN: a generator of residual blocks, a PatchGAN without the map, and the pool of images."""

import torch
from torch import Tensor, nn

from sattrans_pix2pix.networks import PatchDiscriminator, Upsampling

BLOCKS = 9
"""Residual blocks of a generator; the paper has 6 for tiles of 128 px."""


class ResNetGenerator(nn.Module):
    """Two halvings, residual blocks, two doublings; instance norm after each convolution but the last.

    (N, in_channels, H, W) to (N, out_channels, H, W); H and W are multiples of 4. Named as in the paper's section 7.2:
    c7s1-64, d128, d256, R256 nine times, u128, u64, c7s1-3. Every convolution has a bias: 11,378,179 parameters for 3
    channels in and out at width 64, for both kinds of upsampling. Borders are reflected.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        width: Channels of the first layer.
        blocks: Number of residual blocks.
        upsampling: "transposed", the paper's, or "resize": nearest, then 3×3.
        output: The last activation, by default tanh: [-1, 1].
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int = 64,
        blocks: int = BLOCKS,
        upsampling: Upsampling = "transposed",
        output: nn.Module | None = None,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [*_normalised(_convolution(in_channels, width, 7), width)]
        for channels in (width, 2 * width):
            layers += _normalised(nn.Conv2d(channels, 2 * channels, 3, 2, 1), 2 * channels)
        layers += [Residual(4 * width) for _ in range(blocks)]
        for channels in (4 * width, 2 * width):
            if upsampling == "transposed":
                double: nn.Module = nn.ConvTranspose2d(channels, channels // 2, 3, 2, 1, output_padding=1)
            else:
                double = nn.Sequential(nn.Upsample(scale_factor=2), _convolution(channels, channels // 2, 3))
            layers += _normalised(double, channels // 2)
        self.layers = nn.Sequential(*layers, _convolution(width, out_channels, 7), output or nn.Tanh())

    def forward(self, source: Tensor) -> Tensor:
        """Translate."""
        image: Tensor = self.layers(source)
        return image


class Residual(nn.Module):
    """x + convolve(x): two 3×3 convolutions with instance norm, ReLU between."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            *_normalised(_convolution(channels, channels, 3), channels),
            _convolution(channels, channels, 3),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Add the residual."""
        added: Tensor = features + self.residual(features)
        return added


def _convolution(entering: int, leaving: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(entering, leaving, kernel, padding=kernel // 2, padding_mode="reflect")


def _normalised(convolution: nn.Module, channels: int) -> list[nn.Module]:
    return [convolution, nn.InstanceNorm2d(channels), nn.ReLU()]


class UnconditionalPatchDiscriminator(PatchDiscriminator):
    """pix2pix's 70 px PatchGAN of an image alone, or a map alone, with instance norm (section 7.2).

    Every convolution has a bias: 2,764,737 parameters at width 64 for 3 channels.
    """

    def stage(self, entering: int, leaving: int, stride: int, norm: bool) -> nn.Module:
        """Return one stage: a convolution, instance norm, LeakyReLU."""
        return nn.Sequential(nn.Conv2d(entering, leaving, 4, stride, 1), nn.InstanceNorm2d(leaving), nn.LeakyReLU(0.2))


class ImagePool(nn.Module):
    """Generated images of earlier steps, some of which the discriminator is shown again.

    Until the pool is full, it takes and returns each image. Then it returns either the image, or with probability one
    half a random image of the pool, whose place the new one takes (section 4, after Shrivastava et al.,
    https://arxiv.org/abs/1612.07828). Its images are a buffer, as float16, so that a run resumes exactly. Random
    numbers are torch's.

    Args:
        capacity: Number of images; 0 to return each image as it is.
        channels: Channels of an image.
        size: Side in pixels.
    """

    images: Tensor
    count: Tensor

    def __init__(self, capacity: int, channels: int, size: int) -> None:
        super().__init__()
        self.register_buffer("images", torch.zeros(capacity, channels, size, size, dtype=torch.float16))
        self.register_buffer("count", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Return as many images (N, C, H, W), each new or of the pool, without gradients."""
        return torch.stack([self._exchange(image) for image in images.detach()])

    def _exchange(self, image: Tensor) -> Tensor:
        count, capacity = int(self.count), len(self.images)
        if count < capacity:
            self.images[count] = image
            self.count += 1
        elif capacity and torch.rand(()) < 0.5:
            place = int(torch.randint(capacity, ()))
            earlier = self.images[place].to(image.dtype, copy=True)
            self.images[place] = image
            return earlier
        return image
