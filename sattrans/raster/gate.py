"""What GDAL says about an open raster is checked before anything is read: sizes, blocks, CRS and transform."""

from pathlib import Path

import numpy as np
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from sattrans.errors import RasterError
from sattrans.raster.georeference import Georeference, names_a_file
from sattrans.raster.tile_formats import FORMATS, READ

SEQUENTIAL_DRIVERS = {spec.driver for spec in READ if spec is not FORMATS["tif"]}
"""Drivers that decode a file from the top, whatever window is read."""

MAX_BLOCK_BYTES = 1 << 30
"""The largest block that GDAL may decode at once. A huge raster in tiles or strips can be read in parts; one in
a single block would have to fit into memory, as a decompression bomb would."""

MAX_SEQUENTIAL_PIXELS = 2_000_000_000
"""The most pixels of a raster that is decoded from the top."""

SUSPECT_BYTES = 1 << 27
"""Bytes from which a block, or a raster that is decoded from the top, is compared with its file's size."""

MAX_RATIO = 500
"""How many times its size in the file such a block may be; zlib cannot do more than 1030 times."""

MIN_SIDE, MAX_COORDINATE = 1e-9, 1e12
"""The shortest side of a pixel and the largest coordinate, in any unit."""


def check_sizes(name: str, src: DatasetReader, path: Path) -> None:
    """Raise `RasterError` if reading a part of a raster would take more memory or time than any real one does.

    Args:
        name: What messages call it.
        src: The open raster.
        path: Its file; the size is compared with that of its pixels.
    """
    if src.dtypes[0].startswith("complex"):
        raise RasterError(
            f"{name} has {src.dtypes[0]} pixels, but images and maps have real numbers; convert it first, such as to "
            "its amplitude"
        )
    itemsize = np.dtype(src.dtypes[0]).itemsize
    if src.driver in SEQUENTIAL_DRIVERS:
        pixels = src.width * src.height
        if pixels > MAX_SEQUENTIAL_PIXELS or _is_bomb(path, pixels * src.count * itemsize // 4):
            raise RasterError(
                f"{name} declares {src.width} wide × {src.height} high as {src.driver}, too large to decode; convert "
                "it to a tiled GeoTIFF"
            )
        return
    rows, cols = src.block_shapes[0]
    bands = src.count if str(src.profile.get("interleave")) == "pixel" else 1
    size = rows * cols * bands * itemsize
    if size > MAX_BLOCK_BYTES or _is_bomb(path, size):
        raise RasterError(
            f"{name} has blocks of {cols} wide × {rows} high with {bands} bands, which take {size >> 20} MiB each, too "
            "large to decode; convert it to a tiled GeoTIFF"
        )


def _is_bomb(path: Path, size: int) -> bool:
    return size > SUSPECT_BYTES and path.is_file() and size > MAX_RATIO * path.stat().st_size


def check_place(name: str, crs: CRS | None, transform: Affine) -> Georeference:
    """Return where a raster lies. Raises `RasterError` if its transform or its CRS cannot be used."""
    numbers = np.array(transform[:6], np.float64)
    if not np.isfinite(numbers).all():
        raise RasterError(f"{name} has a geotransform with NaN or infinite numbers; repair it first")
    if transform.is_degenerate:
        raise RasterError(f"{name} has a geotransform that maps all pixels to a line or point; repair it first")
    sides = np.hypot(numbers[[0, 1]], numbers[[3, 4]])
    if sides.min() < MIN_SIDE or np.abs(numbers).max() > MAX_COORDINATE:
        raise RasterError(
            f"{name} has pixels of {sides[0]:g} × {sides[1]:g} at {numbers[2]:g}, {numbers[5]:g}, which lie nowhere; "
            "repair its geotransform first"
        )
    try:
        georeference = Georeference.of(crs, transform)
        if georeference.crs:
            CRS.from_wkt(georeference.crs)
    except RasterioError as error:
        raise RasterError(f"{name} has a CRS that PROJ cannot read; assign it again, as with gdal_edit.py") from error
    if georeference.crs and names_a_file(georeference.crs):
        raise RasterError(f"{name} has a CRS that needs a grid file; assign one by its code: gdal_edit.py -a_srs")
    return georeference
