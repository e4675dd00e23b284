"""Evaluate runs: generate a split's tiles and compare them with the real ones, alone or run beside run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from sattrans.data.dataset import Split
from sattrans.data.tileset import Tileset
from sattrans.errors import UsageError, check_seed
from sattrans.evaluate.aggregate import Column, columns_of, comparable, left_out
from sattrans.evaluate.base import Setting
from sattrans.evaluate.files import write_markdown, write_scores, write_table
from sattrans.evaluate.images import (
    FolderReference,
    FolderSubject,
    Reference,
    RunSubject,
    Subject,
    TileReference,
    each_once,
)
from sattrans.evaluate.registry import METRICS, check_names, choose_families, choose_split, choose_weights
from sattrans.evaluate.report.build import build_page
from sattrans.evaluate.report.examples import look_at, write_sheet_of
from sattrans.evaluate.report.render import write_report
from sattrans.evaluate.scoring import Kept, Scored, Scoring
from sattrans.evaluate.segmenter import Segmenter, segmenter_path, train_segmenter
from sattrans.evaluate.significance import agreement, winners
from sattrans.evaluate.table import ShownRow, shown_rows, table_of
from sattrans.evaluate.training_tiles import read_training_tiles
from sattrans.metrics.weights import PublishedWeights
from sattrans.runs.device import choose_device
from sattrans.runs.run import Run
from sattrans.utils.atomic import part_of, remove
from sattrans.utils.console import counted, log
from sattrans.utils.lock import lock
from sattrans.utils.manifest import check_free, check_writable_folder

DEFAULT_FOLDER = Path("evaluations")
MANIFEST = "scores.json"


@dataclass(frozen=True)
class EvaluateOptions:
    """How to score.

    `split` is `test`, or `val` where there are no test tiles. `metrics` are names of those wanted, all that can be
    had where none is named. `segmenter` is `train`, for one that is trained on the tileset's real images and kept
    in `evaluations/segmenters`, or the path of a kept one. `weights` are the files of published weights, `vgg19`
    and `inception`; they may lie in the folder `SATTRANS_WEIGHTS`, too. `data` is the tileset, where it is no
    longer where the runs were trained. `seed` draws intervals, partners, and the noise of models that have any.
    """

    split: Split | None = None
    batch_size: int = 8
    device: str = "auto"
    seed: int = 0
    metrics: Sequence[str] = ()
    segmenter: str | None = None
    weights: Mapping[str, Path] = field(default_factory=dict)
    data: Path | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What `evaluate` found, and wrote to `folder`.

    `columns` are what was scored, side by side: a run each, or several of one recipe. `floors` are scored sets that
    no run made: `real`, and `class_colors` where there are classes. `rows` are the table, `notes` what to know of it.
    """

    folder: Path
    split: str
    images: int
    columns: Sequence[Column]
    floors: Mapping[str, Scored]
    rows: Sequence[ShownRow]
    notes: Sequence[str]

    def table(self, between: str = " ") -> tuple[list[str], list[list[str]]]:
        """Return heads and lines of the table; `between` stands between a score, its interval and its spread."""
        return table_of(self.rows, self.columns, self.floors, between)


@dataclass(frozen=True, slots=True)
class _Task:
    """What is compared with what, before anything is measured."""

    reference: Reference
    subjects: Sequence[Subject]
    tileset: Tileset | None = None
    train: TileReference | None = None
    split: str = "pairs"


def evaluate(
    runs: Sequence[Path] = (),
    options: EvaluateOptions = EvaluateOptions(),
    output: Path | None = None,
) -> Evaluation:
    """Score runs (the newest finished one) on a split of the tileset they were trained on.

    Several runs must share a tileset; those that differ by their seeds alone are shown as one. Raises `UsageError`
    for what cannot be compared, and for a metric that was named and cannot be had.
    """
    _check(options)
    place = choose_device(options.device)
    opened = [Run.open(path) for path in runs] or [Run.newest(by="as in sattrans evaluate RUN")]
    tileset = _shared_tileset(opened, options.data)
    split, notices = choose_split(tileset, options.split)
    reference = TileReference(tileset, tileset.split(split))
    train = TileReference(tileset, tileset.split("train"))
    given = [RunSubject(run, reference, place, options.seed, options.batch_size) for run in opened]
    subjects, twice = each_once(given)
    notices = [*notices, *twice, *_unfinished(opened)]
    log.info(
        "%s on the %s of %s",
        ", ".join(str(subject.folder) for subject in subjects),
        counted(len(reference), f"{split} tile"),
        tileset.folder,
    )
    task = _Task(reference, _named_apart(subjects), tileset, train if len(train) else None, split)
    return _evaluate(task, options, place, output, notices)


def evaluate_pairs(
    real: Path,
    others: Sequence[Path],
    options: EvaluateOptions = EvaluateOptions(),
    output: Path | None = None,
) -> Evaluation:
    """Score images from anywhere: those of other folders against the real ones of the same names.

    There are no classes and no training tiles, so scores that need these cannot be had. Raises `UsageError` where
    names or sizes do not match, and for options of a tileset.
    """
    _check(options)
    for name in ("split", "data", "segmenter"):
        if getattr(options, name) is not None:
            raise UsageError(f"--{name} is about a tileset: pairs have none")
    place = choose_device(options.device)
    reference = FolderReference(real, others)
    subjects, twice = each_once([FolderSubject(other, reference) for other in others])
    images = counted(len(reference), "image")
    log.info("%s on the %s of %s", ", ".join(str(s.folder) for s in subjects), images, real)
    return _evaluate(_Task(reference, _named_apart(subjects)), options, place, output, twice)


