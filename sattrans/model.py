"""Model: what a model plugin tells the core - its networks, what is optimised in which order, how it translates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

Pairing = Literal["aligned", "unaligned"]
"""Whether a batch holds maps and images of the same tiles, or of tiles drawn independently of each other."""

SourceEncoding = Literal["color", "onehot"]
Schedule = Literal["constant", "linear"]


@dataclass(frozen=True, slots=True)
class TileSpec:
    """What a model is built for: tiles of `size` px, channels in and out, and the number of classes.

    `classes` is 0 where the map is a picture; with a one-hot source `source_channels` equals `classes`.
    """

    size: int
    source_channels: int
    target_channels: int = 3
    classes: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """Sources and targets, (N, C, H, W) float32: colours in [-1, 1], one-hot in {0, 1}."""

    source: Tensor
    target: Tensor

    def __len__(self) -> int:
        return len(self.source)


@dataclass(frozen=True, slots=True)
class Update:
    """One optimiser step a model asks for: which optimiser, and the losses (scalars) whose sum it minimises.

    `log` is shown beside the losses and not optimised.
    """

    optimizer: str
    losses: Mapping[str, Tensor]
    log: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def total(self) -> Tensor:
        """The sum of the losses."""
        return torch.stack([loss.float() for loss in self.losses.values()]).sum()


@dataclass(frozen=True, slots=True)
class TrainDefaults:
    """What training takes where the user says nothing; from the model's paper.

    `monitor` names one of `validation_losses`; with `patience` training stops after so many epochs without
    a better value. `schedule` `linear` keeps the learning rate for half of the steps, then lets it fall to 0.
    """

    epochs: int = 200
    batch_size: int = 1
    patience: int | None = None
    monitor: str = "l1"
    schedule: Schedule = "linear"


class ModelOptions(BaseModel):
    """Options every model has. A model adds its own as fields with a description; names are `--set` names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: SourceEncoding = Field("color", description="the map as colours, or one channel a class")
    width: int = Field(64, ge=1, le=1024, description="channels of the first layer")


class Noise:
    """Randomness for `translate`, the same for the same place whatever the tile, the batch or the device.

    `origins` are the top left (row, column) of each window in the whole map, `size` the windows' side.
    """

    def __init__(self, seed: int, origins: Sequence[tuple[int, int]], size: int, device: torch.device | str = "cpu"):
        self.seed = seed
        self.origins = list(origins)
        self.size = size
        self.device = device

    _BLOCK = 64

    def field(self, channels: int, stride: int = 1) -> Tensor:
        """Return normal noise by world position, (N, channels, size/stride, size/stride).

        A cell covers `stride` pixels of the map; windows must start at multiples of `stride`.
        """
        if self.size % stride or any(row % stride or col % stride for row, col in self.origins):
            raise ValueError(f"noise of stride {stride} needs windows that start and end at its multiples")
        cells = self.size // stride
        planes = [self._cells(row // stride, col // stride, cells, channels, stride) for row, col in self.origins]
        return torch.from_numpy(np.stack(planes)).to(self.device)

    def _cells(
        self, row: int, col: int, cells: int, channels: int, stride: int
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        block = self._BLOCK
        top, left = row // block, col // block
        rows = [
            np.concatenate(
                [self._block(r, c, channels, stride) for c in range(left, (col + cells - 1) // block + 1)], axis=2
            )
            for r in range(top, (row + cells - 1) // block + 1)
        ]
        whole = np.concatenate(rows, axis=1)
        r0, c0 = row - top * block, col - left * block
        return whole[:, r0 : r0 + cells, c0 : c0 + cells]

    def _block(
        self, row: int, col: int, channels: int, stride: int
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        # A counter-based generator: the block's place is its counter, so no block depends on another.
        counter = [0, row, col, channels << 32 | stride]
        bits = np.random.Philox(key=[self.seed, 0], counter=counter)
        return np.random.Generator(bits).standard_normal((channels, self._BLOCK, self._BLOCK), np.float32)

    def vector(self, dim: int) -> Tensor:
        """Return one normal vector for the whole map, repeated for each window, (N, dim)."""
        bits = np.random.Philox(key=[self.seed, 1], counter=[0, 0, 0, dim])
        vector = np.random.Generator(bits).standard_normal(dim, np.float32)
        return torch.from_numpy(vector).to(self.device).expand(len(self.origins), dim)


class Model(nn.Module, ABC):
    """An image-to-image model. Subclass it, and register the class through `register_models`.

    Everything a model remembers between steps is a parameter or a buffer, and its randomness is torch's: so
    training resumes exactly without the model doing anything for it.
    """

    name: ClassVar[str]
    """The name users type; equal to the name of the entry point."""
    title: ClassVar[str] = ""
    paper: ClassVar[str] = ""
    """Where the method is described: authors, year, title, address."""
    fallback: ClassVar[bool] = False
    """Taken by `train` where no model is named; one registered model says so. A subclass does not inherit it."""
    pairing: ClassVar[Pairing] = "aligned"
    """What a training batch holds: "aligned", the maps and the images of the same tiles, or "unaligned", maps of
    training tiles and images drawn independently of them, also from tiles without a map. Validation is aligned."""
    defaults: ClassVar[TrainDefaults] = TrainDefaults()
    sizes: ClassVar[tuple[int, ...]] = (64, 128, 256, 512)
    """The tile sizes the networks take."""
    stride: ClassVar[int] = 1
    """Windows that are to be joined start at multiples of this many pixels."""
    margin: ClassVar[int | None] = None
    """How many pixels around a pixel decide its value; None where the model sees the whole tile."""

    class Options(ModelOptions):
        """The model's own options."""

    generator: nn.Module
    """What `translate` uses. It alone is averaged over training, kept in the best checkpoint, and run later."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.fallback = vars(cls).get("fallback", False)

    def __init__(self, spec: TileSpec, options: ModelOptions) -> None:
        super().__init__()
        self.spec = spec

    @abstractmethod
    def optimizers(self) -> dict[str, Optimizer]:
        """Return the optimisers by the names that `training_step` uses. Called once, on the training device."""

    @abstractmethod
    def training_step(self, batch: Batch) -> Iterator[Update]:
        """Yield the updates of one step, in order; the core does each before it asks for the next.

        What stands after a `yield` happens after that optimiser's step. Never yield inside a context manager.
        """

    def translate(self, source: Tensor, noise: Noise) -> Tensor:
        """Return images in [-1, 1], (N, target_channels, H, W), for sources (N, source_channels, H, W).

        Called in evaluation mode without gradients. The default runs the generator and uses no noise.
        """
        image: Tensor = self.generator(source)
        return image

    def remarks(self, means: Mapping[str, float]) -> Iterator[str]:
        """Yield what a user should know after an epoch, a line each; `means` are those of the step's losses and log."""
        yield from ()

    def validation_losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Return scalars by name, lower is better; in evaluation mode, without gradients, changing nothing.

        The default is `l1`, the mean absolute difference of `translate` and target in [-1, 1].
        """
        noise = Noise(0, [(0, 0)] * len(batch), self.spec.size, batch.source.device)
        return {"l1": F.l1_loss(self.translate(batch.source, noise), batch.target)}
