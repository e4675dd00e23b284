"""Estimate the memory and disk space that generating an image takes, before it begins."""

import os
from dataclasses import dataclass
from pathlib import Path

from sattrans.generate.windows import WindowPlan
from sattrans.raster.cog.writer import BLOCK, CHUNK_WIDTH
from sattrans.runs.flat_field import THREADS

START = 500_000_000
"""Bytes of memory that Python and PyTorch take at the start, if the system does not tell."""

LIBRARIES = 70_000_000
"""Bytes that libraries take when they are first used."""

CONTEXT = 500_000_000
"""Bytes of main memory that the libraries of a GPU take, approximately."""

LOADED, HELD = 3, 1.3
"""Memory of a network as a multiple of its weights: while it is loaded, and later, when layers have other layouts."""

MAPS = 1.6
"""Memory of a batch, in feature maps of the network's width at full size: the maximum over the built-in models."""

FIELD, CORRECTING = 24, 100
"""Bytes per window pixel of a flat field: the field of a class, and buffers to subtract it."""


@dataclass(frozen=True, slots=True)
class GenerateEstimate:
    """Estimated bytes.

    Args:
        memory: Peak memory of this process, approximately.
        disk: Disk space while the image is written, at most.
    """

    memory: int
    disk: int


def estimate_memory(
    plan: WindowPlan, bands: int, weights: int, batch_size: int, width: int, classes: int, gpu: bool
) -> int:
    """Return the peak memory of this process in bytes, approximately and rather too high.

    Args:
        plan: The windows.
        bands: Bands of the image, alpha included.
        weights: Parameters of the generator.
        batch_size: Windows in a batch.
        width: Channels of the generator at full size.
        classes: Classes that may have a flat field; 0 without one.
        gpu: Whether the generator runs on a GPU.
    """
    held = HELD * weights * 4 + batch_size * plan.seen**2 * MAPS * width * 4
    across = min(CHUNK_WIDTH, plan.width) + 2 * plan.size
    rows = BLOCK + 2 * plan.size + 2 * plan.halo
    kept = 4 * across * 3 * (1 + (plan.layers - 1) / plan.cell**2)  # one row of pixels
    write = 2 * rows * kept  # the sums, and a copy while rows are freed
    write += plan.size * kept + 4 * BLOCK * across * (bands + 12)  # a row of windows; chunks
    write += plan.size**2 * (classes * FIELD + THREADS * CORRECTING) if classes else 0
    libraries = LIBRARIES + (CONTEXT if gpu else 0)
    return int(_resident_bytes() + libraries + max(LOADED * weights * 4, held + write))


def _resident_bytes() -> int:
    """Return the resident memory of this process in bytes, as Linux reports it."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return START
    return pages * os.sysconf("SC_PAGE_SIZE")
