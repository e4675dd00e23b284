"""Ranking: which of several is better by a score, as far as these images tell; and which scores agree."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sattrans.evaluate.aggregate import Column
from sattrans.evaluate.base import Metric
from sattrans.evaluate.scoring import Scored
from sattrans.metrics.bootstrap import Interval, difference_interval, excludes_zero
from sattrans.utils.console import counted


def cost(metric: Metric, value: float | NDArray[np.float64], real: float | None) -> float | NDArray[np.float64]:
    """Return a score turned so that less is better: as it is, negated, or how far it is from the real images'."""
    if metric.better == "real":
        return np.abs(value - (real or 0.0))
    return -value if metric.better == "higher" else value


def paired_difference(metric: Metric, one: Scored, other: Scored, real: float | None) -> Interval | None:
    """Return the 95 % interval of the difference of two costs on the same images: below 0 where `one` is better."""
    a, b = one.scores[metric.name].resampled, other.scores[metric.name].resampled
    if not len(a) or len(a) != len(b):
        return None
    return difference_interval(np.asarray(cost(metric, a, real)), np.asarray(cost(metric, b, real)))


def winners(metrics: Sequence[Metric], columns: Sequence[Column], real: Scored) -> Mapping[str, Column | None]:
    """Return the column that is better than each other one, by metric."""
    return {metric.name: best(metric, columns, real.value(metric.name)) for metric in metrics}


def best(metric: Metric, columns: Sequence[Column], real: float | None) -> Column | None:
    """Return the column that is better than each other one, None where these images do not say so.

    It is where the interval of each paired difference leaves out 0, and where the score sees that its images are
    those of their maps.
    """
    there = [column for column in columns if column.scored.value(metric.name) is not None]
    if len(there) < 2:
        return None

    def cost_of(column: Column) -> float:
        value = column.scored.value(metric.name)
        assert value is not None
        return float(cost(metric, value, real))

    first = min(there, key=cost_of)
    if first.scored.tells_pairs(metric.name) is False:
        return None
    for other in there:
        apart = paired_difference(metric, first.scored, other.scored, real)
        if other is not first and not (excludes_zero(apart) and apart and apart.high < 0):
            return None
    return first


def agreement(
    metrics: Sequence[Metric],
    first: Mapping[str, Column | None],
    columns: Sequence[Column],
    floors: Mapping[str, Scored],
) -> list[str]:
    """Return sentences: which scores put which column `first`, and by which a flat colour a class beats all."""
    told = []
    real = floors["real"]
    if len(columns) > 1:
        by_column: dict[str, list[str]] = {}
        for metric in metrics:
            found = first[metric.name]
            by_column.setdefault(found.name if found else "", []).append(metric.title)
        for name, titles in sorted(by_column.items(), key=lambda item: (not item[0], -len(item[1]))):
            by = f"by {len(titles)} of {counted(len(metrics), 'score')}"
            said = f"{name} is better than each other beyond doubt {by}" if name else f"{by} it stays open who is best"
            told.append(f"{said}: {', '.join(titles)}")
    flat = floors.get("class_colors")
    if flat:
        titles = [metric.title for metric in metrics if _flat_wins(metric, columns, flat, real.value(metric.name))]
        if titles:
            told.append(
                f"one flat colour a class, no satellite image at all, beats {'all' if len(columns) > 1 else 'it'} by "
                f"{', '.join(titles)}: do not choose by these alone"
            )
    return told


def _flat_wins(metric: Metric, columns: Sequence[Column], flat: Scored, real: float | None) -> bool:
    value = flat.value(metric.name)
    own = [v for column in columns if (v := column.scored.value(metric.name)) is not None]
    if value is None or not own:
        return False
    return bool(cost(metric, value, real) < min(cost(metric, v, real) for v in own))
