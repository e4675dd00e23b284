"""How real the images are: each model trained for the same CPU time on real scenes, scored and shown side by side.

`make bench-images` runs this: scenes of korea_s2 in three splits, `SATTRANS_IMAGES_SPLITS` for fewer, and
`SATTRANS_IMAGES_SECONDS` of CPU time for each training (900). It writes the table into docs/realism.md, and a sheet of
map, generated and real tiles for each model into docs/images/. The data is looked for in `$SATTRANS_DATA`.
"""

import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sattrans.data.batches import TileStore, to_picture
from sattrans.data.contact_sheet import write_sheet
from sattrans.data.tileset import Tileset
from sattrans.runs.run import Run
from sattrans.runs.translator import Translator

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("SATTRANS_DATA", ROOT.parent / "shared" / "data")) / "korea_s2"
SECONDS = float(os.environ.get("SATTRANS_IMAGES_SECONDS", "900"))
SPLITS = int(os.environ.get("SATTRANS_IMAGES_SPLITS", "3"))
PAGE = ROOT / "docs" / "realism.md"
TABLE = re.compile(r"(<!-- images -->\n).*?(<!-- end of images -->)", re.DOTALL)
SHOWN = 5

SCORES = {
    "kid_lite1": "KID-L1",
    "kid_lite0": "KID-L0",
    "miou": "mIoU",
    "phase": "phase",
    "checkerboard": "checkerboard, dB",
    "class_spread": "class spread",
}


@dataclass(frozen=True)
class Contestant:
    """A model with its options, as they are typed."""

    title: str
    arguments: tuple[str, ...]


PAPER = ("--set", "source=color", "--set", "upsampling=transposed", "--set", "augment=off", "--monitor", "l1")
CONTESTANTS = {
    "projected": Contestant("projected GAN (default)", ("--model", "projected")),
    "pix2pix": Contestant("pix2pix, our defaults, width 32", ("--model", "pix2pix", "--set", "width=32")),
    "pix2pix-paper": Contestant(
        "pix2pix, the paper's settings, width 32", ("--model", "pix2pix", "--set", "width=32", *PAPER)
    ),
}


def sattrans(*arguments: object) -> float:
    """Run a command, and return the CPU seconds that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "sattrans", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def train(tiles: Path, run: Path, contestant: Contestant) -> float:
    """Train for about `SECONDS`: as many steps as two short trainings say. Returns the CPU seconds."""
    options = ("train", "--data", tiles, *contestant.arguments)
    short, longer = (sattrans(*options, "--steps", steps, "-o", f"{run}-{steps}") for steps in (5, 25))
    steps = max(50, int((SECONDS - short) * 20 / (longer - short)))
    return sattrans(*options, "--steps", steps, "-o", run)


def score(run: Path) -> Mapping[str, Any]:
    """Return the scores of a run and those of real images of other places."""
    output = run.with_name(f"{run.name}-scores")
    sattrans("evaluate", run, "-o", output, "--metrics", ",".join(SCORES), "--segmenter", "train")
    scores: Mapping[str, Any] = json.loads((output / "scores.json").read_text())
    return scores


def sheet(run: Run, path: Path) -> None:
    """Write map, generated and real image of the test tiles with the most even classes."""
    tileset = run.tileset()
    store = TileStore(tileset, tileset.split("test"))
    translator, rows = Translator(run), []
    for index in Tileset.most_varied(store.tiles, SHOWN):
        image, map_ = store[index]
        generated = translator(map_.numpy()[np.newaxis], [(0, 0)])[0]
        rows.append((to_picture(map_, tileset.palette), np.rint(generated).astype(np.uint8), image.numpy()))
    write_sheet(path, rows, ("map", "generated", "real"))
    Image.open(path).convert("RGB").save(path.with_suffix(".jpg"), quality=88)
    path.unlink()


def main() -> None:
    """Tile, train, score and show; then write the table."""
    found: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for split in range(SPLITS):
            tiles = Path(folder) / f"tiles-{split}"
            cut = ("--size", 256, "--bidx", "3,2,1", "--split", "scene", "--fractions", "0.7,0.1,0.2", "--buffer", 1)
            sattrans("tile", DATA, *cut, "--seed", 11 + split, "-o", tiles)
            for name, contestant in CONTESTANTS.items():
                run = Path(folder) / f"{name}-{split}"
                seconds = train(tiles, run, contestant)
                scores = score(run)
                values = {key: scores["columns"][0]["means"].get(key) for key in SCORES}
                found.setdefault(contestant.title, []).append({**values, "cpu": seconds})
                found.setdefault("real images of other places", []).append(scores["floors"]["real"])
                if split == 0:
                    sheet(Run.open(run), ROOT / "docs" / "images" / f"korea-bench-{name}.png")
                print(split, contestant.title, f"{seconds:.0f} s", values, flush=True)
    head = f"| | CPU s | {' | '.join(SCORES.values())} |\n|---|--:|{'--:|' * len(SCORES)}\n"
    rows = [
        f"| {title} | {_median(of, 'cpu')} | {' | '.join(_median(of, key) for key in SCORES)} |\n"
        for title, of in found.items()
    ]
    splits = "One split" if SPLITS == 1 else f"Medians of {SPLITS} splits"
    note = f"\n{splits} by scene, {date.today()}, `make bench-images`.\n"
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(TABLE.sub(lambda m: f"{m[1]}{head}{''.join(rows)}{note}{m[2]}", text), encoding="utf-8")


def _median(rows: list[dict[str, float]], key: str) -> str:
    values = [row[key] for row in rows if row.get(key) is not None]
    middle = statistics.median(values) if values else None
    return "–" if middle is None else f"{middle:.0f}" if middle >= 100 else f"{middle:.3g}"


if __name__ == "__main__":
    main()
