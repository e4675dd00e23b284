"""Which faults a score sees: real tiles with faults, mild and strong, beside real tiles of other places."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from ladders import blur, checkerboard, hue, mixed, noise, plaid, shuffled_patches
from torch import Tensor

from sattrans.evaluate.base import ImagePair, Metric, MetricContext
from sattrans.evaluate.images import RealImage, RealImages
from sattrans.evaluate.registry import select_families
from sattrans.evaluate.scoring import Score, SetStatistics
from sattrans.evaluate.significance import cost
from sattrans.metrics.baselines import mean_colors, paint
from sattrans.metrics.color import class_moments
from sattrans.metrics.nearest_tile import thumbnail

Fault = Callable[[RealImage, float, int], Tensor]
"""Returns the image of a tile with a fault of some strength; the number of the tile decides what is random."""


class Tiles(RealImages):
    """Tiles in memory."""

    def __init__(self, tiles: Sequence[RealImage], classes: tuple[str, ...]) -> None:
        self.tiles, self.classes, self.key = tiles, classes, ""
        self.ids, self.size = [str(number) for number in range(len(tiles))], tiles[0].image.shape[-1]

    def read(self, number: int) -> RealImage:
        return self.tiles[number]


@dataclass(frozen=True)
class FaultScores:
    """Scores of faults.

    Attributes:
        metrics: The metrics.
        real: The value of each metric for the real tiles themselves.
        elsewhere: That of real tiles of other places, with its interval.
        faults: By fault, the values at its mild and its strong step.
    """

    metrics: Sequence[Metric]
    real: Mapping[str, Score]
    elsewhere: Mapping[str, Score]
    faults: Mapping[str, Sequence[Mapping[str, float]]]

    def sees(self, metric: Metric, fault: str) -> int:
        """Return 2 if a metric sees the mild step of a fault, 1 if it sees the strong one only, else 0.

        It sees a fault if its score is worse than that of real tiles of other places. A score that should be that of
        real tiles is worse outside the interval of 95 %, because other places differ from it by chance alone.
        """
        real, elsewhere = self.real[metric.name].value, self.elsewhere[metric.name]
        limit = cost(metric, elsewhere.value, real)
        if metric.better == "real":
            limit = np.quantile(cost(metric, elsewhere.resampled, real), 0.975)
        mild, strong = (cost(metric, step[metric.name], real) > limit for step in self.faults[fault])
        return 2 if mild and strong else int(strong)


def faults_of(real: Tiles, elsewhere: Tiles) -> Mapping[str, tuple[Fault, float, float]]:
    """Return each fault with its mild and its strong step."""
    classes = len(real.classes)
    flat = mean_colors(sum(class_moments(image, map_, classes) for image, map_ in elsewhere.tiles))
    season = _other_season(real, elsewhere)
    return {
        "blur, σ 1 and 3 px": (_of_image(blur), 1, 3),
        "noise, σ 8 and 24": (_of_image(noise), 8, 24),
        "hue, 10 and 40°": (_of_image(hue), 10, 40),
        "checkerboard of 4 px, ± 4 and 12": (_of_image(checkerboard), 4, 12),
        "plaid of 16 px, ± 6 and 16": (_of_image(plaid), 6, 16),
        "flat class colours, half and whole": (lambda tile, share, _: _flat(tile, flat, share), 0.5, 1),
        "colours of another scene, half and whole": (
            lambda tile, share, _: mixed(tile.image, season(tile), share),
            0.5,
            1,
        ),
        "patches of 64 and 32 px at random": (_of_image(shuffled_patches), 64, 32),
    }


def _of_image(worsen: Callable[[Tensor, float, int], Tensor]) -> Fault:
    return lambda tile, strength, number: worsen(tile.image, strength, number)


def _flat(tile: RealImage, colors: np.ndarray, share: float) -> Tensor:
    return mixed(tile.image, paint(tile.map, colors), share)


def _other_season(real: Tiles, elsewhere: Tiles) -> Callable[[RealImage], Tensor]:
    """Return a function that gives a tile mean and deviation of the quarter of tiles elsewhere that differ most."""

    def of(tiles: Sequence[RealImage]) -> tuple[Tensor, Tensor]:
        pixels = torch.stack([tile.image for tile in tiles]).double()
        return pixels.mean((0, 2, 3))[:, None, None], pixels.std((0, 2, 3))[:, None, None]

    mean, deviation = of(real.tiles)
    distant = sorted(elsewhere.tiles, key=lambda tile: -float((of([tile])[0] - mean).norm()))
    other_mean, other_deviation = of(distant[: max(1, len(distant) // 4)])

    def recolored(tile: RealImage) -> Tensor:
        pixels = (tile.image.double() - mean) / deviation * other_deviation + other_mean
        return pixels.round().clamp(0, 255).byte()

    return recolored


def fault_scores(real: Tiles, elsewhere: Tiles, metrics: Sequence[str] = ()) -> FaultScores:
    """Measure the faults of real tiles; `elsewhere` are as many tiles of other places."""
    tools = {"training_images": elsewhere, "train": np.stack([thumbnail(tile.image) for tile in elsewhere.tiles])}
    families, _ = select_families(MetricContext(real.size, len(real), real.classes, tools, metrics))

    def scores(worse: Callable[[RealImage, int], RealImage], intervals: bool = False) -> Mapping[str, Score]:
        statistics = SetStatistics(families)
        for number, tile in enumerate(real.tiles):
            fake = worse(tile, number)
            pair = ImagePair(fake.image, tile.image, number, fake.map, tile.map)
            statistics.add(statistics.measure(pair))
        return statistics.scores(intervals=intervals)

    def step(fault: Fault, strength: float) -> Mapping[str, float]:
        found = scores(lambda tile, number: RealImage(fault(tile, strength, number), tile.map))
        return {name: score.value for name, score in found.items()}

    faults = {
        name: [step(fault, strength) for strength in steps]
        for name, (fault, *steps) in faults_of(real, elsewhere).items()
    }
    return FaultScores(
        [metric for family in families for metric in family.selected],
        scores(lambda tile, _: tile),
        scores(lambda _, number: elsewhere.tiles[number], intervals=True),
        faults,
    )
