"""Gather: what families measured of a set of pairs, and the scores it gives, each with its interval."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sattrans.evaluating.family import Family, Metric, Pair, Statistics
from sattrans.metrics.bootstrap import Interval, centred, draws, interval


@dataclass(frozen=True, slots=True)
class Score:
    """A metric of a set: its value, None where it has none, the interval, and the redrawn values it comes from."""

    value: float | None
    interval: Interval | None = None
    redrawn: NDArray[np.float64] = field(default_factory=lambda: np.empty(0), repr=False)


class Gathered:
    """The statistics of a set of pairs, a row a pair, in their order."""

    def __init__(self, families: Sequence[Family]) -> None:
        self.families = list(families)
        self._rows: list[list[Statistics]] = [[] for _ in self.families]

    def measure(self, pair: Pair) -> list[Statistics]:
        """Return what is kept of a pair, by family."""
        return [family.measure(pair) for family in self.families]

    def add(self, measured: Sequence[Statistics]) -> None:
        """Take in what was measured of the next pair."""
        for rows, row in zip(self._rows, measured, strict=True):
            rows.append(row)

    def scores(self, seed: int = 0, intervals: bool = True) -> dict[str, Score]:
        """Return each metric's score; the draws depend on `seed` and the number of pairs alone."""
        return {
            metric.name: _score(family, metric, np.stack(rows), seed, intervals)
            for family, rows in zip(self.families, self._rows, strict=True)
            for metric in family.wanted
        }

    def each(self, place: int) -> dict[str, float | None]:
        """Return the scores of one pair, by metric: those that a single image has."""
        one = np.ones((1, 1))
        return {
            metric.name: _number(family.combine(metric.name, rows[place][np.newaxis], one)[0])
            for family, rows in zip(self.families, self._rows, strict=True)
            for metric in family.wanted
            if metric.each
        }

    def details(self) -> dict[str, Any]:
        """Return what else the families say."""
        found: dict[str, Any] = {}
        for family, rows in zip(self.families, self._rows, strict=True):
            found.update(family.details(np.stack(rows)))
        return found


def _score(family: Family, metric: Metric, statistics: Statistics, seed: int, intervals: bool) -> Score:
    value = _number(family.combine(metric.name, statistics, np.ones((1, len(statistics))))[0])
    if not intervals or not family.draws or len(statistics) < 2:
        return Score(value)
    redrawn = family.combine(metric.name, statistics, draws(len(statistics), family.draws, seed))
    if value is not None:
        redrawn = centred(redrawn, value)
    return Score(value, interval(redrawn), redrawn)


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
