"""Crops of tiles for training: whole tiles enlarged and cropped as in pix2pix, or random parts at their own resolution.

What is drawn depends on a generator alone. Images and maps that belong together get the same crops.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

JITTER = 286 / 256
"""pix2pix resizes to 286, then crops 256: the same ratio at any size (512: 572)."""

MIN_STEPS = 100
"""An epoch of random crops has at least this many steps: on a few tiles, validating would take longer than training."""

Crop = tuple[int, int, bool]
"""A crop: first row, first column, and whether it is flipped left to right."""


def enlarge(pixels: Tensor, size: int) -> Tensor:
    """Resize to `size` px: class indices (N, S, S) by nearest neighbour, colours (N, 3, S, S) bilinearly, as float."""
    if pixels.ndim == 3:
        nearest = F.interpolate(pixels[:, None].float(), size=(size, size), mode="nearest-exact")
        return nearest[:, 0].to(pixels.dtype)
    return F.interpolate(pixels.float(), size=(size, size), mode="bilinear", align_corners=False)


class Crops:
    """Draws and takes the crops of a split's tiles.

    Args:
        size: Side of a tile in pixels.
        side: Side in pixels of random parts that are taken without resampling; None for whole tiles, enlarged by
            286/256 and cropped to their size.
        step: Random parts start at multiples of this many pixels.
    """

    def __init__(self, size: int, side: int | None = None, step: int = 1) -> None:
        self.size, self.step = size, step
        self.side = min(side, size) if side else None

    def repeats(self, tiles: int, per_step: int) -> int:
        """Return how many crops of each tile are in an epoch of `tiles` tiles and `per_step` crops a step."""
        if self.side is None:
            return 1
        return max((self.size // self.side) ** 2, -(-MIN_STEPS * per_step // tiles))

    def steps(self, tiles: int, per_step: int) -> int:
        """Return the number of complete steps in an epoch of `tiles` tiles and `per_step` crops a step."""
        return max(1, tiles * self.repeats(tiles, per_step) // per_step)

    def batch_size(self, wanted: int, tiles: int, processes: int) -> int:
        """Return how many crops a process takes in a step: of whole tiles, no more than there are."""
        return wanted if self.side else max(1, min(wanted, tiles // processes))

    def draw(self, count: int, generator: torch.Generator) -> list[Crop]:
        """Draw a crop of each of `count` tiles."""
        margin = (self.size - self.side) if self.side else round(self.size * JITTER) - self.size
        rows, cols = (torch.randint(0, margin // self.step + 1, (2, count), generator=generator) * self.step).tolist()
        flips = torch.randint(0, 2, (count,), generator=generator).tolist()
        return list(zip(rows, cols, map(bool, flips), strict=True))

    def take(self, pixels: Tensor, crops: Sequence[Crop], coarseness: int = 1) -> Tensor:
        """Take a crop of each tile: colours (N, 3, S, S), or class indices (N, S, S); see `enlarge`.

        Random parts may be taken of tiles whose pixels are `coarseness` times as large: that divides side and step.
        """
        side = (self.side or self.size) // coarseness
        tiles = pixels if self.side else enlarge(pixels, round(self.size * JITTER))
        parts = []
        for tile, (row, col, flip) in zip(tiles, crops, strict=True):
            top, left = row // coarseness, col // coarseness
            part = tile[..., top : top + side, left : left + side]
            parts.append(part.flip(-1) if flip else part)
        return torch.stack(parts)

    def richer(
        self, maps: Tensor, one: Sequence[Crop], other: Sequence[Crop], factors: Tensor | None = None
    ) -> list[Crop]:
        """Choose, for each map of class indices, one of two crops, so that rare classes are seen more often.

        It is the one with more even classes, or, if `factors` (256,) says how much a pixel of each class counts, the
        one whose pixels count more.
        """
        measure = _entropy if factors is None else lambda part: float(factors[part.flatten().long()].sum())
        found = [[measure(part) for part in self.take(maps, crops)] for crops in (one, other)]
        return [a if of_a >= of_b else b for a, b, of_a, of_b in zip(one, other, *found, strict=True)]


def _entropy(indices: Tensor) -> float:
    shares = torch.bincount(indices.flatten().long(), minlength=1).double() / indices.numel()
    return float(torch.special.entr(shares).sum())
