"""Builds the page of an evaluation from its scores."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from sattrans.data.batches import to_picture
from sattrans.evaluate.aggregate import Column
from sattrans.evaluate.base import Metric
from sattrans.evaluate.downstream_results import Downstream
from sattrans.evaluate.images import RealImages, RealTiles, RunImages
from sattrans.evaluate.registry import METRICS
from sattrans.evaluate.report.examples import ChosenTiles
from sattrans.evaluate.report.page import (
    ClassBars,
    Example,
    Footprint,
    LegendEntry,
    LossCurves,
    Page,
    PageColumn,
    SceneMap,
    ScoreCell,
    ScoreRow,
    TextTable,
)
from sattrans.evaluate.scoring import SetScores
from sattrans.evaluate.table import ARROWS, TableRow, baseline_title, format_value
from sattrans.raster.palette import UNKNOWN
from sattrans.runs.run import Run
from sattrans.utils.console import pluralize
from sattrans.utils.version import __version__

SIGNS_NOTE = (
    "~: on these images the score does not distinguish the images from those of other maps; "
    "=: the score compares sets of images, so shuffling the pairs changes nothing"
)

CLASS_METRICS = sorted((m for m in METRICS if m.class_details), key=lambda metric: metric.better != "higher")
"""The metrics with values for each class: agreements first, then distances."""


def build_page(
    real_images: RealImages,
    columns: Sequence[Column],
    baselines: Mapping[str, SetScores],
    rows: Sequence[TableRow],
    verdict: str,
    notes: Sequence[str],
    tiles: ChosenTiles,
    about: Mapping[str, Any],
    downstream: Downstream | None = None,
) -> Page:
    """Return the page of an evaluation."""
    sort_metric = next((row.metric for row in rows if row.metric.name == tiles.sort_metric), None)
    floors = {title: scores for name, scores in baselines.items() if (title := baseline_title(name)) in tiles.floors}
    scored = {**{column.name: column.scores for column in columns}, **floors}
    runs = [source.run for column in columns for source in column.sources if isinstance(source, RunImages)]
    return Page(
        title=" · ".join(column.name for column in columns),
        subtitle=_subtitle(len(real_images), about),
        columns=[PageColumn(column.name, _about_column(column)) for column in columns],
        rows=[_row(row) for row in rows],
        verdict=verdict,
        notes=[*notes, SIGNS_NOTE],
        downstream=TextTable(downstream.verdict, *downstream.table()) if downstream else None,
        classes=_class_bars(columns, {"real": baselines["real"], **floors}, real_images),
        examples=_examples(real_images, scored, tiles, tiles.examples.items(), sort_metric),
        selection=_selection(columns, sort_metric) if tiles.examples and sort_metric else "",
        legend=_legend(real_images, {*tiles.examples.values(), *tiles.leaves}),
        tiles=_examples(real_images, scored, tiles, [("", number) for number in tiles.leaves], sort_metric),
        tiles_order=_order(len(real_images), len(tiles.leaves), sort_metric),
        error_title=", ".join(filter(None, (sort_metric.title, sort_metric.unit))) if sort_metric else "",
        scenes=_scenes(real_images, columns, sort_metric) if isinstance(real_images, RealTiles) and sort_metric else (),
        curves=[curves for run in runs if (curves := _curves(run))],
        about=_sections(columns, about, runs),
    )


def _subtitle(images: int, about: Mapping[str, Any]) -> str:
    if "tileset" in about:
        return f"{pluralize(images, about['split'] + ' tile')} of {about['tileset']['name']}"
    return f"{pluralize(images, 'pair')} of images"


def _about_column(column: Column) -> str:
    models = [str(source.about["model"]) for source in column.sources if "model" in source.about]
    if len(column.sources) > 1:
        return f"{models[0]}, mean of {', '.join(source.name for source in column.sources)}"
    return models[0] if models else ""


def _row(row: TableRow) -> ScoreRow:
    metric = row.metric
    return ScoreRow(
        metric.name,
        row.title,
        metric.unit,
        ARROWS[metric.better],
        metric.method,
        [ScoreCell(cell.value, cell.interval, cell.spread, cell.best) for cell in row.cells],
        row.baselines,
        row.ignores_pairing,
        row.missing,
    )


def _class_bars(
    columns: Sequence[Column], baselines: Mapping[str, SetScores], real_images: RealImages
) -> list[ClassBars]:
    bars = []
    # Either all charts have bars for a baseline or none, so that charts side by side have the same rows.
    shown = {
        name: scores.details
        for name, scores in baselines.items()
        if any(metric.class_details in scores.details for metric in CLASS_METRICS)
    }
    for metric in CLASS_METRICS:
        by_column = {column.name: column.scores.details.get(metric.class_details) for column in columns}
        if all(by_column.values()):
            by_column |= {name: details.get(metric.class_details) for name, details in shown.items()}
            values = {
                class_: {name: (by_class or {}).get(class_) for name, by_class in by_column.items()}
                for class_ in real_images.classes
            }
            bars.append(ClassBars(metric.class_title, metric.unit, ARROWS[metric.better], values))
    return bars


def _selection(columns: Sequence[Column], metric: Metric) -> str:
    """Return how the examples were chosen, and what the numbers under them are."""
    unit = f", in {metric.unit}" if metric.unit and not metric.unit.startswith("of ") else ""
    text = f"The tiles with the best, the median and the worst {metric.title}{unit}"
    text += f", by the mean of the {len(columns)} columns." if len(columns) > 1 else "."
    if any(len(column.sources) > 1 for column in columns):
        text += " If a column has several seeds, the image is from the first seed, and the score is the mean of all."
    return text


def _order(images: int, leaves: int, metric: Metric | None) -> str:
    """Return which tiles can be leafed through, and in which order."""
    some = f"{leaves} of the {images} tiles" if leaves < images else pluralize(leaves, "tile")
    return f"{some}, from the best to the worst {metric.title}." if metric else f"{some}."


def _examples(
    real_images: RealImages,
    scored: Mapping[str, SetScores],
    tiles: ChosenTiles,
    chosen: Iterable[tuple[str, int]],
    metric: Metric | None,
) -> list[Example]:
    """Return tiles by title and number, with their values of the metric that they were sorted by."""
    examples = []
    for title, number in chosen:
        id_ = real_images.ids[number]
        values = {name: scores.images[id_][metric.name] for name, scores in scored.items()} if metric else {}
        examples.append(
            Example(
                title,
                id_,
                real_images.map_picture(number),
                {name: images[number] for name, images in tiles.images.items()},
                real_images.read(number).image.numpy(),
                {name: f"{metric.title} {format_value(value)}" for name, value in values.items()} if metric else {},
                {title: images[number] for title, images in tiles.floors.items()},
            )
        )
    return examples


def _legend(real_images: RealImages, numbers: Iterable[int]) -> list[LegendEntry]:
    """Return the classes that occur in the maps of some tiles; none if the maps are pictures."""
    palette = real_images.tileset.palette if isinstance(real_images, RealTiles) else None
    if palette is None:
        return []
    maps = [map_ for number in numbers if (map_ := real_images.read(number).map) is not None]
    occurring = {int(index) for map_ in maps for index in map_.unique()}
    entries = [LegendEntry(c.name, c.color) for index, c in enumerate(palette.classes) if index in occurring]
    if UNKNOWN in occurring:
        red, green, blue = to_picture(torch.full((1, 1), UNKNOWN, dtype=torch.uint8), palette)[:, 0, 0].tolist()
        entries.append(LegendEntry("no data", (red, green, blue)))
    return entries


def _scenes(real_tiles: RealTiles, columns: Sequence[Column], metric: Metric) -> list[SceneMap]:
    scenes = []
    for name, scene in real_tiles.tileset.scenes.items():
        footprints = []
        for tile in real_tiles.tiles:
            if tile.scene == name:
                values = {column.name: column.scores.images[tile.id][metric.name] for column in columns}
                errors = {column: float(value) for column, value in values.items() if value is not None}
                w = tile.window
                footprints.append(Footprint(tile.id, w.row, w.col, w.height, w.width, errors))
        if footprints:
            scenes.append(SceneMap(name, scene.georeference.crs_name, scene.height, scene.width, footprints))
    return scenes


def _curves(run: Run) -> LossCurves | None:
    epochs = run.metrics()
    if not epochs:
        return None
    train, val = (
        {name: [epoch[part].get(name) for epoch in epochs] for name in epochs[0][part]} for part in ("train", "val")
    )
    best = run.manifest.get("summary", {}).get("best_epoch")
    return LossCurves(
        run.name, [int(epoch["epoch"]) for epoch in epochs], train, val, str(run.manifest["settings"]["monitor"]), best
    )


def _sections(columns: Sequence[Column], about: Mapping[str, Any], runs: Sequence[Run]) -> dict[str, dict[str, str]]:
    """Return what the scores depend on, as names and values."""
    first = {"sattrans": __version__}
    for name, value in about.items():
        if isinstance(value, Mapping):
            simple = {key: inner for key, inner in value.items() if not isinstance(inner, Mapping)}
            first.update({f"{name}: {key}": str(inner) for key, inner in simple.items()})
        else:
            first[name] = str(value)
    sections = {"What was scored": first}
    run_by_name = {run.name: run for run in runs}
    for column in columns:
        for source in column.sources:
            facts = {name: str(value) for name, value in source.about.items()}
            if run := run_by_name.get(source.name):
                facts |= {f"option {name}": str(value) for name, value in run.manifest["options"].items()}
                facts |= {f"setting {name}": str(value) for name, value in run.manifest["settings"].items()}
                facts |= {f"{name} when trained": str(value) for name, value in run.manifest["versions"].items()}
            sections[source.name] = facts
    return sections
