"""Evaluate runs: generate a split's tiles and compare them with the real ones, alone or run beside run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sattrans.dataset import Split
from sattrans.device import choose_device
from sattrans.errors import UsageError
from sattrans.evaluating.choosing import METRICS, check_names, choose_families, choose_split, choose_weights
from sattrans.evaluating.family import Metric, Setting
from sattrans.evaluating.gather import values
from sattrans.evaluating.scoring import Scored, Scoring
from sattrans.evaluating.training_tiles import read_training_tiles
from sattrans.evaluating.written import write_scores, write_table
from sattrans.files import lock
from sattrans.progress import log
from sattrans.run import Run
from sattrans.segmenter import Segmenter, segmenter_path, train_segmenter
from sattrans.sheet import write_sheet
from sattrans.tileset import Tileset
from sattrans.translator import Translator

DEFAULT_FOLDER = Path("evaluations")
SHEET_TILES = 4


@dataclass(frozen=True, slots=True)
class RunScores:
    """The scores of one run, all told in `scored`."""

    run: Run
    scored: Scored

    @property
    def images(self) -> Mapping[str, Mapping[str, float | None]]:
        """Each image's scores by tile id and metric; None where it has none: equal images have no PSNR."""
        return self.scored.images

    @property
    def means(self) -> Mapping[str, float | None]:
        """The set's scores by metric."""
        return values(self.scored.scores)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What `evaluate` found and wrote: `scores.csv`, `scores.json` and `sheet.png` in `folder`.

    `metrics` are those asked for, in order; `missing` says of some why they cannot be had. `floors` are scored sets
    that no run made: `real`, and `class_colors` where there are classes.
    """

    folder: Path
    split: Split
    scores: tuple[RunScores, ...]
    floors: Mapping[str, Scored]
    metrics: tuple[Metric, ...]
    missing: Mapping[str, str]
    notices: tuple[str, ...]


def evaluate(
    runs: Sequence[Path] = (),
    split: Split | None = None,
    output: Path | None = None,
    batch_size: int = 8,
    device: str = "auto",
    seed: int = 0,
    metrics: Sequence[str] = (),
    segmenter: str | None = None,
    weights: Mapping[str, Path] | None = None,
) -> Evaluation:
    """Score runs (the newest finished one) on a split of the tileset they were trained on.

    `split` is `test`, or `val` where there are no test tiles. Several runs must share a tileset. `metrics` are
    names of those wanted, all that can be had where none is named. Raises `UsageError` for what cannot be compared,
    and for a metric that was named and cannot be had.

    `segmenter` is `train`, for one that is trained on the tileset's real images and kept in `evaluations/segmenters`,
    or the path of a kept one. `weights` are the files of published weights, `vgg19` and `inception`; they may lie in
    the folder `SATTRANS_WEIGHTS`, too.
    """
    check_names(metrics)
    place = choose_device(device)
    loaded = choose_weights(weights or {}, metrics, place)
    opened = [Run.open(path) for path in runs] or [Run.newest()]
    tileset = _shared_tileset(opened)
    chosen, notices = choose_split(tileset, split)
    tiles = tileset.split(chosen)
    log.info(
        "%s on the %d %s tiles of %s", ", ".join(str(run.folder) for run in opened), len(tiles), chosen, tileset.folder
    )
    folder = output or DEFAULT_FOLDER / f"{'-vs-'.join(run.name for run in opened)}-{chosen}"
    with lock(folder):
        train = read_training_tiles(tileset, tileset.split("train"))
        tools: dict[str, Any] = {**loaded, "train": train.thumbnails} if train else {**loaded}
        if segmenter:
            tools["segmenter"] = _segmenter(segmenter, tileset, place)
            log.info("segmenter %s", tools["segmenter"].path)
        classes = tileset.palette.names if tileset.palette else ()
        families, missing = choose_families(Setting(tileset.size, len(tiles), classes, tools), metrics)
        scoring = Scoring(tileset, tiles, families, seed)
        pictures: dict[int, list[Any]] = {place: [] for place in Tileset.telling(tiles, SHEET_TILES)}
        results = [RunScores(run, scoring.run(Translator(run, device, seed), batch_size, pictures)) for run in opened]
        floors = {"real": scoring.real_floor(tileset.split("train"))}
        if train and train.colors is not None:
            floors["class_colors"] = scoring.color_floor(train)
        had = [metric for family in families for metric in family.metrics]
        named = {f"{place}-{r.run.name}" if _twice(r, results) else r.run.name: r for place, r in enumerate(results, 1)}
        write_table(folder / "scores.csv", had, {name: result.scored for name, result in named.items()})
        write_sheet(folder / "sheet.png", list(pictures.values()), ["map", *named, "real"])
        about: dict[str, Any] = {
            "tileset": {"name": tileset.name, "hash": tileset.hash},
            "split": chosen,
            "seed": seed,
            "images": len(tiles),
            "weights": {name: {"file": w.path.name, "sha256": w.hash} for name, w in loaded.items()},
        }
        if segmenter:
            about["segmenter"] = {**tools["segmenter"].about, "sha256": tools["segmenter"].hash}
        told = [({"run": name, "model": r.run.model_name}, r.scored) for name, r in named.items()]
        write_scores(folder / "scores.json", about, had, missing, told, floors)
    shown = tuple(m for m in METRICS if m in had or m.name in missing)
    return Evaluation(folder, chosen, tuple(results), floors, shown, missing, tuple(notices))


def _twice(result: RunScores, results: Sequence[RunScores]) -> bool:
    """Return whether another run's folder has the same name."""
    return sum(result.run.name == other.run.name for other in results) > 1


def _segmenter(told: str, tileset: Tileset, place: torch.device) -> Segmenter:
    if told == "train":
        return train_segmenter(segmenter_path(DEFAULT_FOLDER / "segmenters", tileset), tileset, place)
    return Segmenter.open(Path(told), tileset, place)


def _shared_tileset(runs: Sequence[Run]) -> Tileset:
    tilesets = [run.tileset() for run in runs]
    for run, other in zip(runs, tilesets, strict=True):
        if other.hash != tilesets[0].hash:
            raise UsageError(
                f"{run.folder} was trained on {other.folder}, {runs[0].folder} on {tilesets[0].folder}: "
                "only runs of one tileset can be compared"
            )
    return tilesets[0]
