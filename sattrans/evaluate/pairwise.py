"""Metric families that compare an image with the real image of the same map, or the classes in both."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

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
    known_mean,
    weighted_mean,
)
from sattrans.metrics.color import MOMENTS, black_pixels, class_moments, color_distances, sam
from sattrans.metrics.lines import LineLooks
from sattrans.metrics.pixel import l1_sum, l2_norm, mae, psnr, rmse
from sattrans.metrics.segmentation import nanmean
from sattrans.metrics.structure import MS_SSIM_SIZE, WINDOW, ms_ssim, ssim

PairMetric = Callable[[Tensor, Tensor], float | None]
"""Computes a value from a generated and a real image (3, H, W); None if the pair has none."""


class PixelMetrics(Family):
    """Metrics of single pairs, averaged over the pairs that have a value."""

    functions: ClassVar[dict[Metric, PairMetric]] = {
        Metric(
            "mae",
            "MAE",
            "grey levels",
            "lower",
            "mean absolute difference of all values of an image, then the mean over images",
            range=NOT_NEGATIVE,
        ): mae,
        Metric(
            "rmse",
            "RMSE",
            "grey levels",
            "lower",
            "root of the mean squared difference of an image, then the mean over images",
            range=NOT_NEGATIVE,
        ): rmse,
        Metric(
            "psnr",
            "PSNR",
            "dB",
            "higher",
            "10·log₁₀(255² / mean squared difference) of each image, then the mean; equal images are counted apart",
            range=NOT_NEGATIVE,
        ): psnr,
        Metric(
            "l1_sum",
            "L1 sum",
            "of [-1, 1]",
            "lower",
            "sum of absolute differences of all values of an image in [−1, 1]; it grows with the image",
            range=NOT_NEGATIVE,
        ): l1_sum,
        Metric(
            "l2_norm",
            "L2 norm",
            "of [-1, 1]",
            "lower",
            "root of the sum of squared differences of an image in [−1, 1]; it grows with the image",
            range=NOT_NEGATIVE,
        ): l2_norm,
        Metric(
            "sam",
            "SAM",
            "degrees",
            "lower",
            "mean angle between the colours of a pixel; black pixels have none and are left out",
            range=(0.0, 90.0),
        ): sam,
    }
    metrics = tuple(functions)

    def measure(self, pair: ImagePair) -> Statistics:
        """Return the value of each metric, NaN for none, then the number of black pixels."""
        fake, real = pair.valid_pixels
        if not real.numel():
            return np.array([*(np.nan for _ in self.functions), 0])
        values = [function(fake, real) for function in self.functions.values()]
        return np.array([*(np.nan if v is None else v for v in values), black_pixels(fake, real)])

    def combine(self, metric: str, statistics: Statistics, weights: PairWeights) -> NDArray[np.float64]:
        """Return the mean over the pairs that have a value."""
        return known_mean(self._column(metric, statistics), weights)

    def details(self, statistics: Statistics) -> dict[str, Any]:
        """Return the number of images without a PSNR, and of pixels without an angle."""
        equal = np.isnan(self._column("psnr", statistics)) & np.isfinite(self._column("mae", statistics))
        return {"equal_images": int(equal.sum()), "black_pixels": int(statistics[:, -1].sum())}

    def _column(self, metric: str, statistics: Statistics) -> Statistics:
        return statistics[:, [m.name for m in self.metrics].index(metric)]


class StructuralSimilarity(Family):
    """SSIM."""

    metrics = (
        Metric(
            "ssim",
            "SSIM",
            "",
            "higher",
            "structural similarity (Wang et al. 2004): Gaussian 11×11, σ 1.5, K 0.01 and 0.03, population covariance, "
            "only where the window lies inside, mean of the channels",
            range=(-1.0, 1.0),
        ),
    )
    min_size = WINDOW

    def measure(self, pair: ImagePair) -> Statistics:
        """Return the similarity."""
        return np.array([ssim(pair.fake, pair.real, pair.valid)])

    def combine(self, metric: str, statistics: Statistics, weights: PairWeights) -> NDArray[np.float64]:
        """Return the mean over the pairs that have a value."""
        return known_mean(statistics[:, 0], weights)


class MultiScaleSimilarity(StructuralSimilarity):
    """MS-SSIM."""

    metrics = (
        Metric(
            "ms_ssim",
            "MS-SSIM",
            "",
            "higher",
            "structural similarity over five scales (Wang et al. 2003)",
            range=(0.0, 1.0),
        ),
    )
    min_size = MS_SSIM_SIZE

    def measure(self, pair: ImagePair) -> Statistics:
        """Return the similarity."""
        return np.array([ms_ssim(pair.fake, pair.real, pair.valid)])


class ClassColors(Family):
    """The colours inside each class, over the whole set."""

    metrics = (
        Metric(
            "class_color",
            "class colour",
            "grey levels",
            "lower",
            "distance of the mean colours inside each class over the whole set, then the mean of the classes",
            class_details="class_color",
            class_title="distance of the mean colour",
            range=NOT_NEGATIVE,
        ),
        Metric(
            "class_spread",
            "class spread",
            "grey levels",
            "lower",
            "√Tr(Σ₁ + Σ₂ − 2(Σ₁Σ₂)^½) of the covariances of colour inside each class, then the mean of the classes",
            class_details="class_spread",
            class_title="distance of the spread of colour",
            range=NOT_NEGATIVE,
        ),
    )
    real_from_training = needs_classes = True

    def measure(self, pair: ImagePair) -> Statistics:
        """Return the moments of both images in each class."""
        assert pair.fake_map is not None
        assert pair.real_map is not None
        classes = len(self.context.classes)
        fake = class_moments(pair.fake, pair.fake_map, classes)
        real = class_moments(pair.real, pair.real_map, classes)
        return np.stack([fake, real]).ravel()

    def _distances(
        self, statistics: Statistics, weights: PairWeights
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        moments = weighted_mean(statistics, weights).reshape(len(weights), 2, len(self.context.classes), MOMENTS)
        return color_distances(moments[:, 0], moments[:, 1])

    def combine(self, metric: str, statistics: Statistics, weights: PairWeights) -> NDArray[np.float64]:
        """Return the mean distance of the classes that both sets have."""
        means, spreads = self._distances(statistics, weights)
        return nanmean(means if metric == "class_color" else spreads)

    def details(self, statistics: Statistics) -> dict[str, Any]:
        """Return the distances of each class; None for a class that is absent."""
        both = self._distances(statistics, np.ones((1, len(statistics))))
        return {
            metric.class_details: by_class(self.context, distances[0])
            for metric, distances in zip(self.metrics, both, strict=True)
            if metric in self.selected
        }


class LineRecall(Family):
    """Lines of the map that are seen in the image. Tool `lines`: what lines look like, `LineLooks`."""

    metrics = (
        Metric(
            "line_recall",
            "line recall",
            "%",
            "higher",
            "of each class, the share of the pixels of thin structures (at most 5 px wide, at least 16 px long) whose "
            "contrast with their surroundings is nearer to that of lines of the class than to none, as learned from "
            "the training tiles; then the mean of the classes",
            range=(0.0, 100.0),
        ),
    )
    needs_classes = True

    def __init__(self, context: MetricContext) -> None:
        super().__init__(context)
        if "lines" not in context.tools:
            raise Unavailable("needs training tiles")
        self._looks: LineLooks = context.tools["lines"]

    def measure(self, pair: ImagePair) -> Statistics:
        """Return how many pixels of lines of each class are seen, and of how many."""
        assert pair.fake_map is not None
        return self._looks.seen(pair.fake, pair.fake_map).ravel()

    def _shares(self, statistics: Statistics, weights: PairWeights) -> NDArray[np.float64]:
        seen, count = np.moveaxis((weights @ statistics).reshape(len(weights), -1, 2), -1, 0)
        shares: NDArray[np.float64] = 100 * seen / np.where(count > 0, count, np.nan)
        return shares

    def combine(self, metric: str, statistics: Statistics, weights: PairWeights) -> NDArray[np.float64]:
        """Return the mean share of the classes that have lines."""
        return nanmean(self._shares(statistics, weights))

    def details(self, statistics: Statistics) -> dict[str, Any]:
        """Return the share of each class; None for a class without lines."""
        return {
            "line_recall_by_class": by_class(self.context, self._shares(statistics, np.ones((1, len(statistics))))[0])
        }


FAMILIES: tuple[type[Family], ...] = (PixelMetrics, StructuralSimilarity, MultiScaleSimilarity, ClassColors, LineRecall)
"""The families of this module, in the order of the table."""
