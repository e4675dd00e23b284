"""Significance: which column is clearly the best by a metric, judged by paired bootstrap intervals."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sattrans.evaluate.aggregate import Column
from sattrans.evaluate.base import Metric
from sattrans.evaluate.scoring import SetScores
from sattrans.metrics.bootstrap import Interval, difference_interval, excludes_zero
from sattrans.utils.console import pluralize


def cost(metric: Metric, value: float | NDArray[np.float64], real: float | None) -> float | NDArray[np.float64]:
    """Return a value such that lower is better: as it is, negated, or its distance from the value of real images."""
    if metric.better == "real":
        return np.abs(value - (real or 0.0))
    return -value if metric.better == "higher" else value


def paired_difference(metric: Metric, a: SetScores, b: SetScores, real: float | None) -> Interval | None:
    """Return the 95 % interval of the cost of `a` minus that of `b` on the same resamples: below 0 if `a` is better."""
    resampled_a, resampled_b = a.metrics[metric.name].resampled, b.metrics[metric.name].resampled
    if not len(resampled_a) or len(resampled_a) != len(resampled_b):
        return None
    return difference_interval(np.asarray(cost(metric, resampled_a, real)), np.asarray(cost(metric, resampled_b, real)))


def best_columns(metrics: Sequence[Metric], columns: Sequence[Column], real: SetScores) -> Mapping[str, Column | None]:
    """Return the column that is clearly the best, or None, by metric."""
    return {metric.name: best_column(metric, columns, real.value(metric.name)) for metric in metrics}


def best_column(metric: Metric, columns: Sequence[Column], real: float | None) -> Column | None:
    """Return the column that is clearly the best by a metric, or None.

    A column is clearly the best if the 95 % intervals of its paired differences from all other columns lie below 0,
    and if the metric distinguishes its pairs from shuffled ones.
    """
    scored = [column for column in columns if column.scores.value(metric.name) is not None]
    if len(scored) < 2:
        return None

    def column_cost(column: Column) -> float:
        value = column.scores.value(metric.name)
        assert value is not None
        return float(cost(metric, value, real))

    best = min(scored, key=column_cost)
    if best.scores.distinguishes_pairs(metric.name) is False:
        return None
    for column in scored:
        difference = paired_difference(metric, best.scores, column.scores, real)
        if column is not best and not (excludes_zero(difference) and difference and difference.high < 0):
            return None
    return best


def comparison_notes(
    metrics: Sequence[Metric],
    best: Mapping[str, Column | None],
    columns: Sequence[Column],
    baselines: Mapping[str, SetScores],
) -> list[str]:
    """Return notes: by which metrics a column is clearly the best, and by which class colours beat every column."""
    notes = []
    real = baselines["real"]
    if len(columns) > 1:
        titles_by_column: dict[str, list[str]] = {}
        for metric in metrics:
            column = best[metric.name]
            titles_by_column.setdefault(column.name if column else "", []).append(metric.title)
        for name, titles in sorted(titles_by_column.items(), key=lambda item: (not item[0], -len(item[1]))):
            by = f"by {len(titles)} of {pluralize(len(metrics), 'score')}"
            clear = f"{name} is clearly the best (95 % intervals of its differences from the others exclude 0)"
            notes.append(f"{by}, {clear if name else 'none is clearly the best'}: {', '.join(titles)}")
    flat = baselines.get("class_colors")
    if flat:
        titles = [m.title for m in metrics if _beats_all(m, flat, columns, real.value(m.name))]
        if titles:
            beaten = "every column" if len(columns) > 1 else columns[0].name
            notes.append(
                f"maps in flat class colours score better than {beaten} by {', '.join(titles)}: "
                "do not choose by these scores alone"
            )
    return notes


def floor_notes(
    metrics: Sequence[Metric], columns: Sequence[Column], floors: Mapping[str, SetScores], real: SetScores
) -> list[str]:
    """Return a note about each floor: by which metrics it is clearly better, or worse, than every column."""
    others = "every column" if len(columns) > 1 else columns[0].name
    notes = []
    for name, floor in floors.items():
        better, worse = (
            [m.title for m in metrics if all(_clearly(m, floor, c.scores, real.value(m.name), sign) for c in columns)]
            for sign in (1, -1)
        )
        parts = [f"{word} by {', '.join(found)}" for word, found in (("better", better), ("worse", worse)) if found]
        says = f"is clearly {' and '.join(parts)}" if parts else "is clearly neither better nor worse by any score"
        notes.append(f"compared with {others}, the floor {name}, which learns nothing, {says}")
    return notes


def _clearly(metric: Metric, a: SetScores, b: SetScores, real: float | None, sign: int) -> bool:
    """Return whether `a` is better than `b` beyond doubt; with a sign of -1, whether it is worse."""
    winner = a if sign > 0 else b
    if winner.distinguishes_pairs(metric.name) is False:
        return False
    difference = paired_difference(metric, a, b, real)
    return difference is not None and (difference.high < 0 if sign > 0 else difference.low > 0)


def _beats_all(metric: Metric, flat: SetScores, columns: Sequence[Column], real: float | None) -> bool:
    value = flat.value(metric.name)
    values = [v for column in columns if (v := column.scores.value(metric.name)) is not None]
    if value is None or not values:
        return False
    return bool(cost(metric, value, real) < min(cost(metric, v, real) for v in values))
