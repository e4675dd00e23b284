"""Heat: where the errors are, each tile's rectangle in its scene in the colour of its error."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from sattrans.evaluate.report.page import Column, Footprint, SceneMap
from sattrans.evaluate.report.ticks import Axis, finite, labels, linear, number

VIRIDIS = ("#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725")
"""Smith and van der Walt's viridis, every eighth of it: lightness rises evenly, also in grey."""


def sequence(count: int) -> list[str]:
    """Return `count` colours, `#rrggbb`, from the dark end to the bright one."""
    return [_between(place / max(count - 1, 1)) for place in range(count)]


def ink_on(color: str) -> str:
    """Return black or white, whichever stands out more on a colour (WCAG 2)."""
    light = 0.2126 * _linear(color, 1) + 0.7152 * _linear(color, 3) + 0.0722 * _linear(color, 5)
    return "#000000" if (light + 0.05) / 0.05 > 1.05 / (light + 0.05) else "#ffffff"


def _between(place: float) -> str:
    steps = len(VIRIDIS) - 1
    below = min(int(place * steps), steps - 1)
    part = place * steps - below
    pairs = ((int(VIRIDIS[below][at : at + 2], 16), int(VIRIDIS[below + 1][at : at + 2], 16)) for at in (1, 3, 5))
    return "#" + "".join(f"{round(low + part * (high - low)):02x}" for low, high in pairs)


def _linear(color: str, at: int) -> float:
    value = int(color[at : at + 2], 16) / 255
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


STEPS = 9
"""Colours of the scale, about."""
LEGIBLE = 0.15
"""A tile whose side is this part of its scene's longest side has room for its number."""


@dataclass(frozen=True, slots=True)
class Box:
    """A tile as it is drawn, in the scene's pixels; `fill` is empty without a value, `ink` where no number fits."""

    tile: str
    row: int
    col: int
    height: int
    width: int
    text: str
    fill: str
    ink: str

    @property
    def size(self) -> float:
        """How large its number is written, in the scene's pixels."""
        return round(min(self.height, 1.1 * self.width) * 0.3, 1)


@dataclass(frozen=True, slots=True)
class Map:
    """A column's errors in a scene; `said` is the same in words."""

    column: str
    boxes: Sequence[Box]
    said: str


@dataclass(frozen=True, slots=True)
class Scene:
    """A scene, drawn once for each column."""

    name: str
    crs: str
    height: int
    width: int
    maps: Sequence[Map]


@dataclass(frozen=True, slots=True)
class Heat:
    """All scenes, in the colours of one scale: `colors` between `edges`, one more of these."""

    colors: Sequence[str]
    edges: Sequence[str]
    scenes: Sequence[Scene]


def heat(scenes: Sequence[SceneMap], columns: Sequence[Column]) -> Heat | None:
    """Return the scenes as they are drawn, or None where no tile has an error."""
    values = finite(value for scene in scenes for tile in scene.footprints for value in tile.errors.values())
    if not values:
        return None
    scale = linear(min(values), max(values), STEPS)
    colors = sequence(len(scale.ticks) - 1)
    drawn = [
        Scene(scene.scene, scene.crs, scene.height, scene.width, [_map(scene, c.name, scale, colors) for c in columns])
        for scene in scenes
    ]
    return Heat(colors, labels(scale.ticks), drawn)


def _map(scene: SceneMap, column: str, scale: Axis, colors: Sequence[str]) -> Map:
    boxes = [_box(tile, tile.errors.get(column), scene, scale, colors) for tile in scene.footprints]
    return Map(column, boxes, _said(scene.footprints, column))


def _box(tile: Footprint, value: float | None, scene: SceneMap, scale: Axis, colors: Sequence[str]) -> Box:
    place = (tile.tile, tile.row, tile.col, tile.height, tile.width)
    if value is None or not math.isfinite(value):
        return Box(*place, "no value", "", "")
    fill = colors[min(max(bisect_right(scale.ticks, value) - 1, 0), len(colors) - 1)]
    roomy = min(tile.height, tile.width) >= LEGIBLE * max(scene.height, scene.width)
    return Box(*place, number(value), fill, ink_on(fill) if roomy else "")


def _said(tiles: Sequence[Footprint], column: str) -> str:
    """Return the least and the largest error with their tiles: what the colours show, without them."""
    known = [(e, tile.tile) for tile in tiles if (e := tile.errors.get(column)) is not None and math.isfinite(e)]
    if not known:
        return "no values"
    (least, near), (most, far) = min(known), max(known)
    if len(known) == 1:
        return f"{number(least)} ({near})"
    return f"{number(least)} ({near}) to {number(most)} ({far})"
