"""The content of a report as plain values, without any HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sattrans.raster.palette import RGB

Picture = NDArray[np.uint8]
"""Red, green, blue (3, H, W)."""


@dataclass(frozen=True, slots=True)
class PageColumn:
    """A column of scores: a run, several runs of one recipe, or a folder. `about` is a line under its name."""

    name: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class ScoreCell:
    """A score of a column as text: the value, its interval over images, its spread over seeds.

    For example 24.5, 20.1 to 29.8, 24.1 to 24.9. `best` marks the column that is clearly the best. An empty value is
    shown as missing.
    """

    value: str
    interval: str = ""
    spread: str = ""
    best: bool = False


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """The row of a metric.

    Attributes:
        name: Name of the metric.
        title: Title of the row.
        unit: Unit of the values; may be empty.
        better: ↓, ↑ or → real.
        method: How the metric is computed.
        cells: A cell for each column.
        baselines: Values of shuffled pairs and baselines by title.
        ignores_pairing: Whether the metric does not distinguish the pairs from shuffled ones here.
        missing: Why the metric was not computed; empty if it was.
    """

    name: str
    title: str
    unit: str
    better: str
    method: str
    cells: Sequence[ScoreCell] = ()
    baselines: Mapping[str, str] = field(default_factory=dict)
    ignores_pairing: bool = False
    missing: str = ""


@dataclass(frozen=True, slots=True)
class ClassBars:
    """A metric inside each class: `values` by class, then by column; None for a class that does not occur."""

    title: str
    unit: str
    better: str
    values: Mapping[str, Mapping[str, float | None]]


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """A class of the maps and its colour: red, green, blue, each 0 to 255."""

    name: str
    color: RGB


@dataclass(frozen=True, slots=True)
class Example:
    """A tile to look at: its title, its id, its map (None if there is none), generated images, real image.

    `scores` of a column or a floor stand under its picture; scores of other names stand beside the tile's id.
    """

    title: str
    tile: str
    map: Picture | None
    generated: Mapping[str, Picture]
    real: Picture
    scores: Mapping[str, str] = field(default_factory=dict)
    floors: Mapping[str, Picture] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Footprint:
    """The rectangle of a tile in its scene, in pixels, and its error by column."""

    tile: str
    row: int
    col: int
    height: int
    width: int
    errors: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class SceneMap:
    """A scene with the tiles of the split: its size in pixels, its CRS, its footprints."""

    scene: str
    crs: str
    height: int
    width: int
    footprints: Sequence[Footprint]


@dataclass(frozen=True, slots=True)
class LossCurves:
    """A run's losses over its epochs, training and validation, by name; and the epoch of the best checkpoint."""

    run: str
    epochs: Sequence[int]
    train: Mapping[str, Sequence[float | None]]
    val: Mapping[str, Sequence[float | None]]
    monitor: str
    best_epoch: int | None = None


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table of text under a sentence that says what it shows."""

    sentence: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Page:
    """A report.

    Attributes:
        title: Its heading.
        subtitle: A line under the heading.
        verdict: What the scores mean, in a sentence.
        columns: The columns of the table.
        rows: The rows of the table.
        notes: Sentences about the scores.
        downstream: Whether the images help to train a segmenter; None if that was not asked.
        classes: Charts of single classes.
        examples: Tiles to look at first.
        selection: How the examples were chosen.
        legend: The classes of all maps on the page.
        tiles: Tiles to leaf through.
        tiles_order: Which tiles these are, and in which order.
        error_title: Title and unit of the errors in `scenes`.
        scenes: Scenes with the errors of their tiles.
        curves: Losses of the runs.
        about: Sections of names and values at the end.
    """

    title: str
    subtitle: str
    columns: Sequence[PageColumn]
    rows: Sequence[ScoreRow]
    verdict: str = ""
    notes: Sequence[str] = ()
    downstream: TextTable | None = None
    classes: Sequence[ClassBars] = ()
    examples: Sequence[Example] = ()
    selection: str = ""
    legend: Sequence[LegendEntry] = ()
    tiles: Sequence[Example] = ()
    tiles_order: str = ""
    error_title: str = ""
    scenes: Sequence[SceneMap] = ()
    curves: Sequence[LossCurves] = ()
    about: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
