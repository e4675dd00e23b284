"""What an evaluation writes: `scores.csv`, a line an image; `scores.json`, the sets' scores; `scores.md`, a table."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sattrans.evaluate.aggregate import Column
from sattrans.evaluate.base import Metric
from sattrans.evaluate.scoring import Score, Scored
from sattrans.evaluate.significance import paired_difference
from sattrans.metrics.bootstrap import Interval, excludes_zero
from sattrans.utils.atomic import write_bytes
from sattrans.utils.manifest import write_manifest

VERSION = 3


def write_table(path: Path, metrics: Sequence[Metric], columns: Sequence[Column]) -> None:
    """Write each image's scores, by run and image: those that a single image has."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    named = [metric.name for metric in metrics if metric.each]
    table.writerow(["run", "tile", *named])
    for column in columns:
        for subject, scored in zip(column.subjects, column.each, strict=True):
            for image, scores in scored.images.items():
                values = (scores[name] for name in named)
                table.writerow([subject.name, image, *("" if v is None else f"{v:.6g}" for v in values)])
    write_bytes(path, text.getvalue().encode())


def write_scores(
    path: Path,
    about: Mapping[str, Any],
    metrics: Sequence[Metric],
    missing: Mapping[str, str],
    best: Mapping[str, Column | None],
    columns: Sequence[Column],
    floors: Mapping[str, Scored],
    notes: Sequence[str],
) -> None:
    """Write the sets' scores with intervals, the floors beside them, who is `best`, and what tells columns apart."""
    reals = _values(floors["real"].scores)
    body = {
        **about,
        "metrics": {m.name: {"title": m.title, "unit": m.unit, "better": m.better} for m in metrics},
        "missing": dict(missing),
        "floors": {name: {**_values(floor.scores), **_seen(floor)} for name, floor in floors.items()},
        "columns": [
            {
                "name": column.name,
                "runs": [
                    {"run": subject.name, **subject.about, "means": _values(scored.scores)}
                    for subject, scored in zip(column.subjects, column.each, strict=True)
                ],
                "means": _values(column.scored.scores),
                "intervals": {name: _pair(score.interval) for name, score in column.scored.scores.items()},
                "spread": {name: list(ends) for name, ends in column.spread.items()},
                "shuffled": _values(column.scored.shuffled),
                "tells_pairs": {name: column.scored.tells_pairs(name) for name in column.scored.shuffled},
                **column.scored.details,
                **_ratio(column.scored, floors["real"]),
            }
            for column in columns
        ],
        "best": {name: column.name if column else None for name, column in best.items()},
        "differences": [
            {"one": one.name, "other": other.name, **_apart(metrics, one.scored, other.scored, reals)}
            for place, one in enumerate(columns)
            for other in columns[place + 1 :]
        ],
        "notes": list(notes),
    }
    write_manifest(path, "scores", VERSION, body)


def _apart(metrics: Sequence[Metric], one: Scored, other: Scored, reals: Mapping[str, float | None]) -> dict[str, Any]:
    """Return, by metric, the interval of how much more one costs than the other, and whether that is a difference."""
    found = {}
    for metric in metrics:
        apart = paired_difference(metric, one, other, reals.get(metric.name))
        if apart:
            found[metric.name] = {"interval": _pair(apart), "apart": excludes_zero(apart)}
    return {"by": found}


def _seen(floor: Scored) -> dict[str, Any]:
    return {"iou": floor.details["iou"]} if "iou" in floor.details else {}


def _ratio(scored: Scored, real: Scored) -> dict[str, float]:
    """Return a run's mIoU over that of the real images, its ceiling."""
    own, ceiling = scored.value("miou"), real.value("miou")
    return {"miou_ratio": own / ceiling} if own is not None and ceiling else {}


def _values(scores: Mapping[str, Score]) -> dict[str, float | None]:
    return {name: score.value for name, score in scores.items()}


def _pair(interval: Interval | None) -> list[float] | None:
    return list(interval) if interval else None


def write_markdown(path: Path, head: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str]) -> None:
    """Write the table as Markdown."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    text = "".join(f"| {' | '.join(_cell(cell) for cell in line)} |\n" for line in lines)
    told = "".join(f"- {_cell(note)}\n" for note in notes)
    write_bytes(path, (text + (f"\n{told}" if told else "")).encode())


def _cell(text: str) -> str:
    """Return a text that Markdown takes for a cell's, whatever is in it."""
    for sign in "\\|<>`[]_#":
        text = text.replace(sign, "\\" + sign)
    return " ".join(text.split())
