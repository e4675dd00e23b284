"""Measuring by the workers of a cluster: each opens the tiles and keeps the networks, and fills the client's cache."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, cast

import numpy as np

from sattrans.data.dataset import Split
from sattrans.data.tileset import MANIFEST, Tileset
from sattrans.errors import SattransError
from sattrans.evaluate.base import MetricContext
from sattrans.evaluate.images import RealTiles, RunImages
from sattrans.evaluate.options import EvaluateOptions
from sattrans.evaluate.registry import select_families
from sattrans.evaluate.scoring import Elsewhere, MeasurementCache, PairSet, Scorer, hashes_of_tools
from sattrans.evaluate.segmenter import Segmenter
from sattrans.evaluate.training_tiles import TrainingTiles
from sattrans.metrics.copying import Blocks
from sattrans.metrics.weights import PublishedWeights, load_weights
from sattrans.runs.device import choose_device
from sattrans.runs.run import Run
from sattrans.utils.arrays import read_arrays
from sattrans.utils.atomic import write_bytes
from sattrans.utils.cluster_unit import Kept
from sattrans.utils.executor import Pool
from sattrans.utils.hashing import hash_of, sha256

MAX_TRAINING = 1 << 33
"""Bytes that what was read of training tiles may take: the thumbnails of 680,000 tiles, and their blocks."""


@dataclass(frozen=True, slots=True)
class ScorerSpec:
    """What a worker needs to measure as the client would. Picklable; all paths are absolute.

    `training` is what the client read of the training tiles; `identity` changes with the contents of all these files.
    """

    tileset: Path
    split: str
    runs: tuple[Path, ...]
    metrics: tuple[str, ...]
    weights: tuple[tuple[str, Path], ...]
    segmenter: Path | None
    training: Path
    cache: Path
    seed: int
    batch_size: int
    device: str
    identity: str


@dataclass(frozen=True, slots=True)
class MeasureUnit:
    """Some images of a set of pairs. Picklable; `key` is what their statistics are cached under."""

    spec: ScorerSpec
    pairs: str
    key: str
    numbers: range


def spec_of(
    options: EvaluateOptions,
    real: RealTiles,
    split: str,
    sources: Sequence[RunImages],
    tools: Mapping[str, Any],
    training: TrainingTiles | None,
    cache: Path,
) -> ScorerSpec:
    """Return what workers need, after writing what was read of the training tiles beside the cache."""
    arrays: dict[str, Any] = {"none": np.zeros(1)}
    if training:
        arrays |= {"thumbnails": training.thumbnails, "lines": training.lines}
        if training.blocks is not None:
            arrays |= asdict(training.blocks)
        if training.colors is not None:
            arrays["colors"] = training.colors
    data = io.BytesIO()
    np.savez(data, allow_pickle=False, **arrays)
    path = cache.absolute() / "training.npz"
    write_bytes(path, data.getvalue())
    weights = {name: tool for name, tool in sorted(tools.items()) if isinstance(tool, PublishedWeights)}
    segmenter = tools.get("segmenter")
    return ScorerSpec(
        real.tileset.folder.absolute(),
        split,
        tuple(source.folder.absolute() for source in sources),
        options.metrics,
        tuple((name, found.path.absolute()) for name, found in weights.items()),
        segmenter.path.absolute() if segmenter else None,
        path,
        cache.absolute(),
        options.seed,
        options.batch_size,
        options.device,
        hash_of(real.key, *(source.key for source in sources), *hashes_of_tools(tools), sha256(path)),
    )


def measured_by(pool: Pool, spec: ScorerSpec) -> Elsewhere:
    """Return what measures chunks of a set of pairs by the workers of a cluster."""
    pool.share(spec.training, spec.tileset / MANIFEST)
    pool.afterwards(forget)

    def measure(pairs: PairSet, key: str, chunks: Sequence[range]) -> Iterator[range]:
        units = [MeasureUnit(spec, pairs.key, key, numbers) for numbers in chunks]
        for index, _ in pool.as_done(measure_unit, units):
            yield chunks[index]

    return measure


Tools = tuple[Scorer, Mapping[str, PairSet]]

_kept: Kept[Tools] = Kept()


def measure_unit(unit: MeasureUnit) -> None:
    """Measure some pairs, and write the statistics to the cache."""

    def measure(tools: Tools) -> None:
        scorer, sets = tools
        pairs = sets[unit.pairs]
        if scorer.key_of(pairs) != unit.key:
            raise SattransError("a worker would measure other scores than the command: give it the same packages")
        scorer.measure_chunk(pairs, unit.numbers)

    _kept.use(unit.spec.identity, lambda _: _open(unit.spec), measure)


def forget() -> None:
    """Free the networks and tiles that this process keeps."""
    _kept.forget()


def _open(spec: ScorerSpec) -> Tools:
    device = choose_device(spec.device)
    tileset = Tileset.open(spec.tileset)
    real, train = (RealTiles(tileset, tileset.split(cast(Split, split))) for split in (spec.split, "train"))
    tools: dict[str, Any] = {name: load_weights(name, path, device) for name, path in spec.weights}
    tools["device"] = device
    training = read_arrays(spec.training, MAX_TRAINING)
    if "thumbnails" in training:
        names = [field.name for field in fields(Blocks)]
        blocks = Blocks(*(training[name] for name in names)) if names[0] in training else None
        tools |= TrainingTiles(training["thumbnails"], blocks, training["lines"], training.get("colors")).tools(train)
    if spec.segmenter:
        tools["segmenter"] = Segmenter.open(spec.segmenter, tileset, device)
    families, _ = select_families(MetricContext(real.size, len(real), real.classes, tools, spec.metrics))
    scorer = Scorer(real, families, spec.seed, MeasurementCache(spec.cache), hashes_of_tools(tools))
    sources = [RunImages(Run.open(folder), real, device, spec.seed, spec.batch_size) for folder in spec.runs]
    sets = [*map(scorer.generated, sources), scorer.real(train if len(train) else None)]
    if "colors" in training:
        sets.append(scorer.painted(training["colors"].copy()))
    return scorer, {pairs.key: pairs for pairs in sets}
