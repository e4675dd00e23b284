"""The discriminator of SPADE: two PatchGANs, one of them on images of half the size."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sattrans.networks import SpectralConv2d

SCALES = 2


class PatchDiscriminator(nn.Module):
    """4×4 convolutions with padding 2 and spectral norm, all but the first and the last with instance norm (figure 13).

    Channels are 1, 2, 4 and 8 times the width, then a logit for each patch; the first three convolutions have stride 2.
    """

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        entering = in_channels
        for factor in (1, 2, 4, 8):
            leaving = width * factor
            layers: list[nn.Module] = [SpectralConv2d(entering, leaving, 4, 2 if factor < 8 else 1, padding=2)]
            if factor > 1:
                layers.append(nn.InstanceNorm2d(leaving))
            self.stages.append(nn.Sequential(*layers, nn.LeakyReLU(0.2)))
            entering = leaving
        self.stages.append(SpectralConv2d(entering, 1, 4, padding=2))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the features of each stage; the last are the logits (N, 1, h, w)."""
        features = [images]
        for stage in self.stages:
            features.append(stage(features[-1]))
        return features[1:]


class MultiscaleDiscriminator(nn.Module):
    """PatchGANs of maps joined to images: at their size, and pooled to half of it."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList(PatchDiscriminator(in_channels, width) for _ in range(SCALES))

    def forward(self, source: Tensor, images: Tensor) -> list[list[Tensor]]:
        """Return the features of each scale, given maps (N, C, H, W) and images (N, 3, H, W)."""
        joined = torch.cat([source, images], dim=1)
        found = []
        for scale in self.scales:
            found.append(scale(joined))
            joined = F.avg_pool2d(joined, 3, 2, 1, count_include_pad=False)
        return found


def hinge(features: list[list[Tensor]], sign: float) -> Tensor:
    """Return a discriminator's loss, the mean over scales of max(0, 1 - sign·logit): sign 1 for real, -1 for made."""
    return torch.stack([F.relu(1 - sign * scale[-1]).mean() for scale in features]).mean()


def adversarial(features: list[list[Tensor]]) -> Tensor:
    """Return the generator's loss, the mean over scales of -logit."""
    return -torch.stack([scale[-1].mean() for scale in features]).mean()


def feature_matching(made: list[list[Tensor]], real: list[list[Tensor]]) -> Tensor:
    """Return the L1 difference of features, summed over all stages but the last and averaged over scales.

    (Wang et al., pix2pixHD, CVPR 2018, equation 4, https://arxiv.org/abs/1711.11585.)
    """
    differences = [
        F.l1_loss(one, other)
        for one_scale, other_scale in zip(made, real, strict=True)
        for one, other in zip(one_scale[:-1], other_scale[:-1], strict=True)
    ]
    return torch.stack(differences).sum() / len(made)
