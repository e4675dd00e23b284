"""Lines: the losses of a run over its epochs, as paths and ticks to draw."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sattrans.evaluate.report.page import Curves
from sattrans.evaluate.report.ticks import Axis, axis, labels, linear, number

SIDE = 1000
"""Paths lie in a square of this side; the page stretches it to the room there is."""

APART = 8.0
"""Letters at the ends of lines stand this far from each other at least, in per cent of the height."""


@dataclass(frozen=True, slots=True)
class Line:
    """A loss: its path, and how high its letter stands at its end, in per cent from the top."""

    name: str
    letter: str
    series: int
    path: str
    end: float


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis, in per cent from the left or from the top."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Panel:
    """The losses of training, or of validation."""

    title: str
    log: bool
    ticks: Sequence[Tick]
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Chart:
    """A run: two panels over the same epochs; `best` is where the kept epoch is, in per cent."""

    run: str
    panels: Sequence[Panel]
    epochs: Sequence[Tick]
    best: float | None
    said: str


def chart(curves: Curves) -> Chart:
    """Return a run's losses as they are drawn; a name has one letter and one colour in both panels."""
    names = list(dict.fromkeys([*curves.train, *curves.val]))
    across = _epochs(curves.epochs)
    parts = (("Training", curves.train), ("Validation", curves.val))
    panels = [_panel(title, part, names, curves.epochs, across) for title, part in parts if part]
    best = None
    if curves.best_epoch is not None and across.low <= curves.best_epoch <= across.high:
        best = _percent(across, curves.best_epoch)
    whole = [tick for tick in across.ticks if across.low <= tick <= across.high and tick == int(tick)]
    ticks = [Tick(_percent(across, tick), number(tick, 6)) for tick in whole]
    return Chart(curves.run, panels, ticks, best, _said(curves))


def _epochs(epochs: Sequence[int]) -> Axis:
    """Return the axis of epochs: it ends where they do; a single one stands in its middle."""
    first, last = min(epochs, default=0), max(epochs, default=1)
    if first == last:
        return Axis(first - 1, last + 1, (float(first),))
    return Axis(first, last, linear(first, last, 6).ticks)


def _panel(
    title: str,
    losses: Mapping[str, Sequence[float | None]],
    names: Sequence[str],
    epochs: Sequence[int],
    across: Axis,
) -> Panel:
    up = axis(value for values in losses.values() for value in values)
    drawn = [(name, list(_points(epochs, values, across, up))) for name, values in losses.items()]
    drawn = [(name, pieces) for name, pieces in drawn if pieces]
    ends = _spread([pieces[-1][-1][1] * 100 / SIDE for _, pieces in drawn])
    lines = []
    for (name, pieces), end in zip(drawn, ends, strict=True):
        series = names.index(name)
        lines.append(Line(name, _letter(series), series, "".join(map(_path, pieces)), round(end, 1)))
    told = zip(up.ticks, labels(up.ticks), strict=True)
    ticks = [Tick(round(100 - _percent(up, tick), 2), text) for tick, text in told]
    return Panel(title, up.log, ticks, lines)


def _points(
    epochs: Sequence[int], values: Sequence[float | None], across: Axis, up: Axis
) -> Iterator[list[tuple[float, float]]]:
    """Yield the pieces of a line: it is broken where a value is no number."""
    piece: list[tuple[float, float]] = []
    for epoch, value in zip(epochs, values, strict=False):
        if value is None or not math.isfinite(value):
            if piece:
                yield piece
            piece = []
        else:
            piece.append((SIDE * across.at(epoch), SIDE * (1 - up.at(value))))
    if piece:
        yield piece


def _path(piece: Sequence[tuple[float, float]]) -> str:
    corners = "L".join(f"{x:.1f} {y:.1f}" for x, y in piece)
    return f"M{corners}" + ("h0" if len(piece) == 1 else "")  # a round end makes a dot of a line without length


def _spread(places: Sequence[float]) -> list[float]:
    """Return the places, 0 to 100, moved as far as they need to stand apart."""
    apart = min(APART, 100 / max(len(places), 1))
    order = sorted(range(len(places)), key=lambda number: places[number])
    moved = list(places)
    for before, here in itertools.pairwise(order):
        moved[here] = max(moved[here], moved[before] + apart)
    limit = 100.0
    for here in reversed(order):
        moved[here] = min(moved[here], limit)
        limit = moved[here] - apart
    return moved


def _letter(number: int) -> str:
    return chr(ord("a") + number % 26) * (1 + number // 26)


def _percent(along: Axis, value: float) -> float:
    return round(100 * along.at(value), 2)


def _said(curves: Curves) -> str:
    """Return which epoch was kept, and why; empty where that is not known."""
    if curves.best_epoch is None:
        return ""
    by_epoch = dict(zip(curves.epochs, curves.val.get(curves.monitor, ()), strict=False))
    value = by_epoch.get(curves.best_epoch)
    known = f" of {number(value, 4)}" if value is not None and math.isfinite(value) else ""
    return f"Kept: epoch {curves.best_epoch}, by a validation {curves.monitor}{known}."
