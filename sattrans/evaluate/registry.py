"""Choosing: the split that is scored, and the families that can be had and were asked for."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from sattrans.data.dataset import Split
from sattrans.data.tileset import Tileset
from sattrans.errors import OptionError, UsageError, did_you_mean
from sattrans.evaluate.base import Family, Metric, Setting, Unavailable
from sattrans.evaluate.pairwise import ClassColors, Consistency, Pixels, Structure, StructureAtScales
from sattrans.evaluate.pretrained import LEARNED
from sattrans.evaluate.setwise import Checkerboard, Memorising, Spectrum, Texture
from sattrans.metrics.weights import PUBLISHED, PublishedWeights, find_weights, load_weights

FAMILIES: tuple[type[Family], ...] = (
    Pixels,
    Structure,
    StructureAtScales,
    ClassColors,
    Texture,
    Spectrum,
    Checkerboard,
    Memorising,
    Consistency,
)

ALL = (*FAMILIES, *LEARNED)

METRICS: tuple[Metric, ...] = tuple(metric for family in ALL for metric in family.metrics)
"""Every metric there is, in the order of the table."""


OF_SPLIT: Mapping[Split, list[str]] = {
    "train": ["scored on train, tiles that the runs were trained on: it tells nothing about new places"],
    "val": ["scored on val, which also chose the checkpoints: test tells more about new places"],
}
"""What to tell of a split that was asked for."""


def choose_split(tileset: Tileset, split: Split | None) -> tuple[Split, list[str]]:
    """Return the split to score on, and what to tell of it. Raises `UsageError` where it has no tiles."""
    if split:
        if not tileset.split(split):
            raise UsageError(f"{tileset.folder} has no {split} tiles: choose another split")
        return split, OF_SPLIT.get(split, [])
    if tileset.split("test"):
        return "test", []
    if tileset.split("val"):
        return "val", [f"{tileset.folder} has no test tiles: scored on val, which also chose the checkpoints"]
    raise UsageError(f"{tileset.folder} has neither test nor val tiles to score on: --split train scores the others")


def check_names(names: Sequence[str]) -> None:
    """Raise `OptionError` for a metric that there is not."""
    known = [metric.name for metric in METRICS]
    for name in names:
        if not name:
            raise OptionError(f"--metrics {','.join(names)!r}: names of scores are needed, as in mae,ssim")
        if name not in known:
            raise OptionError(f"there is no metric '{name}'{did_you_mean(name, known)}")


def choose_weights(told: Mapping[str, Path], names: Sequence[str], device: torch.device) -> dict[str, PublishedWeights]:
    """Load the weights that there are for the metrics that are wanted, all where none is named."""
    wanted = {kind.weights for kind in LEARNED if not names or {m.name for m in kind.metrics} & set(names)}
    found = find_weights(told)
    return {name: load_weights(name, found[name], device) for name in PUBLISHED if name in found and name in wanted}


def choose_families(setting: Setting) -> tuple[list[Family], Mapping[str, str]]:
    """Return the families that can be had, and why the metrics of others cannot, by name.

    Where the setting says which metrics are wanted, only families that have one of these; one of them that cannot be
    had raises `UsageError`.
    """
    families, missing, names = [], {}, setting.wanted
    for kind in ALL:
        asked = [metric.name for metric in kind.metrics if metric.name in names]
        if names and not asked:
            continue
        try:
            families.append(kind(setting))
        except Unavailable as why:
            if asked:
                raise UsageError(", ".join(filter(None, (f"{asked[0]} cannot be had: it {why}", why.more)))) from None
            missing.update({metric.name: str(why) for metric in kind.metrics})
    return families, missing
