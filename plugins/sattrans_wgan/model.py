"""WGAN: ResSE's networks under Wasserstein losses."""

from collections.abc import Iterator, Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer, RMSprop

from sattrans.model import Batch, Model, ModelOptions, Noise, TileSpec, TrainDefaults, Update
from sattrans.networks import Augmentation, discriminator_views, init_normal
from sattrans_pix2pix.networks import Upsampling
from sattrans_resse.networks import ResSEPatchDiscriminator, ResSEUNet

WARMUP_CRITIC_STEPS = 100
WARMUP_EVERY = 500
"""Critic steps per generator step during the warm-up and at every 500th step, as in the original WGAN code."""


class WGAN(Model):
    """A critic that estimates the Wasserstein distance, kept Lipschitz by clipping or by a gradient penalty.

    The critic minimises E[f(fake)] - E[f(real)] on every batch; the generator -E[f(fake)] + 100·L1 on every
    `critic_steps`-th. The critic has no batch norm, because clipping the weights of batch norm would scale its
    features down. `grad_ratio` in the log is the norm of the adversarial gradient at the generated image, over that of
    L1.
    """

    name = "wgan"
    title = "WGAN: ResSE's networks with a Wasserstein critic"
    paper = (
        "Arjovsky, Chintala, Bottou: Wasserstein GAN, ICML 2017, https://arxiv.org/abs/1701.07875; gradient penalty: "
        "Gulrajani et al., NeurIPS 2017, https://arxiv.org/abs/1704.00028"
    )
    defaults = TrainDefaults(epochs=30, batch_size=1, patience=10, schedule="constant")

    class Options(ModelOptions):
        """The options of WGAN."""

        constraint: Literal["clip", "gp"] = Field(
            "gp", description="penalise the critic's gradient, or clip its weights as the report did"
        )
        clip: float = Field(0.01, gt=0, description="bound of the critic's weights under clip")
        penalty: float = Field(10.0, ge=0, description="weight of the gradient penalty under gp")
        critic_steps: int = Field(5, ge=1, description="critic steps for one generator step")
        warmup: int = Field(
            0, ge=0, description="first generator steps that are given 100 critic steps each; 25 in the report"
        )
        l1_weight: float = Field(100.0, ge=0, description="weight of L1 beside the adversarial loss")
        lr: float | None = Field(
            None, gt=0, description="learning rate; 5e-5 (RMSProp) under clip, 1e-4 (Adam) under gp"
        )
        upsampling: Upsampling = Field("resize", description="nearest + 3×3, or transposed convolutions")
        augment: Augmentation = Field(
            "auto", description="vary what the critic sees; auto: for fewer than 2,000 training tiles"
        )

    options: Options
    critic_since: Tensor
    generator_steps: Tensor

    def __init__(self, spec: TileSpec, options: Options) -> None:
        super().__init__(spec, options)
        self.options = options
        self.generator = init_normal(
            ResSEUNet(spec.size, spec.source_channels, spec.target_channels, options.width, options.upsampling)
        )
        self.critic = init_normal(
            ResSEPatchDiscriminator(spec.source_channels + spec.target_channels, options.width, norm=False)
        )
        self.register_buffer("critic_since", torch.zeros((), dtype=torch.long))
        self.register_buffer("generator_steps", torch.zeros((), dtype=torch.long))
        self._clamp()

    def optimizers(self) -> dict[str, Optimizer]:
        """Return RMSProp under clip, Adam with betas (0, 0.9) under gp, as in their papers."""
        clip = self.options.constraint == "clip"
        lr = self.options.lr or (5e-5 if clip else 1e-4)

        def optimizer(network: nn.Module) -> Optimizer:
            if clip:
                return RMSprop(network.parameters(), lr=lr)
            return Adam(network.parameters(), lr=lr, betas=(0.0, 0.9), fused=True)

        return {"critic": optimizer(self.critic), "generator": optimizer(self.generator)}

    def critic_steps_now(self) -> int:
        """Return the number of critic steps before the next generator step."""
        done = int(self.generator_steps)
        if self.options.warmup and (done < self.options.warmup or done % WARMUP_EVERY == 0):
            return max(WARMUP_CRITIC_STEPS, self.options.critic_steps)
        return self.options.critic_steps

    def training_step(self, batch: Batch) -> Iterator[Update]:
        """Update the critic on every batch (clamped afterwards), the generator after enough steps of the critic."""
        source, target = batch.source, batch.target
        generator_too = int(self.critic_since) + 1 >= self.critic_steps_now()
        with torch.set_grad_enabled(generator_too):
            fake = self.generator(source)
        maps, real_view, fake_view = discriminator_views(source, target, fake, self.options.augment, self.spec.tiles)
        losses = {
            "c_real": -self.critic(maps, real_view).mean(),
            "c_fake": self.critic(maps, fake_view.detach()).mean(),
        }
        if self.options.constraint == "gp":
            losses["c_penalty"] = self.options.penalty * self._gradient_penalty(maps, real_view, fake_view.detach())
        yield Update("critic", losses)
        self._clamp()
        self.critic_since += 1
        if not generator_too:
            return
        adversarial = -self.critic(maps, fake_view).mean()
        l1 = self.options.l1_weight * F.l1_loss(fake, target)
        yield Update(
            "generator", {"g_critic": adversarial, "g_l1": l1}, {"grad_ratio": _grad_ratio(adversarial, l1, fake)}
        )
        self.critic_since.zero_()
        self.generator_steps += 1

    def _clamp(self) -> None:
        if self.options.constraint == "clip":
            with torch.no_grad():
                for weight in self.critic.parameters():
                    weight.clamp_(-self.options.clip, self.options.clip)

    def _gradient_penalty(self, source: Tensor, real: Tensor, fake: Tensor) -> Tensor:
        """(‖∇f(x̂)‖ - 1)² at points between real and fake (Gulrajani et al., algorithm 1), in float32."""
        with torch.autocast(source.device.type, enabled=False):
            mix = torch.rand(len(real), 1, 1, 1, device=real.device)
            between = (mix * real.float() + (1 - mix) * fake.float()).requires_grad_()
            # The critic's value of an image is the mean over its patches; its gradient should have norm 1.
            values = self.critic(source.float(), between).mean(dim=(1, 2, 3)).sum()
            (gradient,) = torch.autograd.grad(values, between, create_graph=True)
            penalty: Tensor = (gradient.flatten(1).norm(dim=1) - 1).square().mean()
        return penalty

    def validation_losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Return `l1` and the critic's estimate of the distance, `wasserstein`, which is logged only."""
        noise = Noise(0, [(0, 0)] * len(batch), self.spec.size, batch.source.device)
        fake = self.translate(batch.source, noise)
        distance = self.critic(batch.source, batch.target).mean() - self.critic(batch.source, fake).mean()
        return {"l1": F.l1_loss(fake, batch.target), "wasserstein": distance}


def _grad_ratio(adversarial: Tensor, l1: Tensor, fake: Tensor) -> Tensor:
    (of_adversarial,) = torch.autograd.grad(adversarial, fake, retain_graph=True)
    (of_l1,) = torch.autograd.grad(l1, fake, retain_graph=True)
    ratio: Tensor = of_adversarial.norm() / of_l1.norm().clamp_min(1e-12)
    return ratio
