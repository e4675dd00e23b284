"""All metric families, and the choice of the split, the metrics and the weights of an evaluation."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from sattrans.data.dataset import Split
from sattrans.data.tileset import Tileset
from sattrans.errors import OptionError, UsageError, did_you_mean
from sattrans.evaluate import copying, kid_lite, pairwise, pretrained, setwise
from sattrans.evaluate.base import Family, Metric, MetricContext, Unavailable
from sattrans.metrics.weights import PUBLISHED, PublishedWeights, find_weights, load_weights

FAMILIES: tuple[type[Family], ...] = (
    *kid_lite.FAMILIES,
    *pairwise.FAMILIES,
    *setwise.FAMILIES,
    *copying.FAMILIES,
    *pretrained.FAMILIES,
)
"""All metric families. Everything else that lists metrics is derived from them."""

METRICS: tuple[Metric, ...] = tuple(metric for family in FAMILIES for metric in family.metrics)
"""All metrics, in the order of the table."""

SPLIT_NOTES: Mapping[Split, list[str]] = {
    "train": ["scored on train, the tiles that the runs were trained on: the scores say nothing about new areas"],
    "val": ["scored on val, which also chose the checkpoints: test says more about new areas"],
}
"""Notes about a split that was given by name."""


def choose_split(tileset: Tileset, split: Split | None) -> tuple[Split, list[str]]:
    """Return the split to score on, and notes about it. Raises `UsageError` if it has no tiles."""
    if split:
        if not tileset.split(split):
            raise UsageError(f"{tileset.folder} has no {split} tiles: choose another split")
        return split, SPLIT_NOTES.get(split, [])
    if tileset.split("test"):
        return "test", []
    if tileset.split("val"):
        return "val", [f"{tileset.folder} has no test tiles: scored on val, which also chose the checkpoints"]
    raise UsageError(f"{tileset.folder} has neither test nor val tiles: score on the others with --split train")


def check_metric_names(names: Sequence[str]) -> None:
    """Raise `OptionError` for an unknown metric."""
    known = [metric.name for metric in METRICS]
    for name in names:
        if not name:
            raise OptionError(f"--metrics {','.join(names)!r}: give names of metrics, as in mae,ssim")
        if name not in known:
            raise OptionError(f"unknown metric '{name}'{did_you_mean(name, known)}")


def load_needed_weights(
    given: Mapping[str, Path], metrics: Sequence[str], device: torch.device
) -> dict[str, PublishedWeights]:
    """Load the weights that were found and that the selected metrics need; all that were found if none is selected."""
    needed = {
        family.weights for family in FAMILIES if issubclass(family, pretrained.WeightsFamily) and family.among(metrics)
    }
    found = find_weights(given)
    return {name: load_weights(name, found[name], device) for name in PUBLISHED if name in found and name in needed}


def select_families(context: MetricContext) -> tuple[list[Family], Mapping[str, str]]:
    """Return the metric families that can be computed, and why the metrics of the others cannot, by name.

    Raises:
        UsageError: If the context selects a metric by name that cannot be computed.
    """
    families, missing = [], {}
    for kind in FAMILIES:
        selected = [metric.name for metric in kind.metrics if metric.name in context.selected]
        if context.selected and not selected:
            continue
        try:
            families.append(kind(context))
        except Unavailable as error:
            if selected:
                reason = f"cannot compute {selected[0]}: it {error}"
                raise UsageError(", ".join(filter(None, (reason, error.alternative)))) from None
            missing.update({metric.name: str(error) for metric in kind.metrics})
    return families, missing
