"""Reading an image: which bands are red, green and blue, their 8-bit pixels, and which pixels are valid."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sattrans.errors import OptionError, RasterError
from sattrans.raster.open import Raster
from sattrans.raster.scale import Scale
from sattrans.raster.validity import OPAQUE, read_valid
from sattrans.raster.window import Window
from sattrans.utils.console import pluralize

Bands = tuple[int, int, int]
"""The numbers of the red, green and blue band, counted from 1."""

BIDX = "--bidx"
"""The option that names an image's bands."""

COLORS = ("red", "green", "blue")

UNNAMED = {"undefined", "gray", "alpha", "palette"}
"""What a file says of a band without saying which colour it is."""


@dataclass(frozen=True, slots=True)
class BandChoice:
    """The bands of an image that are red, green and blue, and what to tell the user if there was a choice."""

    bands: Bands
    notice: str = ""


def choose_bands(image: Raster, bidx: Sequence[int] | None = None, option: str = "") -> BandChoice:
    """Choose the bands for red, green and blue: `bidx`, or what the file says, or the first three.

    A single band stands for all three; alpha bands are left out. If the file says what its bands are, but not which
    of them are red, green and blue, nothing is guessed.

    Args:
        image: The open image.
        bidx: Three band numbers, counted from 1; None for the file's own.
        option: The option that names bands, for messages; empty if there is none.

    Raises:
        OptionError: if `bidx` does not name three bands of the image.
        RasterError: if the file names its bands, and they are not red, green and blue.
    """
    if bidx is not None:
        if len(bidx) != 3:
            raise OptionError(f"--bidx names {pluralize(len(bidx), 'band')}; give three, for red, green and blue")
        if not all(1 <= number <= image.bands for number in bidx):
            raise OptionError(f"--bidx {','.join(map(str, bidx))}: {image.path} has bands 1 to {image.bands}")
        red, green, blue = bidx
        return BandChoice((red, green, blue))
    said = image.band_colors
    data = [number for number, color in enumerate(said, 1) if color != "alpha"]
    if len(data) == 1:
        return BandChoice((data[0], data[0], data[0]))
    found = [[number for number in data if said[number - 1] == color] for color in COLORS]
    if all(len(numbers) == 1 for numbers in found):
        (red,), (green,), (blue,) = found
        chosen = red, green, blue
    elif {said[number - 1] for number in data} - UNNAMED:
        example = ",".join(map(str, [*data, data[0]][:3]))
        remedy = (
            f"name three, such as {option} {example}" if option else "label them (rio edit-info --colorinterp 1=red)"
        )
        raise RasterError(
            f"{image.path} has bands {', '.join(said)}, of which not one each is red, green and blue; {remedy}"
        )
    else:
        chosen = (data[0], data[1], data[2]) if len(data) >= 3 else (data[0], data[0], data[0])
    if chosen == tuple(data):
        return BandChoice(chosen)
    taken = ", ".join(map(str, dict.fromkeys(chosen)))
    what = "are taken as red, green and blue" if len(set(chosen)) == 3 else "is taken as grey"
    others = f" ({option} takes others)" if option else ""
    return BandChoice(chosen, f"{image.path} has bands {', '.join(said)}: {taken} {what}{others}")


def rgb_bands(image: Raster, bidx: Sequence[int] | None, scaled: bool = False) -> Bands:
    """Return the bands that `choose_bands` chooses, of an image that can be read as one.

    Args:
        image: The open image.
        bidx: Three band numbers, counted from 1; None for the file's own.
        scaled: Whether pixels are scaled to 8 bits after reading, so that any depth is allowed.

    Raises:
        OptionError: if `bidx` does not name three bands of the image.
        RasterError: if pixels are not 8 bits deep and not `scaled`, or if it is unclear which bands are meant.
    """
    if image.white_is_zero and (image.table is None or image.dtype != "uint8"):
        raise RasterError(
            f"{image.path} stores white as 0 (MINISWHITE), so it would be read as a negative; invert it first, or save "
            "it as a PNG"
        )
    if image.table is not None:
        _check_table(image, bidx, scaled)
    elif image.dtype != "uint8" and not scaled:
        raise RasterError(
            f"{image.path} has {image.dtype} pixels, not 8-bit ones; give the values that become black and white, such "
            "as --scale 0,3000 or --scale 2%,98%"
        )
    elif image.bits < 8 and not scaled:
        raise RasterError(
            f"{image.path} has {image.bits}-bit pixels, which would be nearly black; give the values that become black "
            f"and white, such as --scale 0,{2**image.bits - 1}"
        )
    return choose_bands(image, bidx, BIDX).bands


def _check_table(image: Raster, bidx: Sequence[int] | None, scaled: bool) -> None:
    if image.dtype != "uint8":
        raise RasterError(
            f"{image.path} has a colour table of {image.dtype} indices, and 8-bit ones are read; expand it first, such "
            "as with gdal_translate -expand rgb"
        )
    if bidx is not None or scaled:
        option = BIDX if bidx is not None else "--scale"
        raise OptionError(f"{option}: {image.path} has one band, of indices of a colour table; leave the option out")


def read_image(
    image: Raster, window: Window, bands: Sequence[int], scale: Scale | None = None, interleaved: bool = False
) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
    """Return red, green, blue, (3, H, W), and which pixels are valid, (H, W), or None if all are.

    Indices of a colour table become its colours.
    `interleaved` as in `Raster.read`.
    """
    is_grey = len(set(bands)) == 1
    pixels = image.read(window, bands[:1] if is_grey else bands, interleaved)
    valid = read_valid_mask(image, window, pixels)
    table = image.table if is_grey else None
    if table is not None:
        shown = table[pixels[0].astype(np.uint8, copy=False)]
        opaque = shown[..., 3] >= OPAQUE
        colors = np.moveaxis(shown[..., :3], -1, 0)
        return colors, opaque if valid is None else valid & opaque
    rgb = scale(pixels) if scale else pixels.astype(np.uint8, copy=False)
    return rgb.repeat(3, axis=0) if is_grey else rgb, valid


def read_valid_mask(image: Raster, window: Window, pixels: NDArray[np.generic]) -> NDArray[np.bool_] | None:
    """Return which pixels of a window are valid, shape (H, W), or None if all are; see `raster.validity`."""
    return read_valid(image, window, pixels, image.nodata)


def read_values(image: Raster, window: Window, bands: Sequence[int]) -> NDArray[np.generic]:
    """Return the values of the valid pixels of all `bands` in one flat array."""
    pixels = image.read(window, list(dict.fromkeys(bands)))
    valid = read_valid_mask(image, window, pixels)
    return (pixels if valid is None else pixels[:, valid]).reshape(-1)


def to_uint8(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Round and clip to grey levels 0 to 255."""
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
