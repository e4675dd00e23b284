"""The copying score: how much of the images are pieces of training tiles, and how often the same pixel is used."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sattrans.evaluate.base import (
    NOT_NEGATIVE,
    Family,
    ImagePair,
    Metric,
    MetricContext,
    PairWeights,
    Statistics,
    Unavailable,
    known_mean,
)
from sattrans.evaluate.images import RealImages
from sattrans.metrics.baselines import evenly_spaced
from sattrans.metrics.copying import Blocks, Copies, CopyFinder, room_for

SIDES = (16, 32, 64)
"""A piece counts if it has as many pixels as a square of one of these sides, or more."""

MOST_PIXELS = 1 << 23
"""Pixels of the images in which copies are looked for, at most: 128 images of 256 px, or 32 of 512 px."""

POINTS = 1 << 13
"""Training pixels whose uses are counted, at most; they lie on a grid."""


def searched_tiles(tiles: RealImages) -> tuple[list[int], int]:
    """Return the numbers of the training tiles in which copies are looked for, and the grid of their blocks."""
    count, grid = room_for(len(tiles), tiles.size)
    return evenly_spaced(len(tiles), count), grid


def finder_of(blocks: Blocks, tiles: RealImages) -> CopyFinder:
    """Return what finds pieces of training tiles, given the blocks of the `searched_tiles`, numbered in their order."""
    numbers, _ = searched_tiles(tiles)
    return CopyFinder(blocks, lambda number: tiles.read(numbers[number]).image, (len(numbers), tiles.size))


def copying_note(tiles: RealImages | None, metrics: Sequence[Metric]) -> list[str]:
    """Return a note if copies were not looked for in all training tiles."""
    searched = len(searched_tiles(tiles)[0]) if tiles else 0
    if tiles is None or searched == len(tiles) or not set(metrics) & set(Copying.metrics):
        return []
    return [f"copies were looked for in {searched} of {len(tiles)} training tiles: there may be more"]


def _share(side: int) -> Metric:
    return Metric(
        f"copied{side}",
        f"copied {side}²",
        "%",
        "lower",
        f"share of the pixels in pieces of at least {side}² pixels that are, but for their brightness, those of a "
        "training tile or its mirror image",
        range=(0.0, 100.0),
    )


class Copying(Family):
    """Pieces of training tiles in generated images. Tool `copies`: a `CopyFinder` of these tiles."""

    metrics = (
        *map(_share, SIDES),
        Metric(
            "reuse",
            "most reused pixel",
            "times",
            "lower",
            f"how often the most used of up to {POINTS} training pixels is shown, in all images, in pieces of at least "
            f"{SIDES[0]}² pixels",
            range=NOT_NEGATIVE,
        ),
    )
    compares_sets = True

    def __init__(self, context: MetricContext) -> None:
        super().__init__(context)
        if "copies" not in context.tools:
            raise Unavailable("needs training tiles")
        self._finder: CopyFinder = context.tools["copies"]
        tiles, size = self._finder.shape
        self._step = math.ceil(math.sqrt(tiles * size**2 / POINTS))
        self._across = math.ceil(size / self._step)
        self._points = tiles * self._across**2
        most = max(1, MOST_PIXELS // context.size**2)
        self._looked_at = set(evenly_spaced(context.images, min(context.images, most)))

    def measure(self, pair: ImagePair) -> Statistics:
        """Return the shares, and how often each point is shown; NaN in images that are not looked at."""
        if pair.number not in self._looked_at:
            return np.full(len(SIDES) + self._points, np.nan, np.float32)
        copies = self._finder(pair.fake)
        valid = np.ones(copies.area.shape, bool) if pair.valid is None else pair.valid.cpu().numpy()
        shares = [100 * (copies.area[valid] >= side**2).mean() if valid.any() else np.nan for side in SIDES]
        return np.concatenate([shares, self._uses(copies)]).astype(np.float32)

    def _uses(self, copies: Copies) -> NDArray[np.int64]:
        """Return how often each point is shown, (points,)."""
        on_grid = (copies.row % self._step == 0) & (copies.col % self._step == 0)
        at = on_grid & (copies.area >= SIDES[0] ** 2)
        row, col = copies.row[at] // self._step, copies.col[at] // self._step
        return np.bincount((copies.tile[at] * self._across + row) * self._across + col, minlength=self._points)

    def combine(self, metric: str, statistics: Statistics, weights: PairWeights) -> NDArray[np.float64]:
        """Return the mean share, or the most uses of a point."""
        if metric == "reuse":
            uses: NDArray[np.float64] = (weights @ np.nan_to_num(statistics[:, len(SIDES) :])).max(1)
            return uses
        return known_mean(statistics[:, [m.name for m in self.metrics].index(metric)].astype(np.float64), weights)


FAMILIES: tuple[type[Family], ...] = (Copying,)
"""The families of this module, in the order of the table."""
