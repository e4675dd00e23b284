"""Room on a disk: what a large raster will take while it is written, and whether there is as much."""

import shutil
from pathlib import Path

from sattrans.errors import RasterError
from sattrans.raster.cog.options import Creation
from sattrans.raster.cog.writer import Layout
from sattrans.utils.atomic import part_of

OVERVIEWS = 4 / 3
"""How much a raster grows by its overviews."""


def room_needed(layout: Layout, ratio: float, creation: Creation | None = None) -> int:
    """Return how many bytes a raster takes at the most while it is written; `ratio` is what encoding leaves of it.

    Its pieces and the whole are there at the same time; with options that need GDAL's own encoder, a third copy.
    """
    copies = 3 if (creation or Creation()).by_gdal else 2
    return int(layout.height * layout.width * layout.bands * OVERVIEWS * ratio * copies)


def room_left(output: Path) -> int:
    """Return how many bytes the disk that `output` will lie on has, what was written of it before counted in."""
    folder = next(parent for parent in output.absolute().parents if parent.exists())
    written = part_of(output)
    own = sum(path.stat().st_size for path in written.iterdir() if path.is_file()) if written.is_dir() else 0
    return shutil.disk_usage(folder).free + own


def check_room(output: Path, needed: int) -> None:
    """Raise `RasterError` where the disk has less than is needed."""
    left = room_left(output)
    if left < needed:
        raise RasterError(
            f"{output} needs about {said(needed)} while it is written, and its disk has {said(left)}: make room, or "
            "give an output on another disk"
        )


def said(size: float) -> str:
    """Return a number of bytes as a person would say it."""
    units = ["bytes", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        del units[0]
    return f"{size:.0f} {units[0]}" if units[0] == "bytes" or size >= 100 else f"{size:.1f} {units[0]}"
