"""Bar charts of a metric inside each class, with one scale for all classes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sattrans.evaluate.report.page import ClassBars, PageColumn
from sattrans.evaluate.report.ticks import finite, number

ABSENT = "–"


@dataclass(frozen=True, slots=True)
class Bar:
    """A column's value in a class; `left` and `width` in per cent of the chart, width 0 if there is no value."""

    column: str
    series: int
    text: str
    left: float
    width: float


@dataclass(frozen=True, slots=True)
class BarChart:
    """The bars of a metric: `groups` are the classes, each with its bars; the scale includes 0."""

    title: str
    unit: str
    better: str
    groups: Sequence[tuple[str, Sequence[Bar]]]


def bar_chart(bars: ClassBars, columns: Sequence[PageColumn]) -> BarChart:
    """Return the bars of a metric, in the order of the page's columns, then of the baselines."""
    values = finite(value for by_column in bars.values.values() for value in by_column.values())
    low, high = min([0.0, *values]), max([0.0, *values])
    span = high - low or 1.0
    in_charts = (name for by_column in bars.values.values() for name in by_column)
    names = list(dict.fromkeys([*(column.name for column in columns), *in_charts]))
    groups = []
    for class_, by_column in bars.values.items():
        group = []
        for series, name in enumerate(names):
            value = by_column.get(name)
            if value is None or not math.isfinite(value):
                group.append(Bar(name, series, ABSENT, 0.0, 0.0))
                continue
            left, right = (100 * (end - low) / span for end in sorted((0.0, value)))
            group.append(Bar(name, series, number(value), round(left, 2), round(right - left, 2)))
        groups.append((class_, group))
    return BarChart(bars.title, bars.unit, bars.better, groups)
