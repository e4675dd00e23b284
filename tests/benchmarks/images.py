"""How real the images of each model are: trained for the same CPU time on real scenes, scored and shown side by side.

`make bench-images` runs this. Each measurement is one entry of docs/benchmark.json as soon as it is made, and is not
made again; remove an entry to repeat it. Settings:

- `SATTRANS_IMAGES_ONLY`: patterns of the measurements to make, such as `korea_s2/*/pix2pix*/300,banepa/0/*/*`; each is
  DATA/SPLIT/MODEL/SECONDS. Default: all, which takes about a day on two cores.
- `SATTRANS_IMAGES_FOLDER`: where tilesets and runs are kept. Default: a temporary folder.
- `SATTRANS_DATA`: where korea_s2 and banepa are.

As many steps are made as take SECONDS of CPU time: two short trainings say how long a step takes, once for each model
and folder. Nothing else should run then. The CPU time that a training then took is measured, too.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import images_page
import numpy as np
import rasterio
import torch
from PIL import Image
from rasterio.windows import Window

from sattrans.data.batches import TileStore, to_picture
from sattrans.data.contact_sheet import write_sheet
from sattrans.data.tileset import Tileset
from sattrans.metrics.kid_lite import LAYERS, LiteFeatures, deviations, mean_kernels
from sattrans.runs.run import Run
from sattrans.runs.translator import Translator
from sattrans.utils.atomic import write_json

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("SATTRANS_DATA", ROOT.parent / "shared" / "data"))
FOUND = ROOT / "docs" / "benchmark.json"
ONLY = os.environ.get("SATTRANS_IMAGES_ONLY", "*").split(",")
BUDGETS = (300, 900)
SHOWN = 3
LARGEST = 1024
"""Side in pixels of the map on which seams are measured, at most."""

METRICS = (
    *("kid_lite1", "kid_lite0", "miou", "class_color", "class_spread", "swd", "spectrum", "phase", "checkerboard"),
    *("line_recall", "copied32"),
)

CUTS: Mapping[str, Sequence[Sequence[object]]] = {
    "korea_s2": [
        ("--bidx", "3,2,1", "--split", "scene", "--fractions", "0.7,0.1,0.2", "--buffer", 1, "--seed", 11 + split)
        for split in range(3)
    ],
    "banepa": [("--buffer", 1, "--seed", seed) for seed in range(3)],
}
"""Options of `tile` for each split of each dataset, beside `--size 256`."""

PAPER = ("--set", "source=color", "--set", "upsampling=transposed", "--set", "augment=off", "--monitor", "l1")
MODELS: Mapping[str, Sequence[str]] = {
    "projected": ("--model", "projected"),
    "projected-exemplar": ("--model", "projected", "--set", "sketch=exemplar"),
    "exemplar": ("--model", "exemplar"),
    "pix2pix": ("--model", "pix2pix", "--set", "width=32"),
    "pix2pix-paper": ("--model", "pix2pix", "--set", "width=32", *PAPER),
    "resse": ("--model", "resse", "--set", "width=32"),
    "wgan": ("--model", "wgan", "--set", "width=32"),
    "spade": ("--model", "spade", "--set", "width=16"),
    "spade-projected": ("--model", "spade", "--set", "width=16", "--set", "discriminator=projected"),
    "cyclegan": ("--model", "cyclegan", "--set", "width=16", "--set", "blocks=6"),
}
"""Options of `train`. Networks are narrow where the paper's width would see a tile or two in five minutes."""


@dataclass(frozen=True)
class Used:
    """What a command took."""

    seconds: float
    """CPU time of the process and its children, user and system."""
    gigabytes: float
    """Largest resident memory."""


