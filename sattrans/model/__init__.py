"""Model: the base class of model plugins, and the types that its methods take and return."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from sattrans.model.noise import Noise

__all__ = [
    "Batch",
    "Model",
    "ModelOptions",
    "Noise",
    "Pairing",
    "Schedule",
    "SourceEncoding",
    "SourceOption",
    "TileSpec",
    "TrainDefaults",
    "Update",
]

Pairing = Literal["aligned", "unaligned"]
"""Whether a batch holds maps and images of the same tiles, or of tiles drawn independently of each other."""

SourceEncoding = Literal["color", "onehot"]
"""How a map becomes a source: colours in [-1, 1], or one channel per class in {0, 1}."""

SourceOption = Literal["auto", "color", "onehot"]
"""A source encoding, or "auto": one channel per class where the maps have classes, else colours."""

Schedule = Literal["constant", "linear", "late"]
"""Learning rate over training: constant; or linearly down to 0 over the second half, or over the last 40 %."""


@dataclass(frozen=True, slots=True)
class TileSpec:
    """The tiles that a model is built for.

    Args:
        size: Side of a tile in pixels.
        source_channels: Channels of a source: 3 for colours, `classes` for one channel per class.
        target_channels: Channels of an image.
        classes: Number of classes of the maps, 0 if the maps are RGB pictures without classes.
        scenes: Names of the scenes of the training tiles.
        shares: Of each scene, the part that each class covers, 0 to 1; empty if there are no classes.
        tiles: Number of training tiles; 0 if unknown.
    """

    size: int
    source_channels: int
    target_channels: int = 3
    classes: int = 0
    scenes: tuple[str, ...] = ()
    shares: tuple[tuple[float, ...], ...] = ()
    tiles: int = 0

    def nearest_scene(self, shares: Sequence[float]) -> int:
        """Return the index of the scene whose class shares differ least from `shares`, one number for each class."""
        differences = [sum(abs(a - b) for a, b in zip(scene, shares, strict=True)) for scene in self.shares]
        return differences.index(min(differences)) if differences else 0


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of tiles.

    Args:
        source: Encoded maps, (N, source_channels, H, W) float32: colours in [-1, 1], or classes in {0, 1}. Pixels
            without a class are 0 in every channel.
        target: Images, (N, target_channels, H, W) float32 in [-1, 1]: of the same tiles as the maps, or of other tiles
            if the model's `pairing` is "unaligned".
        scene: The scene of each image, (N,) int64: an index of `TileSpec.scenes`; None when validating, because a
            scene may be unknown there.
        coarse: For a model that refines, images that runs of `Model.bases` make of the maps at their own resolution,
            (N, target_channels, H / refines, W / refines) in [-1, 1]; None without such a run, and when validating.
    """

    source: Tensor
    target: Tensor
    scene: Tensor | None = None
    coarse: Tensor | None = None

    def __len__(self) -> int:
        return len(self.source)


@dataclass(frozen=True, slots=True)
class Update:
    """One optimiser step.

    Args:
        optimizer: Name of the optimiser, a key of `Model.optimizers()`.
        losses: Scalar losses by name; the optimiser minimises their sum.
        log: Scalars by name that are recorded with the losses and not optimised.
    """

    optimizer: str
    losses: Mapping[str, Tensor]
    log: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def total(self) -> Tensor:
        """The sum of the losses, a float32 scalar."""
        return torch.stack([loss.float() for loss in self.losses.values()]).sum()


@dataclass(frozen=True, slots=True)
class TrainDefaults:
    """A model's defaults for the options of training, usually those of its paper.

    Args:
        epochs: Number of epochs, at least 1.
        steps: Number of steps, which replaces `epochs`; None to train by epochs.
        batch_size: Tiles per step and process, at least 1.
        patience: Number of epochs without a lower monitored loss after which training stops, None for never.
        monitor: Name of the validation score that decides which generator is best: one of `validation_losses`, "kid",
            or "joint_kid", which is low if images look real and follow their maps.
        schedule: Learning rate over training, see `Schedule`; "linear" is pix2pix's.
        ema: Decay of the generator's moving average, at least 0 and below 1.
        useful_after: Steps after which a first useful image can be expected, which training tells in minutes; None if
            that is unknown.
    """

    epochs: int = 200
    steps: int | None = None
    batch_size: int = 1
    patience: int | None = None
    monitor: str = "joint_kid"
    schedule: Schedule = "linear"
    ema: float = 0.999
    useful_after: int | None = None


