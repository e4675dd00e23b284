"""Family: scores that share what is measured of a pair of images, and how a set of pairs becomes one number."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sattrans.metrics.bootstrap import RESAMPLES

Better = Literal["lower", "higher", "real"]
"""Which way is better; `real`: near what real images have."""

Statistics = NDArray[Any]
"""What a family measured of each pair: (N, K)."""

Weights = NDArray[np.float64]
"""How often each of N pairs counts, in B ways: (B, N)."""


class Unavailable(Exception):
    """A family cannot be had here; the message says what is missing in few words, `more` what else would do."""

    def __init__(self, message: str, more: str = "") -> None:
        super().__init__(message)
        self.more = more


@dataclass(frozen=True, slots=True)
class Metric:
    """A score. `unit` says in what it is, `how` how it is computed, `each` whether a single image has one."""

    name: str
    title: str
    unit: str
    better: Better
    how: str
    each: bool = True


@dataclass(frozen=True, slots=True)
class Pair:
    """A generated image beside a real one, both (3, H, W) uint8, the pair at place `number` of its set.

    `fake_map` is what the image was made from, `real_map` what belongs to the real one: class indices (H, W), None
    where maps are pictures. They are one, unless an image of another place stands in for a generated one.
    """

    fake: Tensor
    real: Tensor
    number: int
    fake_map: Tensor | None = None
    real_map: Tensor | None = None


@dataclass(frozen=True)
class Setting:
    """What is scored: `images` tiles of `size` px with these `classes` (none where maps are pictures).

    `tools` holds what some families need beside the images, by name. `wanted` are the metrics that were asked for by
    name; all where there is none.
    """

    size: int
    images: int
    classes: tuple[str, ...] = ()
    tools: Mapping[str, Any] = field(default_factory=dict)
    wanted: Sequence[str] = ()


class Family(ABC):
    """Some metrics: `measure` a pair at a time, then `combine` all pairs, each as often as its weight says.

    So images are never held: what is kept of each is a row of numbers. It also makes intervals cheap: to draw the
    images again is to combine the same rows with other weights.
    """

    metrics: ClassVar[tuple[Metric, ...]]
    wanted: Sequence[Metric]
    """Those of its metrics that were asked for."""
    sets: ClassVar[bool] = False
    """Whether it compares two sets of images, so that which is paired with which does not matter."""
    others: ClassVar[bool] = False
    """Whether real against real takes real images of other places; else each is beside itself."""
    resamples: ClassVar[int] = RESAMPLES
    """Draws for an interval; 0 where a set that was drawn again has a biased score."""

    smallest: ClassVar[int] = 0
    """Pixels that the shorter side of an image needs."""
    of_classes: ClassVar[bool] = False
    """Whether it needs maps of classes."""

    def __init__(self, setting: Setting) -> None:
        if setting.size < self.smallest:
            raise Unavailable(f"needs tiles of {self.smallest} px")
        if self.of_classes and not setting.classes:
            raise Unavailable("needs maps of classes; these are pictures")
        self.setting = setting
        self.wanted = [metric for metric in self.metrics if not setting.wanted or metric.name in setting.wanted]

    @abstractmethod
    def measure(self, pair: Pair) -> Statistics:
        """Return what is kept of a pair, (K,)."""

    @abstractmethod
    def combine(self, metric: str, statistics: Statistics, weights: Weights) -> NDArray[np.float64]:
        """Return a metric (B,) of statistics (N, K) with weights (B, N); NaN where it has no value."""

    def details(self, statistics: Statistics) -> dict[str, Any]:
        """Return what else is worth keeping of a set: scores of single classes, counts."""
        return {}


def by_class(setting: Setting, values: NDArray[np.float64]) -> dict[str, float | None]:
    """Return a value (classes,) of each class by its name; None where it has none."""
    named = zip(setting.classes, values, strict=True)
    return {name: float(value) if np.isfinite(value) else None for name, value in named}


def mean_of(statistics: Statistics, weights: Weights) -> NDArray[np.float64]:
    """Return the weighted means (B, K) of statistics (N, K)."""
    mean: NDArray[np.float64] = weights @ statistics / weights.sum(1, keepdims=True)
    return mean
