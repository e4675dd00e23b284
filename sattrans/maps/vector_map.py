"""Vector maps as a run reads them: drawn by rules on a grid of metres, window by window."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from sattrans.errors import ClassesError, OptionError, RasterError
from sattrans.maps.class_mapping import rule_classes
from sattrans.maps.crop import SLACK, cut, told_area
from sattrans.maps.features import FeatureStore, fit
from sattrans.maps.gsd import Metres, parse_res
from sattrans.maps.ogr import Layer, layers_of
from sattrans.maps.options import MapOptions
from sattrans.maps.rules import read_rules
from sattrans.raster.alignment import Grid
from sattrans.raster.aoi import parse_bounds, read_aoi
from sattrans.raster.georeference import WGS84, Georeference, name_of_crs, reproject, utm_of
from sattrans.raster.gsd import ground_pixel
from sattrans.raster.palette import UNKNOWN, Palette
from sattrans.raster.rasterize import burn
from sattrans.raster.window import Window
from sattrans.utils.console import counted
from sattrans.utils.hashing import fingerprint


def drawing_grid(layers: Sequence[Layer], metres: float, path: str, options: MapOptions) -> Grid:
    """Return a grid of pixels of `metres` over all layers: in the first one's CRS, or in UTM where that is in degrees.

    They are as large as told in the middle of what `options` ask for, which also decides the zone. The grid's corner
    lies on a whole number of pixels.
    """
    if not layers:
        raise RasterError(f"{path} holds no feature with a geometry in the layers that the rules mean")
    middle = _middle(layers[0], options)
    own = layers[0].crs or WGS84
    crs = own
    if Georeference(crs, (1, 0, 0, 0, -1, 0)).degrees:
        degrees = reproject(middle, own, WGS84)
        if degrees is None or np.abs(degrees[0, 1]) > 90:
            raise RasterError(f"{path} lies beyond the poles: its coordinates are no degrees")
        crs = utm_of(*degrees[0].tolist())
    corners = []
    for layer in layers:
        edge = shapely.get_coordinates(shapely.segmentize(shapely.box(*(layer.extent or ())), _step(layer.extent)))
        points = reproject(edge, layer.crs, crs)
        if points is None:
            raise RasterError(
                f"{path}: layer {layer.name} reaches further than {name_of_crs(crs)}: cut it, or reproject it"
            )
        corners.append(points)
    (left, bottom), (right, top) = np.vstack(corners).min(axis=0), np.vstack(corners).max(axis=0)
    there = reproject(middle, own, crs)
    unit = None if there is None else ground_pixel(Georeference(crs, (1, 0, there[0, 0], 0, -1, there[0, 1])), 0, 0)
    if unit is None:
        raise RasterError(f"{path}: {name_of_crs(crs)} does not tell how long its units are: reproject it")
    wide, high = metres / unit[0], metres / unit[1]
    first_col, first_row = math.floor(left / wide + SLACK), math.ceil(top / high - SLACK)
    width, height = math.ceil(right / wide - SLACK) - first_col, first_row - math.floor(bottom / high + SLACK)
    place = Georeference(crs, (wide, 0, first_col * wide, 0, -high, first_row * high))
    return Grid(max(1, height), max(1, width), place)


def _middle(layer: Layer, options: MapOptions) -> NDArray[np.float64]:
    """Return the middle of what is asked for, (1, 2), in a layer's CRS."""
    box: shapely.Geometry = shapely.box(*(layer.extent or (0.0, 0.0, 0.0, 0.0)))
    asked = None
    if options.bounds:
        asked = shapely.get_coordinates(shapely.envelope(parse_bounds(options.bounds).geometry))
    elif options.aoi:
        area = read_aoi(options.aoi)
        asked = reproject(shapely.get_coordinates(shapely.envelope(area.geometry)), area.crs or layer.crs, layer.crs)
    if asked is not None:
        part = shapely.intersection(box, shapely.envelope(shapely.MultiPoint(asked)))
        box = box if shapely.is_empty(part) else part
    return shapely.get_coordinates(shapely.centroid(shapely.envelope(box)))


def _step(extent: tuple[float, float, float, float] | None) -> float:
    left, bottom, right, top = extent or (0.0, 0.0, 1.0, 1.0)
    return max(right - left, top - bottom, 1e-9) / 16


MOST_SIDE = 1_000_000
"""The longest side of a drawn map in pixels: 250 km at a quarter of a metre. Memory grows with the width."""


