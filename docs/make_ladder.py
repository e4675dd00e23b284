"""Write the ladder table of docs/metrics.md: the value of each metric on synthetic images that get worse in steps."""

import re
import sys
from pathlib import Path

import numpy as np
import torch

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent / "tests" / "support"))

from ladders import LADDERS  # noqa: E402

from sattrans.demo.land_cover import PALETTE  # noqa: E402
from sattrans.demo.landscape import make_landscape  # noqa: E402
from sattrans.evaluate.base import ImagePair, Metric, MetricContext, Unavailable  # noqa: E402
from sattrans.evaluate.registry import FAMILIES  # noqa: E402
from sattrans.evaluate.scoring import SetStatistics  # noqa: E402
from sattrans.metrics.nearest_tile import thumbnail  # noqa: E402

SIZE, SIDE = 192, 768


def tiles(seed):
    """Return the image and the class indices of each tile of a synthetic landscape."""
    landscape = make_landscape(SIDE, SIDE, seed)
    cut = [(slice(r, r + SIZE), slice(c, c + SIZE)) for r in range(0, SIDE, SIZE) for c in range(0, SIDE, SIZE)]
    indices = PALETTE.from_values(landscape.map)
    both = [(landscape.photo[:, rows, cols], indices[rows, cols]) for rows, cols in cut]
    return [(torch.from_numpy(i.copy()), torch.from_numpy(m.copy())) for i, m in both]


def measure() -> tuple[list[Metric], dict[str, dict[str, list[float]]], dict[str, float]]:
    """Return the metrics, their values at the rungs of each ladder (by ladder and metric), and those of real images."""
    real, train = tiles(1), np.stack([thumbnail(image) for image, _ in tiles(2)])
    context = MetricContext(SIZE, len(real), PALETTE.names, {"train": train})
    families = []
    for kind in FAMILIES:
        try:
            families.append(kind(context))
        except Unavailable:
            continue  # it needs weights or a segmenter

    def scores(worse) -> dict[str, float]:
        statistics = SetStatistics(families)
        for number, (image, map_) in enumerate(real):
            statistics.add(statistics.measure(ImagePair(worse(image, number), image, number, map_, map_)))
        return {name: score.value for name, score in statistics.scores(intervals=False).items()}

    found = {}
    for name, (worsen, rungs) in LADDERS.items():
        steps = [scores(lambda image, number, w=worsen, r=rung: w(image, r, number)) for rung in rungs]
        found[name] = {metric: [step[metric] for step in steps] for metric in steps[0]}
    return [m for family in families for m in family.metrics], found, scores(lambda image, number: image)


def table() -> str:
    """Return the table as Markdown: the values of each ladder, from the mildest step to the worst."""
    metrics, by_ladder, unchanged = measure()
    heads = [f"{name}: {', '.join(map(str, rungs))}" for name, (_, rungs) in LADDERS.items()]
    lines = [f"| Score | real | {' | '.join(heads)} |", "|---" * (len(heads) + 2) + "|"]
    for metric in metrics:
        cells = [", ".join(_number(v) for v in values[metric.name]) for values in by_ladder.values()]
        lines.append(f"| {metric.title} | {_number(unchanged[metric.name])} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _number(value) -> str:
    return "–" if value is None else f"{value:.0f}" if abs(value) >= 100 else f"{round(value, 2) + 0:.3g}"


def main() -> None:
    """Replace the table between the two markers of the page."""
    page = DOCS / "metrics.md"
    markers = re.compile(r"(<!-- ladder -->\n\n).*?(\n<!-- end -->)", re.DOTALL)
    text = markers.sub(lambda match: match.group(1) + table() + match.group(2), page.read_text(encoding="utf-8"))
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
