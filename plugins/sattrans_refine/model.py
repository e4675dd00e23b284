"""A model that sharpens images by a map of finer resolution, for `generate --refine`."""

from collections.abc import Iterator, Mapping
from functools import cache

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F
from torch.optim import Optimizer

from sattrans.model import Batch, Model, ModelOptions, Noise, TileSpec, TrainDefaults, Update
from sattrans.networks import Augmentation, discriminator_views
from sattrans_projected.discriminators import ProjectedDiscriminator, difference
from sattrans_refine.networks import Sharpener, reach

BLOCKS = 4


class Refiner(Model):
    """Sharpens a coarse image by a fine map, so that edges are where the map has them.

    In training, half of the coarse images are real ones made coarse, of which the truth is known; the others are made
    by other runs, if there are any, and should only look real. First the generator minimises L1 alone; then the weight
    of the discriminator, that of `projected`, rises.
    """

    name = "refine"
    title = "sharpens generated images × 2 or × 4 by a finer map"
    paper = (
        "Wan, Yu, Wu, Hao, Song: Swift Parameter-free Attention Network for Efficient Super-Resolution, CVPR Workshops "
        "2024, https://arxiv.org/abs/2311.12770; discriminator: Sauer et al., NeurIPS 2021, "
        "https://arxiv.org/abs/2111.01007"
    )
    defaults = TrainDefaults(steps=600, batch_size=4, schedule="late", ema=0.997, monitor="kid", useful_after=300)
    crop = 128
    refines = stride = 2
    margin = 2 * reach(BLOCKS)

    class Options(ModelOptions):
        """The options of the sharpening model."""

        width: int = Field(16, ge=1, le=1024, description="channels of the first layer")
        scale: int = Field(2, ge=2, le=4, multiple_of=2, description="how many times finer the image becomes: 2 or 4")
        base: str = Field(
            "", description="runs whose images it learns to sharpen, besides real ones made coarse: names with commas"
        )
        blocks: int = Field(BLOCKS, ge=2, le=16, description="blocks of three convolutions; 6 in the paper")
        lr: float = Field(8e-4, gt=0, description="learning rate of the generator (Adam, betas 0.5 and 0.99)")
        discriminator_lr: float = Field(6e-4, gt=0, description="learning rate of the discriminators")
        head_width: int = Field(64, ge=8, description="channels of the discriminator's heads")
        warmup: int = Field(100, ge=0, description="steps in which the generator minimises L1 alone")
        ramp: int = Field(100, ge=0, description="steps after that in which the discriminator's weight rises")
        adversarial_weight: float = Field(1.0, ge=0, description="weight of the discriminator on features")
        pixel_weight: float = Field(1.0, ge=0, description="weight of the discriminator on pixels")
        l1_weight: float = Field(10.0, ge=0, description="weight of L1, where the truth is known")
        feature_weight: float = Field(1.0, ge=0, description="weight of the difference of features there")
        augment: Augmentation = Field(
            "auto", description="vary what the discriminators see; auto: for fewer than 2,000 training tiles"
        )

    options: Options
    generator: Sharpener
    step: Tensor

    def __init__(self, spec: TileSpec, options: Options) -> None:
        super().__init__(spec, options)
        self.options = options
        self.generator = Sharpener(spec.source_channels, options.scale, options.width, options.blocks)
        self.discriminator = ProjectedDiscriminator(spec.source_channels, spec.target_channels, options.head_width)
        self.register_buffer("step", torch.zeros((), dtype=torch.long))

    @classmethod
    def configured(cls, options: ModelOptions) -> type[Model]:
        """Return the class with the scale, the margin and the runs of these options."""
        assert isinstance(options, cls.Options)
        bases = tuple(name.strip() for name in options.base.split(",") if name.strip())
        return _configured(options.scale, options.blocks, bases)

    def optimizers(self) -> dict[str, Optimizer]:
        """Return Adam for both sides, and load the pretrained features."""
        return self.discriminator.optimizers(self.generator, self.options.lr, self.options.discriminator_lr)

    def training_step(self, batch: Batch) -> Iterator[Update]:
        """Update the generator by L1; after the warm-up the discriminators, then the generator by both."""
        options, source, target = self.options, batch.source, batch.target
        done = int(self.step) - options.warmup
        coarse = F.avg_pool2d(target, options.scale)
        if done < 0:
            yield Update("generator", {"g_l1": F.l1_loss(self.generator(source, coarse), target)})
            self.step += 1
            return
        # The first images of the batch are real ones made coarse; the others those of a base, if there is one.
        own = len(batch)
        if batch.coarse is not None:
            own = (len(batch) + done % 2) // 2
            coarse = torch.cat([coarse[:own], batch.coarse[own:]])
        fake = self.generator(source, coarse)
        maps, real_view, fake_view = discriminator_views(source, target, fake, options.augment, self.spec.tiles)
        judged = self.discriminator.judge(maps, real_view, fake_view)
        yield Update("discriminator", self.discriminator.losses(judged, options.pixel_weight))
        weight = options.adversarial_weight * min(1.0, (done + 1) / (options.ramp + 1))
        adversarial = self.discriminator.adversarial(judged, options.pixel_weight)
        losses = {name: weight * loss for name, loss in adversarial.items()}
        losses["g_l1"] = options.l1_weight * difference(fake[:own], target[:own])
        losses["g_features"] = options.feature_weight * self.discriminator.feature_difference(judged, own)
        yield Update("generator", losses)
        self.discriminator.end_step()
        self.step += 1

    def translate(self, source: Tensor, noise: Noise) -> Tensor:
        """Sharpen the images that follow the maps in `source`, (N, C + 3, H, W)."""
        maps, drawn = source[:, :-3], source[:, -3:]
        scale = self.generator.scale
        image: Tensor = self.generator(maps, drawn[..., ::scale, ::scale])
        return image

    def validation_losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Return `l1`; and `consistency`, the grey levels by which images made coarse again differ from the input."""
        fake = self.translate_tiles(self.sources_of(batch))
        again, coarse = (F.avg_pool2d(images, self.options.scale) for images in (fake, batch.target))
        return {"l1": F.l1_loss(fake, batch.target), "consistency": 127.5 * F.l1_loss(again, coarse)}


@cache
def _configured(scale: int, blocks: int, runs: tuple[str, ...]) -> type[Model]:
    class ConfiguredRefiner(Refiner):
        refines = stride = scale
        margin = scale * reach(blocks)
        bases = runs

    return ConfiguredRefiner
