"""Metric families: metrics that share what is measured of each pair of images, and how the pairs are combined."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sattrans.metrics.bootstrap import RESAMPLES
from sattrans.raster.palette import UNKNOWN

Better = Literal["lower", "higher", "real"]
"""Which values are better; `real`: those close to the value of real images."""

Statistics = NDArray[Any]
"""What a family measured of each pair, one row per pair: (N, K)."""

PairWeights = NDArray[np.float64]
"""How often each of N pairs counts in each of B resamples: (B, N)."""


NOT_NEGATIVE = 0.0, math.inf
"""The range of a distance."""


class Unavailable(Exception):
    """Raised by a metric family that cannot be computed here.

    Args:
        reason: What is missing, in a few words that continue the name of a metric: "needs training tiles".
        alternative: Another way to provide it.
    """

    def __init__(self, reason: str, alternative: str = "") -> None:
        super().__init__(reason)
        self.alternative = alternative


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric and how it is presented.

    Args:
        name: Name in `--metrics` and in `scores.json`.
        title: Title of its row in the table.
        unit: Unit of its values; may be empty.
        better: Which values are better.
        method: How it is computed, for the report.
        per_image: Whether a single image has a value, too.
        class_details: Key under which `Family.details` returns the value of each class; empty if there are none.
        class_title: Title of the chart of these values.
        min_images: With fewer images the value is biased, and the table says so.
        range: The lowest and the highest value that it can have; an interval ends there.
    """

    name: str
    title: str
    unit: str
    better: Better
    method: str
    per_image: bool = True
    class_details: str = ""
    class_title: str = ""
    min_images: int = 0
    range: tuple[float, float] = (-math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class ImagePair:
    """A generated image and the real image that it is compared with, both (3, H, W) uint8.

    Args:
        fake: The generated image.
        real: The real image.
        number: Index of the pair in its set.
        fake_map: Class indices (H, W) of the map that `fake` was made from; None if maps have no classes.
        real_map: Class indices of the map of `real`. It differs from `fake_map` only in baselines and shuffled pairs.
        valid: Which pixels hold data in both images, (H, W); None if all do. The others are black in both, of no class
            in the maps, and left out of all that is measured pixel by pixel.
    """

    fake: Tensor
    real: Tensor
    number: int
    fake_map: Tensor | None = None
    real_map: Tensor | None = None
    valid: Tensor | None = None

    def where_valid(self, *masks: Tensor | None) -> "ImagePair":
        """Return the pair without the pixels that one of some masks (H, W) says hold no data; None: all do."""
        given = [mask for mask in masks if mask is not None]
        if not given:
            return self
        valid = torch.stack([mask.to(self.real.device) for mask in given]).all(0)

        def shown(pixels: Tensor, nothing: int) -> Tensor:
            return torch.where(valid, pixels.to(valid.device), nothing)

        maps = (None if map_ is None else shown(map_, UNKNOWN) for map_ in (self.fake_map, self.real_map))
        fake_map, real_map = maps
        return replace(
            self, fake=shown(self.fake, 0), real=shown(self.real, 0), fake_map=fake_map, real_map=real_map, valid=valid
        )

    @property
    def valid_pixels(self) -> tuple[Tensor, Tensor]:
        """The pixels of both images that hold data, (3, N), or the images."""
        if self.valid is None:
            return self.fake, self.real
        return self.fake[:, self.valid], self.real[:, self.valid]


@dataclass(frozen=True)
class MetricContext:
    """What the metric families of an evaluation have to know before they measure.

    Args:
        size: Shorter side of the images in pixels.
        images: Number of images.
        classes: Names of the maps' classes; empty if maps have no classes.
        tools: What some families need besides the images, by name: `train`, `training_images`,
            `copies`, `lines`, `device`, `segmenter`, `vgg19`, `inception`.
        selected: Names of the metrics to compute; empty for all.
    """

    size: int
    images: int
    classes: tuple[str, ...] = ()
    tools: Mapping[str, Any] = field(default_factory=dict)
    selected: Sequence[str] = ()


class Family(ABC):
    """A metric family: it measures one pair of images at a time, then combines all pairs, weighted, into scores.

    Images are never kept in memory: of each pair only a row of numbers is stored. That also makes bootstrap intervals
    cheap, because a resample combines the same rows with other weights.

    Attributes:
        metrics: The metrics of the family.
        selected: Those of them that are to be computed.
        compares_sets: Whether it compares two sets of images, so that the pairing does not matter.
        real_from_training: Whether the baseline of real images compares training tiles with the real images; otherwise
            each real image is compared with itself.
        resamples: Number of resamples for an interval; 0 if a resampled set has a biased score.
        min_size: Shortest side of an image, in pixels.
        needs_classes: Whether it needs maps with classes.
    """

    metrics: ClassVar[tuple[Metric, ...]]
    selected: Sequence[Metric]
    compares_sets: ClassVar[bool] = False
    real_from_training: ClassVar[bool] = False
    resamples: ClassVar[int] = RESAMPLES
    min_size: ClassVar[int] = 0
    needs_classes: ClassVar[bool] = False

    def __init__(self, context: MetricContext) -> None:
        if context.size < self.min_size:
            raise Unavailable(f"needs tiles of {self.min_size} px")
        if self.needs_classes and not context.classes:
            raise Unavailable("needs maps with classes; these are images")
        self.context = context
        self.selected = self.among(context.selected)

    @classmethod
    def among(cls, names: Sequence[str]) -> list[Metric]:
        """Return the metrics of the family that are named; all if no metric of any family is."""
        return [metric for metric in cls.metrics if not names or metric.name in names]

    @abstractmethod
    def measure(self, pair: ImagePair) -> Statistics:
        """Return the statistics of a pair, (K,)."""

    @abstractmethod
    def combine(self, metric: str, statistics: Statistics, weights: PairWeights) -> NDArray[np.float64]:
        """Return the value of a metric for each resample.

        Args:
            metric: Name of the metric.
            statistics: The statistics of all pairs, (N, K).
            weights: How often each pair counts in each resample, (B, N).

        Returns:
            The values (B,); NaN for an image without a value.
        """

    def details(self, statistics: Statistics) -> dict[str, Any]:
        """Return further results of a set, by name: values of single classes, counts."""
        return {}


def by_class(context: MetricContext, values: NDArray[np.float64]) -> dict[str, float | None]:
    """Return values (classes,) by class name; None for a class without a value."""
    named = zip(context.classes, values, strict=True)
    return {name: float(value) if np.isfinite(value) else None for name, value in named}


def known_mean(values: NDArray[np.float64], weights: PairWeights) -> NDArray[np.float64]:
    """Return the weighted means (B,) of values (N,), of which NaN are left out; NaN if there is no other."""
    known = np.isfinite(values)
    count = weights @ known.astype(np.float64)
    mean: NDArray[np.float64] = weights @ np.where(known, values, 0) / np.where(count > 0, count, np.nan)
    return mean


def weighted_mean(statistics: Statistics, weights: PairWeights) -> NDArray[np.float64]:
    """Return the weighted means (B, K) of statistics (N, K)."""
    mean: NDArray[np.float64] = weights @ statistics / weights.sum(1, keepdims=True)
    return mean
