"""Build: from an evaluation to the page that shows it."""

from collections.abc import Mapping, Sequence
from typing import Any

from sattrans.evaluate.aggregate import Column
from sattrans.evaluate.base import Metric
from sattrans.evaluate.images import Reference, RunSubject, TileReference
from sattrans.evaluate.report.examples import Looks
from sattrans.evaluate.report.page import Cell, ClassBars, Curves, Example, Footprint, Page, Row, SceneMap
from sattrans.evaluate.report.page import Column as PageColumn
from sattrans.evaluate.scoring import Scored
from sattrans.evaluate.table import ARROWS, ShownRow, number
from sattrans.runs.run import Run
from sattrans.utils.console import counted
from sattrans.utils.version import __version__

SIGNS = (
    "~: on these images the score does not tell the right pairs from shuffled ones; =: it compares sets of images, not "
    "pairs, so that nothing can be shuffled"
)

BY_CLASS = (
    ("iou", "IoU, as the segmenter sees it", "", "higher"),
    ("class_color", "distance of the mean colour", "grey levels", "lower"),
    ("class_spread", "distance of the spread of colour", "grey levels", "lower"),
)
"""What families say of single classes: its name among the details, a title, its unit, which way is better."""


def build_page(
    reference: Reference,
    columns: Sequence[Column],
    floors: Mapping[str, Scored],
    rows: Sequence[ShownRow],
    notes: Sequence[str],
    looks: Looks,
    about: Mapping[str, Any],
) -> Page:
    """Return the page of an evaluation."""
    title = " · ".join(column.name for column in columns)
    judge = next((row.metric for row in rows if row.metric.name == looks.judge), None)
    judged_by = ", ".join(filter(None, (judge.title, judge.unit))) if judge else ""
    runs = [subject.run for column in columns for subject in column.subjects if isinstance(subject, RunSubject)]
    return Page(
        title,
        _subtitle(len(reference), about),
        [PageColumn(column.name, _about_column(column)) for column in columns],
        [_row(row) for row in rows],
        [*notes, SIGNS],
        _bars(columns, floors, reference),
        _examples(reference, columns, looks, judge),
        _chosen(columns, judge) if looks.examples and judge else "",
        judged_by,
        _scenes(reference, columns, looks.judge) if isinstance(reference, TileReference) and looks.judge else (),
        [curves for run in runs if (curves := _curves(run))],
        _sections(columns, about, runs),
    )


def _about_column(column: Column) -> str:
    about = [str(subject.about["model"]) for subject in column.subjects if "model" in subject.about]
    if len(column.subjects) > 1:
        return f"{about[0]}, mean of {', '.join(subject.name for subject in column.subjects)}"
    return about[0] if about else ""


def _row(row: ShownRow) -> Row:
    metric = row.metric
    cells = [Cell(cell.value, cell.interval, cell.spread, cell.best) for cell in row.cells]
    return Row(
        metric.name,
        row.title,
        metric.unit,
        ARROWS[metric.better],
        metric.how,
        cells,
        row.beside or {},
        row.blind,
        row.missing,
    )


def _bars(columns: Sequence[Column], floors: Mapping[str, Scored], reference: Reference) -> list[ClassBars]:
    bars, real = [], floors["real"].details
    for name, title, unit, better in BY_CLASS:
        of_column = {column.name: column.scored.details.get(name) for column in columns}
        if all(of_column.values()):
            if any(name in real for name, *_ in BY_CLASS):  # in all of them, so that they stay in line
                of_column["real"] = real.get(name)
            values = {
                class_: {column: (told or {}).get(class_) for column, told in of_column.items()}
                for class_ in reference.classes
            }
            bars.append(ClassBars(title, unit, ARROWS[better], values))
    return bars


def _subtitle(images: int, about: Mapping[str, Any]) -> str:
    if "tileset" in about:
        return f"{counted(images, about['split'] + ' tile')} of {about['tileset']['name']}"
    return f"{counted(images, 'pair')} of images"


def _chosen(columns: Sequence[Column], judge: Metric) -> str:
    """Return by what the examples were chosen, and what the numbers under them are."""
    unit = f", in {judge.unit}" if judge.unit and not judge.unit.startswith("of ") else ""
    told = f"The tiles with the best, the median and the worst {judge.title}{unit}"
    told += f": the mean of the {len(columns)} columns decides." if len(columns) > 1 else "."
    if any(len(column.subjects) > 1 for column in columns):
        told += " Of several seeds the first one's picture is shown, beside the mean score of all."
    return told


def _examples(reference: Reference, columns: Sequence[Column], looks: Looks, judge: Metric | None) -> list[Example]:
    examples = []
    for title, place in looks.examples.items():
        assert judge is not None  # by which they were chosen
        values = {column.name: column.scored.images[reference.ids[place]][judge.name] for column in columns}
        examples.append(
            Example(
                title,
                reference.ids[place],
                reference.map_picture(place),
                {column.name: looks.images[column.name][place] for column in columns},
                reference.real(place).image.numpy(),
                {name: f"{judge.title} {number(value)}" for name, value in values.items()},
            )
        )
    return examples


def _scenes(reference: TileReference, columns: Sequence[Column], judge: str) -> list[SceneMap]:
    scenes = []
    for name, scene in reference.tileset.scenes.items():
        prints = []
        for tile in reference.tiles:
            if tile.scene == name:
                errors = {c.name: float(v) for c in columns if (v := c.scored.images[tile.id][judge]) is not None}
                w = tile.window
                prints.append(Footprint(tile.id, w.row, w.col, w.height, w.width, errors))
        if prints:
            scenes.append(SceneMap(name, scene.georeference.crs_name, scene.height, scene.width, prints))
    return scenes


def _curves(run: Run) -> Curves | None:
    lines = run.metrics()
    if not lines:
        return None
    parts = {
        part: {name: [line[part].get(name) for line in lines] for name in lines[0][part]} for part in ("train", "val")
    }
    epoch = run.manifest.get("summary", {}).get("best_epoch")
    epochs = [int(line["epoch"]) for line in lines]
    return Curves(run.name, epochs, parts["train"], parts["val"], str(run.manifest["settings"]["monitor"]), epoch)


def _sections(columns: Sequence[Column], about: Mapping[str, Any], runs: Sequence[Run]) -> dict[str, dict[str, str]]:
    """Return what decided the scores, as names and values."""
    sections: dict[str, dict[str, str]] = {"What was scored": {"sattrans": __version__}}
    first = sections["What was scored"]
    for name, value in about.items():
        if isinstance(value, Mapping):
            first.update(
                {f"{name}: {key}": str(inner) for key, inner in value.items() if not isinstance(inner, Mapping)}
            )
        else:
            first[name] = str(value)
    by_name = {run.name: run for run in runs}
    for column in columns:
        for subject in column.subjects:
            told = {name: str(value) for name, value in subject.about.items()}
            if run := by_name.get(subject.name):
                told |= {f"option {name}": str(value) for name, value in run.manifest["options"].items()}
                told |= {f"setting {name}": str(value) for name, value in run.manifest["settings"].items()}
                told |= {f"{name} when trained": str(value) for name, value in run.manifest["versions"].items()}
            sections[subject.name] = told
    return sections