def sattrans(*arguments: object) -> Used:
    """Run a command.

    Raises:
        SystemExit: It failed.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "sattrans", *map(str, arguments), "--quiet"], stdout=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"failed: sattrans {' '.join(map(str, arguments))}")
    return Used(used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20)


def steps_for(folder: Path, data: str, tiles: Path, model: str, seconds: float) -> int:
    """Return how many steps take that long; `folder` keeps what was measured once."""
    path = folder / "steps.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    if (key := f"{data}/{model}") not in known:
        options = ("train", "--data", tiles, *MODELS[model], "--overwrite", "-o", folder / "short")
        known[key] = [sattrans(*options, "--steps", steps).seconds for steps in (5, 25)]
        write_json(path, known)
    short, longer = known[key]
    return max(50, int((seconds - short) * 20 / (longer - short)))


def measure(folder: Path, data: str, split: int, model: str, seconds: int) -> dict[str, Any]:
    """Train a model and score it; what is already in the folder is used again."""
    tiles = folder / f"{data}-{split}"
    sattrans("tile", DATA / data, "--size", 256, *CUTS[data][split], "-o", tiles)
    run_folder = folder / f"{data}-{split}-{model}-{seconds}"
    steps = 1 if model == "exemplar" else steps_for(folder, data, tiles, model, seconds)
    how_many = () if model == "exemplar" else ("--steps", steps)
    training = sattrans("train", "--data", tiles, *MODELS[model], *how_many, "--overwrite", "-o", run_folder)
    scores_folder = run_folder.with_name(f"{run_folder.name}-scores")
    sattrans("evaluate", run_folder, "-o", scores_folder, "--metrics", ",".join(METRICS), "--segmenter", "train")
    scores = json.loads((scores_folder / "scores.json").read_text())
    run = Run.open(run_folder)
    generated, translation = translate(run)
    if split == 0:  # the longest training comes last
        sheet(run, generated, ROOT / "docs" / "images" / "benchmark" / f"{data}-{model}.jpg")
    seams = seams_without_overlap(run, DATA / data)
    return {
        "steps": steps,
        "cpu": round(training.seconds, 1),
        "memory": round(training.gigabytes, 2),
        "parameters": sum(value.numel() for value in run.build_model().generator.parameters()),
        "cpu_mpx": round(translation, 2),
        "scores": {key: scores["columns"][0]["means"].get(key) for key in METRICS}
        | every_patch(run, generated)
        | {"seams": seams},
        "floors": {key: of.get("miou") for key, of in scores["floors"].items()}
        | {"kid": scores["floors"]["real"]["kid_lite1"]},
        "date": str(date.today()),
    }


def translate(run: Run) -> tuple[np.ndarray, float]:
    """Return the generated test tiles (N, 3, S, S) uint8, and CPU seconds a megapixel."""
    tileset = run.tileset()
    store, translator, tiles = TileStore(tileset, tileset.split("test")), Translator(run), []
    start = time.process_time()
    for _, map_ in (store[index] for index in range(len(store.tiles))):
        tiles.append(np.rint(translator.tiles(map_.numpy()[np.newaxis], [(0, 0)])[0]).astype(np.uint8))
    generated = np.stack(tiles)
    return generated, (time.process_time() - start) / (generated[:, 0].size / 1e6)


def seams_without_overlap(run: Run, data: Path) -> float | None:
    """Return the seam score of an image whose windows share no pixel; None if all of it is one window.

    The map is that of the first test tile's scene, or the part of it that begins at this tile.
    """
    first = run.tileset().split("test")[0]
    part = run.folder.with_name(f"{run.folder.name}-part.tif")
    with rasterio.open(next((data / "masks").glob(f"{first.scene}.*"))) as map_:
        room = Window(0, 0, map_.width, map_.height)
        window = Window(first.window.col, first.window.row, LARGEST, LARGEST).intersection(room)
        place = {"width": window.width, "height": window.height, "transform": map_.window_transform(window)}
        with rasterio.open(part, "w", **{**map_.profile, **place}) as file:
            file.write(map_.read(window=window))
    command = [
        sys.executable,
        "-m",
        "sattrans",
        "generate",
        part,
        "--run",
        run.folder,
        "-o",
        part.with_suffix(".sat.tif"),
    ]
    options = ["--overlap", "0", "--overwrite", "--json", "--quiet"]
    done = subprocess.run([*map(str, command), *options], check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)["images"][0]["seams"]
    return None if found is None else found["gradient"]


def every_patch(run: Run, generated: np.ndarray) -> dict[str, float]:
    """Return KIDs that compare each patch with each, also those of one place, as KID is usually computed.

    The keys ending in `_other` are those of real images of other places: the training tiles.
    """
    tileset = run.tileset()
    real, other = (
        torch.stack([image for image, _ in (store[index] for index in range(len(store.tiles)))])
        for store in (TileStore(tileset, tileset.split(name)) for name in ("test", "train"))
    )
    found = {}
    for metric in ("kid_lite1", "kid_lite0"):
        network, block = LAYERS[metric]
        features = LiteFeatures(network, [block])
        sets = [features(images)[0] for images in (torch.from_numpy(generated), real, other)]
        unit = deviations(sets[2])
        fake, real_, other_ = ((of / unit).reshape(-1, 1, of.shape[-1]) for of in sets)
        found[f"{metric}_all"] = _distance(fake, real_)
        found[f"{metric}_all_other"] = _distance(other_, real_)
    return found


def _distance(x: np.ndarray, y: np.ndarray) -> float:
    """Return the squared MMD without bias of two sets of patches, (N, 1, C) and (M, 1, C)."""
    within = [
        (kernels.sum() - np.trace(kernels)) / (len(of) * (len(of) - 1))
        for of in (x, y)
        for kernels in (mean_kernels(of, of),)
    ]
    return float(sum(within) - 2 * mean_kernels(x, y).mean())


def sheet(run: Run, generated: np.ndarray, path: Path) -> None:
    """Write map, generated and real image of the test tiles with the most even classes."""
    tileset = run.tileset()
    store, rows = TileStore(tileset, tileset.split("test")), []
    for index in Tileset.most_varied(store.tiles, SHOWN):
        image, map_ = store[index]
        rows.append((to_picture(map_, tileset.palette), generated[index], image.numpy()))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_sheet(path.with_suffix(".png"), rows, ("map", "generated", "real"))
    Image.open(path.with_suffix(".png")).convert("RGB").save(path, quality=85)
    path.with_suffix(".png").unlink()


def wanted() -> list[str]:
    """Return the names of the measurements that the settings ask for."""
    names = [
        f"{data}/{split}/{model}/{seconds}"
        for seconds in BUDGETS
        for split in range(3)
        for data in CUTS
        for model in MODELS
        if model != "exemplar" or seconds == BUDGETS[0]
    ]
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in ONLY)]


def main() -> None:
    """Make the measurements that are missing, and write the page after each."""
    kept = os.environ.get("SATTRANS_IMAGES_FOLDER")
    with nullcontext(kept) if kept else tempfile.TemporaryDirectory() as folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        for name in wanted():
            if name in json.loads(FOUND.read_text(encoding="utf-8")):
                continue
            data, split, model, seconds = name.split("/")
            entry = measure(Path(folder).resolve(), data, int(split), model, int(seconds))
            known = json.loads(FOUND.read_text(encoding="utf-8"))  # read again: others may measure at the same time
            write_json(FOUND, dict(sorted({**known, name: entry}.items())))
            print(name, entry, flush=True)
            images_page.write()
    images_page.write()


if __name__ == "__main__":
    main()
