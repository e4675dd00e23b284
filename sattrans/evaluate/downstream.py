"""Does generated data help? Segmenters that learn from real tiles, generated ones or both, tested on real ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from sattrans.data.dataset import Split
from sattrans.data.tileset import Tileset
from sattrans.errors import UsageError
from sattrans.evaluate import segmenter
from sattrans.evaluate.base import MetricContext
from sattrans.evaluate.downstream_results import (
    CurvePoint,
    Downstream,
    DownstreamColumn,
    RepeatedScore,
    mean_of_repeats,
    paired_gain,
)
from sattrans.evaluate.generated_tiles import GeneratedTiles, SomeTiles
from sattrans.evaluate.images import ImageSource, RealTiles
from sattrans.evaluate.options import EvaluateOptions
from sattrans.evaluate.pretrained import SegmentationConsistency
from sattrans.evaluate.scoring import MeasurementCache, Score, Scorer
from sattrans.evaluate.segmenter import train_segmenter
from sattrans.runs.run import Run
from sattrans.utils.console import log, pluralize
from sattrans.utils.hashing import hash_of

LEAST_TILES = 2
"""Of fewer tiles there is neither an interval nor a learning curve."""


def check_downstream(tileset: Tileset, split: Split, runs: Sequence[Run] = ()) -> None:
    """Raise `UsageError` if segmenters of a tileset cannot be trained on its train split and tested on another one.

    Nor can they be trained on images that are real ones made coarse and sharpened.
    """
    for run in runs:
        if run.kind.refines:
            raise UsageError(f"{run.folder} sharpens real images, --downstream needs runs that make images of maps")
    where, why = tileset.folder, "which --downstream needs"
    if tileset.palette is None:
        raise UsageError(f"the maps of {where} are pictures without classes, {why}: tile maps with classes")
    if split == "train":
        raise UsageError("--downstream tests on tiles that no training has seen: choose --split test or val")
    train = tileset.split("train")
    for name, tiles in (("train", train), (split, tileset.split(split))):
        if len(tiles) < LEAST_TILES:
            raise UsageError(f"{where} has {pluralize(len(tiles), f'{name} tile')}, --downstream needs {LEAST_TILES}")
    seen = {name for tile in train for name, share in tile.shares.items() if share}
    if len(seen) < 2:
        only = f"the single class {seen.pop()}" if seen else "no class"
        raise UsageError(f"the training tiles of {where} show {only}, --downstream needs two: tile other scenes")


def tile_counts(tiles: int, shares: Sequence[float]) -> list[int]:
    """Return the numbers of tiles that shares of them are, each once, from few to many: at least one tile."""
    return sorted({max(1, round(tiles * share)) for share in shares})


@dataclass(frozen=True)
class Bench:
    """Trains segmenters and tests them on the same real tiles.

    Args:
        tested: The real tiles to test on.
        options: How to evaluate.
        device: The device of the segmenters.
        folder: Where segmenters are kept, by a hash of what they were trained on.
        cache: Where measured statistics are kept.
    """

    tested: RealTiles
    options: EvaluateOptions
    device: torch.device
    folder: Path
    cache: MeasurementCache

    def score(self, examples: Sequence[SomeTiles | GeneratedTiles], repeat: int) -> Score:
        """Return the mIoU of a segmenter that is trained on some examples, which fill equal parts of its batches."""
        tileset, seed, steps = self.tested.tileset, self.options.seed + repeat, self.options.downstream_steps
        recipe = (seed, steps, segmenter.BATCH, segmenter.SIDE, segmenter.RATE, segmenter.WIDTH)
        name = hash_of(tileset.hash, *(each.key for each in examples), *map(str, recipe))[:16]
        path = self.folder / f"{tileset.name}-{name}.safetensors"
        trained = train_segmenter(path, tileset, self.device, seed, steps, examples)
        tools = {"segmenter": trained}
        context = MetricContext(self.tested.size, len(self.tested), self.tested.classes, tools, ("miou",))
        families = [SegmentationConsistency(context)]
        return Scorer(self.tested, families, self.options.seed, self.cache, [trained.hash]).score_real().metrics["miou"]


def measure_downstream(
    tested: RealTiles,
    train: RealTiles,
    sources: Sequence[ImageSource],
    options: EvaluateOptions,
    device: torch.device,
    folder: Path,
    cache: MeasurementCache,
) -> Downstream:
    """Train segmenters on more and more real tiles, on generated ones and on both, and test them on real ones.

    All segmenters have the same number of steps and the same batch size; of both, each fills half of every batch. The
    generated images stand for all training maps. A repeat has its own seed and its own order in which real tiles are
    added, the same for real and for both. Segmenters, images and what was measured are kept: an interrupted
    measurement goes on where it was.

    Args:
        tested: The real tiles to test on.
        train: The real training tiles.
        sources: Make the images of the maps of the training tiles.
        options: Steps, repeats, shares of the real tiles and the seed.
        device: The device of the segmenters.
        folder: Where segmenters are kept, by a hash of what they were trained on.
        cache: Where images and measured statistics are kept.

    Returns:
        The scores.
    """
    bench = Bench(tested, options, device, folder, cache)
    counts, repeats = tile_counts(len(train), options.downstream_shares), range(options.downstream_repeats)
    total = len(repeats) * (len(counts) + len(sources) * (1 + len(counts)))
    log.info("downstream: %s of %d steps", pluralize(total, "segmenter"), options.downstream_steps)
    orders = [_order(len(train), options.seed + repeat) for repeat in repeats]
    real = {count: [SomeTiles(train, order[:count]) for order in orders] for count in counts}
    made = {source.name: GeneratedTiles(source, train, cache) for source in sources}

    def mean(examples: Sequence[Sequence[SomeTiles | GeneratedTiles]]) -> RepeatedScore:
        return mean_of_repeats([bench.score(each, repeat) for repeat, each in enumerate(examples)], options.seed)

    alone = {count: mean([[some] for some in real[count]]) for count in counts}
    columns = []
    for name, generated in made.items():
        both = {n: mean([[some, generated] for some in real[n]]) for n in counts}
        points = [CurvePoint(n, alone[n], both[n], paired_gain(both[n], alone[n], options.seed)) for n in counts]
        columns.append(DownstreamColumn(name, mean([[generated] for _ in repeats]), points))
    return Downstream(columns, len(train), options.downstream_steps, len(repeats))


def _order(tiles: int, seed: int) -> list[int]:
    """Return the order in which real tiles are added, a permutation of their numbers."""
    order: list[int] = torch.randperm(tiles, generator=torch.Generator().manual_seed(seed)).tolist()
    return order
