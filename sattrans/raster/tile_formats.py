"""File formats of tiles: one table that the options of `sattrans tile`, its writer and the readers are derived from.

To add a format, add its name to `TileFormat` and an entry to `FORMATS`. Heavy imports are inside the functions, since
the command line reads this module for its choices.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from sattrans.raster.georeference import Georeference
    from sattrans.raster.palette import Palette

    Pixels = NDArray[np.uint8]

TileFormat = Literal["tif", "png", "jpg"]
"""The names of the formats, which are the values of `--format`."""

STRIP_ROWS = 256
"""GDAL's default strips have 8 kB: encoding so many takes a quarter longer, and class maps become a fifth larger."""

JPEG_QUALITY = 95
"""The default of OpenCV, and so the quality of LandCover.ai's own tiles."""

PNG_LEVEL = 1
"""The fastest: on orthophotos, higher levels take several times as long and save a few per cent."""


@dataclass(frozen=True, slots=True)
class ReadFormat:
    """How files of a format are recognised and read.

    Attributes:
        title: The format's name in messages.
        driver: The GDAL driver that reads an image of this format.
        magic: The first bytes of such a file; several if the format has variants.
        suffixes: Suffixes of such a file; images are written with the first one.
    """

    title: str
    driver: str
    magic: tuple[bytes, ...]
    suffixes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FormatSpec(ReadFormat):
    """How tiles of a format are written and read.

    Attributes:
        map_suffix: The suffix that maps are written with.
        is_picture: Whether files have no georeference, are encoded pixel by pixel and decoded from the top.
        encode_image: From red, green, blue (3, H, W) and georeference to bytes.
        encode_picture: The same for a map that is a picture.
        encode_class_map: From class values (H, W), georeference, palette and whether some pixels are
            `Palette.nodata` to bytes. The palette becomes the colour table.
    """

    map_suffix: str
    is_picture: bool
    encode_image: Callable[[Pixels, Georeference], bytes]
    encode_picture: Callable[[Pixels, Georeference], bytes]
    encode_class_map: Callable[[Pixels, Georeference, Palette, bool], bytes]

    @property
    def image_suffix(self) -> str:
        """The suffix that images are written with."""
        return self.suffixes[0]


def _encode_tif(rgb: Pixels, georeference: Georeference) -> bytes:
    from sattrans.raster.geotiff import encode_geotiff

    # Interleaved by band: as small as interleaved by pixel, and encoded in half the time.
    return encode_geotiff(rgb, predictor=2, interleave="band", **_tif_profile(rgb, georeference))


def _encode_tif_map(values: Pixels, georeference: Georeference, palette: Palette, has_nodata: bool) -> bytes:
    from sattrans.raster.geotiff import encode_geotiff

    nodata = palette.nodata if has_nodata else None
    profile = _tif_profile(values, georeference)
    return encode_geotiff(values.reshape(1, *values.shape), palette.colormap, predictor=1, nodata=nodata, **profile)


def _tif_profile(pixels: Pixels, georeference: Georeference) -> dict[str, Any]:
    return {
        "crs": georeference.rasterio_crs,
        "transform": georeference.affine if georeference.known else None,
        "blockysize": min(STRIP_ROWS, pixels.shape[-2]),
    }


def _encode_png(rgb: Pixels, georeference: Georeference) -> bytes:
    return _save(_to_pillow(rgb), "PNG", compress_level=PNG_LEVEL)


def _encode_png_map(values: Pixels, georeference: Georeference, palette: Palette, has_nodata: bool) -> bytes:
    import numpy as np
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(values))
    table = np.zeros((256, 3), np.uint8)
    table[list(palette.values)] = palette.colors
    count = max(*palette.values, palette.nodata if has_nodata else 0) + 1
    image.putpalette(table[:count].tobytes())
    # GDAL reads a single value that is fully transparent as nodata.
    transparency = {"transparency": palette.nodata} if has_nodata else {}
    # Run-length encoding compresses classes as well as other methods, and four bits per pixel halve its work.
    fast = {"compress_level": PNG_LEVEL, "compress_type": zlib.Z_RLE, "bits": 4 if count <= 16 else 8}
    return _save(image, "PNG", **fast, **transparency)


def _encode_jpg(rgb: Pixels, georeference: Georeference) -> bytes:
    return _save(_to_pillow(rgb), "JPEG", quality=JPEG_QUALITY)


def _to_pillow(rgb: Pixels) -> Image.Image:
    import numpy as np
    from PIL import Image

    return Image.fromarray(np.ascontiguousarray(np.moveaxis(rgb, 0, -1)))


def _save(image: Image.Image, kind: str, **settings: Any) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **settings)
    return data.getvalue()


FORMATS: dict[TileFormat, FormatSpec] = {
    "tif": FormatSpec(
        title="GeoTIFF",
        driver="GTiff",
        magic=(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),  # little- and big-endian TIFF, then BigTIFF
        suffixes=(".tif", ".tiff"),
        map_suffix=".tif",
        is_picture=False,
        encode_image=_encode_tif,
        encode_picture=_encode_tif,
        encode_class_map=_encode_tif_map,
    ),
    "png": FormatSpec(
        title="PNG",
        driver="PNG",
        magic=(b"\x89PNG\r\n\x1a\n",),
        suffixes=(".png",),
        map_suffix=".png",
        is_picture=True,
        encode_image=_encode_png,
        encode_picture=_encode_png,
        encode_class_map=_encode_png_map,
    ),
    "jpg": FormatSpec(
        title="JPEG",
        driver="JPEG",
        magic=(b"\xff\xd8\xff",),
        suffixes=(".jpg", ".jpeg"),
        map_suffix=".png",  # JPEG would blur the classes
        is_picture=True,
        encode_image=_encode_jpg,
        encode_picture=_encode_png,
        encode_class_map=_encode_png_map,
    ),
}

READ_ONLY = (
    ReadFormat(
        "JPEG 2000",
        "JP2OpenJPEG",
        (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),  # the second: a codestream without a container
        (".jp2",),
    ),
    ReadFormat("WebP", "WEBP", (b"RIFF",), (".webp",)),
    ReadFormat("BMP", "BMP", (b"BM",), (".bmp",)),
)
"""Formats that are only read."""

READ: tuple[ReadFormat, ...] = (*FORMATS.values(), *READ_ONLY)
"""Formats that are read."""

IMAGE_SUFFIXES = tuple(suffix for spec in READ for suffix in spec.suffixes)
"""Suffixes of rasters in a folder. A file's format is known from its first bytes."""

READABLE = ", ".join(spec.title for spec in READ[:-1]) + f" or {READ[-1].title}"
"""The formats that are read, for messages."""
