"""File formats of tiles: GeoTIFF, PNG and JPEG, each as the bytes of an image and of a map."""

import io
import zlib
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from sattrans.errors import RasterError
from sattrans.raster.georeference import Georeference
from sattrans.raster.open import quiet
from sattrans.raster.palette import RGB, Palette
from sattrans.utils.atomic import put

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


Pixels = NDArray[np.uint8]

STRIP_ROWS = 256
"""GDAL's own strips are of 8 kB; encoding so many takes a quarter longer, and class maps a fifth more room."""

JPEG_QUALITY = 95
"""As OpenCV writes where it is not told: the quality of LandCover.ai's own tiles."""

PNG_LEVEL = 1
"""The fastest: on orthophotos higher levels take several times as long and save a few per cent."""


@dataclass(frozen=True, slots=True)
class Format:
    """How tiles are written: suffixes, and functions from pixels to bytes.

    `image` takes red, green, blue (3, H, W). `class_map` takes class values (H, W), whether some are
    `Palette.nodata`, and the palette, which becomes the colour table. A map that is a picture goes by `picture`.
    """

    image_suffix: str
    map_suffix: str
    image: Callable[[Pixels, Georeference], bytes]
    picture: Callable[[Pixels, Georeference], bytes]
    class_map: Callable[[Pixels, Georeference, Palette, bool], bytes]


def _tif_picture(rgb: Pixels, place: Georeference) -> bytes:
    # Band after band: as small as pixel by pixel, and encoded in half the time.
    return encode(rgb, predictor=2, interleave="band", **_laid_out(rgb, place))


def _tif_map(values: Pixels, place: Georeference, palette: Palette, partial: bool) -> bytes:
    nodata = palette.nodata if partial else None
    return encode(values[np.newaxis], palette.colormap, predictor=1, nodata=nodata, **_laid_out(values, place))


def _laid_out(pixels: Pixels, place: Georeference) -> dict[str, Any]:
    strip = min(STRIP_ROWS, pixels.shape[-2])
    return {"crs": place.rasterio_crs, "transform": place.affine if place.known else None, "blockysize": strip}


def _png_picture(rgb: Pixels, place: Georeference) -> bytes:
    return _saved(_pillow(rgb), "PNG", compress_level=PNG_LEVEL)


def _png_map(values: Pixels, place: Georeference, palette: Palette, partial: bool) -> bytes:
    picture = Image.fromarray(np.ascontiguousarray(values))
    table = np.zeros((256, 3), np.uint8)
    table[list(palette.values)] = palette.colors
    count = max(*palette.values, palette.nodata if partial else 0) + 1
    picture.putpalette(table[:count].tobytes())
    # GDAL takes the one value that is wholly transparent for nodata.
    hole = {"transparency": palette.nodata} if partial else {}
    # Runs of a class are all there is to compress; four bits a pixel halve the work.
    fast = {"compress_level": PNG_LEVEL, "compress_type": zlib.Z_RLE, "bits": 4 if count <= 16 else 8}
    return _saved(picture, "PNG", **fast, **hole)


def _jpg_picture(rgb: Pixels, place: Georeference) -> bytes:
    return _saved(_pillow(rgb), "JPEG", quality=JPEG_QUALITY)


def _pillow(rgb: Pixels) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(np.moveaxis(rgb, 0, -1)))


def _saved(picture: Image.Image, kind: str, **settings: Any) -> bytes:
    data = io.BytesIO()
    picture.save(data, kind, **settings)
    return data.getvalue()


FORMATS: dict[str, Format] = {
    "tif": Format(".tif", ".tif", _tif_picture, _tif_picture, _tif_map),
    "png": Format(".png", ".png", _png_picture, _png_picture, _png_map),
    # A map is never JPEG: it would blur the classes.
    "jpg": Format(".jpg", ".png", _jpg_picture, _png_picture, _png_map),
}
