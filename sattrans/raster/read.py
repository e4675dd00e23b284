"""Reading an image and its map on one grid: bands, alignment, and pixels that hold nothing."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sattrans.errors import AlignmentError, OptionError, RasterError
from sattrans.grid import Window
from sattrans.raster.gate import Raster

TOLERANCE = 0.01
"""How far apart, in pixels, the corners of image and map may lie and still be the same grid."""


def check_aligned(image: Raster, map_: Raster) -> None:
    """Raise `AlignmentError`, saying what differs, unless both lie on one grid.

    Sizes must be equal; corners must agree to a hundredth of a pixel; CRSs must have the same parameters.
    Where one of the two has no CRS, or no georeference at all, the other's is taken for both.
    """
    both = f"{image.path} and {map_.path}"
    if (image.height, image.width) != (map_.height, map_.width):
        raise AlignmentError(
            f"{both} differ in size: {image.width} wide × {image.height} high against "
            f"{map_.width} × {map_.height}; resample one onto the other's grid first"
        )
    one, other = image.georeference, map_.georeference
    if not one.known or not other.known:
        return
    if one.rasterio_crs and other.rasterio_crs and one.rasterio_crs != other.rasterio_crs:
        raise AlignmentError(f"{both} have different coordinate reference systems; reproject one onto the other")
    if one.affine.is_identity or other.affine.is_identity:
        return
    corners = ((0, 0), (image.width, 0), (0, image.height))
    to_image = ~one.affine @ other.affine
    shifts = [np.subtract(to_image @ corner, corner) for corner in corners]
    worst = max(shifts, key=lambda shift: float(np.abs(shift).max()))
    if np.abs(worst).max() > TOLERANCE:
        raise AlignmentError(
            f"{both} lie on different grids: the map is off by {worst[0]:+.2f} columns and {worst[1]:+.2f} rows; "
            "warp it onto the image's grid first"
        )


def image_bands(image: Raster, chosen: Sequence[int] | None) -> tuple[int, int, int]:
    """Return the three band numbers that hold red, green and blue: those chosen, or 1, 2, 3.

    A single band stands for all three. Raises `OptionError` for numbers that are not there and `RasterError`
    for pixels that are not 8 bits deep, or numbers of a colour table.
    """
    if image.dtype != "uint8":
        raise RasterError(
            f"{image.path} holds {image.dtype} pixels, 8-bit ones are needed: scale it first, "
            "such as with gdal_translate -ot Byte -scale"
        )
    if image.colormap():
        raise RasterError(
            f"{image.path} holds numbers of a colour table, red, green and blue are needed: expand it first, "
            "such as with gdal_translate -expand rgb"
        )
    if chosen is None:
        data_bands = image.bands - (image.alpha_band is not None)
        return (1, 2, 3) if data_bands >= 3 else (1, 1, 1)
    if len(chosen) != 3:
        raise OptionError(f"--bidx names {len(chosen)} bands: three are needed, for red, green and blue")
    if not all(1 <= number <= image.bands for number in chosen):
        raise OptionError(f"--bidx {','.join(map(str, chosen))}: {image.path} has bands 1 to {image.bands}")
    red, green, blue = chosen
    return red, green, blue


def read_rgb(image: Raster, window: Window, bands: Sequence[int]) -> NDArray[np.uint8]:
    """Return red, green, blue, shape (3, H, W)."""
    if len(set(bands)) == 1:
        pixels = image.read(window, bands[:1]).repeat(3, axis=0)
    else:
        pixels = image.read(window, bands)
    return pixels.astype(np.uint8, copy=False)


def read_valid(image: Raster, window: Window, pixels: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
    """Return which pixels of a window hold anything, shape (H, W), or None where nothing says that any do not.

    By the alpha band where there is one, else by the nodata value (a pixel is empty where every band has it).
    """
    if image.alpha_band is not None:
        opaque: NDArray[np.bool_] = image.read(window, [image.alpha_band])[0] != 0
        return opaque
    if image.nodata is not None:
        valid: NDArray[np.bool_] = (pixels != image.nodata).any(axis=0)
        return valid
    return None
