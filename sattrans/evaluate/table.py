"""Shown: scores as a person reads them, for the terminal, for Markdown and for the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sattrans.evaluate.aggregate import Column
from sattrans.evaluate.base import Metric
from sattrans.evaluate.scoring import Score, Scored
from sattrans.utils.console import counted

ARROWS = {"lower": "↓", "higher": "↑", "real": "→ real"}

FLOORS = {"real": "real", "class_colors": "class colours"}
"""The floors, by the title of what stands beside the columns."""

SHUFFLED = "shuffled"

ENOUGH_FOR_FID = 2048


@dataclass(frozen=True, slots=True)
class Shown:
    """A score of a column: the value, its interval, its spread over seeds, whether it is the best."""

    value: str
    interval: str = ""
    spread: str = ""
    best: bool = False

    def parts(self) -> list[str]:
        """Return what there is of it: the value, marked where it is the best, the interval, the spread."""
        parts = (f"({self.interval})" if self.interval else "", f"[{self.spread}]" if self.spread else "")
        return [self.value + (" *" if self.best else ""), *filter(None, parts)]


@dataclass(frozen=True, slots=True)
class ShownRow:
    """A metric's row: a score a column, what stands beside them by title; `missing` says why there is nothing."""

    metric: Metric
    title: str
    cells: Sequence[Shown] = ()
    beside: Mapping[str, str] | None = None
    blind: bool = False
    missing: str = ""


def number(value: float | None) -> str:
    """Return a score in four digits."""
    if value is None:
        return "–"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def shown_rows(
    metrics: Sequence[Metric],
    missing: Mapping[str, str],
    best: Mapping[str, Column | None],
    columns: Sequence[Column],
    floors: Mapping[str, Scored],
    images: int,
) -> list[ShownRow]:
    """Return the rows of the table; `best` is the column that is better than each other, by metric."""
    rows = []
    for metric in metrics:
        title = metric.title
        if metric.name == "fid" and images < ENOUGH_FOR_FID:
            title += f" (biased: {counted(images, 'image')})"
        if metric.name in missing:
            rows.append(ShownRow(metric, title, missing=missing[metric.name]))
            continue
        cells = [_shown(column, metric.name, column is best[metric.name]) for column in columns]
        blind = all(column.scored.tells_pairs(metric.name) is False for column in columns)
        shuffled = [_shuffled(column.scored, metric.name) for column in columns]
        beside = {SHUFFLED: shuffled[0] if len(set(shuffled)) == 1 else " / ".join(shuffled)}
        for name, floor in floors.items():
            beside[FLOORS[name]] = number(floor.value(metric.name))
        rows.append(ShownRow(metric, title, cells, beside, blind))
    return rows


def _shown(column: Column, name: str, is_best: bool) -> Shown:
    score: Score = column.scored.scores[name]
    between = score.interval
    spread = column.spread.get(name)
    return Shown(
        number(score.value),
        f"{number(between.low)} to {number(between.high)}" if between else "",
        f"{number(spread[0])} to {number(spread[1])}" if spread else "",
        is_best,
    )


def _shuffled(scored: Scored, name: str) -> str:
    if name not in scored.shuffled:
        return "="
    return number(scored.shuffled[name].value) + (" ~" if scored.tells_pairs(name) is False else "")


def table_of(
    rows: Sequence[ShownRow], columns: Sequence[Column], floors: Mapping[str, Scored], between: str = " "
) -> tuple[list[str], list[list[str]]]:
    """Return heads and lines of a plain table; `between` stands between the parts of a score."""
    heads = ["score", *(column.name for column in columns), SHUFFLED, *(FLOORS[name] for name in floors)]
    lines = []
    for row in rows:
        line = [f"{row.title} {ARROWS[row.metric.better]}"]
        scores = [between.join(cell.parts()) for cell in row.cells]
        line += [row.missing] if row.missing else [*scores, *(row.beside or {}).values()]
        lines.append(line + [""] * (len(heads) - len(line)))
    return heads, lines
