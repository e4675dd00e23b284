"""Reference images: parts of an image whose style a run takes."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sattrans.data.batches import to_target
from sattrans.errors import OptionError
from sattrans.raster.bands import choose_bands, read_image
from sattrans.raster.open import gdal_session, open_raster
from sattrans.raster.window import Window

ALONG_A_SIDE = 4
"""At most so many parts are taken along a side, evenly spread."""

LEAST_SIDE = 32
"""Side in pixels of the smallest image that has a style."""


def reference_parts(path: Path, size: int) -> Tensor:
    """Read squares of an image that hold data throughout.

    Args:
        path: An image of three 8-bit bands, or with a colour table.
        size: Side of the squares in pixels; a smaller image gives squares of its own shorter side.

    Returns:
        The squares, (N, 3, side, side) float32 in [-1, 1], at least one.

    Raises:
        OptionError: The image has other bands, is too small, or has no square without nodata.
        RasterError: It cannot be read.
    """
    with gdal_session(), open_raster(path) as image:
        if image.dtype != "uint8":
            raise OptionError(f"--style {path}: it has {image.dtype} pixels; convert it to 8 bits first")
        if image.bands < len("RGB") and image.table is None:
            raise OptionError(f"--style {path}: it has fewer than three bands; give an image of red, green and blue")
        side = min(size, image.height, image.width)
        if side < LEAST_SIDE:
            raise OptionError(
                f"--style {path}: it is {image.width} px wide and {image.height} px high; give at least "
                f"{LEAST_SIDE} px of each"
            )
        bands = choose_bands(image).bands
        parts = []
        for row in _starts(image.height, side):
            for col in _starts(image.width, side):
                pixels, valid = read_image(image, Window(row, col, side, side), bands)
                if valid is None or valid.all():
                    parts.append(np.ascontiguousarray(pixels))
    if not parts:
        raise OptionError(f"--style {path}: each of its squares of {side} px has nodata; give an image without")
    return to_target(torch.from_numpy(np.stack(parts)))


def _starts(length: int, side: int) -> list[int]:
    count = min(ALONG_A_SIDE, length // side)
    return [(length - side) * number // max(1, count - 1) for number in range(count)]
