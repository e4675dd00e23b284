"""The projected GAN: a generator that paints over sketches, trained against heads on pretrained features."""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from sattrans.model import Batch, Model, ModelOptions, Noise, TileSpec, TrainDefaults, Update
from sattrans.networks import Augmentation, discriminator_views
from sattrans_projected.discriminators import ProjectedDiscriminator, difference
from sattrans_projected.networks import STRIDES, Generator
from sattrans_projected.patches import DOT
from sattrans_projected.quilts import CONTEXT, EDGE, Quilt
from sattrans_projected.sketches import ANY, Sketches

COARSENESS = 3
"""Real images are pooled by one of so many powers of two to be sketches: the coarser, the more is left to the map."""

LOOSE = 8
"""Side in pixels of the squares whose mean colour an image should share with a sketch that was put together."""

LOOSE_SHARE = 0.3
"""Weight of that, as a part of the weight for sketches that are real."""

SQUARE = 32
"""Side in pixels of the squares whose mean colours are compared in validation."""


class Painter(nn.Module):
    """What `translate` runs: the generator, with what it needs to sketch maps."""

    def __init__(self, spec: TileSpec, width: int, has_classes: bool, quilted: bool) -> None:
        super().__init__()
        self.paint = Generator(spec.source_channels, width)
        self.sketches = Sketches(spec, has_classes)
        self.quilt = Quilt(spec) if quilted else None
        self.spec = spec

    def forward(self, source: Tensor, sketch: Tensor, noise: Noise) -> Tensor:
        """Paint maps (N, C, H, W) over sketches (N, 3, H / 2, W / 2)."""
        image: Tensor = self.paint(source, sketch, [noise.field(1, stride) for stride in (*STRIDES, 1)])
        return image

    def sketch(self, source: Tensor, noise: Noise) -> Tensor:
        """Sketch maps in the style of `noise.style`, or of the scene with the likest map."""
        found: Tensor = self.sketches(source, noise, self.styles(source, noise))
        return found

    def over_quilt(self, source: Tensor, noise: Noise) -> Tensor:
        """Paint the windows of maps (N, C, S + 2 * CONTEXT, …) over exemplar images of them, (N, 3, S, S)."""
        assert self.quilt is not None
        styles = self.styles(source[..., CONTEXT:-CONTEXT, CONTEXT:-CONTEXT], noise)
        maps, colors = self.quilt(source, noise, styles)
        origins = [(row - EDGE, col - EDGE) for row, col in noise.origins]
        image: Tensor = self(maps, colors, Noise(noise.seed, origins, maps.shape[-1], noise.device))
        return image[..., EDGE:-EDGE, EDGE:-EDGE]

    def styles(self, source: Tensor, noise: Noise) -> list[int]:
        """Return the style of each map: that of the noise, or the scene with the likest map."""
        return [self._style(maps) if noise.style is None else noise.style for maps in source]

    def _style(self, source: Tensor) -> int:
        if not self.spec.shares or source.shape[0] != len(self.spec.shares[0]):
            return ANY
        return self.spec.nearest_scene(source.mean((1, 2)).tolist())


