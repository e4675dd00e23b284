"""Reading an image: which bands are red, green and blue, as 8-bit pixels, and which pixels hold anything."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sattrans.errors import OptionError, RasterError
from sattrans.raster.open import Raster
from sattrans.raster.scale import Scale
from sattrans.raster.window import Window
from sattrans.utils.console import counted


def image_bands(image: Raster, chosen: Sequence[int] | None, scaled: bool = False) -> tuple[int, int, int]:
    """Return the three band numbers that hold red, green and blue: those chosen, or 1, 2, 3.

    A single band stands for all three. Raises `OptionError` for numbers that are not there and `RasterError`
    for pixels that are not 8 bits deep and not to be `scaled`, or are numbers of a colour table.
    """
    if image.dtype != "uint8" and not scaled:
        raise RasterError(
            f"{image.path} holds {image.dtype} pixels, 8-bit ones are needed: say which values become black and "
            "white, such as --scale 0,3000 or --scale 2%,98%"
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
        raise OptionError(f"--bidx names {counted(len(chosen), 'band')}: three are needed, for red, green and blue")
    if not all(1 <= number <= image.bands for number in chosen):
        raise OptionError(f"--bidx {','.join(map(str, chosen))}: {image.path} has bands 1 to {image.bands}")
    red, green, blue = chosen
    return red, green, blue


def read_image(
    image: Raster, window: Window, bands: Sequence[int], scale: Scale | None = None, interleaved: bool = False
) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
    """Return red, green, blue, (3, H, W), and which pixels hold anything, (H, W), None where all do.

    `interleaved` as in `Raster.read`.
    """
    grey = len(set(bands)) == 1
    pixels = image.read(window, bands[:1] if grey else bands, interleaved)
    valid = read_valid(image, window, pixels)
    rgb = scale(pixels) if scale else pixels.astype(np.uint8, copy=False)
    return rgb.repeat(3, axis=0) if grey else rgb, valid


def read_valid(image: Raster, window: Window, pixels: NDArray[np.generic]) -> NDArray[np.bool_] | None:
    """Return which pixels of a window hold anything, shape (H, W), or None where nothing says that any do not.

    By the alpha band where there is one, else by the nodata value: a pixel is empty where every band has it.
    One with a band that is no number (NaN, infinite) is empty, too.
    """
    valid: NDArray[np.bool_] | None = None
    if image.alpha_band is not None:
        valid = image.read(window, [image.alpha_band])[0] != 0
    elif image.nodata is not None and not np.isnan(image.nodata):
        valid = (pixels != image.nodata).any(axis=0)
    if pixels.dtype.kind == "f":
        numbers = np.isfinite(pixels).all(axis=0)
        valid = numbers if valid is None else valid & numbers
    return valid


def read_values(image: Raster, window: Window, bands: Sequence[int]) -> NDArray[np.generic]:
    """Return the values of the pixels that hold anything, of all `bands`, one after the other, as they are."""
    pixels = image.read(window, list(dict.fromkeys(bands)))
    valid = read_valid(image, window, pixels)
    return (pixels if valid is None else pixels[:, valid]).reshape(-1)


def to_uint8(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Round to grey levels 0 to 255."""
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
