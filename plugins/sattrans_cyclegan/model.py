"""CycleGAN: two generators, from maps to images and back, that learn from maps and images of different places."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import Literal, Self

from pydantic import Field, model_validator
from torch import Tensor, full_like, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from sattrans.model import Batch, Model, ModelOptions, SourceOption, TileSpec, TrainDefaults, Update
from sattrans.networks import init_normal
from sattrans_cyclegan.networks import BLOCKS, ImagePool, ResNetGenerator, UnconditionalPatchDiscriminator
from sattrans_pix2pix.networks import Upsampling

Direction = Literal["map2image", "image2map"]


class CycleGAN(Model):
    """Two generators and two discriminators under a least-squares loss and cycle consistency (Zhu et al. 2017).

    The generators minimise (D(fake) - 1)² of both sides, λ times the L1 difference of each map and each image from what
    both generators in turn make of it (equation 2), and λ·0.5 times the L1 difference of a map or image from what the
    generator whose output it could be makes of it (section 5.2), which needs maps as colours. Then each discriminator
    minimises half of (D(real) - 1)² + D(fake)², on images of a pool of 50.
    """

    name = "cyclegan"
    title = "CycleGAN: learns from maps and images of different places"
    paper = (
        "Zhu, Park, Isola, Efros: Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks, "
        "ICCV 2017, https://arxiv.org/abs/1703.10593"
    )
    pairing = "unaligned"
    defaults = TrainDefaults(epochs=200, batch_size=1, schedule="linear")

    class Options(ModelOptions):
        """The options of CycleGAN."""

        source: SourceOption = Field(
            "color", description="the map as colours, like those of images at best, or one channel a class"
        )
        direction: Direction = Field("map2image", description="which of both generators generate uses")
        lr: float = Field(2e-4, gt=0, description="learning rate of Adam, betas (0.5, 0.999)")
        cycle_weight: float = Field(10.0, ge=0, description="weight of cycle consistency, of maps and of images")
        identity: float = Field(
            0.5, ge=0, description="weight of the identity loss beside cycle_weight; only for maps as colours"
        )
        blocks: int = Field(BLOCKS, ge=1, le=32, description="residual blocks; the paper has 6 for tiles of 128 px")
        pool: int = Field(50, ge=0, le=1000, description="generated images kept to show the discriminators again")
        upsampling: Upsampling = Field(
            "resize", description="nearest + 3×3, or the paper's transposed convolutions, which paint a checkerboard"
        )

        @model_validator(mode="after")
        def _maps_are_colors(self) -> Self:
            if self.direction == "image2map" and self.source == "onehot":
                raise ValueError("direction=image2map paints maps in colours: use source=color")
            return self

    options: Options

    def __init__(self, spec: TileSpec, options: Options) -> None:
        super().__init__(spec, options)
        self.options = options
        maps, images, width = spec.source_channels, spec.target_channels, options.width
        # What a map's generator makes is what a map is encoded as: colours, or the probability of each class.
        classes = nn.Softmax(dim=1) if options.source == "onehot" else None

        def generator(entering: int, leaving: int, output: nn.Module | None = None) -> nn.Module:
            return init_normal(ResNetGenerator(entering, leaving, width, options.blocks, options.upsampling, output))

        both = [generator(maps, images), generator(images, maps, classes)]
        self.generator, self.inverse = reversed(both) if self.makes_maps else both
        self.image_discriminator = init_normal(UnconditionalPatchDiscriminator(images, width))
        self.map_discriminator = init_normal(UnconditionalPatchDiscriminator(maps, width))
        self.image_pool = ImagePool(options.pool, images, spec.size)
        self.map_pool = ImagePool(options.pool, maps, spec.size)

    @classmethod
    def configured(cls, options: ModelOptions) -> type[Model]:
        """Return the class that makes maps, if the direction is that."""
        return ImageToMap if isinstance(options, cls.Options) and options.direction == "image2map" else cls

    @property
    def to_image(self) -> nn.Module:
        """The generator from maps to images."""
        return self.inverse if self.makes_maps else self.generator

    @property
    def to_map(self) -> nn.Module:
        """The generator from images to maps."""
        return self.generator if self.makes_maps else self.inverse

    def optimizers(self) -> dict[str, Optimizer]:
        """Return Adam for both generators and for both discriminators."""

        def adam(*networks: nn.Module) -> Optimizer:
            parameters = chain.from_iterable(network.parameters() for network in networks)
            return Adam(parameters, lr=self.options.lr, betas=(0.5, 0.999), fused=True)

        return {
            "generators": adam(self.generator, self.inverse),
            "discriminators": adam(self.image_discriminator, self.map_discriminator),
        }

    def training_step(self, batch: Batch) -> Iterator[Update]:
        """Update both generators, then both discriminators on images of the pools."""
        maps, images = batch.source, batch.target
        fake_images, fake_maps = self.to_image(maps), self.to_map(images)
        weight = self.options.cycle_weight
        losses = {
            "g_image": _square(self.image_discriminator(fake_images), 1.0),
            "g_map": _square(self.map_discriminator(fake_maps), 1.0),
            "cycle_map": weight * F.l1_loss(self.to_map(fake_images), maps),
            "cycle_image": weight * F.l1_loss(self.to_image(fake_maps), images),
        }
        if self.options.identity and self.options.source == "color":
            weight *= self.options.identity
            losses["identity_image"] = weight * F.l1_loss(self.to_image(images), images)
            losses["identity_map"] = weight * F.l1_loss(self.to_map(maps), maps)
        yield Update("generators", losses)
        yield Update(
            "discriminators",
            {
                "d_image": _judged(self.image_discriminator, images, self.image_pool(fake_images)),
                "d_map": _judged(self.map_discriminator, maps, self.map_pool(fake_maps)),
            },
        )

    def validation_losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Return `l1`, the mean difference from the real image, or map; and `cycle`, that of the cycle from it."""
        source, target = batch.source, batch.target
        if self.makes_maps:
            source, target = target, source
        fake = self.generator(source)
        return {"l1": F.l1_loss(fake, target), "cycle": F.l1_loss(self.inverse(fake), source)}


class ImageToMap(CycleGAN):
    """CycleGAN whose `generator` is the one from images to maps."""

    makes_maps = True
    defaults = replace(CycleGAN.defaults, monitor="l1")  # the other scores compare images


def _square(logits: Tensor, label: float) -> Tensor:
    """Return the mean squared difference from a label (Mao et al., LSGAN, ICCV 2017)."""
    return F.mse_loss(logits, full_like(logits, label))


def _judged(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """Return half of a discriminator's loss, which slows it down beside its generator (section 7.1)."""
    return 0.5 * (_square(discriminator(real), 1.0) + _square(discriminator(fake), 0.0))
