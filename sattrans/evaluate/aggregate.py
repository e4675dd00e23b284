"""Columns: what stands side by side - a run alone, or the runs of one recipe that differ by their seeds, as one."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sattrans.evaluate.base import Metric
from sattrans.evaluate.images import Subject
from sattrans.evaluate.scoring import Score, Scored
from sattrans.metrics.bootstrap import interval


@dataclass(frozen=True, slots=True)
class Column:
    """One or several subjects and their scores: `scored` are the means over `each`, `spread` from lowest to highest."""

    name: str
    subjects: Sequence[Subject]
    each: Sequence[Scored]
    scored: Scored
    spread: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def columns_of(subjects: Sequence[Subject], scored: Sequence[Scored]) -> list[Column]:
    """Return the columns, in the order of their first subjects; subjects of one recipe share one."""
    together: dict[object, list[int]] = {}
    for place, subject in enumerate(subjects):
        together.setdefault(subject.recipe or place, []).append(place)
    return [_column([subjects[p] for p in places], [scored[p] for p in places]) for places in together.values()]


def _column(subjects: Sequence[Subject], scored: Sequence[Scored]) -> Column:
    if len(subjects) == 1:
        return Column(subjects[0].name, subjects, scored, scored[0])
    spread = {}
    for metric in scored[0].scores:
        values = [v for one in scored if (v := one.value(metric)) is not None]
        if values:
            spread[metric] = (min(values), max(values))
    return Column(
        f"{_shared_name([s.name for s in subjects])} ×{len(subjects)}", subjects, scored, _mean(scored), spread
    )


def _shared_name(names: Sequence[str]) -> str:
    """Return what names begin with, without a number at its end; the first one, where that is nothing."""
    shared = os.path.commonprefix(list(names))  # noqa: RUF071  letter by letter is what is meant
    return re.sub(r"[-_. ]*\d*$", "", shared) or names[0]


def _mean(scored: Sequence[Scored]) -> Scored:
    """Return the means: of the scores, draw by draw of the intervals, of each image's scores, of details."""
    first = scored[0]
    return Scored(
        {name: _mean_score([one.scores[name] for one in scored]) for name in first.scores},
        {name: _mean_score([one.shuffled[name] for one in scored]) for name in first.shuffled},
        {tile: _mean_of([one.images[tile] for one in scored]) for tile in first.images},
        _mean_of([one.details for one in scored]),
    )


def _mean_score(scores: Sequence[Score]) -> Score:
    resampled = np.mean([score.resampled for score in scores], axis=0)
    return Score(_mean_of([score.value for score in scores]), interval(resampled), resampled)


def _mean_of(values: Sequence[Any]) -> Any:
    """Return the mean of numbers, or of those in mappings, name by name; None where there is none in any."""
    if isinstance(values[0], Mapping):
        return {name: _mean_of([value[name] for value in values]) for name in values[0]}
    there = [value for value in values if value is not None]
    return sum(there) / len(there) if there else None


BY_CLASS = {"class_color": "class_color", "class_spread": "class_spread", "miou": "iou"}
"""The metrics that are means over classes, and what the details call their values by class."""


def left_out(metrics: Sequence[Metric], scored: Scored) -> list[str]:
    """Return a sentence about the classes that no real image holds; none where each is there."""
    of_classes = [metric for metric in metrics if metric.name in BY_CLASS]
    lacking = [name for metric in of_classes for name, value in _values(scored, metric).items() if value is None]
    if not lacking:
        return []
    titles = _listed([metric.title for metric in of_classes])
    return [f"no real image here holds {_listed(lacking)}: left out of {titles}, in each column alike"]


def comparable(metrics: Sequence[Metric], scored: Scored, real: Scored) -> tuple[Scored, list[str]]:
    """Return the floor of real images without means over fewer classes than those of what is `scored`; and why.

    In some scores real images of other places stand for those that are compared with, and they may lack a class.
    """
    scores, titles, lacking = dict(real.scores), [], []
    for metric in metrics:
        own, others = (_values(one, metric) for one in (scored, real))
        fewer = [name for name, value in own.items() if value is not None and others.get(name) is None]
        if others and fewer:
            scores[metric.name] = Score(None)
            titles.append(metric.title)
            lacking += fewer
    if not titles:
        return real, []
    told = f"the training tiles beside real have no {_listed(lacking)}: it has no {_listed(titles)}"
    return replace(real, scores=scores), [f"{told}, for a mean over fewer classes does not compare"]


def _values(scored: Scored, metric: Metric) -> Mapping[str, float | None]:
    values: Mapping[str, float | None] = scored.details.get(BY_CLASS.get(metric.name, ""), {})
    return values


def _listed(names: Sequence[str]) -> str:
    """Return names, each once, as a sentence has them."""
    once = list(dict.fromkeys(names))
    return " and ".join(filter(None, (", ".join(once[:-1]), once[-1])))