def _evaluate(
    task: _Task, options: EvaluateOptions, place: torch.device, output: Path | None, notices: Sequence[str]
) -> Evaluation:
    folder = output or DEFAULT_FOLDER / f"{'-vs-'.join(subject.name for subject in task.subjects)}-{task.split}"
    check_writable_folder(folder)
    check_free(folder, MANIFEST)
    loaded = choose_weights(options.weights, options.metrics, place)
    reference = task.reference
    with lock(folder):
        seen = read_training_tiles(task.train) if task.train else None
        tools: dict[str, Any] = {**loaded, **({"train": seen.thumbnails} if seen else {})}
        if options.segmenter is not None and task.tileset:
            tools["segmenter"] = _segmenter(options.segmenter, task.tileset, place)
        setting = Setting(reference.size, len(reference), reference.classes, tools, options.metrics)
        families, missing = choose_families(setting)
        hashes = [f"{name} {tools[name].hash}" for name in (*loaded, "segmenter") if name in tools]
        scoring = Scoring(reference, families, options.seed, Kept(part_of(folder)), hashes)
        columns = columns_of(task.subjects, [scoring.subject(subject) for subject in task.subjects])
        floors = {"real": scoring.real_floor(task.train)}
        if seen and seen.colors is not None:
            floors["class_colors"] = scoring.color_floor(seen.colors)
        had = [metric for family in families for metric in family.wanted]
        floors["real"], fewer = comparable(had, columns[0].scored, floors["real"])
        first = winners(had, columns, floors["real"])
        noted = [*left_out(had, columns[0].scored), *fewer]
        notes = [*notices, *_of_few(reference), *noted, *agreement(had, first, columns, floors)]
        shown = [metric for metric in METRICS if metric in had or metric.name in missing]
        rows = shown_rows(shown, missing, first, columns, floors, len(reference))
        found = Evaluation(folder, task.split, len(reference), columns, floors, rows, notes)
        about = _about(task, options, loaded, tools.get("segmenter"))
        write_scores(folder / MANIFEST, about, had, missing, first, columns, floors, notes)  # so the folder is ours
        write_table(folder / "scores.csv", had, columns)
        write_markdown(folder / "scores.md", *found.table(), notes)
        looks = look_at(reference, columns)
        write_sheet_of(folder / "sheet.png", reference, columns, looks)
        write_report(folder / "report.html", build_page(reference, columns, floors, rows, notes, looks, about))
        remove(part_of(folder))
    return found


def _check(options: EvaluateOptions) -> None:
    check_names(options.metrics)
    check_seed(options.seed)


def _unfinished(runs: Sequence[Run]) -> list[str]:
    """Return a sentence about each run whose training was stopped, or goes on."""
    told = []
    for run in runs:
        lines = run.metrics()
        if not run.finished and lines:
            where = f"step {lines[-1]['step']} of {run.manifest['settings']['steps']}"
            told.append(f"{run.folder} is not finished, it is at {where}: sattrans train --resume {run.folder}")
    return list(dict.fromkeys(told))


def _of_few(reference: Reference) -> list[str]:
    if len(reference) > 1:
        return []
    return ["there is 1 image: no interval, no shuffled pairs, and no score that tells anything from chance"]


def _about(
    task: _Task, options: EvaluateOptions, loaded: Mapping[str, PublishedWeights], segmenter: Segmenter | None
) -> dict[str, Any]:
    """Return what decided the scores."""
    about: dict[str, Any] = {"split": task.split, "seed": options.seed, "images": len(task.reference)}
    if task.tileset:
        about["tileset"] = {"name": task.tileset.name, "hash": task.tileset.hash}
    about["weights"] = {name: {"file": w.path.name, "sha256": w.hash} for name, w in loaded.items()}
    if segmenter:
        about["segmenter"] = {**segmenter.about, "sha256": segmenter.hash}
    return about


def _named_apart(subjects: Sequence[Subject]) -> Sequence[Subject]:
    """Give subjects of one name a number each."""
    names = [subject.name for subject in subjects]
    for place, subject in enumerate(subjects):
        if names.count(names[place]) > 1:
            subject.name = f"{place + 1}-{names[place]}"
    return subjects


def _segmenter(told: str, tileset: Tileset, place: torch.device) -> Segmenter:
    if told == "train":
        found = train_segmenter(segmenter_path(DEFAULT_FOLDER / "segmenters", tileset), tileset, place)
    else:
        found = Segmenter.open(Path(told), tileset, place)
    log.info("segmenter %s", found.path)
    return found


def _shared_tileset(runs: Sequence[Run], data: Path | None) -> Tileset:
    tilesets = [run.tileset(data) for run in runs]
    for run, other in zip(runs, tilesets, strict=True):
        if other.hash != tilesets[0].hash:
            raise UsageError(
                f"{run.folder} was trained on {other.folder}, {runs[0].folder} on {tilesets[0].folder}: "
                "only runs of one tileset can be compared"
            )
    return tilesets[0]
