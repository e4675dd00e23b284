"""Validation of a generator: batch-norm statistics are estimated again, then losses and sample images are computed."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sattrans.data.batches import Batches, to_picture
from sattrans.data.contact_sheet import write_sheet
from sattrans.data.tileset import Tileset
from sattrans.model import Model, Noise

REFRESH_TILES = 64
"""Number of training tiles from which batch-norm statistics are estimated again before validation."""

SAMPLE_TILES = 4


@contextmanager
def use_generator(model: Model, generator: nn.Module) -> Iterator[None]:
    """Give a model another generator, in evaluation mode, within the block."""
    own = model.generator
    model.generator = generator
    model.eval()
    try:
        yield
    finally:
        model.generator = own
        model.train()


def refresh_batch_norm(generator: nn.Module, train: Batches) -> nn.Module:
    """Return a copy of a generator whose batch-norm statistics are estimated again on training tiles.

    Statistics gathered while the weights changed are poor: on real data estimating them again lowers the loss more than
    another epoch. Every tile has the same weight, and dropout is off, as in `translate`.
    """
    copied: nn.Module = copy.deepcopy(generator)
    copied.eval()
    norms = [m for m in copied.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if norms:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a cumulative mean
            norm.train()
        with torch.no_grad():
            for batch in train.plain(max(REFRESH_TILES, train.batch_size)):
                if len(batch) == train.batch_size:
                    copied(batch.source)
        copied.eval()
    return copied


@torch.no_grad()
def validate(model: Model, val: Batches) -> dict[str, float]:
    """Return the means of the model's validation losses over the paired tiles of a split."""
    sums: dict[str, float] = {}
    count = 0
    for batch in val.plain():
        for name, value in model.validation_losses(batch).items():
            sums[name] = sums.get(name, 0.0) + float(value) * len(batch)
        count += len(batch)
    return {name: total / count for name, total in sums.items()}


@torch.no_grad()
def write_samples(model: Model, val: Batches, path: Path) -> None:
    """Write a sheet of map, generated and real image of the tiles with the most even class mix."""
    palette = val.store.tileset.palette
    rows = []
    for index in Tileset.most_varied(val.tiles, SAMPLE_TILES):
        # One at a time: four tiles of 512 px in one batch would take more memory than training does.
        batch = val.pick([index])
        image = model.translate(batch.source, Noise(0, [(0, 0)], model.spec.size, val.device))
        map_ = to_picture(val.store[index][1], palette)
        rows.append((map_, *_to_pixels((image[0], batch.target[0]))))
    write_sheet(path, rows, ("map", "generated", "real"))


def _to_pixels(images: tuple[Tensor, ...]) -> tuple[Any, ...]:
    """Return images in [-1, 1], (3, H, W), as uint8 arrays."""
    return tuple(((image.float() + 1) * 127.5).round().clamp(0, 255).byte().cpu().numpy() for image in images)
