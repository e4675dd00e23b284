"""pix2pix: a U-Net trained against a PatchGAN and L1."""

from collections.abc import Iterator, Mapping

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from sattrans.model import Batch, Model, ModelOptions, Noise, TileSpec, TrainDefaults, Update
from sattrans.networks import Augmentation, bce_against, discriminator_views, init_normal
from sattrans_pix2pix.networks import PatchDiscriminator, UNet, Upsampling

WON = 0.05
"""Threshold of the sum of the discriminator's losses; it starts at 2·log 2 = 1.39 and stays there in a balanced GAN."""


class Pix2Pix(Model):
    """Conditional GAN with L1 (Isola et al. 2017, equations 1 to 4).

    The discriminator minimises BCE(real, 1) + BCE(fake, 0), then the generator BCE(fake, 1) + 100·L1. Dropout
    is in the decoder's three innermost stages and is disabled when translating.
    """

    name = "pix2pix"
    title = "pix2pix: U-Net, PatchGAN and L1"
    paper = (
        "Isola, Zhu, Zhou, Efros: Image-to-Image Translation with Conditional Adversarial Networks, CVPR 2017, "
        "https://arxiv.org/abs/1611.07004"
    )
    defaults = TrainDefaults(epochs=200, batch_size=1, schedule="linear")

    class Options(ModelOptions):
        """The options of pix2pix."""

        lr: float = Field(2e-4, gt=0, description="learning rate of Adam, betas (0.5, 0.999)")
        l1_weight: float = Field(100.0, ge=0, description="weight of L1 beside the adversarial loss")
        upsampling: Upsampling = Field(
            "resize", description="nearest + 3×3, or the paper's transposed convolutions, which paint a checkerboard"
        )
        augment: Augmentation = Field(
            "auto", description="vary what the discriminator sees; auto: for fewer than 2,000 training tiles"
        )

    options: Options

    def __init__(self, spec: TileSpec, options: Options) -> None:
        super().__init__(spec, options)
        self.options = options
        self.generator = init_normal(self.build_generator())
        self.discriminator = init_normal(self.build_discriminator())

    def build_generator(self) -> nn.Module:
        """Return the generator, with weights not yet initialized."""
        spec, options = self.spec, self.options
        return UNet(spec.size, spec.source_channels, spec.target_channels, options.width, options.upsampling)

    def build_discriminator(self) -> nn.Module:
        """Return the discriminator, with weights not yet initialized."""
        return PatchDiscriminator(self.spec.source_channels + self.spec.target_channels, self.options.width)

    def optimizers(self) -> dict[str, Optimizer]:
        """Return Adam for both networks, fused: on a CPU three to five times as fast."""
        return {
            name: Adam(network.parameters(), lr=self.options.lr, betas=(0.5, 0.999), fused=True)
            for name, network in (("discriminator", self.discriminator), ("generator", self.generator))
        }

    def training_step(self, batch: Batch) -> Iterator[Update]:
        """Update the discriminator, then the generator against the updated discriminator."""
        source, target = batch.source, batch.target
        fake = self.generator(source)
        maps, real_view, fake_view = discriminator_views(source, target, fake, self.options.augment, self.spec.tiles)
        yield Update(
            "discriminator",
            {
                "d_real": bce_against(self.discriminator(maps, real_view), 1.0),
                "d_fake": bce_against(self.discriminator(maps, fake_view.detach()), 0.0),
            },
        )
        yield Update("generator", self.generator_losses(self.discriminator(maps, fake_view), fake, target))

    def generator_losses(self, logits: Tensor, fake: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return the generator's losses: adversarial, from the logits of generated images, and L1 with its weight."""
        return {
            "g_gan": bce_against(logits, 1.0),
            "g_l1": self.options.l1_weight * F.l1_loss(fake, target),
        }

    def remarks(self, means: Mapping[str, float]) -> Iterator[str]:
        """Yield a remark if the discriminator has won, because the generator then learns little from it."""
        total = means.get("d_real", 1.0) + means.get("d_fake", 1.0)
        if total < WON:
            yield (
                f"the discriminator has won (d_real + d_fake is {total:.2g} over the epoch), so the generator "
                "learns little from it; more data, a smaller --set lr or a larger --set l1_weight may help"
            )

    def validation_losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Return `l1`, and `generator`: the sum of the losses that the generator minimises."""
        noise = Noise(0, [(0, 0)] * len(batch), self.spec.size, batch.source.device)
        fake = self.translate(batch.source, noise)
        losses = self.generator_losses(self.discriminator(batch.source, fake), fake, batch.target)
        return {"l1": F.l1_loss(fake, batch.target), "generator": torch.stack(list(losses.values())).sum()}