class VectorMap:
    """A vector map, drawn in classes of `palette` while it is read. See `Map` for what it offers.

    Memory is bounded by the features that meet a window, but for GeoJSON, which is read whole.
    """

    def __init__(
        self, path: Path, files: Sequence[Path], palette: Palette | None, options: MapOptions, run: Metres | None
    ) -> None:
        if palette is None:
            raise OptionError(
                f"{path} is a vector map, which gives classes, and the run was trained on pictures: give it one"
            )
        if options.rules is None:
            raise OptionError(
                f"{path} is a vector map: --rules says which feature makes which class: a rule file, or osm for "
                "extracts of OpenStreetMap"
            )
        self.path, self.palette = str(path), palette
        self.rules = read_rules(options.rules)
        metres = _metres(options, run)
        self._indices, self._class_notices = self._classes(options)
        sources = [source for source in fit(self.rules, layers_of(files), self.path) if source.layer.extent]
        whole = drawing_grid([source.layer for source in sources], metres, self.path, options)
        part = cut(self.path, whole, options, sources[0].layer.crs, free=True)
        self._whole, self._part = whole, part
        self.height, self.width = part.window.height, part.window.width
        self.georeference = whole.georeference.at(part.window)
        if max(self.height, self.width) > MOST_SIDE:
            raise OptionError(
                f"{path} would be {self.width} wide × {self.height} high at {metres:g} m, over {MOST_SIDE}: cut it "
                "with --bounds, or take a coarser --res"
            )
        self._metres = metres
        self._store = FeatureStore(sources, whole, self.path)
        self._found: list[str] = []
        self._drawn = f"{path}: drawn at {metres:g} m in {name_of_crs(self.georeference.crs or '')}"
        self.identity: Mapping[str, Any] = {
            "map": [path.name, self.width, self.height, fingerprint(_beside(files))],
            "res": metres,
            **told_area(options),
            "classes": dict(options.classes),
            "rules": f"{self.rules.name} ({self.rules.digest})",
        }

    @property
    def partial(self) -> bool:
        """Whether pixels may hold nothing."""
        return self._part.outline is not None or self._background == UNKNOWN

    @property
    def notices(self) -> list[str]:
        """What a user should know about how the map was taken."""
        return [self._drawn, *self._part.notices, *self._class_notices, *self._found]

    def check(self) -> None:
        """Look through all features once. Raises `ClassesError` where the rules mean none of them."""
        window = self._part.window
        all_of_it = (window.height, window.width) == (self._whole.height, self._whole.width)
        found = self._store.look(None if all_of_it else window)
        if not sum(found.meant.values()):
            layers = ", ".join(source.layer.name for source in self._store.sources)
            raise ClassesError(f"{self.path}: --rules {self.rules.name} mean no feature of it (layers {layers})")
        counts = {"without geometry left out": found.bare, "with invalid geometry mended": found.mended}
        self._found = [f"{self.path}: {counted(count, 'feature')} {what}" for what, count in counts.items() if count]

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Return class indices (H, W), `UNKNOWN` where nothing is."""
        there = self._there(window)
        reach = math.ceil(max(rule.width or 0.0 for rule in self.rules.rules) / self._metres / 2) + 1
        around = Window(there.row - reach, there.col - reach, there.height + 2 * reach, there.width + 2 * reach)
        pixels = np.full((window.height, window.width), self._background, np.uint8)
        shapes = self._store.shapes(around)
        for place in sorted(shapes):
            rule = self.rules.rules[place]
            self._paint(pixels, shapes[place], self._indices[rule.land_class], rule.width, there)
        if self._part.outline is not None:
            pixels[~self._part.inside(window)] = UNKNOWN
        return pixels

    def valid(self, window: Window) -> NDArray[np.bool_]:
        """Return which pixels hold anything, (H, W)."""
        if not self.partial:
            return np.ones((window.height, window.width), bool)
        valid: NDArray[np.bool_] = self.read(window) != UNKNOWN
        return valid

    def _paint(
        self, pixels: NDArray[np.uint8], shapes: NDArray[np.object_], index: int, width: float | None, there: Window
    ) -> None:
        areas = shapely.get_dimensions(shapes) == 2
        burn(shapes[areas], index, pixels, there)
        thin = shapes[~areas]
        wide = (width or 0.0) / self._metres
        if wide >= 1:
            burn(shapely.buffer(thin, wide / 2, quad_segs=4), index, pixels, there)
        else:
            burn(thin[shapely.get_dimensions(thin) == 1], index, pixels, there)

    def _there(self, window: Window) -> Window:
        corner = self._part.window
        return Window(corner.row + window.row, corner.col + window.col, window.height, window.width)

    @property
    def _background(self) -> int:
        return self._indices[self.rules.background]

    def _classes(self, options: MapOptions) -> tuple[dict[str, int], list[str]]:
        """Return the class index of each class that the rules name, and what to say of those the run lacks."""
        told = rule_classes(options.classes, self.rules.classes, self.palette)
        painted = {rule.land_class for rule in self.rules.rules}
        if all(told[name] is None for name in painted):
            raise ClassesError(
                f"--rules {self.rules.name} paint {', '.join(sorted(painted))}, and the run has none of these classes "
                f"but {self.palette}: say which is which, such as --map {sorted(painted)[0]}={self.palette.values[-1]}"
            )
        background = told[self.rules.background]
        nothing = UNKNOWN if background is None else background
        notices = []
        lacking = sorted(name for name in painted if told[name] is None)
        if lacking:
            notices.append(f"the run has no class {', '.join(lacking)}: drawn as background")
        if background is None:
            notices.append(
                f"the run has no class {self.rules.background}: what no rule means is transparent; --map "
                f"{self.rules.background}={self.palette.values[0]} takes a class for it"
            )
        return {name: nothing if index is None else index for name, index in told.items()}, notices


def _metres(options: MapOptions, run: Metres | None) -> float:
    if options.res == "native":
        raise OptionError("--res native: a vector map has no pixels, give metres")
    metres = parse_res(options.res) or (run[0] if run else None)
    if metres is None:
        raise OptionError("--res is needed for a vector map: the run does not tell the resolution it was trained at")
    return metres


def _beside(files: Sequence[Path]) -> list[Path]:
    """Return the files of a vector map with those that belong to them: a shapefile is several."""
    parts = [part for file in files if file.suffix.lower() == ".shp" for part in file.parent.glob(f"{file.stem}.*")]
    return sorted({*files, *(part for part in parts if part.suffix.lower() in (".dbf", ".prj", ".shx", ".cpg"))})
