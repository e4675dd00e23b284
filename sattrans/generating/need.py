"""What a large image will need of memory and of disk, reckoned before it is begun."""

from dataclasses import dataclass

from sattrans.generating.plan import Plan
from sattrans.generating.repeats import MEMORY, bytes_of
from sattrans.raster.rows import BLOCK, PANEL

START = 500_000_000
"""Bytes that Python and PyTorch take before anything is done."""


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes of memory, about; and bytes of disk at the most, while it is written."""

    memory: int
    disk: int


def memory_of(plan: Plan, bands: int, weights: int, batch_size: int, width: int) -> int:
    """Return about how many bytes of memory an image of `bands` bands takes at the most.

    `weights` are the generator's parameters, `width` its channels at full size: what a batch takes is about sixteen
    maps of these.
    """
    across = min(PANEL, plan.width) + 2 * plan.size
    rows = BLOCK + 2 * plan.size + 2 * plan.halo
    sums = 2 * rows * across * 3 * plan.layers * 4  # twice: once more while rows are let go
    strip = plan.size * across * 3 * plan.layers * 4
    pieces = 4 * BLOCK * across * (bands + 12)
    batch = batch_size * plan.size**2 * 16 * width * 4
    kept = min(MEMORY, plan.windows * bytes_of(plan.size))
    return START + 3 * weights * 4 + sums + strip + pieces + batch + kept
