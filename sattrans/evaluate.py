"""Evaluate runs: generate a split's tiles and compare them with the real ones, image by image."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import torch
from torch import Tensor

from sattrans.batches import TileStore, to_picture
from sattrans.blend import to_uint8
from sattrans.dataset import Split
from sattrans.errors import UsageError
from sattrans.files import lock, write_bytes, write_manifest
from sattrans.metrics.pixel import l1_sum, l2_norm, mae, psnr, rmse
from sattrans.metrics.structure import ssim
from sattrans.progress import bar, log
from sattrans.run import Run
from sattrans.sheet import write_sheet
from sattrans.tileset import Tile, Tileset
from sattrans.translator import Translator

DEFAULT_FOLDER = Path("evaluations")
VERSION = 1
SHEET_TILES = 4


@dataclass(frozen=True, slots=True)
class Metric:
    """A score of one image pair. `better` says in which direction, `unit` in what."""

    name: str
    title: str
    unit: str
    better: Literal["lower", "higher"]
    score: Callable[[Tensor, Tensor], float | None]


METRICS: tuple[Metric, ...] = (
    Metric("mae", "MAE", "grey levels", "lower", mae),
    Metric("rmse", "RMSE", "grey levels", "lower", rmse),
    Metric("psnr", "PSNR", "dB", "higher", psnr),
    Metric("ssim", "SSIM", "", "higher", ssim),
    Metric("l1_sum", "L1 sum", "of [-1, 1]", "lower", l1_sum),
    Metric("l2_norm", "L2 norm", "of [-1, 1]", "lower", l2_norm),
)


@dataclass(frozen=True, slots=True)
class RunScores:
    """The scores of one run: each image's by tile id and metric, and their means; `equal` images have no PSNR."""

    run: Run
    images: Mapping[str, Mapping[str, float | None]]
    means: Mapping[str, float | None]
    equal: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What `evaluate` found and wrote: `scores.csv`, `scores.json` and `sheet.png` in `folder`."""

    folder: Path
    split: Split
    scores: tuple[RunScores, ...]
    notices: tuple[str, ...]


def evaluate(
    runs: Sequence[Path] = (),
    split: Split | None = None,
    output: Path | None = None,
    batch_size: int = 8,
    device: str = "auto",
    seed: int = 0,
) -> Evaluation:
    """Score runs (the newest finished one) on a split of the tileset they were trained on.

    `split` is `test`, or `val` where there are no test tiles. Several runs must share a tileset. Raises
    `UsageError` for what cannot be compared.
    """
    opened = [Run.open(path) for path in runs] or [Run.newest()]
    tilesets = [run.tileset() for run in opened]
    tileset = tilesets[0]
    for run, other in zip(opened, tilesets, strict=True):
        if other.hash != tileset.hash:
            raise UsageError(
                f"{run.folder} was trained on {other.folder}, {opened[0].folder} on {tileset.folder}: "
                "only runs of one tileset can be compared"
            )
    chosen, notices = _choose(tileset, split)
    tiles = tileset.split(chosen)
    log.info(
        "%s on the %d %s tiles of %s", ", ".join(str(run.folder) for run in opened), len(tiles), chosen, tileset.folder
    )
    names = [run.name for run in opened]
    folder = output or DEFAULT_FOLDER / f"{'-vs-'.join(names)}-{chosen}"
    with lock(folder):
        results = []
        pictures: dict[int, list[Any]] = {place: [] for place in Tileset.telling(tiles, SHEET_TILES)}
        for run in opened:
            results.append(_score(run, tileset, tiles, batch_size, device, seed, pictures))
        _write(folder, tileset, chosen, results, list(pictures.values()), seed)
    return Evaluation(folder, chosen, tuple(results), tuple(notices))


def _choose(tileset: Tileset, split: Split | None) -> tuple[Split, list[str]]:
    if split:
        if not tileset.split(split):
            raise UsageError(f"{tileset.folder} has no {split} tiles: choose another split")
        return split, []
    if tileset.split("test"):
        return "test", []
    if tileset.split("val"):
        return "val", [f"{tileset.folder} has no test tiles: scored on val, which also chose the checkpoint"]
    raise UsageError(f"{tileset.folder} has neither test nor val tiles to score on: --split train scores the others")


def _score(
    run: Run,
    tileset: Tileset,
    tiles: Sequence[Tile],
    batch_size: int,
    device: str,
    seed: int,
    pictures: dict[int, list[Any]],
) -> RunScores:
    translator = Translator(run, device, seed)
    store = TileStore(tileset, tiles)
    images: dict[str, dict[str, float | None]] = {}
    with bar(len(tiles), f"evaluate {run.name}", "image") as progress:
        for start in range(0, len(tiles), batch_size):
            numbers = range(start, min(start + batch_size, len(tiles)))
            real, maps = store.stack(numbers)
            origins = [(tiles[n].window.row, tiles[n].window.col) for n in numbers]
            fake = torch.from_numpy(to_uint8(translator(maps.numpy(), origins)))
            for n, one, other in zip(numbers, fake, real, strict=True):
                images[tiles[n].id] = {metric.name: metric.score(one, other) for metric in METRICS}
                if n in pictures:
                    if not pictures[n]:
                        pictures[n] = [to_picture(maps[n - start], tileset.palette), other.numpy()]
                    pictures[n].insert(-1, one.numpy())
                progress.update()
    means: dict[str, float | None] = {}
    for metric in METRICS:
        values = [value for scores in images.values() if (value := scores[metric.name]) is not None]
        means[metric.name] = fmean(values) if values else None
    return RunScores(run, images, means, sum(scores["psnr"] is None for scores in images.values()))


def _write(
    folder: Path,
    tileset: Tileset,
    split: Split,
    results: Sequence[RunScores],
    pictures: Sequence[Sequence[Any]],
    seed: int,
) -> None:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["run", "tile", *(metric.name for metric in METRICS)])
    for result in results:
        for tile_id, scores in result.images.items():
            values = (scores[metric.name] for metric in METRICS)
            table.writerow([result.run.name, tile_id, *("" if v is None else f"{v:.6g}" for v in values)])
    write_bytes(folder / "scores.csv", text.getvalue().encode())
    names = [result.run.name for result in results]
    write_sheet(folder / "sheet.png", pictures, ["map", *names, "real"])
    write_manifest(
        folder / "scores.json",
        "scores",
        VERSION,
        {
            "tileset": {"name": tileset.name, "hash": tileset.hash},
            "split": split,
            "seed": seed,
            "images": len(results[0].images),
            "metrics": {m.name: {"title": m.title, "unit": m.unit, "better": m.better} for m in METRICS},
            "runs": [
                {"run": r.run.name, "model": r.run.model_name, "means": dict(r.means), "equal_images": r.equal}
                for r in results
            ],
        },
    )
