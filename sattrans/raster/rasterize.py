"""Drawing shapes into pixels: the classes of vector maps, and the outline of an area."""

from collections.abc import Iterable

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio import features

from sattrans.raster.window import Window


def rasterize(shapes: Iterable[shapely.Geometry], value: int, pixels: NDArray[np.uint8], window: Window) -> None:
    """Set pixels to `value` if their centres lie in a shape, or a line passes through them.

    Args:
        shapes: Geometries in the pixels of a grid, with columns as x and rows as y.
        value: The value to set.
        pixels: (H, W), changed in place.
        window: Where `pixels` lie in the grid.
    """
    pairs = [(shape, value) for shape in shapes if not shapely.is_empty(shape)]
    if pairs:
        features.rasterize(pairs, out=pixels, transform=Affine.translation(window.col, window.row))
