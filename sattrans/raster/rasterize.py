"""Shapes burnt into pixels: the classes that vector maps draw, and the outline of an area."""

from collections.abc import Iterable

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize

from sattrans.raster.window import Window


def burn(shapes: Iterable[shapely.Geometry], value: int, pixels: NDArray[np.uint8], window: Window) -> None:
    """Set `pixels` (H, W), which are `window` of a grid, to `value` where their centres lie in a shape.

    Shapes are in the grid's pixels, columns for x and rows for y. Of a line all pixels that it passes are set.
    """
    pairs = [(shape, value) for shape in shapes if not shapely.is_empty(shape)]
    if pairs:
        rasterize(pairs, out=pixels, transform=Affine.translation(window.col, window.row))
