"""Error maps: the tiles of a scene as rectangles in the colours of their errors."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from sattrans.evaluate.report.page import Footprint, PageColumn, SceneMap
from sattrans.evaluate.report.ticks import Axis, finite, labels, linear, number

VIRIDIS = ("#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725")
"""Smith and van der Walt's viridis, every eighth of it: its lightness rises evenly, in grey as well."""

COLORS = 9
"""Approximate number of colours of the scale."""

MIN_LABELLED = 0.15
"""A tile shows its number if its side is at least this part of the scene's longest side."""


@dataclass(frozen=True, slots=True)
class ErrorBox:
    """A tile as it is drawn, in the scene's pixels; `fill` is empty without a value, `text_color` without a number."""

    tile: str
    row: int
    col: int
    height: int
    width: int
    text: str
    fill: str
    text_color: str

    @property
    def font_size(self) -> float:
        """Font size of its number, in the scene's pixels."""
        return round(min(self.height, 1.1 * self.width) * 0.3, 1)


@dataclass(frozen=True, slots=True)
class ErrorMap:
    """The errors of a column in a scene; `summary` is the lowest and the highest as text."""

    column: str
    boxes: Sequence[ErrorBox]
    summary: str


@dataclass(frozen=True, slots=True)
class ErrorScene:
    """A scene with an error map for each column."""

    name: str
    crs: str
    height: int
    width: int
    maps: Sequence[ErrorMap]


@dataclass(frozen=True, slots=True)
class ErrorScenes:
    """All scenes with one colour scale: `colors` lie between `edges`, of which there is one more."""

    colors: Sequence[str]
    edges: Sequence[str]
    scenes: Sequence[ErrorScene]


def error_scenes(scenes: Sequence[SceneMap], columns: Sequence[PageColumn]) -> ErrorScenes | None:
    """Return the scenes as they are drawn, or None if no tile has an error."""
    values = finite(value for scene in scenes for tile in scene.footprints for value in tile.errors.values())
    if not values:
        return None
    scale = linear(min(values), max(values), COLORS)
    colors = color_scale(len(scale.ticks) - 1)
    drawn = []
    for scene in scenes:
        maps = [_error_map(scene, column.name, scale, colors) for column in columns]
        drawn.append(ErrorScene(scene.scene, scene.crs, scene.height, scene.width, maps))
    return ErrorScenes(colors, labels(scale.ticks), drawn)


def _error_map(scene: SceneMap, column: str, scale: Axis, colors: Sequence[str]) -> ErrorMap:
    boxes = [_box(tile, tile.errors.get(column), scene, scale, colors) for tile in scene.footprints]
    return ErrorMap(column, boxes, _summary(scene.footprints, column))


def _box(tile: Footprint, value: float | None, scene: SceneMap, scale: Axis, colors: Sequence[str]) -> ErrorBox:
    rectangle = (tile.tile, tile.row, tile.col, tile.height, tile.width)
    if value is None or not math.isfinite(value):
        return ErrorBox(*rectangle, "no value", "", "")
    fill = colors[min(max(bisect_right(scale.ticks, value) - 1, 0), len(colors) - 1)]
    labelled = min(tile.height, tile.width) >= MIN_LABELLED * max(scene.height, scene.width)
    return ErrorBox(*rectangle, number(value), fill, text_color_on(fill) if labelled else "")


def _summary(tiles: Sequence[Footprint], column: str) -> str:
    """Return the lowest and the highest error with their tiles: what the colours show, as text."""
    known = [(e, tile.tile) for tile in tiles if (e := tile.errors.get(column)) is not None and math.isfinite(e)]
    if not known:
        return "no values"
    (low, low_tile), (high, high_tile) = min(known), max(known)
    if len(known) == 1:
        return f"{number(low)} ({low_tile})"
    return f"{number(low)} ({low_tile}) to {number(high)} ({high_tile})"


def color_scale(count: int) -> list[str]:
    """Return `count` colours of viridis, `#rrggbb`, from dark to bright."""
    return [_viridis(index / max(count - 1, 1)) for index in range(count)]


def text_color_on(color: str) -> str:
    """Return black or white, whichever has the higher contrast on a colour (WCAG 2)."""
    luminance = 0.2126 * _linear(color, 1) + 0.7152 * _linear(color, 3) + 0.0722 * _linear(color, 5)
    return "#000000" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "#ffffff"


def _viridis(position: float) -> str:
    """Return the interpolated colour at a position from 0 to 1."""
    steps = len(VIRIDIS) - 1
    below = min(int(position * steps), steps - 1)
    part = position * steps - below
    pairs = ((int(VIRIDIS[below][at : at + 2], 16), int(VIRIDIS[below + 1][at : at + 2], 16)) for at in (1, 3, 5))
    return "#" + "".join(f"{round(low + part * (high - low)):02x}" for low, high in pairs)


def _linear(color: str, at: int) -> float:
    """Return a channel of a colour in linear light, 0 to 1."""
    value = int(color[at : at + 2], 16) / 255
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)
