"""Pairwise: families that compare an image with the real one of the same map, or the classes in both."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sattrans.evaluate.base import (
    Family,
    Metric,
    Pair,
    Setting,
    Statistics,
    Unavailable,
    Weights,
    by_class,
    mean_of,
)
from sattrans.metrics.color import MOMENTS, black_pixels, class_moments, color_distances, sam
from sattrans.metrics.pixel import l1_sum, l2_norm, mae, psnr, rmse
from sattrans.metrics.segmentation import confusion, iou, mean_iou, nanmean
from sattrans.metrics.structure import MS_SSIM_SIZE, WINDOW, ms_ssim, ssim


class Pixels(Family):
    """Scores of one pair each, and their means: NaN where a pair has none."""

    metrics = (
        Metric(
            "mae",
            "MAE",
            "grey levels",
            "lower",
            "mean absolute difference of all values of an image, then the mean of the images",
        ),
        Metric(
            "rmse",
            "RMSE",
            "grey levels",
            "lower",
            "root of the mean squared difference of an image, then the mean of the images",
        ),
        Metric(
            "psnr",
            "PSNR",
            "dB",
            "higher",
            "10·log₁₀(255² / mean squared difference) of each image, then the mean; equal images are counted apart",
        ),
        Metric(
            "l1_sum",
            "L1 sum",
            "of [-1, 1]",
            "lower",
            "sum of absolute differences of all values of an image in [−1, 1]; it grows with the image",
        ),
        Metric(
            "l2_norm",
            "L2 norm",
            "of [-1, 1]",
            "lower",
            "root of the sum of squared differences of an image in [−1, 1]; it grows with the image",
        ),
        Metric(
            "sam",
            "SAM",
            "degrees",
            "lower",
            "mean angle between the colours of a pixel; black pixels have none and are left out",
        ),
    )
    scores: ClassVar[tuple[Callable[[Tensor, Tensor], float | None], ...]] = (mae, rmse, psnr, l1_sum, l2_norm, sam)

    def measure(self, pair: Pair) -> Statistics:
        """Return each score, then how many pixels are black."""
        values = [np.nan if (v := score(pair.fake, pair.real)) is None else v for score in self.scores]
        return np.array([*values, black_pixels(pair.fake, pair.real)])

    def combine(self, metric: str, statistics: Statistics, weights: Weights) -> NDArray[np.float64]:
        """Return the mean of a score over the pairs that have one."""
        column = statistics[:, [m.name for m in self.metrics].index(metric)]
        there = np.isfinite(column)
        counted = weights @ there.astype(np.float64)
        mean: NDArray[np.float64] = weights @ np.where(there, column, 0) / np.where(counted > 0, counted, np.nan)
        return mean

    def details(self, statistics: Statistics) -> dict[str, Any]:
        """Return the images without a PSNR, and the pixels without an angle."""
        psnr = statistics[:, [m.name for m in self.metrics].index("psnr")]
        return {"equal_images": int(np.isnan(psnr).sum()), "black_pixels": int(statistics[:, -1].sum())}


class Structure(Family):
    """SSIM."""

    metrics = (
        Metric(
            "ssim",
            "SSIM",
            "",
            "higher",
            "structural similarity (Wang et al. 2004): Gaussian 11×11, σ 1.5, K 0.01 and 0.03, population covariance, "
            "only where the window lies inside, mean of the channels",
        ),
    )
    smallest = WINDOW

    def measure(self, pair: Pair) -> Statistics:
        """Return the similarity."""
        return np.array([ssim(pair.fake, pair.real)])

    def combine(self, metric: str, statistics: Statistics, weights: Weights) -> NDArray[np.float64]:
        """Return the mean."""
        return mean_of(statistics, weights)[:, 0]


class StructureAtScales(Structure):
    """MS-SSIM."""

    metrics = (Metric("ms_ssim", "MS-SSIM", "", "higher", "structural similarity over five scales (Wang et al. 2003)"),)
    smallest = MS_SSIM_SIZE

    def measure(self, pair: Pair) -> Statistics:
        """Return the similarity."""
        return np.array([ms_ssim(pair.fake, pair.real)])


class ClassColors(Family):
    """The colours inside each class, over the whole set."""

    metrics = (
        Metric(
            "class_color",
            "class colour",
            "grey levels",
            "lower",
            "distance of the mean colours inside each class over the whole set, then the mean of the classes",
        ),
        Metric(
            "class_spread",
            "class spread",
            "grey levels",
            "lower",
            "√Tr(Σ₁ + Σ₂ − 2(Σ₁Σ₂)^½) of the covariances of colour inside each class, then the mean of the classes",
        ),
    )
    others = of_classes = True

    def measure(self, pair: Pair) -> Statistics:
        """Return the moments of both images in each class."""
        assert pair.fake_map is not None
        assert pair.real_map is not None
        classes = len(self.setting.classes)
        fake, real = (class_moments(*of, classes) for of in ((pair.fake, pair.fake_map), (pair.real, pair.real_map)))
        return np.stack([fake, real]).ravel()

    def _distances(self, statistics: Statistics, weights: Weights) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        moments = mean_of(statistics, weights).reshape(len(weights), 2, len(self.setting.classes), MOMENTS)
        return color_distances(moments[:, 0], moments[:, 1])

    def combine(self, metric: str, statistics: Statistics, weights: Weights) -> NDArray[np.float64]:
        """Return the mean distance of the classes that both have."""
        means, spreads = self._distances(statistics, weights)
        return nanmean(means if metric == "class_color" else spreads)

    def details(self, statistics: Statistics) -> dict[str, Any]:
        """Return the distances of each class; None where it is not there."""
        both = self._distances(statistics, np.ones((1, len(statistics))))
        return {
            metric.name: by_class(self.setting, distances[0])
            for metric, distances in zip(self.metrics, both, strict=True)
            if metric in self.wanted
        }


class Consistency(Family):
    """What a segmenter of real images sees in the generated ones. Tool `segmenter`: image to class indices."""

    metrics = (
        Metric(
            "miou",
            "mIoU",
            "",
            "higher",
            "mean intersection over union of the map with what a segmenter of real images sees, on the set's "
            "confusion, over the classes that the maps hold",
            each=False,
        ),
    )
    of_classes = True

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        if "segmenter" not in setting.tools:
            raise Unavailable("needs --segmenter train", "or --segmenter FILE for a kept one")

    def measure(self, pair: Pair) -> Statistics:
        """Return the confusion of the map of the real image with what is seen in the generated one."""
        assert pair.real_map is not None
        seen = self.setting.tools["segmenter"](pair.fake)
        return confusion(seen, pair.real_map, len(self.setting.classes)).ravel()

    def _confusion(self, statistics: Statistics, weights: Weights) -> NDArray[np.float64]:
        return mean_of(statistics, weights).reshape(len(weights), *[len(self.setting.classes)] * 2)

    def combine(self, metric: str, statistics: Statistics, weights: Weights) -> NDArray[np.float64]:
        """Return the mean over classes of the set's intersection over union."""
        return mean_iou(self._confusion(statistics, weights))

    def details(self, statistics: Statistics) -> dict[str, Any]:
        """Return that of each class; None where the maps do not hold it."""
        each = iou(self._confusion(statistics, np.ones((1, len(statistics)))))[0]
        return {"iou": by_class(self.setting, each)}