class ProjectedGAN(Model):
    """Paints over a sketch of colours that is put together from training tiles, and is judged on pretrained features.

    In training, half of the images are painted over the real image at a half to an eighth of its resolution, and should
    have its colours and features; the others over sketches from other scenes, and should look real and follow the map.
    The discriminator minimises the mean of its heads' hinge losses, and the generator the sum of -E[D(fake)] of them.
    Real and generated images are augmented alike before they are judged.
    """

    name = "projected"
    title = "projected GAN: paints over retrieved colours, judged on pretrained features"
    paper = (
        "Sauer, Chitta, Müller, Geiger: Projected GANs Converge Faster, NeurIPS 2021, "
        "https://arxiv.org/abs/2111.01007; modulation: Park et al., CVPR 2019, https://arxiv.org/abs/1903.07291"
    )
    fallback = True
    defaults = TrainDefaults(steps=1000, batch_size=4, schedule="late", ema=0.997, useful_after=250)
    stride = 32
    margin: ClassVar[int | None] = 216
    crop = 128
    random = styled = True

    class Options(ModelOptions):
        """The options of the projected GAN."""

        sketch: Literal["patches", "exemplar"] = Field(
            "patches", description="what is painted over: quick patches, or images as of exemplar, ten times as slow"
        )
        lr: float = Field(8e-4, gt=0, description="learning rate of the generator (Adam, betas 0.5 and 0.99)")
        discriminator_lr: float = Field(6e-4, gt=0, description="learning rate of the discriminators")
        head_width: int = Field(64, ge=8, description="channels of the discriminator's heads")
        pixel_weight: float = Field(1.0, ge=0, description="weight of the discriminator on pixels")
        color_weight: float = Field(20.0, ge=0, description="weight of the difference from the sketch's colours")
        feature_weight: float = Field(1.0, ge=0, description="weight of the difference of features")
        augment: Augmentation = Field(
            "auto", description="vary what the discriminators see; auto: for fewer than 2,000 training tiles"
        )

        @model_validator(mode="after")
        def _exemplar_has_classes(self) -> Self:
            if self.sketch == "exemplar" and self.source == "color":
                raise ValueError("sketch=exemplar needs maps with classes, and source=onehot")
            return self

    options: Options
    generator: Painter

    def __init__(self, spec: TileSpec, options: Options) -> None:
        super().__init__(spec, options)
        self.options = options
        self.generator = Painter(
            spec, options.width, has_classes=options.source == "onehot", quilted=options.sketch == "exemplar"
        )
        self.discriminator = ProjectedDiscriminator(spec.source_channels, spec.target_channels, options.head_width)

    def optimizers(self) -> dict[str, Optimizer]:
        """Return Adam for both sides, and load the pretrained features."""
        return self.discriminator.optimizers(self.generator, self.options.lr, self.options.discriminator_lr)

    def training_step(self, batch: Batch) -> Iterator[Update]:
        """Update the discriminators, then the generator, on one augmented view of real and generated images."""
        source, target = batch.source, batch.target
        noise = _training_noise(source)
        # The first maps of the batch are painted over their own image's colours, coarse or fine; the others over what a
        # map would find.
        own = (len(batch) + int(self.discriminator.step) % 2) // 2
        side = DOT << int(torch.randint(0, COARSENESS, ()))
        sketch = F.interpolate(F.avg_pool2d(target, side), scale_factor=side // DOT, mode="bilinear")
        if own < len(batch):
            scenes = [0] * len(batch) if batch.scene is None else batch.scene.tolist()
            others = Noise(noise.seed, noise.origins[own:], noise.size, noise.device)
            sketch[own:] = self.generator.sketches(source[own:], others, scenes[own:], elsewhere=True)
        fake = self.generator(source, sketch, noise)
        maps, real_view, fake_view = discriminator_views(source, target, fake, self.options.augment, self.spec.tiles)
        weight = self.options.pixel_weight
        judged = self.discriminator.judge(maps, real_view, fake_view)
        yield Update("discriminator", self.discriminator.losses(judged, weight))
        losses = self.discriminator.adversarial(judged, weight)
        color_weight = self.options.color_weight
        losses["g_color"] = color_weight * difference(F.avg_pool2d(fake[:own], side), F.avg_pool2d(target[:own], side))
        loose = difference(F.avg_pool2d(fake[own:], LOOSE), F.avg_pool2d(sketch[own:], LOOSE // DOT))
        losses["g_color_loose"] = color_weight * LOOSE_SHARE * loose
        losses["g_features"] = self.options.feature_weight * self.discriminator.feature_difference(judged, own)
        yield Update("generator", losses)
        self.discriminator.end_step()

    def translate(self, source: Tensor, noise: Noise) -> Tensor:
        """Paint maps (N, C, H, W), in the style of `noise.style`, or of the scene with the likest map."""
        image: Tensor = self.generator(source, self.generator.sketch(source, noise), noise)
        return image

    @classmethod
    def configured(cls, options: ModelOptions) -> type[Model]:
        """Return `OverExemplar` if the options say so, else this class."""
        return OverExemplar if isinstance(options, cls.Options) and options.sketch == "exemplar" else cls

    def prepare(self, tiles: Sequence[Batch]) -> None:
        """Keep training tiles, of which sketches are put together."""
        self.generator.sketches.keep(tiles)
        if self.generator.quilt is not None:
            self.generator.quilt.sources.keep(tiles)

    def validation_losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Return `l1`, and `color`: the mean difference of colours over squares of 32 px."""
        fake = self.translate_tiles(batch.source)
        coarse = difference(F.avg_pool2d(fake, SQUARE), F.avg_pool2d(batch.target, SQUARE))
        return {"l1": F.l1_loss(fake, batch.target), "color": coarse}


class OverExemplar(ProjectedGAN):
    """The projected GAN that paints over images as of exemplar.

    It is trained and validated on sketches of patches: an exemplar image of each tile would take longer than the rest.
    """

    name = ProjectedGAN.name
    margin = None
    context: ClassVar[int | None] = CONTEXT

    def translate(self, source: Tensor, noise: Noise) -> Tensor:
        """Paint maps (N, C, S + 2 * context, …), in the style of `noise.style`, or of the scene with the likest map."""
        return self.generator.over_quilt(source, noise)

    def translate_tiles(self, source: Tensor) -> Tensor:
        """Paint whole tiles over sketches of patches."""
        noise = Noise(0, [(0, 0)] * len(source), source.shape[-1], source.device)
        return super().translate(source, noise)


def _training_noise(source: Tensor) -> Noise:
    """Return random fields at random places of a random map."""
    seed, *places = torch.randint(0, 2**24, (1 + 2 * len(source),)).tolist()
    origins = [(row % 2**13 * 32, col % 2**13 * 32) for row, col in zip(places[::2], places[1::2], strict=True)]
    return Noise(seed, origins, source.shape[-1], source.device)
