"""Loss curves of a run over its epochs, as paths and ticks to draw."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sattrans.evaluate.report.page import LossCurves
from sattrans.evaluate.report.ticks import Axis, axis, labels, linear, number

SIDE = 1000
"""Paths lie in a square of this side; the page stretches it to the available space."""

MIN_DISTANCE = 8.0
"""Smallest distance of the letters at the ends of lines, in per cent of the height."""


@dataclass(frozen=True, slots=True)
class LossLine:
    """A loss: its path, and the position of the letter at its end, in per cent from the top."""

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
class LossPanel:
    """The losses of training, or of validation."""

    title: str
    log: bool
    ticks: Sequence[Tick]
    lines: Sequence[LossLine]


@dataclass(frozen=True, slots=True)
class LossChart:
    """The losses of a run: two panels over the same epochs; `best` is the position of the best epoch, in per cent."""

    run: str
    panels: Sequence[LossPanel]
    epochs: Sequence[Tick]
    best: float | None
    summary: str


def loss_chart(curves: LossCurves) -> LossChart:
    """Return a run's losses as they are drawn; a loss has the same letter and colour in both panels."""
    names = list(dict.fromkeys([*curves.train, *curves.val]))
    across = _epochs(curves.epochs)
    parts = (("Training", curves.train), ("Validation", curves.val))
    panels = [_panel(title, part, names, curves.epochs, across) for title, part in parts if part]
    best = None
    if curves.best_epoch is not None and across.low <= curves.best_epoch <= across.high:
        best = _percent(across, curves.best_epoch)
    whole = [tick for tick in across.ticks if across.low <= tick <= across.high and tick == int(tick)]
    ticks = [Tick(_percent(across, tick), number(tick, 6)) for tick in whole]
    return LossChart(curves.run, panels, ticks, best, _summary(curves))


def _epochs(epochs: Sequence[int]) -> Axis:
    """Return the axis of epochs, from the first to the last; a single epoch is in the middle."""
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
) -> LossPanel:
    up = axis(value for values in losses.values() for value in values)
    drawn = [(name, list(_segments(epochs, values, across, up))) for name, values in losses.items()]
    drawn = [(name, segments) for name, segments in drawn if segments]
    ends = _spread_apart([segments[-1][-1][1] * 100 / SIDE for _, segments in drawn])
    lines = []
    for (name, segments), end in zip(drawn, ends, strict=True):
        series = names.index(name)
        lines.append(LossLine(name, _letter(series), series, "".join(map(_path, segments)), round(end, 1)))
    labelled = zip(up.ticks, labels(up.ticks), strict=True)
    ticks = [Tick(round(100 - _percent(up, tick), 2), text) for tick, text in labelled]
    return LossPanel(title, up.log, ticks, lines)


def _segments(
    epochs: Sequence[int], values: Sequence[float | None], across: Axis, up: Axis
) -> Iterator[list[tuple[float, float]]]:
    """Yield the segments of a line, which is interrupted at values that are not finite."""
    segment: list[tuple[float, float]] = []
    for epoch, value in zip(epochs, values, strict=False):
        if value is None or not math.isfinite(value):
            if segment:
                yield segment
            segment = []
        else:
            segment.append((SIDE * across.at(epoch), SIDE * (1 - up.at(value))))
    if segment:
        yield segment


def _path(segment: Sequence[tuple[float, float]]) -> str:
    corners = "L".join(f"{x:.1f} {y:.1f}" for x, y in segment)
    return f"M{corners}" + ("h0" if len(segment) == 1 else "")  # round caps draw a line without length as a dot


def _spread_apart(positions: Sequence[float]) -> list[float]:
    """Return the positions, 0 to 100, moved until they have the smallest distance from each other."""
    distance = min(MIN_DISTANCE, 100 / max(len(positions), 1))
    order = sorted(range(len(positions)), key=lambda number: positions[number])
    moved = list(positions)
    for before, current in itertools.pairwise(order):
        moved[current] = max(moved[current], moved[before] + distance)
    limit = 100.0
    for current in reversed(order):
        moved[current] = min(moved[current], limit)
        limit = moved[current] - distance
    return moved


def _letter(number: int) -> str:
    return chr(ord("a") + number % 26) * (1 + number // 26)


def _percent(along: Axis, value: float) -> float:
    return round(100 * along.at(value), 2)


def _summary(curves: LossCurves) -> str:
    """Return which epoch is the best and by which loss; empty if that is not known."""
    if curves.best_epoch is None:
        return ""
    by_epoch = dict(zip(curves.epochs, curves.val.get(curves.monitor, ()), strict=False))
    value = by_epoch.get(curves.best_epoch)
    known = f" of {number(value, 4)}" if value is not None and math.isfinite(value) else ""
    return f"Best checkpoint: epoch {curves.best_epoch}, with a validation {curves.monitor}{known}."
