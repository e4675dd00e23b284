"""Estimate the memory and disk space that a mosaic needs."""

from dataclasses import dataclass
from pathlib import Path

from sattrans.mosaic.layout import ChunkJoiner
from sattrans.raster.cog.disk_space import disk_space_left, disk_space_needed
from sattrans.raster.cog.options import CreationOptions
from sattrans.raster.cog.overviews import BLOCK, CHUNK_WIDTH
from sattrans.raster.geotiff import encode_geotiff
from sattrans.raster.open import CACHE_MEGABYTES, gdal_session
from sattrans.raster.window import Window

BASE = 110_000_000
"""Memory of Python and its libraries, in bytes."""

SAMPLES = 5
"""Number of blocks of the mosaic that are encoded to estimate the compression ratio."""


@dataclass(frozen=True, slots=True)
class MosaicEstimate:
    """What a mosaic needs, in bytes.

    Attributes:
        memory: Peak memory.
        disk: Disk space while the mosaic is written.
        free: Free disk space.
    """

    memory: int
    disk: int
    free: int


def estimate(joiner: ChunkJoiner, output: Path, creation: CreationOptions, workers: int) -> MosaicEstimate:
    """Estimate what a mosaic needs. Sample blocks are encoded only if the uncompressed size might not fit."""
    layout = joiner.layout
    free = disk_space_left(output)
    uncompressed = disk_space_needed(layout, 1, creation)
    if uncompressed < free // 4:
        disk = uncompressed
    else:
        disk = disk_space_needed(layout, _compression_ratio(joiner, creation), creation)
    pixels = min(CHUNK_WIDTH, layout.width) * min(BLOCK, layout.height)
    float_bytes = 4 * (layout.count + 1) if joiner.averages else 0  # sums of the bands, and of the weights
    chunk_bytes = pixels * (layout.bands * 4 + float_bytes)  # 4: a chunk, encoded, its tiles, its first overview
    overview_bytes = layout.width * BLOCK * layout.bands
    return MosaicEstimate(int(BASE + (CACHE_MEGABYTES << 20) + workers * chunk_bytes + overview_bytes), disk, free)


def _compression_ratio(joiner: ChunkJoiner, creation: CreationOptions) -> float:
    """Return encoded size / pixel size, 0 to 1, of a few blocks along the diagonal, with a margin of a tenth."""
    height, width = joiner.layout.height, joiner.layout.width
    raw = encoded = 0
    for number in range(SAMPLES):
        row, col = (int(size * (number + 0.5) / SAMPLES) // BLOCK * BLOCK for size in (height, width))
        with gdal_session(files_only=True):
            pixels = joiner.join(Window(row, col, min(BLOCK, height - row), min(BLOCK, width - col)))
        profile = creation.profile(photo=joiner.layout.colormap is None)
        raw += pixels.size
        encoded += len(encode_geotiff(pixels, tiled=True, blockxsize=BLOCK, blockysize=BLOCK, **profile))
    return min(1.0, 1.1 * encoded / raw)