class ModelOptions(BaseModel):
    """The options that every model has. A model adds its own as pydantic fields with a default and a description.

    Users set them by name with `--set name=value`.

    Attributes:
        source: How maps are encoded: "color", 3 channels, "onehot", one channel per class, or "auto", one channel per
            class where the maps have classes. Training replaces "auto" before it builds a model.
        width: Channels of the first layer, 1 to 1024.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: SourceOption = Field(
        "auto", description="the map as colours, or one channel a class; auto: the latter where there are classes"
    )
    width: int = Field(64, ge=1, le=1024, description="channels of the first layer")


class Model(nn.Module, ABC):
    """The base class of image-to-image models. Subclass it and register the class through the hook `register_models`.

    Training resumes exactly if all state between steps is in parameters and buffers, and all randomness is torch's.
    `sattrans.testing.check_model` checks this and what else is expected of a model.

    Args:
        spec: The tiles that the model is built for.
        options: The model's options, an instance of its class `Options`.
    """

    name: ClassVar[str]
    """The name that users type: lower-case letters, digits, - and _. The entry point has the same name."""
    title: ClassVar[str] = ""
    """One line about the model for lists."""
    paper: ClassVar[str] = ""
    """The source of the method: authors, title, venue and year, URL."""
    fallback: ClassVar[bool] = False
    """Whether this is the default model, which `train` uses if none is named. Subclasses do not inherit it."""
    pairing: ClassVar[Pairing] = "aligned"
    """What a training batch holds: "aligned", the maps and the images of the same tiles, or "unaligned", maps of
    training tiles and images drawn independently of them, also from tiles without a map. Validation is aligned."""
    defaults: ClassVar[TrainDefaults] = TrainDefaults()
    """Defaults for the options of training."""
    sizes: ClassVar[tuple[int, ...]] = (64, 128, 256, 512)
    """The tile sizes in pixels that the networks accept."""
    stride: ClassVar[int] = 1
    """`generate` places windows at multiples of this many pixels."""
    crop: ClassVar[int | None] = None
    """Side in pixels of the random crops that training batches hold, at the tiles' own resolution; None for whole
    tiles, enlarged by 286/256 and cropped to their size as in pix2pix. Validation and `translate` see whole tiles."""
    random: ClassVar[bool] = False
    """Whether `translate` uses its `noise`, so that another seed gives another image."""
    styled: ClassVar[bool] = False
    """Whether the model learns a style for each of `TileSpec.scenes`, which `Noise.style` then chooses."""
    encodes_styles: ClassVar[bool] = False
    """Whether the model has `encode_style`, so that the style may be that of a reference image."""
    makes_maps: ClassVar[bool] = False
    """Whether `translate` turns images into maps in colours, instead of maps into images. Such a model has `source`
    "color"; its runs read images, as pictures without classes."""
    refines: ClassVar[int | None] = None
    """How many times finer the images are than those that `translate` sharpens; None for a model that is given maps
    alone. Such a model has a `margin` and a `crop`; its `stride` and its `crop` are multiples of `refines`."""
    bases: ClassVar[tuple[str, ...]] = ()
    """For a model that refines, the runs whose images it is trained to sharpen besides real ones that were made coarse:
    folders, or names under `runs/`."""
    margin: ClassVar[int | None] = None
    """Radius in pixels of the receptive field of a generated pixel; None if it covers the whole tile."""
    context: ClassVar[int | None] = None
    """Pixels of the map around a window that `translate` gets, too. Windows then lie side by side on the grid of the
    CRS, and the model makes their images fit together; None for windows that are blended."""

    copies: ClassVar[bool] = False
    """Whether images are put together from pixels of the training tiles, which `sources` names. It needs a
    `context`, because pixels of windows that are blended have no single source."""

    class Options(ModelOptions):
        """The model's options."""

    generator: nn.Module
    """The network that `translate` runs. Its moving average over training is saved in the best checkpoint."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.fallback = vars(cls).get("fallback", False)

    def __init__(self, spec: TileSpec, options: ModelOptions) -> None:
        super().__init__()
        self.spec = spec

    @classmethod
    def configured(cls, options: ModelOptions) -> type[Model]:
        """Return the class whose attributes hold with these options: this one, or a subclass of the same name.

        Args:
            options: The model's options.
        """
        return cls

    def sources_of(self, batch: Batch) -> Tensor:
        """Return what `translate` starts from: the maps of a batch, or its images if the model makes maps.

        If it refines, the maps are followed by the images made coarse, each of whose pixels is drawn as `refines` ×
        `refines`.
        """
        if self.refines:
            coarse = F.avg_pool2d(batch.target, self.refines)
            return torch.cat([batch.source, F.interpolate(coarse, scale_factor=self.refines)], dim=1)
        return batch.target if self.makes_maps else batch.source

    @abstractmethod
    def optimizers(self) -> dict[str, Optimizer]:
        """Create the optimisers. Called once, after the model was moved to the training device.

        Returns:
            Optimisers by the names that `training_step` uses; none if the model has learned all in `prepare`.
        """

    def prepare(self, tiles: Sequence[Batch]) -> None:
        """Keep what the model needs of the training tiles, in buffers. The default keeps nothing.

        Called once in every process, before the first training step of a run and after `optimizers`; not when a run is
        resumed. What `translate` needs belongs in buffers of `generator`, because a finished run has only those.

        Args:
            tiles: The training tiles that have a map, whole, as batches of one, each read when it is asked for.
        """

    @abstractmethod
    def training_step(self, batch: Batch) -> Iterator[Update]:
        """Yield the updates of one training step in order. The loop runs each optimiser's step before the next update.

        Code after a `yield` runs after that optimiser's step. Do not yield inside a `with` block, because the loop
        enters and leaves autocast around each part of the step.

        Args:
            batch: Sources and targets on the training device, N tiles.

        Yields:
            An update for each optimiser step; none if the model has no optimisers.
        """

    def translate(self, source: Tensor, noise: Noise) -> Tensor:
        """Translate maps into images, or images into maps (`makes_maps`).

        Called in evaluation mode without gradients; the result must not depend on N.

        The default runs `generator` on the source and uses no noise.

        Args:
            source: Encoded maps, (N, source_channels, H, W), with `context` pixels on each side if that is set; those
                beyond the map are encoded as pixels without data. If the model refines, see `sources_of`.
            noise: Random numbers by position in the map, for models that need them; `origins` exclude the context.

        Returns:
            Images (N, target_channels, H, W) in [-1, 1], without the context.
        """
        image: Tensor = self.generator(source)
        return image

    def translate_tiles(self, source: Tensor) -> Tensor:
        """Translate whole tiles (N, C, S, S), each as a map of its own, into images (N, target_channels, S, S)."""
        noise = Noise(0, [(0, 0)] * len(source), source.shape[-1], source.device)
        return self.translate(F.pad(source, (self.context or 0,) * 4, value=0 if self.spec.classes else -1), noise)

    def sources(self, source: Tensor, noise: Noise) -> Tensor:
        """Return which training tile each pixel of the images of `translate` is copied from.

        `generate --sources` asks for it after `translate`, with the same arguments.

        Args:
            source: As for `translate`.
            noise: As for `translate`.

        Returns:
            The tiles' indices in what `prepare` was given, (N, H, W), of an integer type; -1 for pixels of no tile.

        Raises:
            NotImplementedError: The model copies no pixels (`copies`).
        """
        raise NotImplementedError

    def encode_style(self, images: Tensor) -> Tensor:
        """Encode the style of a reference image, such as its season and light. Called in evaluation mode.

        Args:
            images: Parts of the image, (N, 3, H, W) in [-1, 1].

        Returns:
            One vector for all parts, (D,), which `translate` finds as `noise.reference`; it may hold a distribution.

        Raises:
            NotImplementedError: The model does not encode styles (`encodes_styles`).
        """
        raise NotImplementedError

    def remarks(self, means: Mapping[str, float]) -> Iterator[str]:
        """Yield remarks for the user after an epoch, one line each, such as that a discriminator has won.

        Args:
            means: Means of the losses and logged values over the epoch, by name.

        Yields:
            A line of text for each remark; the default has none.
        """
        yield from ()

    def validation_losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Compute validation losses. Called in evaluation mode without gradients; must not change the model.

        Args:
            batch: Sources and targets of the same tiles, for every `pairing`.

        Returns:
            Scalar losses by name, lower is better. The default is `l1`, the mean absolute difference between the
            translated and the real image in [-1, 1].
        """
        return {"l1": F.l1_loss(self.translate_tiles(self.sources_of(batch)), batch.target)}
