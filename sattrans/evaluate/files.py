"""The files of an evaluation: `scores.csv` (per image), `scores.json` (per set) and `scores.md` (the table)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sattrans.evaluate.aggregate import Column
from sattrans.evaluate.base import Metric
from sattrans.evaluate.downstream_results import Downstream
from sattrans.evaluate.scoring import Score, SetScores
from sattrans.evaluate.significance import paired_difference
from sattrans.metrics.bootstrap import Interval, excludes_zero
from sattrans.utils.atomic import write_bytes
from sattrans.utils.manifest import write_manifest
from sattrans.utils.shown import escape_directions, write_csv

VERSION = 3


def write_scores(path: Path, metrics: Sequence[Metric], columns: Sequence[Column]) -> None:
    """Write the values of each image, by run, for the metrics that a single image has."""
    names = [metric.name for metric in metrics if metric.per_image]
    rows = (
        [source.name, image, *(values[name] for name in names)]
        for column in columns
        for source, scores in zip(column.sources, column.per_source, strict=True)
        for image, values in scores.images.items()
    )
    write_csv(path, ["run", "tile", *names], rows)


def write_json(
    path: Path,
    about: Mapping[str, Any],
    metrics: Sequence[Metric],
    missing: Mapping[str, str],
    best: Mapping[str, Column | None],
    columns: Sequence[Column],
    baselines: Mapping[str, SetScores],
    verdict: str,
    notes: Sequence[str],
) -> None:
    """Write the verdict, all scores with their intervals, baselines, the best column by metric, paired differences."""
    real = _values(baselines["real"].metrics)
    body = {
        **about,
        "verdict": verdict,
        "metrics": {m.name: {"title": m.title, "unit": m.unit, "better": m.better} for m in metrics},
        "missing": dict(missing),
        "floors": {name: {**_values(scores.metrics), **_iou(scores)} for name, scores in baselines.items()},
        "columns": [
            {
                "name": column.name,
                "runs": [
                    {"run": source.name, **source.about, "means": _values(scores.metrics)}
                    for source, scores in zip(column.sources, column.per_source, strict=True)
                ],
                "means": _values(column.scores.metrics),
                "intervals": {name: _ends(score.interval) for name, score in column.scores.metrics.items()},
                "spread": {name: list(ends) for name, ends in column.spread.items()},
                "shuffled": _values(column.scores.shuffled),
                "tells_pairs": {name: column.scores.distinguishes_pairs(name) for name in column.scores.shuffled},
                **column.scores.details,
                **_miou_ratio(column.scores, baselines["real"]),
            }
            for column in columns
        ],
        "best": {name: column.name if column else None for name, column in best.items()},
        "differences": [
            {"one": a.name, "other": b.name, "by": _differences(metrics, a.scores, b.scores, real)}
            for index, a in enumerate(columns)
            for b in columns[index + 1 :]
        ],
        "notes": list(notes),
    }
    write_manifest(path, "scores", VERSION, body)


def _differences(
    metrics: Sequence[Metric], a: SetScores, b: SetScores, real: Mapping[str, float | None]
) -> dict[str, Any]:
    """Return, by metric, the interval of the difference of two columns, and whether it excludes 0."""
    differences = {}
    for metric in metrics:
        difference = paired_difference(metric, a, b, real.get(metric.name))
        if difference:
            differences[metric.name] = {"interval": _ends(difference), "apart": excludes_zero(difference)}
    return differences


def _iou(scores: SetScores) -> dict[str, Any]:
    return {"iou": scores.details["iou"]} if "iou" in scores.details else {}


def _miou_ratio(scores: SetScores, real: SetScores) -> dict[str, float]:
    """Return the mIoU divided by that of the real images, which is the highest that can be expected."""
    own, ceiling = scores.value("miou"), real.value("miou")
    return {"miou_ratio": own / ceiling} if own is not None and ceiling else {}


def _values(scores: Mapping[str, Score]) -> dict[str, float | None]:
    return {name: score.value for name, score in scores.items()}


def _ends(interval: Interval | None) -> list[float] | None:
    return list(interval) if interval else None


def write_markdown(
    path: Path,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    verdict: str,
    notes: Sequence[str],
    downstream: Downstream | None = None,
) -> None:
    """Write the verdicts, the tables and the notes as Markdown."""
    listed = "".join(f"- {_escaped(note)}\n" for note in notes)
    more = (f"{_escaped(downstream.verdict)}\n", _table(*downstream.table())) if downstream else ()
    parts = (f"{_escaped(verdict)}\n" if verdict else "", _table(head, rows), *more, listed)
    write_bytes(path, "\n".join(filter(None, parts)).encode())


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(_escaped(cell) for cell in line)} |\n" for line in lines)


def _escaped(text: str) -> str:
    """Return text that Markdown shows literally, in one line."""
    text = escape_directions(text)
    for sign in "\\|<>`[]_#":
        text = text.replace(sign, "\\" + sign)
    return " ".join(text.split())
