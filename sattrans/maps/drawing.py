"""Drawing the features of a vector file on a grid, as classes: what vector maps and vector labels have in common."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from sattrans.maps.features import FeatureStore
from sattrans.maps.rules import Rules
from sattrans.raster.rasterize import rasterize
from sattrans.raster.window import Window


@dataclass(frozen=True)
class Drawing:
    """Features drawn by rules.

    Attributes:
        store: The features, in pixels of the grid.
        rules: The rules, in the order of drawing.
        index_of_class: The class index of each class of the rules.
        metres: The side of a pixel.
    """

    store: FeatureStore
    rules: Rules
    index_of_class: Mapping[str, int]
    metres: float

    @property
    def background(self) -> int:
        """The class index of pixels without a feature."""
        return self.index_of_class[self.rules.background]

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Return class indices (H, W) of a window of the grid."""
        margin = math.ceil(max(rule.width or 0.0 for rule in self.rules.rules) / self.metres / 2) + 1
        height, width = window.height + 2 * margin, window.width + 2 * margin
        shapes = self.store.shapes(Window(window.row - margin, window.col - margin, height, width))
        pixels = np.full((window.height, window.width), self.background, np.uint8)
        for number in sorted(shapes):
            rule = self.rules.rules[number]
            self._draw(pixels, shapes[number], self.index_of_class[rule.land_class], rule.width, window)
        return pixels

    def _draw(
        self, pixels: NDArray[np.uint8], shapes: NDArray[np.object_], index: int, width: float | None, window: Window
    ) -> None:
        is_area = shapely.get_dimensions(shapes) == 2
        rasterize(shapes[is_area], index, pixels, window)
        lines_and_points = shapes[~is_area]
        pixel_width = (width or 0.0) / self.metres
        if pixel_width >= 1:
            rasterize(shapely.buffer(lines_and_points, pixel_width / 2, quad_segs=4), index, pixels, window)
        else:
            rasterize(lines_and_points[shapely.get_dimensions(lines_and_points) == 1], index, pixels, window)
