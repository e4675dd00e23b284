"""SPADE, known as GauGAN: maps scale and shift the norms of a generator, and a style chooses season and light."""

from collections.abc import Iterator
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from sattrans.model import Batch, Model, ModelOptions, Noise, TileSpec, TrainDefaults, Update
from sattrans.networks import Augmentation, EfficientNetLite, discriminator_views, load_efficientnet_lite
from sattrans_projected.discriminators import ProjectedDiscriminator
from sattrans_spade.discriminators import MultiscaleDiscriminator, adversarial, feature_matching, hinge
from sattrans_spade.networks import STYLE, Norm, Painter

FEATURE_WEIGHTS = {"paper": 10.0, "projected": 1.0}
"""Weight of feature matching, by discriminator: the paper's, and that of `projected`."""

HEAD_WIDTH = 64
"""Channels of the heads on pretrained features."""

PERCEIVED = (2, 4, 10)
"""Blocks of EfficientNet-Lite0, of strides 8, 16 and 32, whose features the perceptual loss compares."""


class GauGAN(Model):
    """SPADE with its style encoder (Park et al. 2019).

    The discriminator minimises hinge losses at two scales; the generator -E[D(fake)], ten times the difference of the
    discriminator's features of real and generated images, and with the encoder 0.05 times the KL divergence of styles
    from a normal distribution. In training the style of an image is encoded from the real image.
    """

    name = "spade"
    title = "SPADE (GauGAN): maps modulate the norms, a style chooses season and light"
    paper = (
        "Park, Liu, Wang, Zhu: Semantic Image Synthesis with Spatially-Adaptive Normalization, CVPR 2019, "
        "https://arxiv.org/abs/1903.07291"
    )
    defaults = TrainDefaults(epochs=200, batch_size=4, schedule="linear")
    random = styled = encodes_styles = True

    class Options(ModelOptions):
        """The options of SPADE."""

        lr: float = Field(1e-4, gt=0, description="learning rate of the generator (Adam, betas 0 and 0.9)")
        discriminator_lr: float = Field(4e-4, gt=0, description="learning rate of the discriminator")
        discriminator: Literal["paper", "projected"] = Field(
            "paper", description="two PatchGANs, or heads on pretrained features as in projected"
        )
        feature_weight: float | None = Field(
            None, ge=0, description="weight of feature matching in the discriminator; 10 with paper, 1 with projected"
        )
        perceptual_weight: float = Field(
            0.0, ge=0, description="weight of the difference of EfficientNet-Lite0's features; 10 of VGG's in the paper"
        )
        encoder: bool = Field(True, description="encode the style of images, such as season and light")
        kl_weight: float = Field(0.05, ge=0, description="weight of the KL divergence of the encoder's styles")
        norm: Norm = Field("batch", description="statistics of the batch, or of each image: for batches of one")
        augment: Augmentation = Field(
            "auto", description="vary what the discriminator sees; auto: for fewer than 2,000 training tiles"
        )

    options: Options
    generator: Painter

    def __init__(self, spec: TileSpec, options: Options) -> None:
        super().__init__(spec, options)
        self.options = options
        maps, images, width = spec.source_channels, spec.target_channels, options.width
        scenes = len(spec.scenes) if options.encoder else 0
        self.generator = Painter(spec.size, maps, images, width, scenes, options.encoder, options.norm)
        self.discriminator = (
            ProjectedDiscriminator(maps, images, HEAD_WIDTH)
            if options.discriminator == "projected"
            else MultiscaleDiscriminator(maps + images, width)
        )
        weight = options.feature_weight
        self.feature_weight = FEATURE_WEIGHTS[options.discriminator] if weight is None else weight
        self.apply(_glorot)
        # Not a submodule: fixed weights belong in no checkpoint, and a run generates without them.
        self._features: list[EfficientNetLite] = []

    @classmethod
    def configured(cls, options: ModelOptions) -> type[Model]:
        """Return `WithoutStyles` if the options have no encoder, else this class."""
        return cls if not isinstance(options, cls.Options) or options.encoder else WithoutStyles

    def optimizers(self) -> dict[str, Optimizer]:
        """Return Adam for both networks, and load the pretrained features if they are compared."""
        if isinstance(self.discriminator, ProjectedDiscriminator):
            self.discriminator.begin()
        if self.options.perceptual_weight:
            device = next(self.parameters()).device
            self._features = [load_efficientnet_lite("lite0", PERCEIVED).to(device)]
        rates = {"discriminator": self.options.discriminator_lr, "generator": self.options.lr}
        return {
            name: Adam(getattr(self, name).parameters(), lr=rate, betas=(0.0, 0.9), fused=True)
            for name, rate in rates.items()
        }

    def training_step(self, batch: Batch) -> Iterator[Update]:
        """Update the discriminator, then the generator against the updated discriminator."""
        source, target = batch.source, batch.target
        style, divergence = self._encoded(target)
        fake = self.generator(source, style)
        maps, real_view, fake_view = discriminator_views(source, target, fake, self.options.augment, self.spec.tiles)
        discriminator = self.discriminator
        if isinstance(discriminator, ProjectedDiscriminator):
            judged = discriminator.judge(maps, real_view, fake_view)
            yield Update("discriminator", discriminator.losses(judged))
            losses = discriminator.adversarial(judged)
            losses["g_features"] = self.feature_weight * discriminator.feature_difference(judged)
        else:
            judging = {
                "d_real": hinge(discriminator(maps, real_view), 1),
                "d_fake": hinge(discriminator(maps, fake_view.detach()), -1),
            }
            yield Update("discriminator", judging)
            made = discriminator(maps, fake_view)
            with torch.no_grad():
                real = discriminator(maps, real_view)
            losses = {"g_gan": adversarial(made), "g_features": self.feature_weight * feature_matching(made, real)}
        if divergence is not None:
            losses["g_kl"] = self.options.kl_weight * divergence
        if self.options.perceptual_weight:
            losses["g_perceptual"] = self.options.perceptual_weight * self._perceived(fake, target)
        yield Update("generator", losses)
        if isinstance(discriminator, ProjectedDiscriminator):
            discriminator.end_step()
        if style is not None and batch.scene is not None and self.spec.scenes:
            self.generator.keep(style, batch.scene.tolist())

    def _encoded(self, images: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Return styles drawn for images, and the KL divergence of their distributions; None without an encoder."""
        if self.generator.encoder is None:
            return None, None
        mean, log_variance = self.generator.encoder(images)
        style = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1).mean()
        return style, divergence

    def _perceived(self, fake: Tensor, target: Tensor) -> Tensor:
        """Return the L1 difference of pretrained features, of each block as a part of the real ones' mean."""
        (network,) = self._features
        with torch.no_grad():
            real = network(target)
        made = network(fake)
        return torch.stack([F.l1_loss(a, b) / b.abs().mean() for a, b in zip(made, real, strict=True)]).mean()

    def translate(self, source: Tensor, noise: Noise) -> Tensor:
        """Paint maps (N, C, S, S) in the style of a reference, of a scene, or of the scene with the likest map."""
        image: Tensor = self.generator(source, self._styles(source, noise) if self.options.encoder else None)
        return image

    def _styles(self, source: Tensor, noise: Noise) -> Tensor:
        """Return a style for each map, (N, 256), drawn as in training: a mean alone would be no style it has seen."""
        normal = noise.vector(STYLE)
        if noise.reference is not None:
            mean, deviation = noise.reference.to(source.device).chunk(2)
            return mean + deviation * normal
        scenes = [self._likest(maps) if noise.style is None else noise.style for maps in source]
        return torch.stack([self.generator.style_of(scene, one) for scene, one in zip(scenes, normal, strict=True)])

    def _likest(self, source: Tensor) -> int | None:
        """Return the scene whose classes are most like those of a map (C, S, S); None if that is unknown."""
        if not self.spec.shares or source.shape[0] != len(self.spec.shares[0]):
            return None
        return self.spec.nearest_scene(source.mean((1, 2)).tolist())

    def encode_style(self, images: Tensor) -> Tensor:
        """Return mean and standard deviation of the styles of an image's parts (N, 3, H, W), a vector (512,)."""
        assert self.generator.encoder is not None
        means, log_variances = self.generator.encoder(images)
        mean = means.mean(dim=0)
        variance = (log_variances.exp() + means.square()).mean(dim=0) - mean.square()
        return torch.cat([mean, variance.clamp_min(0).sqrt()])


class WithoutStyles(GauGAN):
    """SPADE without its encoder: one image of a map."""

    random = styled = encodes_styles = False


def _glorot(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_normal_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
