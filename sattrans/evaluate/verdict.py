"""The verdict of an evaluation: one sentence that says what the scores mean, from those that matter most."""

from collections.abc import Mapping, Sequence

from sattrans.evaluate.aggregate import Column
from sattrans.evaluate.base import Metric
from sattrans.evaluate.scoring import SetScores
from sattrans.evaluate.significance import cost
from sattrans.evaluate.table import format_value

REALISM = ("kid_lite1", "kid", "kid_lite0", "swd", "fid", "spectrum")
"""Metrics that say how real images look: the first of them that was computed gives the verdict."""

FIDELITY = ("mae", "rmse", "psnr", "ssim", "ms_ssim", "sam")
"""Metrics that compare an image with the real one of its place: the first of them that was computed."""

OTHER_PLACES = "real images of other places"
FLAT = "maps in flat class colours"


def verdict(
    metrics: Sequence[Metric],
    best: Mapping[str, Column | None],
    columns: Sequence[Column],
    baselines: Mapping[str, SetScores],
) -> str:
    """Return what the scores mean, in one sentence; empty if they say nothing about how real the images are."""
    if not any(score.interval for score in columns[0].scores.metrics.values()):
        return ""
    realism, fidelity = (_first(names, metrics, columns) for names in (REALISM, FIDELITY))
    if len(columns) > 1:
        lead = realism or fidelity
        text = _comparison(lead, best[lead.name], columns, baselines, lead is realism) if lead else ""
    else:
        column = columns[0]
        clauses = [
            _realism(realism, column, baselines) if realism else "",
            _fidelity(fidelity, column, "they" if realism else f"the images of {column.name}") if fidelity else "",
        ]
        text = "; ".join(filter(None, clauses))
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _first(names: Sequence[str], metrics: Sequence[Metric], columns: Sequence[Column]) -> Metric | None:
    by_name = {metric.name: metric for metric in metrics}
    known = [n for n in names if n in by_name and all(c.scores.value(n) is not None for c in columns)]
    return by_name[known[0]] if known else None


def _realism(metric: Metric, column: Column, baselines: Mapping[str, SetScores]) -> str:
    """Say how real the images look, between maps in flat colours and real images of other places."""
    score, (real, flat) = column.scores.metrics[metric.name], _baselines(metric, baselines)
    if score.interval is None or (real is None and flat is None):
        return f"by {metric.title}, the images of {column.name} have {format_value(score.value)}"
    start = f"by {metric.title}, the images of {column.name} ({format_value(score.value)})"
    in_flat, elsewhere = f"{FLAT} ({format_value(flat)})", f"{OTHER_PLACES} ({format_value(real)})"
    if flat is not None and score.interval.high >= flat:
        return f"{start} do not clearly look more real than {in_flat}"
    if real is not None and score.interval.low <= real:
        return f"{start} cannot be told from {elsewhere}"
    if real is None:
        return f"{start} look more real than {in_flat}"
    more = f"more real than {in_flat}, but " if flat is not None else ""
    return f"{start} look {more}less real than {elsewhere}"


def _fidelity(metric: Metric, column: Column, images: str) -> str:
    """Say whether the images are nearer to the real images of their own places than to others."""
    distinguished = column.scores.distinguishes_pairs(metric.name)
    if distinguished is None:
        return ""
    own, shuffled = column.scores.value(metric.name), column.scores.shuffled[metric.name].value
    if own is None or shuffled is None:
        return ""
    nearer = distinguished and cost(metric, own, None) < cost(metric, shuffled, None)
    are = "are nearer" if nearer else "are no nearer"
    ends = f"to the real images of their places ({format_value(own)}) than to others ({format_value(shuffled)})"
    return f"by {metric.title}, {images} {are} {ends}"


def _comparison(
    metric: Metric, best: Column | None, columns: Sequence[Column], baselines: Mapping[str, SetScores], realism: bool
) -> str:
    """Say which column is the best, or that none clearly is, and between which values real images and flat ones lie."""
    real, flat = _baselines(metric, baselines)

    def column_cost(column: Column) -> float:
        value = column.scores.value(metric.name)
        assert value is not None
        return float(cost(metric, value, real))

    first, second = ((c.name, format_value(c.scores.value(metric.name))) for c in sorted(columns, key=column_cost)[:2])
    better = "looks clearly more real than" if realism else "is clearly nearer to the real images than"
    next_best = f", the next best of {len(columns)}" if len(columns) > 2 else ""
    if best is not None:
        text = f"by {metric.title}, {first[0]} ({first[1]}) {better} {second[0]} ({second[1]}){next_best}"
    else:
        others = "the other" if len(columns) == 2 else "the others"
        text = f"by {metric.title}, none {better} {others}: {first[0]} has {first[1]}, {second[0]} {second[1]}"
    known = [f"{name} have {format_value(v)}" for name, v in ((OTHER_PLACES, real), (FLAT, flat)) if v is not None]
    return f"{text}; {', '.join(known)}" if realism and known else text


def _baselines(metric: Metric, baselines: Mapping[str, SetScores]) -> tuple[float | None, float | None]:
    """Return the values of real images and of maps in flat class colours, None if unknown."""
    flat = baselines.get("class_colors")
    return baselines["real"].value(metric.name), flat.value(metric.name) if flat else None
