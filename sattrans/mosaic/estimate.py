"""What a mosaic will need: memory, and room on the disk."""

from dataclasses import dataclass
from pathlib import Path

from sattrans.mosaic.layout import Work
from sattrans.raster.cog.disk_space import room_left, room_needed
from sattrans.raster.cog.options import Creation
from sattrans.raster.cog.overviews import BLOCK, PANEL
from sattrans.raster.open import CACHE_MEGABYTES, session
from sattrans.raster.tile_formats import encode
from sattrans.raster.window import Window

BASE = 110_000_000
"""Bytes that Python and its libraries take."""

SAMPLES = 5
"""Pieces of the mosaic that are made to see how small they become."""


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes: of memory, of disk while it is written, and those that the disk has."""

    memory: int
    disk: int
    free: int


def need_of(work: Work, output: Path, creation: Creation, workers: int) -> Need:
    """Return what a mosaic needs, estimated: of the disk by encoding samples, unless there is room in any case."""
    layout = work.layout
    free = room_left(output)
    most = room_needed(layout, 1, creation)
    disk = most if most < free // 4 else room_needed(layout, _ratio(work, creation), creation)
    pixels = min(PANEL, layout.width) * min(BLOCK, layout.height)
    floats = 0 if work.method in ("first", "last") else 4 * (layout.count + 1)
    each = pixels * (layout.bands * 4 + floats)  # the piece, encoded, its parts, its half; sums and weights
    halves = layout.width * BLOCK * layout.bands
    return Need(int(BASE + (CACHE_MEGABYTES << 20) + workers * each + halves), disk, free)


def _ratio(work: Work, creation: Creation) -> float:
    """Return what encoding leaves of the pixels, 0 to 1, by a few blocks from all over, and a tenth more."""
    height, width = work.layout.height, work.layout.width
    raw = encoded = 0
    for number in range(SAMPLES):
        row, col = (int(size * (number + 0.5) / SAMPLES) // BLOCK * BLOCK for size in (height, width))
        with session(files_only=True):
            pixels = work.joined(Window(row, col, min(BLOCK, height - row), min(BLOCK, width - col)))
        profile = creation.profile(photo=work.layout.colormap is None)
        raw += pixels.size
        encoded += len(encode(pixels, tiled=True, blockxsize=BLOCK, blockysize=BLOCK, **profile))
    return min(1.0, 1.1 * encoded / raw)
