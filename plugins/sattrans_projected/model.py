"""The projected GAN: a class-modulated generator, trained against heads on pretrained features."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from sattrans.model import Batch, Model, ModelOptions, Noise, TileSpec, TrainDefaults, Update
from sattrans.networks import Augmentation, discriminator_views
from sattrans_projected import noise as random_fields
from sattrans_projected.discriminators import Heads, MixedFeatures, PixelDiscriminator
from sattrans_projected.networks import STRIDES, WHITE_FROM, Generator

STYLE = 8
"""Length of a scene's style code."""

CALIBRATION_STEPS = 100
"""Steps in which the deviation of each pretrained feature over real images is estimated; then it is fixed."""

FEATURE_LEVELS = (3, 4)
"""Levels of the features, of strides 16 and 32, whose differences the generator minimises."""

OPENINGS = (12, 28)
"""Sides in pixels of squares: what of a class such a square fits into. A class often means two things, such as lakes
and the land between houses, and their shape tells which."""

SQUARE = 32
"""Side in pixels of the squares whose mean colours the generator should meet: within one they may vary."""


class Painter(nn.Module):
    """What `translate` runs: the generator, with the style codes of the scenes it was trained on."""

    def __init__(self, spec: TileSpec, width: int, has_classes: bool) -> None:
        super().__init__()
        scenes = max(1, len(spec.scenes))
        self.has_classes = has_classes
        of_map = spec.source_channels * (1 + len(OPENINGS) if self.has_classes else 1)
        conditions = of_map + random_fields.CHANNELS + STYLE
        self.paint = Generator(spec.source_channels, conditions, spec.target_channels, width)
        self.styles = nn.Parameter(torch.randn(scenes, STYLE))
        self.spec = spec

    def forward(self, source: Tensor, noise: Noise, styles: Tensor) -> Tensor:
        """Paint maps (N, C, H, W), given the indices of their styles (N,)."""
        conditions = [F.avg_pool2d(source, 2), random_fields.fields(noise)]
        if self.has_classes:
            shares = F.avg_pool2d(source, 4)
            opened = torch.cat([_opened(shares, side // 4) for side in OPENINGS], dim=1)
            conditions.append(F.interpolate(opened, scale_factor=2, mode="nearest"))
        codes = self.styles[styles][:, :, None, None]
        conditions.append(codes.expand(-1, -1, *conditions[0].shape[-2:]))
        white = [noise.field(1, stride) for stride in (*STRIDES, 1) if stride <= WHITE_FROM]
        image: Tensor = self.paint(source, torch.cat(conditions, dim=1), white)
        return image

    def nearest_styles(self, source: Tensor) -> Tensor:
        """Return the index of the scene whose class shares are nearest to those of each map, (N,)."""
        if not self.has_classes:  # colours: nothing is known of the scenes' maps
            return torch.zeros(len(source), dtype=torch.long, device=source.device)
        nearest = [self.spec.nearest_scene(shares) for shares in source.mean((2, 3)).tolist()]
        return torch.tensor(nearest, device=source.device)


class ProjectedGAN(Model):
    """Paints each class from coarse to fine, and is judged on pretrained features.

    The discriminator minimises the mean of its heads' hinge losses. The generator minimises the sum of -E[D(fake)] over
    the heads, with the difference of pooled colours and of features. Real and generated images are augmented alike
    before they are judged.
    """

    name = "projected"
    title = "projected GAN: class-modulated generator, discriminator on pretrained features"
    paper = (
        "Sauer, Chitta, Müller, Geiger: Projected GANs Converge Faster, NeurIPS 2021, "
        "https://arxiv.org/abs/2111.01007; modulation: Park et al., CVPR 2019, https://arxiv.org/abs/1903.07291"
    )
    fallback = True
    defaults = TrainDefaults(steps=1200, batch_size=4, schedule="late", ema=0.997, useful_after=250)
    stride = 32
    margin = 152
    crop = 128
    random = styled = True

    class Options(ModelOptions):
        """The options of the projected GAN."""

        lr: float = Field(8e-4, gt=0, description="learning rate of the generator (Adam, betas 0.5 and 0.99)")
        discriminator_lr: float = Field(6e-4, gt=0, description="learning rate of the discriminators")
        head_width: int = Field(64, ge=8, description="channels of the discriminator's heads")
        pixel_weight: float = Field(1.0, ge=0, description="weight of the discriminator on pixels")
        color_weight: float = Field(10.0, ge=0, description="weight of the difference of pooled colours")
        feature_weight: float = Field(0.3, ge=0, description="weight of the difference of features")
        augment: Augmentation = Field(
            "auto", description="vary what the discriminators see; auto: for fewer than 2,000 training tiles"
        )

    options: Options
    generator: Painter
    moments: Tensor
    step: Tensor

    def __init__(self, spec: TileSpec, options: Options) -> None:
        super().__init__(spec, options)
        self.options = options
        self.generator = Painter(spec, options.width, has_classes=options.source == "onehot")
        self.heads = nn.ModuleList(Heads(spec.source_channels, options.head_width) for _ in range(2))
        self.pixels = PixelDiscriminator(spec.source_channels + spec.target_channels, 24)
        # Not a submodule: fixed weights belong in no checkpoint, and a run generates without them.
        self._features: list[MixedFeatures] = []
        self.register_buffer("moments", torch.zeros(4096))
        self.register_buffer("step", torch.zeros((), dtype=torch.long))

    def optimizers(self) -> dict[str, Optimizer]:
        """Return Adam for both sides, and load the pretrained features."""
        device = self.moments.device
        self._features = [MixedFeatures().to(device)]
        judges = [*self.heads.parameters(), *self.pixels.parameters()]
        return {
            "discriminator": Adam(judges, lr=self.options.discriminator_lr, betas=(0.5, 0.99), fused=True),
            "generator": Adam(self.generator.parameters(), lr=self.options.lr, betas=(0.5, 0.99), fused=True),
        }

    def training_step(self, batch: Batch) -> Iterator[Update]:
        """Update the discriminators, then the generator, on one augmented view of real and generated images."""
        source, target = batch.source, batch.target
        styles = torch.zeros(len(batch), dtype=torch.long) if batch.scene is None else batch.scene
        fake = self.generator(source, _training_noise(source), styles)
        maps, real_view, fake_view = discriminator_views(source, target, fake, self.options.augment, self.spec.tiles)
        heads, judged_maps, real_features, fake_features = self._judge(maps, real_view, fake_view)
        detached = [features.detach() for features in fake_features]
        logits_real, logits_fake = heads(real_features, judged_maps), heads(detached, judged_maps)
        d_losses = {
            "d_real": _mean([F.relu(1 - logits).mean() for logits in logits_real]),
            "d_fake": _mean([F.relu(1 + logits).mean() for logits in logits_fake]),
        }
        weight = self.options.pixel_weight
        if weight:
            d_losses["p_real"] = F.relu(1 - self.pixels(maps, real_view)).mean()
            d_losses["p_fake"] = F.relu(1 + self.pixels(maps, fake_view.detach())).mean()
        yield Update("discriminator", d_losses)
        losses = {"g_heads": -sum(logits.mean() for logits in heads(fake_features, judged_maps))}
        if weight:
            losses["g_pixels"] = -weight * self.pixels(maps, fake_view).mean()
        losses["g_color"] = self.options.color_weight * _color_difference(fake, target)
        losses["g_features"] = self.options.feature_weight * _mean(
            [F.l1_loss(fake_features[level], real_features[level]) for level in FEATURE_LEVELS]
        )
        yield Update("generator", losses)
        self.step += 1

    def _judge(self, maps: Tensor, real: Tensor, fake: Tensor) -> tuple[nn.Module, Tensor, list[Tensor], list[Tensor]]:
        """Return the heads that judge this step, and what they see: maps, features of real and of generated images.

        Even steps show whole images, odd ones a random quarter enlarged to the same size; each has its own heads.
        """
        part = int(self.step) % 2
        if part:
            side = maps.shape[-1] // 2
            row, col = (int(torch.randint(0, side // 4 + 1, ())) * 4 for _ in range(2))
            maps, real, fake = (pixels[..., row : row + side, col : col + side] for pixels in (maps, real, fake))
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
        return self.heads[part], maps, real_features, network.mix(network.plain(fake), deviations)

    def _calibrate(self, features: Sequence[Tensor]) -> None:
        """Add real features to the estimate of each channel's variance, in the first steps."""
        number = int(self.step)
        if number < CALIBRATION_STEPS:
            variance = torch.cat([maps.float().var((0, 2, 3)) for maps in features])
            self.moments[: len(variance)] += (variance - self.moments[: len(variance)]) / (number + 1)

    def _deviations(self, channels: Sequence[int]) -> list[Tensor]:
        known = self.moments[: sum(channels)].sqrt() + 1e-2
        return list(torch.split(known, list(channels)))

    def translate(self, source: Tensor, noise: Noise) -> Tensor:
        """Paint maps (N, C, H, W), in the style of `noise.style`, or of the scene with the likest map."""
        if noise.style is None:
            styles = self.generator.nearest_styles(source)
        else:
            styles = torch.full((len(source),), noise.style, device=source.device)
        image: Tensor = self.generator(source, noise, styles)
        return image

    def validation_losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Return `l1`, and `color`: the mean difference of colours over squares of 32 px."""
        noise = Noise(0, [(0, 0)] * len(batch), self.spec.size, batch.source.device)
        fake = self.translate(batch.source, noise)
        return {"l1": F.l1_loss(fake, batch.target), "color": _color_difference(fake, batch.target)}


def _opened(shares: Tensor, side: int) -> Tensor:
    """Return the morphological opening of class shares (N, C, H, W) by a square of `side` cells."""
    side |= 1
    for sign in (-1, 1):
        for shape, padding in (((side, 1), (side // 2, 0)), ((1, side), (0, side // 2))):
            shares = sign * F.max_pool2d(sign * shares, shape, 1, padding)
    return shares


def _color_difference(fake: Tensor, target: Tensor) -> Tensor:
    """Return the mean difference of the mean colours of squares."""
    return F.l1_loss(F.avg_pool2d(fake, SQUARE), F.avg_pool2d(target, SQUARE))


def _training_noise(source: Tensor) -> Noise:
    """Return random fields at random places of a random map."""
    seed, *places = torch.randint(0, 2**24, (1 + 2 * len(source),)).tolist()
    origins = [(row % 2**16 * 32, col % 2**16 * 32) for row, col in zip(places[::2], places[1::2], strict=True)]
    return Noise(seed, origins, source.shape[-1], source.device)


def _mean(values: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(values)).mean()
