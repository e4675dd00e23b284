"""Metric families that need a trained network: a segmenter, or a network with published weights."""

from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from sattrans.evaluate.base import (
    NOT_NEGATIVE,
    Family,
    ImagePair,
    Metric,
    MetricContext,
    PairWeights,
    Statistics,
    Unavailable,
    by_class,
    weighted_mean,
)
from sattrans.metrics.features import imagenet_normalised
from sattrans.metrics.frechet import centred_cosines, cosines, frechet, kid
from sattrans.metrics.segmentation import confusion, iou, mean_iou
from sattrans.metrics.weights import weights_hint

GRID = 4
"""Side of the grid that VGG19's features are averaged over before they are centred."""


class SegmentationConsistency(Family):
    """Classes that a segmenter of real images finds in generated ones. Tool `segmenter`: image to class indices."""

    metrics = (
        Metric(
            "miou",
            "mIoU",
            "",
            "higher",
            "mean intersection over union of the map with the classes that a segmenter of real images finds, from the "
            "confusion of the whole set, over the classes that occur in the maps",
            per_image=False,
            class_details="iou",
            class_title="IoU with the segmented image",
            range=(0.0, 1.0),
        ),
    )
    needs_classes = True

    def __init__(self, context: MetricContext) -> None:
        super().__init__(context)
        if "segmenter" not in context.tools:
            raise Unavailable("needs --segmenter train", "or --segmenter FILE for a trained one")

    def measure(self, pair: ImagePair) -> Statistics:
        """Return the confusion of the map of the real image with the segmented generated image."""
        assert pair.real_map is not None
        predicted = self.context.tools["segmenter"](pair.fake)
        return confusion(predicted, pair.real_map, len(self.context.classes)).ravel()

    def _confusion(self, statistics: Statistics, weights: PairWeights) -> NDArray[np.float64]:
        return weighted_mean(statistics, weights).reshape(len(weights), *[len(self.context.classes)] * 2)

    def combine(self, metric: str, statistics: Statistics, weights: PairWeights) -> NDArray[np.float64]:
        """Return the mean over classes of the intersection over union of the set."""
        return mean_iou(self._confusion(statistics, weights))

    def details(self, statistics: Statistics) -> dict[str, Any]:
        """Return the intersection over union of each class; None for a class that does not occur in the maps."""
        per_class = iou(self._confusion(statistics, np.ones((1, len(statistics)))))[0]
        return {"iou": by_class(self.context, per_class)}


class WeightsFamily(Family):
    """A family that computes features with published weights: the tool that `weights` names."""

    weights: ClassVar[str]

    def __init__(self, context: MetricContext) -> None:
        super().__init__(context)
        if self.weights not in context.tools:
            raise Unavailable(f"needs --weights {self.weights}=FILE", weights_hint(self.weights))
        self._network = context.tools[self.weights].network

    def _on_device(self, image: Tensor) -> Tensor:
        return image[None].to(next(self._network.parameters()).device)


class InceptionDistances(WeightsFamily):
    """KID and FID."""

    metrics = (
        Metric(
            "kid",
            "KID × 10³",
            "",
            "lower",
            "unbiased squared MMD of Inception features, kernel (x·y/D + 1)³, whole set (Bińkowski et al. 2018)",
            per_image=False,
        ),
        Metric(
            "fid",
            "FID",
            "",
            "lower",
            "Fréchet distance of Inception features (Heusel et al. 2017); biased upwards for few images",
            per_image=False,
            min_images=2048,
            range=NOT_NEGATIVE,
        ),
    )
    compares_sets = real_from_training = True
    weights = "inception"

    @torch.no_grad()
    def measure(self, pair: ImagePair) -> Statistics:
        """Return the features of both images."""
        both = [self._network(self._on_device(image))[0] for image in (pair.fake, pair.real)]
        features: Statistics = torch.cat(both).float().cpu().numpy()
        return features

    def combine(self, metric: str, statistics: Statistics, weights: PairWeights) -> NDArray[np.float64]:
        """Return the distance; FID has no interval, because images that are drawn twice increase it."""
        fake, real = np.split(statistics, 2, axis=1)
        if metric == "kid":
            return 1000 * kid(fake, real, weights) if len(fake) > 1 else np.full(len(weights), np.nan)
        return np.full(len(weights), frechet(fake, real) if (weights == 1).all() else np.nan)


class VGG19Cosines(WeightsFamily):
    """The cosine of VGG19's features: as in the project's first report, and centred."""

    metrics = (
        Metric(
            "vgg_cosine",
            "VGG19 cosine",
            "",
            "higher",
            "cosine of relu5_4 of VGG19 for images in [−1, 1]; even unrelated images score near 1",
            per_image=False,
            range=(-1.0, 1.0),
        ),
        Metric(
            "vgg_centred",
            "VGG19 centred",
            "",
            "higher",
            "cosine of relu5_4, ImageNet-normalised, averaged over 4×4 fields, less the mean feature of real images",
            per_image=False,
            range=(-1.0, 1.0),
        ),
    )
    weights = "vgg19"

    @torch.no_grad()
    def measure(self, pair: ImagePair) -> Statistics:
        """Return the plain cosine of relu5_4 for input in [-1, 1]; then both images' features, ImageNet-normalised."""
        images = [self._on_device(image) for image in (pair.fake, pair.real)]
        plain = [self._network(image.float() / 127.5 - 1).flatten(1).cpu().numpy() for image in images]
        averaged = [F.adaptive_avg_pool2d(self._network(imagenet_normalised(image)), GRID) for image in images]
        return np.concatenate([cosines(*plain), *(f.flatten().float().cpu().numpy() for f in averaged)])

    def combine(self, metric: str, statistics: Statistics, weights: PairWeights) -> NDArray[np.float64]:
        """Return the mean cosine."""
        if metric == "vgg_cosine":
            return weighted_mean(statistics[:, :1], weights)[:, 0]
        fake, real = np.split(statistics[:, 1:], 2, axis=1)
        return centred_cosines(fake, real, weights)


FAMILIES: tuple[type[Family], ...] = (SegmentationConsistency, InceptionDistances, VGG19Cosines)
"""The families of this module, in the order of the table."""
