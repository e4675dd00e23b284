"""What an evaluation writes: `scores.csv`, a line an image, and `scores.json`, the sets' scores."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sattrans.evaluating.family import Metric
from sattrans.evaluating.gather import Score
from sattrans.evaluating.scoring import Scored
from sattrans.files import write_bytes, write_manifest
from sattrans.metrics.bootstrap import Interval, difference, tells_apart

VERSION = 2


def write_table(path: Path, metrics: Sequence[Metric], runs: Mapping[str, Scored]) -> None:
    """Write each image's scores, by run and tile: those that a single image has."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    columns = [metric.name for metric in metrics if metric.each]
    table.writerow(["run", "tile", *columns])
    for name, scored in runs.items():
        for tile_id, scores in scored.images.items():
            values = (scores[column] for column in columns)
            table.writerow([name, tile_id, *("" if v is None else f"{v:.6g}" for v in values)])
    write_bytes(path, text.getvalue().encode())


def write_scores(
    path: Path,
    about: Mapping[str, Any],
    metrics: Sequence[Metric],
    missing: Mapping[str, str],
    runs: Sequence[tuple[Mapping[str, Any], Scored]],
    floors: Mapping[str, Scored],
) -> None:
    """Write the sets' scores with intervals, the floors beside them, and what each run is apart from the first."""
    first = runs[0][1]
    body = {
        **about,
        "metrics": {m.name: {"title": m.title, "unit": m.unit, "better": m.better} for m in metrics},
        "missing": dict(missing),
        "floors": {name: {**_values(floor.scores), **_seen(floor)} for name, floor in floors.items()},
        "runs": [
            {
                **told,
                "means": _values(scored.scores),
                "intervals": {name: _pair(score.interval) for name, score in scored.scores.items()},
                "shuffled": _values(scored.shuffled),
                "tells_pairs": {name: scored.tells_pairs(name) for name in scored.shuffled},
                "apart_from_first": {} if scored is first else _apart(scored, first),
                **scored.details,
                **_ratio(scored, floors["real"]),
            }
            for told, scored in runs
        ],
    }
    write_manifest(path, "scores", VERSION, body)


def _apart(scored: Scored, first: Scored) -> dict[str, Any]:
    """Return, by metric, the interval of the difference to the first run on the same images, and whether it is one."""
    found = {}
    for name, score in scored.scores.items():
        apart = difference(score.redrawn, first.scores[name].redrawn)
        found[name] = {"interval": _pair(apart), "apart": tells_apart(apart)}
    return found


def _seen(floor: Scored) -> dict[str, Any]:
    return {"iou": floor.details["iou"]} if "iou" in floor.details else {}


def _ratio(scored: Scored, real: Scored) -> dict[str, float]:
    """Return a run's mIoU over that of the real images, its ceiling."""
    if "miou" not in scored.scores:
        return {}
    own, ceiling = scored.scores["miou"].value, real.scores["miou"].value
    return {"miou_ratio": own / ceiling} if own is not None and ceiling else {}


def _values(scores: Mapping[str, Score]) -> dict[str, float | None]:
    return {name: score.value for name, score in scores.items()}


def _pair(interval: Interval | None) -> list[float] | None:
    return list(interval) if interval else None
