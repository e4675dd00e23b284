"""Disk space: how much a large raster takes while it is written, and whether so much is free."""

import shutil
from pathlib import Path

from sattrans.errors import RasterError
from sattrans.raster.cog.options import CreationOptions
from sattrans.raster.cog.overviews import GROWTH
from sattrans.raster.cog.writer import Layout
from sattrans.utils.atomic import part_of


def disk_space_needed(layout: Layout, ratio: float, creation: CreationOptions | None = None) -> int:
    """Return the most bytes that a raster takes while it is written.

    Chunks and the complete file exist at the same time, and a third copy if GDAL has to encode the file.

    Args:
        layout: The raster.
        ratio: Size of encoded pixels relative to uint8 pixels.
        creation: How the raster is encoded.
    """
    copies = 3 if (creation or CreationOptions()).by_gdal else 2
    return int(layout.height * layout.width * layout.bands * GROWTH * ratio * copies)


def disk_space_left(output: Path) -> int:
    """Return the bytes available on the disk of `output`, including those of its interrupted writing."""
    folder = next(parent for parent in output.absolute().parents if parent.exists())
    part = part_of(output)
    used = sum(path.stat().st_size for path in part.iterdir() if path.is_file()) if part.is_dir() else 0
    return shutil.disk_usage(folder).free + used


def check_disk_space(output: Path, needed: int) -> None:
    """Raise `RasterError` if the disk has fewer than `needed` bytes."""
    left = disk_space_left(output)
    if left < needed:
        raise RasterError(
            f"{output} needs about {format_bytes(needed)} while it is written, but its disk has {format_bytes(left)}; "
            "free some space, or choose an output on another disk"
        )


def format_bytes(size: float) -> str:
    """Return a number of bytes in a unit of three digits at most, such as "1.5 GB"."""
    units = ["bytes", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        del units[0]
    return f"{size:.0f} {units[0]}" if units[0] == "bytes" or size >= 100 else f"{size:.1f} {units[0]}"
