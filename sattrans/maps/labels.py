"""Vector labels of an image: drawn by rules on the image's own grid, as its map."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sattrans.errors import RasterError
from sattrans.maps.drawing import Drawing
from sattrans.maps.features import FeatureStore, match_layers
from sattrans.maps.ogr import FORMATS, layers_of, other_format, vector_files
from sattrans.maps.rules import Rules
from sattrans.raster.alignment import Grid
from sattrans.raster.gsd import measure_gsd
from sattrans.raster.palette import RGB, LandClass, Palette, distinct_colors
from sattrans.raster.window import Window

USUAL_COLORS: dict[str, RGB] = {
    "background": (0, 0, 0),
    "building": (97, 74, 74),
    "woodland": (38, 115, 0),
    "water": (0, 197, 255),
    "road": (207, 207, 207),
}


def palette_of_rules(rules: Rules) -> Palette:
    """Return the classes of rules: values from 0, in the usual order and colours if these are the usual classes."""
    usual = set(rules.classes) <= set(USUAL_COLORS)
    names = [name for name in USUAL_COLORS if name in rules.classes] if usual else rules.classes
    colors = [USUAL_COLORS[name] for name in names] if usual else distinct_colors(len(names))
    pairs = zip(names, colors, strict=True)
    return Palette(tuple(LandClass(value, name, color) for value, (name, color) in enumerate(pairs)))


class VectorLabels:
    """The labels of an image, with the methods of a map that tiles are cut from."""

    def __init__(self, path: Path, rules: Rules, palette: Palette, grid: Grid) -> None:
        files = vector_files(path)
        if not files:
            raise RasterError(other_format(path) or f"{path} is not a vector file; --rules draw {FORMATS}")
        metres = measure_gsd(grid.georeference, grid.height, grid.width)
        if metres is None:
            raise RasterError(f"{path}: the image has no CRS or no transform, so its labels cannot be drawn; add it")
        sources = [source for source in match_layers(rules, layers_of(files), str(path)) if source.layer.extent]
        index_of_class = {name: palette.names.index(name) for name in rules.classes}
        self._drawing = Drawing(FeatureStore(sources, grid, str(path)), rules, index_of_class, min(metres))
        self._window = Window(0, 0, grid.height, grid.width)

    def count(self) -> int:
        """Return how many features the rules select near the image."""
        return sum(self._drawing.store.summarize(self._window).selected.values())

    def read_with_mask(self, window: Window) -> tuple[NDArray[np.uint8], None]:
        """Return class indices (H, W), and that all pixels are valid."""
        return self._drawing.read(window), None
