"""Small GeoTIFFs, encoded in memory and written atomically."""

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from sattrans.errors import RasterError
from sattrans.raster.georeference import Georeference, suppress_warnings
from sattrans.raster.palette import RGB, Palette
from sattrans.utils.atomic import put

LOSSLESS = {"compress": "zstd", "zstd_level": 1}
"""ZSTD level 1: eight times cheaper than level 9 for the same size, on orthophotos with predictor 2."""


def encode_geotiff(
    pixels: NDArray[np.uint8] | tuple[int, int, int],
    colormap: Mapping[int, RGB] | None = None,
    tags: Mapping[str, str] | None = None,
    **profile: Any,
) -> bytes:
    """Return the bytes of a lossless GeoTIFF.

    Python writes them, since neither GDAL nor rasterio reports a disk that is full when a file is closed, which is
    when a small file is written.

    Args:
        pixels: (bands, H, W), or this shape for a GeoTIFF without pixels.
        colormap: Colour table of a one-band GeoTIFF.
        tags: Metadata items.
        profile: Further creation options of rasterio, such as `crs`, `transform` or `compress`.
    """
    count, height, width = pixels if isinstance(pixels, tuple) else pixels.shape
    profile = {**profile, "driver": "GTiff", "dtype": "uint8", "count": count, "height": height, "width": width}
    with MemoryFile() as memory:
        with suppress_warnings() if profile.get("transform") is None else nullcontext():
            dst = memory.open(**{"interleave": "pixel", **LOSSLESS, **profile})
        with dst:
            if not isinstance(pixels, tuple):
                dst.write(pixels)
            if colormap:
                dst.write_colormap(1, dict(colormap))
            if tags:
                dst.update_tags(**tags)
        return bytes(memory.getbuffer())


def write_geotiff(
    path: Path,
    pixels: NDArray[np.uint8],
    georeference: Georeference,
    palette: Palette | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Write a small GeoTIFF atomically.

    Args:
        path: The file to write.
        pixels: (3, H, W) for red, green, blue, or (H, W) for one band.
        georeference: Where it lies.
        palette: The classes of a one-band GeoTIFF, which become its colour table.
        tags: Metadata items.

    Raises:
        RasterError: if GDAL cannot encode the pixels.
        OSError: if the file cannot be written, such as on a full disk.
    """
    bands = pixels if pixels.ndim == 3 else pixels[np.newaxis]
    try:
        data = encode_geotiff(
            bands,
            palette.colormap if palette else None,
            tags,
            crs=georeference.rasterio_crs,
            transform=georeference.affine if georeference.known else None,
            predictor=2 if len(bands) == 3 else 1,
        )
    except RasterioError as error:
        raise RasterError(f"cannot write {path}: {error}") from error
    put(path, data)
