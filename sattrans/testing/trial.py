"""A model on trial: built small, fed made batches, stepped as the training loop steps it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import get_args

import torch
from pydantic import ValidationError
from torch import Tensor
from torch.optim import Optimizer

from sattrans.data.batches import ENCODINGS, source_channels
from sattrans.model import Batch, Model, ModelOptions, Noise, SourceEncoding, TileSpec, Update
from sattrans.raster.palette import LandClass, Palette, distinct_colors
from sattrans.testing.require import require

PALETTE = Palette(tuple(LandClass(value, f"class_{value}", color) for value, color in enumerate(distinct_colors(5))))
WIDTHS = (8, 16, 32, 64)
"""Widths tried in turn: the conformance of a model does not depend on how wide it is."""

PATCH = 16
"""Side, in pixels, of the patches of one class in a made map."""


@dataclass(frozen=True)
class Trial:
    """A model class with one source encoding."""

    kind: type[Model]
    size: int
    options: ModelOptions

    @property
    def what(self) -> str:
        """How messages name it."""
        return f"model '{self.kind.name}' (source {self.options.source})"

    @property
    def spec(self) -> TileSpec:
        """What it is built for."""
        return TileSpec(self.size, source_channels(self.options.source, PALETTE), classes=len(PALETTE))

    def build(self, seed: int = 0) -> Model:
        """Return the model, its weights drawn from `seed`, in training mode."""
        torch.manual_seed(seed)
        return self.kind(self.spec, self.options).train()

    def batch(self, number: int, count: int = 2) -> Batch:
        """Return made batch `number`: patches of classes, and the same patches shaded."""
        draw = torch.Generator().manual_seed(number)
        patches = -(-self.size // PATCH)
        classes = torch.randint(0, len(PALETTE), (count, patches, patches), generator=draw)
        indices = classes.repeat_interleave(PATCH, 1).repeat_interleave(PATCH, 2)[:, : self.size, : self.size]
        shade = 0.2 * torch.rand(count, 3, self.size, self.size, generator=draw)
        target = 0.7 * ENCODINGS["color"](indices, PALETTE) + shade
        return Batch(ENCODINGS[self.options.source](indices, PALETTE), target)

    def training_batch(self, step: int) -> Batch:
        """Return the batch of a step: as large as the model's default (two at most) and two in turn.

        The images of an unaligned model's batch belong to other maps.
        """
        count = 2 if step % 2 else min(2, self.kind.defaults.batch_size)
        batch = self.batch(step, count)
        return batch if self.kind.pairing == "aligned" else Batch(batch.source, self.batch(step + 1000, count).target)

    def noise(self, count: int, first: int = 0) -> Noise:
        """Return noise for `count` of the windows in a row of a map, from the `first` on."""
        return Noise(0, [(0, number * self.size) for number in range(first, first + count)], self.size)

    @torch.no_grad()
    def translated(self, model: Model, source: Tensor, noise: Noise | None = None) -> Tensor:
        """Return what a model translates in evaluation mode."""
        training = model.training
        model.eval()
        image = model.translate(source, noise or self.noise(len(source)))
        model.train(training)
        return image

    def step(self, model: Model, optimizers: Mapping[str, Optimizer], batch: Batch, bf16: bool = False) -> None:
        """Do a step as `sattrans.train.loop` does, and require of each update what the loop relies on."""
        updates = model.training_step(batch)
        while (update := _next(updates, bf16)) is not None:
            self._check_update(update, optimizers)
            require(
                torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu"),
                f"{self.what} yields inside a context manager: close it before the yield",
            )
            optimizer = optimizers[update.optimizer]
            optimizer.zero_grad(set_to_none=True)
            update.total.backward(inputs=[p for p in parameters(optimizer) if p.requires_grad])
            optimizer.step()

    def _check_update(self, update: object, optimizers: Mapping[str, Optimizer]) -> None:
        require(isinstance(update, Update), f"{self.what} yields {update!r}: an Update is needed")
        assert isinstance(update, Update)
        require(
            update.optimizer in optimizers,
            f"{self.what} yields an update of '{update.optimizer}'; its optimizers() are {', '.join(optimizers)}",
        )
        require(update.losses, f"{self.what} yields an update of '{update.optimizer}' without losses")
        for name, value in [*update.losses.items(), *update.log.items()]:
            require_scalar(value, f"{name} of {self.what}")
        for name, loss in update.losses.items():
            require(loss.requires_grad, f"loss {name} of {self.what} has no gradient: what is only shown goes to `log`")


def _next(updates: Iterator[Update], bf16: bool) -> Update | None:
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        return next(updates, None)


def parameters(optimizer: Optimizer) -> list[Tensor]:
    """Return what an optimiser optimises."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def require_scalar(value: object, what: str) -> None:
    """Raise `AssertionError` unless a value is a finite tensor of no dimension."""
    require(isinstance(value, Tensor) and value.ndim == 0, f"{what} is no scalar tensor")
    require(isinstance(value, Tensor) and bool(value.isfinite()), f"{what} is {value}")


def trials(kind: type[Model], size: int) -> list[Trial]:
    """Return a trial for each source encoding the model's options allow."""
    found = []
    for encoding in get_args(SourceEncoding):
        for width in WIDTHS:
            try:
                found.append(Trial(kind, size, kind.Options(source=encoding, width=width)))
            except ValidationError:
                continue
            break
    return found


def state(model: Model) -> dict[str, Tensor]:
    """Return a copy of all that a model holds."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def changed(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> list[str]:
    """Return the names of the tensors that differ."""
    return sorted(
        name
        for name in one.keys() | other.keys()
        if name not in one or name not in other or not torch.equal(one[name], other[name])
    )
