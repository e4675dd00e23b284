"""Bars: a score inside each class as lengths, one under the other."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sattrans.evaluate.report.page import ClassBars, Column
from sattrans.evaluate.report.ticks import finite, number

ABSENT = "–"


@dataclass(frozen=True, slots=True)
class Bar:
    """A column's value in a class; `left` and `width` in per cent of the room, 0 wide where there is no value."""

    column: str
    series: int
    text: str
    left: float
    width: float


@dataclass(frozen=True, slots=True)
class Chart:
    """A metric: `groups` are the classes, each with its bars, all on one scale that holds 0."""

    title: str
    unit: str
    better: str
    groups: Sequence[tuple[str, Sequence[Bar]]]


def chart(bars: ClassBars, columns: Sequence[Column]) -> Chart:
    """Return the bars of a metric, in the order of the page's columns; then those of what stands beside them."""
    values = finite(value for of_class in bars.values.values() for value in of_class.values())
    low, high = min([0.0, *values]), max([0.0, *values])
    room = high - low or 1.0
    names = list(dict.fromkeys([*(c.name for c in columns), *(n for of in bars.values.values() for n in of)]))
    groups = []
    for name, of_class in bars.values.items():
        group = []
        for series, column in enumerate(names):
            value = of_class.get(column)
            if value is None or not math.isfinite(value):
                group.append(Bar(column, series, ABSENT, 0.0, 0.0))
                continue
            left, right = (100 * (end - low) / room for end in sorted((0.0, value)))
            group.append(Bar(column, series, number(value), round(left, 2), round(right - left, 2)))
        groups.append((name, group))
    return Chart(bars.title, bars.unit, bars.better, groups)
