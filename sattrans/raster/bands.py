"""Reading an image: which bands are red, green and blue, their 8-bit pixels, and which pixels are valid."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sattrans.errors import OptionError, RasterError
from sattrans.raster.open import Raster
from sattrans.raster.scale import Scale
from sattrans.raster.window import Window
from sattrans.utils.console import pluralize


def rgb_bands(image: Raster, bidx: Sequence[int] | None, scaled: bool = False) -> tuple[int, int, int]:
    """Return the numbers of the red, green and blue band: `bidx`, or 1, 2, 3; a single band stands for all three.

    Args:
        image: The open image.
        bidx: Three band numbers, counted from 1; None for the default.
        scaled: Whether pixels are scaled to 8 bits after reading, so that any depth is allowed.

    Raises:
        OptionError: if `bidx` does not name three bands of the image.
        RasterError: if pixels are not 8 bits deep and not `scaled`, or are indices of a colour table.
    """
    if image.dtype != "uint8" and not scaled:
        raise RasterError(
            f"{image.path} has {image.dtype} pixels, not 8-bit ones; give the values that become black and white, such "
            "as --scale 0,3000 or --scale 2%,98%"
        )
    if image.colormap():
        raise RasterError(
            f"{image.path} has a colour table instead of red, green and blue bands; expand it first, such as with "
            "gdal_translate -expand rgb"
        )
    if bidx is None:
        data_bands = image.bands - (image.alpha_band is not None)
        return (1, 2, 3) if data_bands >= 3 else (1, 1, 1)
    if len(bidx) != 3:
        raise OptionError(f"--bidx names {pluralize(len(bidx), 'band')}; give three, for red, green and blue")
    if not all(1 <= number <= image.bands for number in bidx):
        raise OptionError(f"--bidx {','.join(map(str, bidx))}: {image.path} has bands 1 to {image.bands}")
    red, green, blue = bidx
    return red, green, blue


def read_image(
    image: Raster, window: Window, bands: Sequence[int], scale: Scale | None = None, interleaved: bool = False
) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
    """Return red, green, blue, (3, H, W), and which pixels are valid, (H, W), or None if all are.

    `interleaved` as in `Raster.read`.
    """
    is_grey = len(set(bands)) == 1
    pixels = image.read(window, bands[:1] if is_grey else bands, interleaved)
    valid = read_valid_mask(image, window, pixels)
    rgb = scale(pixels) if scale else pixels.astype(np.uint8, copy=False)
    return rgb.repeat(3, axis=0) if is_grey else rgb, valid


def read_valid_mask(image: Raster, window: Window, pixels: NDArray[np.generic]) -> NDArray[np.bool_] | None:
    """Return which pixels of a window are valid, shape (H, W), or None if the raster declares neither alpha nor nodata.

    An alpha band decides, if there is one; else a pixel is invalid if every band has the nodata value. A pixel with a
    band that is NaN or infinite is invalid, too.
    """
    valid: NDArray[np.bool_] | None = None
    if image.alpha_band is not None:
        valid = image.read(window, [image.alpha_band])[0] != 0
    elif image.nodata is not None and not np.isnan(image.nodata):
        valid = (pixels != image.nodata).any(axis=0)
    if pixels.dtype.kind == "f":
        finite = np.isfinite(pixels).all(axis=0)
        valid = finite if valid is None else valid & finite
    return valid


def read_values(image: Raster, window: Window, bands: Sequence[int]) -> NDArray[np.generic]:
    """Return the values of the valid pixels of all `bands` in one flat array."""
    pixels = image.read(window, list(dict.fromkeys(bands)))
    valid = read_valid_mask(image, window, pixels)
    return (pixels if valid is None else pixels[:, valid]).reshape(-1)


def to_uint8(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Round and clip to grey levels 0 to 255."""
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
