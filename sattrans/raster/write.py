"""Writing rasters whole or not at all."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError

from sattrans.errors import RasterError
from sattrans.files import atomic
from sattrans.palette import Palette
from sattrans.raster.georeference import Georeference

LOSSLESS = {"compress": "zstd", "zstd_level": 1}
"""ZSTD level 1: eight times cheaper than level 9 for the same size, on orthophotos with predictor 2."""


def write_tile(
    path: Path,
    pixels: NDArray[np.uint8],
    georeference: Georeference,
    palette: Palette | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Write a small GeoTIFF atomically: `pixels` (3, H, W) as red, green, blue, or (H, W) as one band.

    A `palette` becomes the colour table of a one-band raster. Raises `RasterError`.
    """
    bands = pixels if pixels.ndim == 3 else pixels[np.newaxis]
    count, height, width = bands.shape
    with atomic(path) as part:
        try:
            with rasterio.open(
                part,
                "w",
                driver="GTiff",
                dtype="uint8",
                count=count,
                height=height,
                width=width,
                crs=georeference.rasterio_crs,
                transform=georeference.affine if georeference.known else None,
                interleave="pixel",
                predictor=2 if count == 3 else 1,
                **LOSSLESS,
            ) as dst:
                dst.write(bands)
                if palette:
                    dst.write_colormap(1, palette.colormap)
                if tags:
                    dst.update_tags(**tags)
        except RasterioError as error:
            raise RasterError(f"{path} cannot be written: {error}") from error
