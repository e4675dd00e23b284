"""A small model under test, trained on synthetic batches as by the training loop."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import get_args

import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from sattrans.data.batches import ENCODINGS, source_channels
from sattrans.model import Batch, Model, ModelOptions, Noise, SourceEncoding, TileSpec, Update
from sattrans.raster.palette import LandClass, Palette, distinct_colors
from sattrans.testing.require import require

PALETTE = Palette(tuple(LandClass(value, f"class_{value}", color) for value, color in enumerate(distinct_colors(5))))
WIDTHS = (8, 16, 32, 64)
"""Widths, of which the first that the model accepts is used; conformance does not depend on the width."""

TILES = 3
"""Number of training tiles that a model is prepared with."""

PATCH = 16
"""Side, in pixels, of the patches of one class in a synthetic map."""


@dataclass(frozen=True)
class Trial:
    """A model class with one source encoding."""

    kind: type[Model]
    size: int
    options: ModelOptions

    @property
    def what(self) -> str:
        """The model's name in messages."""
        return f"model '{self.kind.name}' (source {self.options.source})"

    @property
    def encoding(self) -> SourceEncoding:
        """How maps are encoded."""
        assert self.options.source != "auto"
        return self.options.source

    @property
    def spec(self) -> TileSpec:
        """The tiles that the model is built for."""
        return TileSpec(self.size, source_channels(self.encoding, PALETTE), classes=len(PALETTE), tiles=TILES)

    def build(self, seed: int = 0) -> Model:
        """Return the model with weights initialized from `seed`, prepared with tiles of its own, in training mode."""
        model = self.bare(seed)
        model.prepare([self.batch(-1 - number - seed * TILES, 1) for number in range(TILES)])
        return model

    def bare(self, seed: int = 0) -> Model:
        """Return the model with weights initialized from `seed`, not prepared, in training mode."""
        torch.manual_seed(seed)
        return self.kind(self.spec, self.options).train()

    def batch(self, number: int, count: int = 2) -> Batch:
        """Return synthetic batch `number`: patches of classes, and the same patches with random shades as images."""
        random = torch.Generator().manual_seed(number % 2**32)
        patches = -(-self.size // PATCH)
        classes = torch.randint(0, len(PALETTE), (count, patches, patches), generator=random)
        indices = classes.repeat_interleave(PATCH, 1).repeat_interleave(PATCH, 2)[:, : self.size, : self.size]
        shade = 0.2 * torch.rand(count, 3, self.size, self.size, generator=random)
        target = 0.7 * ENCODINGS["color"](indices, PALETTE) + shade
        return Batch(ENCODINGS[self.encoding](indices, PALETTE), target)

    def training_batch(self, step: int) -> Batch:
        """Return the batch of a step; its size alternates between the model's default (at most two) and two.

        The images in a batch of an unaligned model belong to other maps.
        """
        count = 2 if step % 2 else min(2, self.kind.defaults.batch_size)
        batch = self.batch(step, count)
        if self.kind.refines and step % 2:
            batch = replace(batch, coarse=F.avg_pool2d(self.batch(step + 500, count).target, self.kind.refines))
        return batch if self.kind.pairing == "aligned" else Batch(batch.source, self.batch(step + 1000, count).target)

    def noise(self, count: int, first: int = 0) -> Noise:
        """Return noise for `count` windows in a row of a map, starting at window `first`."""
        return Noise(0, [(0, number * self.size) for number in range(first, first + count)], self.size)

    @torch.no_grad()
    def translated(self, model: Model, source: Tensor, noise: Noise | None = None) -> Tensor:
        """Return the images that a model generates in evaluation mode, of tiles around which there is no data."""
        training = model.training
        model.eval()
        source = F.pad(source, (self.kind.context or 0,) * 4)
        image = model.translate(source, noise or self.noise(len(source)))
        model.train(training)
        return image

    def sources(self, model: Model, source: Tensor) -> Tensor:
        """Return which tile each pixel of these images is from, by a model that copies."""
        model.eval()
        numbers = model.sources(F.pad(source, (self.kind.context or 0,) * 4), self.noise(len(source)))
        model.train()
        return numbers

    def step(self, model: Model, optimizers: Mapping[str, Optimizer], batch: Batch, bf16: bool = False) -> None:
        """Do a step as `sattrans.train.loop` does, and check what the loop relies on in each update."""
        updates = model.training_step(batch)
        while (update := _next(updates, bf16)) is not None:
            self._check_update(update, optimizers)
            require(
                torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu"),
                f"{self.what} yields inside a context manager; close it before the yield",
            )
            optimizer = optimizers[update.optimizer]
            optimizer.zero_grad(set_to_none=True)
            update.total.backward(inputs=[p for p in parameters(optimizer) if p.requires_grad])
            optimizer.step()

    def _check_update(self, update: object, optimizers: Mapping[str, Optimizer]) -> None:
        require(isinstance(update, Update), f"{self.what} must yield an Update, got {update!r}")
        assert isinstance(update, Update)
        require(
            update.optimizer in optimizers,
            f"{self.what} yields an update of '{update.optimizer}'; its optimizers() are {', '.join(optimizers)}",
        )
        require(update.losses, f"{self.what} yields an update of '{update.optimizer}' without losses")
        for name, value in [*update.losses.items(), *update.log.items()]:
            require_scalar(value, f"{name} of {self.what}")
        for name, loss in update.losses.items():
            require(
                loss.requires_grad,
                f"loss {name} of {self.what} has no gradient; values that are only logged belong in `log`",
            )


def _next(updates: Iterator[Update], bf16: bool) -> Update | None:
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        return next(updates, None)


def parameters(optimizer: Optimizer) -> list[Tensor]:
    """Return the parameters of an optimiser."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def require_scalar(value: object, what: str) -> None:
    """Raise `AssertionError` unless a value is a finite scalar tensor."""
    require(isinstance(value, Tensor) and value.ndim == 0, f"{what} is not a scalar tensor")
    require(isinstance(value, Tensor) and bool(value.isfinite()), f"{what} is {value}")


def trials(kind: type[Model], size: int) -> list[Trial]:
    """Return a trial for each source encoding that the model's options allow."""
    found = []
    for encoding in get_args(SourceEncoding):
        for width in WIDTHS:
            try:
                found.append(Trial(kind, size, kind.Options(source=encoding, width=width)))
            except ValidationError:
                continue
            break
    return found


def state(model: nn.Module) -> dict[str, Tensor]:
    """Return a copy of a module's parameters and buffers."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def changed(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> list[str]:
    """Return the names of the tensors that differ."""
    return sorted(
        name
        for name in before.keys() | after.keys()
        if name not in before or name not in after or not torch.equal(before[name], after[name])
    )
