"""Writing rasters whole or not at all."""

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from sattrans.errors import RasterError
from sattrans.files import put
from sattrans.palette import RGB, Palette
from sattrans.raster.georeference import Georeference
from sattrans.raster.quiet import quiet

LOSSLESS = {"compress": "zstd", "zstd_level": 1}
"""ZSTD level 1: eight times cheaper than level 9 for the same size, on orthophotos with predictor 2."""


def encode(
    pixels: NDArray[np.uint8] | tuple[int, int, int],
    colormap: Mapping[int, RGB] | None = None,
    tags: Mapping[str, str] | None = None,
    **profile: Any,
) -> bytes:
    """Return the bytes of a lossless GeoTIFF of `pixels` (bands, H, W), or of one of this shape without any.

    They are for Python to write: GDAL, or rasterio, does not say that the disk was full when a file is closed,
    and a small tile is only written then.
    """
    shape = pixels if isinstance(pixels, tuple) else pixels.shape
    count, height, width = shape
    profile = {**profile, "driver": "GTiff", "dtype": "uint8", "count": count, "height": height, "width": width}
    with MemoryFile() as memory:
        with quiet() if profile.get("transform") is None else nullcontext():
            dst = memory.open(**{"interleave": "pixel", **LOSSLESS, **profile})
        with dst:
            if not isinstance(pixels, tuple):
                dst.write(pixels)
            if colormap:
                dst.write_colormap(1, dict(colormap))
            if tags:
                dst.update_tags(**tags)
        return bytes(memory.getbuffer())


def write_tile(
    path: Path,
    pixels: NDArray[np.uint8],
    georeference: Georeference,
    palette: Palette | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Write a small GeoTIFF atomically: `pixels` (3, H, W) as red, green, blue, or (H, W) as one band.

    A `palette` becomes the colour table of a one-band raster. Raises `RasterError`, and `OSError` where the disk
    takes no more.
    """
    bands = pixels if pixels.ndim == 3 else pixels[np.newaxis]
    try:
        data = encode(
            bands,
            palette.colormap if palette else None,
            tags,
            crs=georeference.rasterio_crs,
            transform=georeference.affine if georeference.known else None,
            predictor=2 if len(bands) == 3 else 1,
        )
    except RasterioError as error:
        raise RasterError(f"{path} cannot be written: {error}") from error
    put(path, data)
