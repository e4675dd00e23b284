"""What a large image will need of memory and of disk, reckoned before it is begun."""

import os
from dataclasses import dataclass
from pathlib import Path

from sattrans.generate.flat_field import HELPERS
from sattrans.generate.flat_field_fit import MEMORY, bytes_of
from sattrans.generate.windows import Plan
from sattrans.raster.cog.writer import BLOCK, PANEL

START = 500_000_000
"""Bytes that Python and PyTorch take before anything is done, where the system does not say."""

BESIDE = 40_000_000
"""Bytes that libraries take when they are first used."""

CONTEXT = 500_000_000
"""Bytes, about, that a GPU's libraries take of the machine's memory."""

LOADED, HELD = 3, 1.3
"""Times its weights that a network takes while it is loaded, and from then on: layers' are brought to other layouts."""

MAPS = 1.6
"""What a batch takes, in maps of the network's width at full size: in the models that come along, at the most."""

SUMS, FIELD, FINDING, TAKING = 48, 24, 140, 100
"""Of a flat field, bytes a pixel of a window: a class's sums, and its field; room to find one, and to take it out."""


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes of memory, about; and bytes of disk at the most, while it is written."""

    memory: int
    disk: int


def memory_of(plan: Plan, bands: int, weights: int, batch_size: int, width: int, classes: int, gpu: bool) -> int:
    """Return about how many bytes of memory this process takes at the most, an image of `bands` bands made.

    `weights` are the generator's parameters, `width` its channels at full size, `classes` those that have a flat field.
    What the process takes already, PyTorch and all, is asked of the system; the rest is reckoned from above.
    """
    held = HELD * weights * 4 + batch_size * plan.size**2 * MAPS * width * 4
    held += min(MEMORY, plan.windows * bytes_of(plan.size)) if classes else 0
    look = plan.size**2 * (classes * SUMS + HELPERS * FINDING) if classes else 0
    across = min(PANEL, plan.width) + 2 * plan.size
    rows = BLOCK + 2 * plan.size + 2 * plan.halo
    kept = 4 * across * 3 * (1 + (plan.layers - 1) / plan.cell**2)  # of a row of pixels
    write = 2 * rows * kept  # sums: twice, once more while rows are let go
    write += plan.size * kept + 4 * BLOCK * across * (bands + 12)  # a strip; pieces
    write += plan.size**2 * (classes * FIELD + HELPERS * TAKING) if classes else 0
    beside = BESIDE + (CONTEXT if gpu else 0)
    return int(_taken() + beside + max(LOADED * weights * 4, held + look, held + write))


def _taken() -> int:
    """Return how many bytes of memory this process takes by now, as Linux says it."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return START
    return pages * os.sysconf("SC_PAGE_SIZE")
