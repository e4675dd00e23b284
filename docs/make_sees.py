"""Write what each score sees into docs/evaluating.md, with pictures: `SATTRANS_DATA=FOLDER python docs/make_sees.py`.

FOLDER contains `korea_s2`, Sentinel-2 scenes of Korea with land cover. Each fault, mild and strong, is put into 16
tiles, and a score sees it if they score worse than real tiles of other places. It takes two CPU minutes.
"""

import os
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from PIL import Image

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent / "tests" / "support"))

from fault_scores import FaultScores, Tiles, fault_scores, faults_of  # noqa: E402

from sattrans.evaluate.images import RealTiles  # noqa: E402
from sattrans.metrics.baselines import evenly_spaced  # noqa: E402
from sattrans.tile import TileOptions, tile  # noqa: E402

PICTURES = DOCS / "images" / "faults"
PICTURE_TILE, PICTURE_SIDE = 13, 128
LEFT_OUT = {"l1_sum", "l2_norm", "nearest"}
"""Scores that are others with another unit, and one that looks for copies instead of faults."""

MARKS = ("", "○", "●")


def real_tiles(data: Path, size: int = 256, count: int = 16) -> tuple[Tiles, Tiles]:
    """Return test tiles of `korea_s2`, and as many training tiles, of other places."""
    options = TileOptions(size=size, bidx=(3, 2, 1), split="scene", fractions=(0.7, 0.1, 0.2), buffer=1, seed=11)
    with TemporaryDirectory() as folder:
        tileset = tile(data / "korea_s2", Path(folder) / "tiles", options=options).tileset
        found = [RealTiles(tileset, tileset.split(split)) for split in ("test", "train")]
        test, train = ([each.read(n) for n in evenly_spaced(len(each), count)] for each in found)
    return Tiles(test, tileset.palette.names), Tiles(train, tileset.palette.names)


def table(scores: FaultScores) -> str:
    """Return the table as Markdown: a row for each score, a column with a picture for each fault."""
    names = [name.partition(",")[0].partition(" of ")[0] for name in scores.faults]
    files = [f"images/faults/{_stem(name)}.jpg" for name in scores.faults]
    pictures = [f"![{name}]({file})" for name, file in zip(names, files, strict=True)]
    lines = [f"| Score | {' | '.join(scores.faults)} |", "|---" + "|:-:" * len(names) + "|"]
    lines.append(f"| ![real](images/faults/real.jpg) | {' | '.join(pictures)} |")
    for metric in scores.metrics:
        if metric.name not in LEFT_OUT:
            marks = [MARKS[scores.sees(metric, fault)] for fault in scores.faults]
            lines.append(f"| {metric.title} | {' | '.join(marks)} |")
    return "\n".join(lines) + "\n"


def _stem(fault: str) -> str:
    return re.sub(r"[^a-z]+", "-", fault.partition(",")[0].partition(" of ")[0].lower()).strip("-")


def write_pictures(real: Tiles, elsewhere: Tiles, number: int) -> None:
    """Write a part of a tile, and what each fault, when strong, makes of it."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    chosen = real.read(number)
    strong = {name: fault(chosen, step, number) for name, (fault, _, step) in faults_of(real, elsewhere).items()}
    for name, image in {"real": chosen.image, **strong}.items():
        _write(PICTURES / f"{_stem(name)}.jpg", image)


def _write(path: Path, image: torch.Tensor) -> None:
    start = (image.shape[-1] - PICTURE_SIDE) // 2
    part = image[:, start : start + PICTURE_SIDE, start : start + PICTURE_SIDE].permute(1, 2, 0).numpy()
    Image.fromarray(part).save(path, quality=90)


def main() -> None:
    """Measure, and replace the table between the two markers of the page."""
    real, elsewhere = real_tiles(Path(os.environ["SATTRANS_DATA"]))
    write_pictures(real, elsewhere, PICTURE_TILE)
    scores = fault_scores(real, elsewhere)
    for metric in scores.metrics:
        values = [tuple(f"{step[metric.name]:.3g}" for step in steps) for steps in scores.faults.values()]
        print(metric.name, scores.real[metric.name].value, scores.elsewhere[metric.name].value, *values)  # noqa: T201
    page = DOCS / "evaluating.md"
    markers = re.compile(r"(<!-- sees -->\n\n).*?(\n<!-- end of sees -->)", re.DOTALL)
    text = markers.sub(lambda match: match[1] + table(scores) + match[2], page.read_text(encoding="utf-8"))
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
