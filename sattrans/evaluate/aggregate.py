"""Columns of the table: a single source of images, or all runs of one recipe with the mean of their scores."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sattrans.evaluate.base import Metric
from sattrans.evaluate.images import ImageSource
from sattrans.evaluate.scoring import Score, SetScores
from sattrans.metrics.bootstrap import interval


@dataclass(frozen=True, slots=True)
class Column:
    """One or more image sources with their scores.

    Attributes:
        name: Its name in the table.
        sources: The image sources; several if they differ in their seed only.
        per_source: The scores of each source.
        scores: The mean of these scores.
        spread: The lowest and the highest value over the sources, by metric; empty for a single source.
    """

    name: str
    sources: Sequence[ImageSource]
    per_source: Sequence[SetScores]
    scores: SetScores
    spread: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def group_columns(sources: Sequence[ImageSource], scores: Sequence[SetScores]) -> list[Column]:
    """Group sources of the same recipe into columns, in the order of their first sources."""
    groups: dict[object, list[int]] = {}
    for index, source in enumerate(sources):
        groups.setdefault(source.recipe or index, []).append(index)
    return [_column([sources[i] for i in group], [scores[i] for i in group]) for group in groups.values()]


def _column(sources: Sequence[ImageSource], scores: Sequence[SetScores]) -> Column:
    if len(sources) == 1:
        return Column(sources[0].name, sources, scores, scores[0])
    spread = {}
    for metric in scores[0].metrics:
        values = [value for source_scores in scores if (value := source_scores.value(metric)) is not None]
        if values:
            spread[metric] = (min(values), max(values))
    name = f"{_shared_name([source.name for source in sources])} ×{len(sources)}"
    return Column(name, sources, scores, _mean(scores), spread)


def _shared_name(names: Sequence[str]) -> str:
    """Return the common prefix of names without a trailing number, or the first name if that is empty."""
    shared = os.path.commonprefix(list(names))  # noqa: RUF071  the prefix of text, not of paths, is meant
    return re.sub(r"[-_. ]*\d*$", "", shared) or names[0]


def _mean(scores: Sequence[SetScores]) -> SetScores:
    """Return the means of values, of resampled values, of each image's values, and of details."""
    first = scores[0]
    return SetScores(
        {name: _mean_score([each.metrics[name] for each in scores]) for name in first.metrics},
        {name: _mean_score([each.shuffled[name] for each in scores]) for name in first.shuffled},
        {image: _mean_of([each.images[image] for each in scores]) for image in first.images},
        _mean_of([each.details for each in scores]),
    )


def _mean_score(scores: Sequence[Score]) -> Score:
    resampled = np.mean([score.resampled for score in scores], axis=0)
    return Score(_mean_of([score.value for score in scores]), interval(resampled), resampled)


def _mean_of(values: Sequence[Any]) -> Any:
    """Return the mean of numbers, or of numbers in mappings, key by key; None if all are None."""
    if isinstance(values[0], Mapping):
        return {name: _mean_of([value[name] for value in values]) for name in values[0]}
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def absent_class_notes(metrics: Sequence[Metric], scores: SetScores) -> list[str]:
    """Return a note about the classes that occur in no real image; none if all classes occur."""
    of_classes = [metric for metric in metrics if metric.class_details]
    absent = [name for metric in of_classes for name, value in _class_values(scores, metric).items() if value is None]
    if not absent:
        return []
    titles = _join([metric.title for metric in of_classes])
    return [f"no real image here contains {_join(absent)}: left out of {titles} in every column"]


def comparable_baseline(metrics: Sequence[Metric], scores: SetScores, real: SetScores) -> tuple[SetScores, list[str]]:
    """Return the baseline of real images without means over fewer classes than those of `scores`, and a note if any.

    Some metrics compare training tiles with the real images for this baseline, and a class may be absent from them.
    """
    baseline, titles, absent = dict(real.metrics), [], []
    for metric in metrics:
        values, real_values = (_class_values(each, metric) for each in (scores, real))
        fewer = [name for name, value in values.items() if value is not None and real_values.get(name) is None]
        if real_values and fewer:
            baseline[metric.name] = Score(None)
            titles.append(metric.title)
            absent += fewer
    if not titles:
        return real, []
    note = (
        f"the training tiles of the baseline real do not contain {_join(absent)}: it has no {_join(titles)}, "
        "because a mean over fewer classes is not comparable"
    )
    return replace(real, metrics=baseline), [note]


def _class_values(scores: SetScores, metric: Metric) -> Mapping[str, float | None]:
    values: Mapping[str, float | None] = scores.details.get(metric.class_details, {})
    return values


def _join(names: Sequence[str]) -> str:
    """Join names, each once, as in "a, b and c"."""
    unique = list(dict.fromkeys(names))
    return " and ".join(filter(None, (", ".join(unique[:-1]), unique[-1])))
