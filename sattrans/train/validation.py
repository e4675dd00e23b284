"""Validation of a generator: batch-norm statistics are estimated again, then losses and sample images are computed."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sattrans.data.batches import Batches, to_levels, to_picture
from sattrans.data.contact_sheet import write_sheet
from sattrans.data.tileset import Tileset
from sattrans.metrics.baselines import evenly_spaced
from sattrans.metrics.kid_lite import LAYERS, LiteFeatures, LiteKID, place_descriptions
from sattrans.model import Model

REFRESH_TILES = 64
"""Number of training tiles from which batch-norm statistics are estimated again before validation."""

SAMPLE_TILES = 4

JUDGED_TILES = 32
"""Number of validation tiles, evenly spaced, that kernel distances are computed on: about 2 CPU s for 16 of 256 px."""

FEWEST_TILES = 4

DISTANCES = ("joint_kid", "kid")
"""Validation scores of any model. `kid` is KID (EfficientNet-Lite1); `joint_kid` that of images with their maps: it is
low only if images look real and follow their maps."""


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
        full = min(train.batch_size, train.store.paired)
        with torch.no_grad():
            for batch in train.plain(max(REFRESH_TILES, train.batch_size)):
                if len(batch) == full:
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


class Judge:
    """Computes `kid` and `joint_kid` of a model on validation tiles. Features of the real images are kept.

    With fewer validation tiles than `JUDGED_TILES` it takes training tiles instead: the few scenes of a small
    validation split have colours of their own, and the distance then says more of them than of the model. A GAN that
    learns its training tiles by heart is not seen in that case; augmentation is there against it.

    Fewer than four tiles are cut into quarters, because a distance compares different places.

    Raises `UsageError` if the package with the pretrained weights is missing or altered.
    """

    def __init__(self, val: Batches, train: Batches) -> None:
        self.val = val = val if len(val.tiles) >= JUDGED_TILES else train
        count = len(val.tiles)
        self.indices = evenly_spaced(count, min(count, JUDGED_TILES))
        self._cut = _quarters if count < FEWEST_TILES else lambda tiles: tiles
        batches = [val.pick([index]) for index in self.indices]
        real = self._cut(torch.cat([to_levels(batch.target) for batch in batches]))
        places = np.concatenate([place_descriptions(self._cut(batch.source)) for batch in batches])
        which, block = LAYERS["kid_lite1"]
        self._features = LiteFeatures(which, (block,), val.device)
        (features,) = self._features(real)
        self._plain = LiteKID(features, device=val.device)
        self._joint = LiteKID(features, conditions=places, device=val.device)

    @torch.no_grad()
    def __call__(self, model: Model) -> dict[str, float]:
        """Return both distances of what the model's generator makes of the maps."""
        made = []
        for index in self.indices:
            batch = self.val.pick([index])
            made.append(to_levels(model.translate_tiles(model.sources_of(batch))))
        (features,) = self._features(self._cut(torch.cat(made)))  # once, for both
        return {"joint_kid": self._joint.distance(features), "kid": self._plain.distance(features)}


@torch.no_grad()
def write_samples(model: Model, val: Batches, path: Path) -> None:
    """Write a sheet of map, generated and real image of the tiles with the most even class mix."""
    palette = val.store.tileset.palette
    rows = []
    for index in Tileset.most_varied(val.tiles, SAMPLE_TILES):
        # One at a time: four tiles of 512 px in one batch would take more memory than training does.
        batch = val.pick([index])
        image = model.translate_tiles(model.sources_of(batch))
        map_ = to_picture(val.store[index][1], palette)
        rows.append((map_, *_to_pixels((image[0], batch.target[0]))))
    write_sheet(path, rows, ("map", "generated", "real"))


def _to_pixels(images: tuple[Tensor, ...]) -> tuple[Any, ...]:
    """Return images in [-1, 1], (3, H, W), as uint8 arrays."""
    return tuple(to_levels(image).cpu().numpy() for image in images)


def _quarters(tiles: Tensor) -> Tensor:
    """Cut tiles (N, C, S, S) into four parts each, (4·N, C, S / 2, S / 2), tile by tile."""
    side = tiles.shape[-1] // 2
    parts = [tiles[..., r : r + side, c : c + side] for r in (0, side) for c in (0, side)]
    return torch.stack(parts, dim=1).flatten(0, 1)
