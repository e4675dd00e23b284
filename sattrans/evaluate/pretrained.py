"""Families that need published weights, given by path."""

from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from sattrans.evaluate.base import Family, Metric, Pair, Setting, Statistics, Unavailable, Weights, mean_of
from sattrans.metrics.features import imagenet_normalised
from sattrans.metrics.frechet import centred_cosines, cosines, frechet, kid
from sattrans.metrics.weights import weights_hint

GRID = 4
"""Fields a side that VGG19's features are averaged over before they are centred."""


class Learned(Family):
    """Features of images by a network: the tool `weights` names."""

    weights: ClassVar[str]

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        if self.weights not in setting.tools:
            raise Unavailable(f"needs --weights {self.weights}=FILE", weights_hint(self.weights))
        self._network = setting.tools[self.weights].network

    def _on_device(self, image: Tensor) -> Tensor:
        return image[None].to(next(self._network.parameters()).device)


class Inception(Learned):
    """KID, and FID beside it."""

    metrics = (
        Metric(
            "kid",
            "KID × 10³",
            "",
            "lower",
            "unbiased squared MMD of Inception features, kernel (x·y/D + 1)³, whole set (Bińkowski et al. 2018)",
            each=False,
        ),
        Metric(
            "fid",
            "FID",
            "",
            "lower",
            "Fréchet distance of Inception features (Heusel et al. 2017); biased upwards for few images",
            each=False,
        ),
    )
    sets = others = True
    weights = "inception"

    @torch.no_grad()
    def measure(self, pair: Pair) -> Statistics:
        """Return the features of both."""
        both = [self._network(self._on_device(image))[0] for image in (pair.fake, pair.real)]
        features: Statistics = torch.cat(both).float().cpu().numpy()
        return features

    def combine(self, metric: str, statistics: Statistics, weights: Weights) -> NDArray[np.float64]:
        """Return the distance; FID has no interval, for images drawn twice make it larger."""
        fake, real = np.split(statistics, 2, axis=1)
        if metric == "kid":
            return 1000 * kid(fake, real, weights) if len(fake) > 1 else np.full(len(weights), np.nan)
        return np.full(len(weights), frechet(fake, real) if (weights == 1).all() else np.nan)


class VGG(Learned):
    """The cosine of VGG19's features: as the report did it, and centred."""

    metrics = (
        Metric(
            "vgg_cosine",
            "VGG19 cosine",
            "",
            "higher",
            "cosine of relu5_4 of VGG19 for images in [−1, 1]; unrelated images score near 1, too",
            each=False,
        ),
        Metric(
            "vgg_centred",
            "VGG19 centred",
            "",
            "higher",
            "cosine of relu5_4, ImageNet-normalised, averaged over 4×4 fields, less the real images' mean feature",
            each=False,
        ),
    )
    weights = "vgg19"

    @torch.no_grad()
    def measure(self, pair: Pair) -> Statistics:
        """Return the plain cosine of relu5_4 for input in [-1, 1]; then both images' features, ImageNet-normalised."""
        images = [self._on_device(image) for image in (pair.fake, pair.real)]
        plain = [self._network(image.float() / 127.5 - 1).flatten(1).cpu().numpy() for image in images]
        right = [F.adaptive_avg_pool2d(self._network(imagenet_normalised(image)), GRID) for image in images]
        return np.concatenate([cosines(*plain), *(r.flatten().float().cpu().numpy() for r in right)])

    def combine(self, metric: str, statistics: Statistics, weights: Weights) -> NDArray[np.float64]:
        """Return the mean cosine."""
        if metric == "vgg_cosine":
            return mean_of(statistics[:, :1], weights)[:, 0]
        fake, real = np.split(statistics[:, 1:], 2, axis=1)
        return centred_cosines(fake, real, weights)


LEARNED: tuple[type[Learned], ...] = (Inception, VGG)
