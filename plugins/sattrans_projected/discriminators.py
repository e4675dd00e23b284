"""Discriminators: heads on pretrained features, a small one on pixels, and both together as models use them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from sattrans.networks import EfficientNetLite, SpectralConv2d, load_efficientnet_lite

BLOCKS = (0, 2, 4, 10, 15)
"""Blocks of EfficientNet-Lite0 whose features are judged."""

STRIDES = (2, 4, 8, 16, 32)
"""Pixels of the image for one of each block's features."""

MIXED = (32, 48, 64, 96, 128)
"""Channels after random mixing, of each block."""

SHARES = (0.5, 0.75, 1.0, 1.0, 1.0)
"""Channels of the head of each block, as a multiple of the width: fine features are many and cost most."""

CALIBRATION_STEPS = 100
"""Steps in which the deviation of each pretrained feature over real images is estimated; then it is fixed."""

FEATURE_LEVELS = (1, 2, 3)
"""Levels of the features, of strides 4 to 16, whose differences a generator minimises."""


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


@dataclass(frozen=True)
class Judged:
    """What the discriminator sees in a step.

    Attributes:
        maps: Maps, (N, C, H, W).
        real: Real images, (N, 3, H, W) in [-1, 1].
        fake: Generated images, likewise.
        heads: The heads of this step.
        head_maps: The maps as the heads see them: whole, or a part.
        real_features: Mixed features of the real images, for each head.
        fake_features: Those of the generated images, with gradients.
    """

    maps: Tensor
    real: Tensor
    fake: Tensor
    heads: nn.Module
    head_maps: Tensor
    real_features: list[Tensor]
    fake_features: list[Tensor]


class ProjectedDiscriminator(nn.Module):
    """Heads on pretrained features, whose losses are averaged, and a discriminator of pixels (hinge losses).

    Even steps show whole images to the heads, odd ones a random quarter enlarged to the same size; each has its own
    heads. `begin` loads the pretrained network before the first step; `end_step` is called after each. All state is in
    buffers; the pretrained weights are in none.

    Args:
        source_channels: Channels of a map.
        target_channels: Channels of an image.
        head_width: Channels of the heads.
    """

    moments: Tensor
    step: Tensor

    def __init__(self, source_channels: int, target_channels: int, head_width: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(Heads(source_channels, head_width) for _ in range(2))
        self.pixels = PixelDiscriminator(source_channels + target_channels, 24)
        # Not a submodule: fixed weights belong in no checkpoint, and a run generates without them.
        self._features: list[MixedFeatures] = []
        self.register_buffer("moments", torch.zeros(4096))
        self.register_buffer("step", torch.zeros((), dtype=torch.long))

    def begin(self) -> None:
        """Load the pretrained features. Raises `UsageError` if their package is missing."""
        self._features = [MixedFeatures().to(self.moments.device)]

    def optimizers(self, generator: nn.Module, lr: float, discriminator_lr: float) -> dict[str, Optimizer]:
        """Return Adam for both sides, and load the pretrained features."""
        self.begin()
        sides = {"discriminator": (self, discriminator_lr), "generator": (generator, lr)}
        return {
            name: Adam(network.parameters(), lr=rate, betas=(0.5, 0.99), fused=True)
            for name, (network, rate) in sides.items()
        }

    def end_step(self) -> None:
        """Count a step."""
        self.step += 1

    def judge(self, maps: Tensor, real: Tensor, fake: Tensor) -> Judged:
        """Return what is seen in this step of maps, real images and generated ones."""
        part, seen = int(self.step) % 2, (maps, real, fake)
        if part:
            side = maps.shape[-1] // 2
            row, col = (int(torch.randint(0, side // 4 + 1, ())) * 4 for _ in range(2))
            maps, real, fake = (pixels[..., row : row + side, col : col + side] for pixels in seen)
            maps = F.interpolate(maps, scale_factor=2, mode="nearest")
            real, fake = (
                F.interpolate(images, scale_factor=2, mode="bilinear", align_corners=False) for images in (real, fake)
            )
        network = self._features[0]
        with torch.no_grad():
            plain = network.plain(real)
            self._calibrate(plain)
            deviations = self._deviations([features.shape[1] for features in plain])
            real_features = network.mix(plain, deviations)
        fake_features = network.mix(network.plain(fake), deviations)
        return Judged(*seen, self.heads[part], maps, real_features, fake_features)

    def losses(self, judged: Judged, pixel_weight: float = 1.0) -> dict[str, Tensor]:
        """Return the discriminator's losses: `d_real`, `d_fake`, and those of pixels if they have weight."""
        detached = [features.detach() for features in judged.fake_features]
        logits_real = judged.heads(judged.real_features, judged.head_maps)
        logits_fake = judged.heads(detached, judged.head_maps)
        losses = {
            "d_real": _mean([F.relu(1 - logits).mean() for logits in logits_real]),
            "d_fake": _mean([F.relu(1 + logits).mean() for logits in logits_fake]),
        }
        if pixel_weight:
            losses["p_real"] = F.relu(1 - self.pixels(judged.maps, judged.real)).mean()
            losses["p_fake"] = F.relu(1 + self.pixels(judged.maps, judged.fake.detach())).mean()
        return losses

    def adversarial(self, judged: Judged, pixel_weight: float = 1.0) -> dict[str, Tensor]:
        """Return the generator's losses: `g_heads`, and `g_pixels` with its weight if it has any."""
        losses = {"g_heads": -sum(logits.mean() for logits in judged.heads(judged.fake_features, judged.head_maps))}
        if pixel_weight:
            losses["g_pixels"] = -pixel_weight * self.pixels(judged.maps, judged.fake).mean()
        return losses

    @staticmethod
    def feature_difference(judged: Judged, count: int | None = None) -> Tensor:
        """Return the mean difference of features of the first `count` images, of all by default; 0 of none."""
        return _mean(
            [difference(judged.fake_features[n][:count], judged.real_features[n][:count]) for n in FEATURE_LEVELS]
        )

    def _calibrate(self, features: Sequence[Tensor]) -> None:
        """Add real features to the estimate of each channel's variance, in the first steps."""
        number = int(self.step)
        if number < CALIBRATION_STEPS:
            variance = torch.cat([maps.float().var((0, 2, 3)) for maps in features])
            self.moments[: len(variance)] += (variance - self.moments[: len(variance)]) / (number + 1)

    def _deviations(self, channels: Sequence[int]) -> list[Tensor]:
        known = self.moments[: sum(channels)].sqrt() + 1e-2
        return list(torch.split(known, list(channels)))


def difference(one: Tensor, other: Tensor) -> Tensor:
    """Return the mean absolute difference, 0 if there is nothing to compare."""
    return (one - other).abs().sum() / max(1, one.numel())


def _mean(values: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(values)).mean()
