"""Residual blocks with squeeze-and-excitation, and pix2pix's two networks with them."""

from torch import Tensor, nn

from sattrans.networks import Conv2d
from sattrans_pix2pix.networks import PatchDiscriminator, UNet, Upsampling


class SqueezeExcitation(nn.Module):
    """Scales channels by factors computed from the whole tile: global average, C/16, ReLU, C, sigmoid.

    (N, C, H, W) to the same shape. Without biases, 2·C·C/16 parameters: 8,192 for C = 256; C/16 is at least 1.
    (Hu, Shen, Sun: Squeeze-and-Excitation Networks, CVPR 2018, https://arxiv.org/abs/1709.01507)
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        squeezed = max(1, channels // reduction)
        self.excite = nn.Sequential(
            nn.Linear(channels, squeezed, bias=False),
            nn.ReLU(),
            nn.Linear(squeezed, channels, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Scale."""
        scale = self.excite(features.mean(dim=(2, 3)))  # (N, C)
        scaled: Tensor = features * scale[:, :, None, None]
        return scaled


class ResidualSE(nn.Module):
    """x + SE(convolve(x)): two 3×3 convolutions with batch norm, ReLU between, SE before the sum.

    Without `norm` (the Wasserstein critic) the convolutions carry biases instead.
    """

    def __init__(self, channels: int, norm: bool = True) -> None:
        super().__init__()

        def convolve() -> list[nn.Module]:
            convolution = Conv2d(channels, channels, 3, 1, 1, bias=not norm)
            return [convolution, nn.BatchNorm2d(channels)] if norm else [convolution]

        self.residual = nn.Sequential(*convolve(), nn.ReLU(), *convolve(), SqueezeExcitation(channels))

    def forward(self, features: Tensor) -> Tensor:
        """Add the residual."""
        added: Tensor = features + self.residual(features)
        return added


class ResSEUNet(UNet):
    """pix2pix's U-Net with a residual SE block after each stage, except the innermost and the last.

    At the innermost stage a tile is a single pixel, which batch norm cannot normalise; the last stage outputs colours.
    """

    def down(self, entering: int, leaving: int, first: bool, innermost: bool) -> nn.Module:
        """Return an encoder stage with its residual block."""
        stage = super().down(entering, leaving, first, innermost)
        return stage if innermost else nn.Sequential(stage, ResidualSE(leaving))

    def up(self, entering: int, leaving: int, outermost: bool, dropout: bool, upsampling: Upsampling) -> nn.Module:
        """Return a decoder stage with its residual block."""
        stage = super().up(entering, leaving, outermost, dropout, upsampling)
        return stage if outermost else nn.Sequential(stage, ResidualSE(leaving))


class ResSEPatchDiscriminator(PatchDiscriminator):
    """pix2pix's PatchGAN with a residual SE block after each inner stage."""

    def stage(self, entering: int, leaving: int, stride: int, norm: bool) -> nn.Module:
        """Return one stage with its residual block."""
        return nn.Sequential(super().stage(entering, leaving, stride, norm), ResidualSE(leaving, norm))
