"""Evaluate runs: generate the tiles of a split and compare them with the real ones, for one run or several."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel

from sattrans.data.tileset import Tileset
from sattrans.errors import UsageError
from sattrans.evaluate.aggregate import absent_class_notes, comparable_baseline, group_columns
from sattrans.evaluate.base import MetricContext
from sattrans.evaluate.copying import copying_note
from sattrans.evaluate.downstream import check_downstream, measure_downstream
from sattrans.evaluate.downstream_results import Downstream
from sattrans.evaluate.elsewhere import measured_by, spec_of
from sattrans.evaluate.files import VERSION, write_json, write_markdown, write_scores
from sattrans.evaluate.floors import Floor, check_floors, floor_plans, make_floors
from sattrans.evaluate.folders import FolderImages, RealFolder
from sattrans.evaluate.images import ImageSource, RealImages, RealTiles, RunImages, refining_notes, without_duplicates
from sattrans.evaluate.kid_lite import independence_note
from sattrans.evaluate.options import EvaluateOptions
from sattrans.evaluate.registry import METRICS, check_metric_names, choose_split, load_needed_weights, select_families
from sattrans.evaluate.report.build import build_page
from sattrans.evaluate.report.examples import choose_tiles, write_contact_sheet
from sattrans.evaluate.report.render import write_report
from sattrans.evaluate.result import Evaluation, EvaluationPlan
from sattrans.evaluate.scoring import MeasurementCache, Scorer, hashes_of_tools
from sattrans.evaluate.segmenter import Segmenter, segmenter_path, train_segmenter
from sattrans.evaluate.significance import best_columns, comparison_notes, floor_notes
from sattrans.evaluate.table import table_rows
from sattrans.evaluate.training_tiles import read_training_tiles
from sattrans.evaluate.verdict import verdict
from sattrans.metrics.weights import PublishedWeights
from sattrans.runs.device import choose_device
from sattrans.runs.run import Run
from sattrans.utils.atomic import part_of, remove
from sattrans.utils.commands import command
from sattrans.utils.console import log, pluralize
from sattrans.utils.executor import Pool, executor
from sattrans.utils.folder_output import FolderOutput
from sattrans.utils.manifest import as_json
from sattrans.utils.options import recorded
from sattrans.utils.output import check_apart, check_folder
from sattrans.utils.schemas import Manifest, Options

DEFAULT_FOLDER = Path("evaluations")
SEGMENTERS = DEFAULT_FOLDER / "segmenters"
FLOORS = DEFAULT_FOLDER / "floors"
MANIFEST = "scores.json"


class ScoresManifest(Manifest):
    """`scores.json`, of which only the options are read."""

    options: Options | None = None


class EvaluationOutput(FolderOutput):
    """The folder of an evaluation."""

    manifest = MANIFEST
    kind = "scores"
    version = VERSION

    def _options_in(self, manifest: Path) -> Mapping[str, Any] | None:
        """Return the recorded options; None for an evaluation of before they were recorded, which is replaced."""
        return self.read(manifest).get("options") if manifest.is_file() else None

    def schema(self, begun: bool) -> type[BaseModel]:
        """See `FolderOutput`."""
        return ScoresManifest


@dataclass(frozen=True, slots=True)
class _Comparison:
    """The real images, and the sources of images to compare with them."""

    real_images: RealImages
    sources: Sequence[ImageSource]
    tileset: Tileset | None = None
    train: RealTiles | None = None
    split: str = "pairs"
    floors: Sequence[Floor] = ()

    @property
    def folders(self) -> list[Path]:
        """The folders that are read."""
        real = self.tileset.folder if self.tileset else getattr(self.real_images, "folder", None)
        read = [*(source.folder for source in self.sources), *(floor.run for floor in self.floors)]
        return read + ([real] if real else [])


@command
def evaluate(
    runs: Sequence[Path] = (),
    output: Path | None = None,
    options: EvaluateOptions = EvaluateOptions(),
    *,
    overwrite: bool = False,
    dry_run: bool = False,
) -> Evaluation:
    """Score runs on a split of the tileset that they were trained on.

    Args:
        runs: Folders of runs; by default the newest finished one. All must have been trained on the same tileset.
        output: Where to write the files; by default `evaluations/<runs>-<split>`.
        options: How to evaluate.
        overwrite: Replace an evaluation that was made with other options.
        dry_run: Check everything, but score and write nothing.

    Returns:
        The scores. Runs that differ in their seed only share a column.

    Raises:
        UsageError: If the runs cannot be compared, or a metric that was given by name cannot be computed.
    """
    check_metric_names(options.metrics)
    device = choose_device(options.device)
    opened = [Run.open(path) for path in runs] or [Run.newest(by="as in sattrans evaluate RUN")]
    tileset = _shared_tileset(opened, options.data)
    split, notes = choose_split(tileset, options.split)
    if options.downstream:
        check_downstream(tileset, split, opened)
    floors = check_floors(options.floor, tileset, FLOORS)
    real_images = RealTiles(tileset, tileset.split(split))
    train = RealTiles(tileset, tileset.split("train"))
    given = [RunImages(run, real_images, device, options.seed, options.batch_size) for run in opened]
    sources, duplicates = without_duplicates(given)
    notes = [*notes, *duplicates, *refining_notes(opened), *_unfinished(opened)]
    log.info(
        "%s on the %s of %s",
        ", ".join(str(source.folder) for source in sources),
        pluralize(len(real_images), f"{split} tile"),
        tileset.folder,
    )
    named, examples = _uniquely_named(sources), train if len(train) else None
    comparison = _Comparison(real_images, named, tileset, examples, split, floors)
    return _evaluate(comparison, options, device, output, notes, overwrite, dry_run)


@command
def evaluate_pairs(
    real: Path,
    others: Sequence[Path],
    output: Path | None = None,
    options: EvaluateOptions = EvaluateOptions(),
    *,
    overwrite: bool = False,
    dry_run: bool = False,
) -> Evaluation:
    """Score the images of folders against real images of the same names.

    There are no classes and no training tiles, so metrics that need these are not computed.

    Args:
        real: The folder of real images.
        others: Folders of images to score.
        output: Where to write the files; by default `evaluations/<folders>-pairs`.
        options: How to evaluate; `split`, `data`, `segmenter`, `floor`, `scheduler`, `downstream` do not apply.
        overwrite: Replace an evaluation that was made with other options.
        dry_run: Check everything, but score and write nothing.

    Returns:
        The scores.

    Raises:
        UsageError: If names or sizes do not match, or an option does not apply.
    """
    check_metric_names(options.metrics)
    for name in ("split", "data", "segmenter", "floor", "scheduler", "downstream"):
        if getattr(options, name) not in (None, False, ()):
            raise UsageError(f"--{name} needs a tileset and cannot be used with --pairs")
    device = choose_device(options.device)
    with RealFolder(real, others) as real_images:
        sources, duplicates = without_duplicates([FolderImages(other, real_images) for other in others])
        images = pluralize(len(real_images), "image")
        log.info("%s on the %s of %s", ", ".join(str(s.folder) for s in sources), images, real)
        comparison = _Comparison(real_images, _uniquely_named(sources))
        notes = [*real_images.notes, *duplicates]
        return _evaluate(comparison, options, device, output, notes, overwrite, dry_run)


def _evaluate(
    comparison: _Comparison,
    options: EvaluateOptions,
    device: torch.device,
    output: Path | None,
    first_notes: Sequence[str],
    overwrite: bool,
    dry_run: bool,
) -> Evaluation:
    names = tuple(source.name for source in comparison.sources)
    folder = output or DEFAULT_FOLDER / f"{'-vs-'.join(names)}-{comparison.split}"
    made_with = {"images": names, **_recorded(options), "split": comparison.split}
    output_folder = EvaluationOutput(folder, made_with, overwrite=overwrite)
    check_folder(folder)
    check_apart(folder, comparison.folders, below=False)
    output_folder.is_finished(dry_run)  # refuses one of other options; the same options score anew
    weights = load_needed_weights(options.weights, options.metrics, device)
    real_images = comparison.real_images
    if dry_run:
        output_folder.check()
        plan = EvaluationPlan(folder, comparison.split, len(real_images), names)
        notes = list(first_notes)
        if isinstance(real_images, RealTiles):
            notes += floor_plans(comparison.floors, real_images, options, device, FLOORS)
        return Evaluation(folder, comparison.split, len(real_images), (), {}, (), "", notes, plan)
    # A cluster that refuses to work does so before anything is written.
    with _cluster(options) as pool, output_folder.locked():
        floors: Mapping[str, ImageSource] = {}
        if isinstance(real_images, RealTiles):
            floors = make_floors(comparison.floors, real_images, options, device, FLOORS)
        train = read_training_tiles(comparison.train, options.metrics) if comparison.train else None
        tools: dict[str, Any] = {**weights, "device": device}
        if train and comparison.train:
            tools |= {**train.tools(comparison.train), "training_images": comparison.train}
        if options.segmenter is not None and comparison.tileset:
            tools["segmenter"] = _segmenter(options.segmenter, comparison.tileset, device)
        context = MetricContext(real_images.size, len(real_images), real_images.classes, tools, options.metrics)
        families, missing = select_families(context)
        cache, elsewhere = part_of(folder), None
        if pool and isinstance(real_images, RealTiles):
            runs = [source for source in comparison.sources if isinstance(source, RunImages)]
            elsewhere = measured_by(pool, spec_of(options, real_images, comparison.split, runs, tools, train, cache))
        hashes = hashes_of_tools(tools)
        scorer = Scorer(real_images, families, options.seed, MeasurementCache(cache), hashes, elsewhere)
        columns = group_columns(comparison.sources, [scorer.score(source) for source in comparison.sources])
        baselines = {"real": scorer.real_baseline(comparison.train)}
        if train and train.colors is not None:
            baselines["class_colors"] = scorer.class_color_baseline(train.colors)
        here = Scorer(real_images, families, options.seed, MeasurementCache(cache), hashes)
        baselines |= {name: here.score(source) for name, source in floors.items()}
        downstream = _downstream(comparison, options, device, MeasurementCache(cache))
        computed = [metric for family in families for metric in family.selected]
        baselines["real"], baseline_notes = comparable_baseline(computed, columns[0].scores, baselines["real"])
        best = best_columns(computed, columns, baselines["real"])
        notes = [
            *first_notes,
            *_single_image_note(real_images),
            *absent_class_notes(computed, columns[0].scores),
            *baseline_notes,
            *independence_note(computed),
            *copying_note(comparison.train, computed),
            *comparison_notes(computed, best, columns, baselines),
            *floor_notes(computed, columns, {name: baselines[name] for name in floors}, baselines["real"]),
            *(downstream.notes if downstream else ()),
        ]
        listed = [metric for metric in METRICS if metric in computed or metric.name in missing]
        rows = table_rows(listed, missing, best, columns, baselines, len(real_images))
        sentence = verdict(computed, best, columns, baselines)
        scored = folder, comparison.split, len(real_images)
        result = Evaluation(*scored, columns, baselines, rows, sentence, notes, downstream=downstream)
        about = {**_about(comparison, options, weights, tools.get("segmenter")), "options": as_json(made_with)}
        about |= {"floor": {name: source.about for name, source in floors.items()}} if floors else {}
        # The manifest comes first: it marks the folder as an evaluation that may be replaced.
        found = {"downstream": downstream.to_json()} if downstream else {}
        write_json(folder / MANIFEST, about | found, computed, missing, best, columns, baselines, sentence, notes)
        write_scores(folder / "scores.csv", computed, columns)
        write_markdown(folder / "scores.md", *result.table(), sentence, notes, downstream)
        tiles = choose_tiles(real_images, columns, floors)
        write_contact_sheet(folder / "sheet.png", real_images, tiles)
        page = build_page(real_images, columns, baselines, rows, sentence, notes, tiles, about, downstream)
        write_report(folder / "report.html", page)
        remove(cache)
    return result


def _recorded(options: EvaluateOptions) -> dict[str, Any]:
    """Return the options that decide the files; those of `--downstream` only with it, and floors if there are any."""
    without = () if options.downstream else tuple(name for name in recorded(options) if name.startswith("downstream"))
    without += () if options.floor else ("floor",)
    return {name: value for name, value in recorded(options).items() if name not in without}


def _downstream(
    comparison: _Comparison, options: EvaluateOptions, device: torch.device, cache: MeasurementCache
) -> Downstream | None:
    """Measure whether the images of the runs help to train a segmenter, if that was asked."""
    tested, train = comparison.real_images, comparison.train
    if not options.downstream or not isinstance(tested, RealTiles) or train is None:
        return None
    runs = [source.on(train) for source in comparison.sources if isinstance(source, RunImages)]
    return measure_downstream(tested, train, runs, options, device, SEGMENTERS, cache)


def _cluster(options: EvaluateOptions) -> AbstractContextManager[Pool | None]:
    """Provide the cluster that measures; None to measure in this process."""
    if options.scheduler is None:
        return nullcontext()
    return executor(options.workers, options.scheduler, gpu=options.device in ("auto", "cuda"))


def _unfinished(runs: Sequence[Run]) -> list[str]:
    """Return a note about each run whose training is not finished."""
    notes = []
    for run in runs:
        epochs = run.metrics()
        if not run.finished and epochs:
            step = f"step {epochs[-1]['step']} of {run.manifest['settings']['steps']}"
            notes.append(f"{run.folder} is not finished (it is at {step}): sattrans train --resume {run.folder}")
    return list(dict.fromkeys(notes))


def _single_image_note(real_images: RealImages) -> list[str]:
    if len(real_images) > 1:
        return []
    return ["there is only 1 image: no intervals and no shuffled pairs, so any difference may be due to chance"]


def _about(
    comparison: _Comparison,
    options: EvaluateOptions,
    weights: Mapping[str, PublishedWeights],
    segmenter: Segmenter | None,
) -> dict[str, Any]:
    """Return what the scores depend on, for `scores.json`."""
    about: dict[str, Any] = {"split": comparison.split, "seed": options.seed, "images": len(comparison.real_images)}
    if comparison.tileset:
        about["tileset"] = {"name": comparison.tileset.name, "hash": comparison.tileset.hash}
    about["weights"] = {name: {"file": w.path.name, "sha256": w.hash} for name, w in weights.items()}
    if segmenter:
        about["segmenter"] = {**segmenter.about, "sha256": segmenter.hash}
    return about


def _uniquely_named(sources: Sequence[ImageSource]) -> Sequence[ImageSource]:
    """Number sources of the same name."""
    names = [source.name for source in sources]
    for index, source in enumerate(sources):
        if names.count(names[index]) > 1:
            source.name = f"{index + 1}-{names[index]}"
    return sources


def _segmenter(option: str, tileset: Tileset, device: torch.device) -> Segmenter:
    """Train the tileset's segmenter, or open the one that the option names."""
    if option == "train":
        segmenter = train_segmenter(segmenter_path(SEGMENTERS, tileset), tileset, device)
    else:
        segmenter = Segmenter.open(Path(option), tileset, device)
    log.info("segmenter %s", segmenter.path)
    return segmenter


def _shared_tileset(runs: Sequence[Run], data: Path | None) -> Tileset:
    tilesets = [run.tileset(data) for run in runs]
    for run, tileset in zip(runs, tilesets, strict=True):
        if tileset.hash != tilesets[0].hash:
            raise UsageError(
                f"{run.folder} was trained on {tileset.folder}, {runs[0].folder} on {tilesets[0].folder}: "
                "only runs of the same tileset can be compared"
            )
    return tilesets[0]
