"""Which tiles a training step draws if classes are balanced: those with rare classes more often than others."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from sattrans.data.tileset import Tile, Tileset
from sattrans.errors import OptionError, did_you_mean

AUTO = "auto"
EXAMPLE = f"{AUTO}, or numbers for classes, as road=5,building=2"


def class_factors(balance: str, tileset: Tileset) -> dict[str, float]:
    """Return how much a pixel of each class counts when tiles are drawn.

    Args:
        balance: "auto", or numbers for classes, such as "road=5,building=2"; classes that are not named count 1. With
            "auto", a class that covers the share s of the training tiles counts 1/√s: square-root sampling (Mahajan et
            al., Exploring the Limits of Weakly Supervised Pretraining, ECCV 2018, https://arxiv.org/abs/1805.00932).
        tileset: The tileset, whose training tiles are drawn.

    Returns:
        A number above 0 for each class that the training tiles hold.

    Raises:
        OptionError: The text says something else; the tileset has no classes; a class is not in the tileset, or no
            training tile holds it.
    """
    palette, tiles = tileset.palette, tileset.split("train")
    if palette is None:
        raise OptionError(f"--balance needs classes, and the maps of {tileset.folder} are pictures")
    covered = {name: sum(tile.shares.get(name, 0.0) for tile in tiles) / max(len(tiles), 1) for name in palette.names}
    held = [name for name, share in covered.items() if share > 0]
    if balance == AUTO:
        return {name: 1 / math.sqrt(covered[name]) for name in held}
    factors = dict.fromkeys(held, 1.0)
    for name, factor in _read(balance).items():
        if name not in covered:
            raise OptionError(f"--balance {balance}: {tileset.folder} has no class {name}{did_you_mean(name, covered)}")
        if name not in factors:
            raise OptionError(f"--balance {balance}: no training tile holds {name}; they hold {', '.join(held)}")
        factors[name] = factor
    return factors


def _read(balance: str) -> dict[str, float]:
    factors: dict[str, float] = {}
    for part in balance.split(","):
        name, _, number = part.rpartition("=")
        try:
            factor = float(number)
        except ValueError:
            factor = math.nan
        if not name.strip() or not (math.isfinite(factor) and factor > 0):
            raise OptionError(f"--balance must be {EXAMPLE}, each above 0; got {balance}")
        if factors.setdefault(name.strip(), factor) != factor:
            raise OptionError(f"--balance gives {name.strip()} twice")
    return factors


def tile_weights(tiles: Sequence[Tile], factors: Mapping[str, float]) -> Tensor:
    """Return how often each tile is drawn, (N,) float64 with a mean of 1, in proportion to what its pixels count."""
    counted = [sum(share * factors.get(name, 1.0) for name, share in tile.shares.items()) for tile in tiles]
    weights = torch.tensor(counted, dtype=torch.float64).clamp(min=1e-6)  # a tile without any class, too
    return weights / weights.mean()


def weighted_order(weights: Tensor, count: int, generator: torch.Generator) -> list[int]:
    """Return `count` indices in random order, each as often as its share of the weights (N,) says, up to one.

    Systematic sampling: an index with w of the whole W occurs ⌊count·w/W⌋ or ⌈count·w/W⌉ times.
    """
    edges = weights.cumsum(0) * (count / weights.sum())
    points = torch.arange(count, dtype=torch.float64) + torch.rand(1, generator=generator, dtype=torch.float64)
    chosen = torch.searchsorted(edges, points, right=True).clamp(max=len(weights) - 1)
    order: list[int] = chosen[torch.randperm(count, generator=generator)].tolist()
    return order
