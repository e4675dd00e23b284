"""The table of scores as text, for the terminal, for Markdown and for the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sattrans.evaluate.aggregate import Column
from sattrans.evaluate.base import Metric
from sattrans.evaluate.scoring import SetScores
from sattrans.utils.console import pluralize

ARROWS = {"lower": "↓", "higher": "↑", "real": "→ real"}

BASELINE_TITLES = {"real": "real", "class_colors": "class colours"}
"""Titles of the baselines' columns, but for floors, which have names of their own."""

SHUFFLED = "shuffled"


@dataclass(frozen=True, slots=True)
class TableCell:
    """A column's score: the value, its interval, its spread over seeds, and whether it is clearly the best."""

    value: str
    interval: str = ""
    spread: str = ""
    best: bool = False

    def parts(self) -> list[str]:
        """Return the value, with a mark if it is the best, and the interval and the spread if there are any."""
        parts = (f"({self.interval})" if self.interval else "", f"[{self.spread}]" if self.spread else "")
        return [self.value + (" *" if self.best else ""), *filter(None, parts)]


@dataclass(frozen=True, slots=True)
class TableRow:
    """The row of a metric.

    Attributes:
        metric: The metric.
        title: Its title, with a remark if its values are biased.
        cells: A cell for each column.
        baselines: The values of the baselines by title, shuffled pairs first.
        ignores_pairing: Whether the metric distinguishes no column's pairs from shuffled ones.
        missing: Why the metric was not computed; empty if it was.
    """

    metric: Metric
    title: str
    cells: Sequence[TableCell] = ()
    baselines: Mapping[str, str] = field(default_factory=dict)
    ignores_pairing: bool = False
    missing: str = ""


def baseline_title(name: str) -> str:
    """Return the title of a baseline's column."""
    return BASELINE_TITLES.get(name, f"{name} (floor)")


def format_value(value: float | None) -> str:
    """Return a value with four significant digits; a dash for None."""
    if value is None:
        return "–"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def table_rows(
    metrics: Sequence[Metric],
    missing: Mapping[str, str],
    best: Mapping[str, Column | None],
    columns: Sequence[Column],
    baselines: Mapping[str, SetScores],
    images: int,
) -> list[TableRow]:
    """Return the rows of the table; `missing` are reasons by metric, `best` the clearly best column by metric."""
    rows = []
    for metric in metrics:
        title = metric.title
        if images < metric.min_images:
            title += f" (biased: {pluralize(images, 'image')})"
        if metric.name in missing:
            rows.append(TableRow(metric, title, missing=missing[metric.name]))
            continue
        cells = [_cell(column, metric.name, column is best[metric.name]) for column in columns]
        ignores_pairing = all(column.scores.distinguishes_pairs(metric.name) is False for column in columns)
        shuffled = [_shuffled(column.scores, metric.name) for column in columns]
        values = {SHUFFLED: shuffled[0] if len(set(shuffled)) == 1 else " / ".join(shuffled)}
        for name, baseline in baselines.items():
            values[baseline_title(name)] = format_value(baseline.value(metric.name))
        rows.append(TableRow(metric, title, cells, values, ignores_pairing))
    return rows


def _cell(column: Column, metric: str, is_best: bool) -> TableCell:
    score, spread = column.scores.metrics[metric], column.spread.get(metric)
    return TableCell(format_value(score.value), _range(score.interval), _range(spread), is_best)


def _range(ends: tuple[float, float] | None) -> str:
    return f"{format_value(ends[0])} to {format_value(ends[1])}" if ends else ""


def _shuffled(scores: SetScores, metric: str) -> str:
    if metric not in scores.shuffled:
        return "="
    mark = " ~" if scores.distinguishes_pairs(metric) is False else ""
    return format_value(scores.shuffled[metric].value) + mark


def plain_table(
    rows: Sequence[TableRow], columns: Sequence[Column], baselines: Mapping[str, SetScores], separator: str = " "
) -> tuple[list[str], list[list[str]]]:
    """Return the headings and the rows of a plain table; `separator` joins the parts of a score."""
    heads = ["score", *(column.name for column in columns), SHUFFLED, *map(baseline_title, baselines)]
    lines = []
    for row in rows:
        line = [f"{row.title} {ARROWS[row.metric.better]}"]
        scores = [separator.join(cell.parts()) for cell in row.cells]
        line += [row.missing] if row.missing else [*scores, *row.baselines.values()]
        lines.append(line + [""] * (len(heads) - len(line)))
    return heads, lines
