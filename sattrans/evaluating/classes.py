"""Classes: which of them the scores of classes are means over - those of the real images, in each column alike."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sattrans.evaluating.family import Metric
from sattrans.evaluating.gather import Score
from sattrans.evaluating.scoring import Scored

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
