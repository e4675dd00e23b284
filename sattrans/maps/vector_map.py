"""Vector maps as a run reads them: rasterized by rules on a grid in metres, window by window."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from sattrans.errors import ClassesError, OptionError, RasterError
from sattrans.maps.area import read_area
from sattrans.maps.class_mapping import indices_of_rule_classes
from sattrans.maps.crop import EDGE_TOLERANCE, crop, recorded_area
from sattrans.maps.drawing import Drawing
from sattrans.maps.features import FeatureStore, match_layers, start_with
from sattrans.maps.gsd import TOLERANCE, GsdRange, parse_res
from sattrans.maps.ogr import Box, Layer, layers_of, with_companions
from sattrans.maps.options import MapOptions
from sattrans.maps.rules import read_rules
from sattrans.raster.alignment import Grid
from sattrans.raster.aoi import parse_bounds
from sattrans.raster.georeference import WGS84, Georeference, name_of_crs, reproject, utm_crs
from sattrans.raster.gsd import measure_gsd
from sattrans.raster.palette import UNKNOWN, Palette
from sattrans.raster.window import Window
from sattrans.utils.console import pluralize
from sattrans.utils.hashing import fingerprint

EDGE_POINTS = 17
"""Number of points on each side of an extent that are reprojected."""

MAX_SIDE = 1_000_000
"""The longest side of a vector map in pixels: 250 km at 0.25 m. Memory grows with the width."""


class VectorMap:
    """A vector map that is rasterized, in classes of `palette`, while it is read. See `Map` for its methods.

    Memory is limited by the features in a window, except for GeoJSON, which is read completely.
    """

    enlarged = None

    def __init__(
        self, path: Path, files: Sequence[Path], palette: Palette | None, options: MapOptions, run: GsdRange | None
    ) -> None:
        if palette is None:
            raise OptionError(
                f"{path} is a vector map, which gives classes, but the run needs pictures; give a picture"
            )
        if options.rules is None:
            raise OptionError(
                f"{path} is a vector map and needs --rules, which give each feature a class: a rule file, or osm for "
                "extracts of OpenStreetMap"
            )
        self.path, self.palette = str(path), palette
        self.rules = read_rules(options.rules)
        self._metres = _choose_metres(options, run)
        self._index_of_class, self._class_notices = self._map_classes(options)
        sources = [source for source in match_layers(self.rules, layers_of(files), self.path) if source.layer.extent]
        self._grid = rasterization_grid([source.layer for source in sources], self._metres, self.path, options)
        self._crop = crop(self.path, self._grid, options, sources[0].layer.crs, rounds_up=True)
        self.height, self.width, self.whole = self._crop.window.height, self._crop.window.width, self._crop.whole
        self.georeference = self._grid.georeference.at(self._crop.window)
        if max(self.height, self.width) > MAX_SIDE:
            raise OptionError(
                f"{path} would be {self.width} wide × {self.height} high at {self._metres:g} m, over {MAX_SIDE}; crop "
                "it with --bounds, or use a coarser --res"
            )
        self._store = FeatureStore(sources, self._grid, self.path)
        self._drawing = Drawing(self._store, self.rules, self._index_of_class, self._metres)
        self._feature_notices: list[str] = []
        self.identity: Mapping[str, Any] = {
            "map": [path.name, self.width, self.height, fingerprint(with_companions(files))],
            "res": self._metres,
            **recorded_area(options),
            "classes": dict(options.class_map),
            "rules": f"{self.rules.name} ({self.rules.digest})",
        }

    @property
    def has_nodata(self) -> bool:
        """Whether pixels may be invalid."""
        return self._crop.outline is not None or self._background == UNKNOWN

    @property
    def notices(self) -> list[str]:
        """What the user should know about how the map is read."""
        crs = name_of_crs(self.georeference.crs or "")
        rasterized = f"{self.path}: rasterized at {self._metres:g} m in {crs}"
        return [rasterized, *self._crop.notices, *self._class_notices, *self._feature_notices]

    def check(self) -> None:
        """Read all features once. Raises `ClassesError` if the rules select none of them."""
        window = self._crop.window
        is_complete = (window.height, window.width) == (self._grid.height, self._grid.width)
        summary = self._store.summarize(None if is_complete else window)
        if not sum(summary.selected.values()):
            layers = ", ".join(source.layer.name for source in self._store.sources)
            raise ClassesError(
                f"{self.path}: --rules {self.rules.name} select no feature (layers {layers}); {start_with(self.path)}"
            )
        counts = {
            "without geometry left out": summary.without_geometry,
            "with invalid geometry repaired": summary.repaired,
        }
        self._feature_notices = [
            f"{self.path}: {pluralize(count, 'feature')} {what}" for what, count in counts.items() if count
        ]

    def read(self, window: Window) -> NDArray[np.uint8]:
        """See `Map`."""
        return self._drawing.read(self._crop.to_grid(window))

    def valid(self, window: Window) -> NDArray[np.bool_]:
        """See `Map`."""
        valid = self._crop.inside(window)
        if self._background == UNKNOWN:
            valid &= self.read(window) != UNKNOWN
        return valid

    @property
    def _background(self) -> int:
        return self._index_of_class[self.rules.background]

    def _map_classes(self, options: MapOptions) -> tuple[dict[str, int], list[str]]:
        """Return the class index of each class of the rules, and notices about those that the run lacks."""
        indices = indices_of_rule_classes(options.class_map, self.rules.classes, self.palette)
        drawn = sorted({rule.land_class for rule in self.rules.rules})
        if all(indices[name] is None for name in drawn):
            raise ClassesError(
                f"--rules {self.rules.name} draw {', '.join(drawn)}, none of which is a class of the run, which has "
                f"{self.palette}; map them, such as with --class-map {drawn[0]}={self.palette.values[-1]}"
            )
        background = indices[self.rules.background]
        nodata = UNKNOWN if background is None else background
        notices = []
        missing = [name for name in drawn if indices[name] is None]
        if missing:
            notices.append(f"the run has no class {', '.join(missing)}: drawn as background")
        if background is None:
            notices.append(
                f"the run has no class {self.rules.background}, so pixels without a feature are transparent; "
                f"--class-map {self.rules.background}={self.palette.values[0]} gives them a class"
            )
        return {name: nodata if index is None else index for name, index in indices.items()}, notices


def rasterization_grid(layers: Sequence[Layer], metres: float, path: str, options: MapOptions) -> Grid:
    """Return a grid with pixels of `metres` that covers all layers.

    It is in the CRS of the first layer or, if that is in degrees, in UTM. Pixels have their size in the middle of the
    layer, so that every part of a map has the same grid. If the projection stretches distances too much for one size,
    they have it in the middle of what `options` select. The grid's corner is at a whole number of pixels.
    """
    if not layers:
        raise RasterError(f"{path} has no feature with a geometry in the layers of the rules")
    extent: shapely.Geometry = shapely.box(*(layers[0].extent or (0.0, 0.0, 0.0, 0.0)))
    crs, unit = _projection(layers[0], extent, path)
    selected = _selected(layers[0], options)
    if selected is not None and _is_stretched(layers[0], crs, unit):
        intersection = shapely.intersection(extent, selected)
        crs, unit = _projection(layers[0], extent if shapely.is_empty(intersection) else intersection, path)
    if unit is None:
        raise RasterError(f"{path}: the length of the units of {name_of_crs(crs)} is unknown; reproject it")
    edges = []
    for layer in layers:
        points = reproject(_edge(layer.extent), layer.crs, crs)
        if points is None:
            raise RasterError(
                f"{path}: layer {layer.name} exceeds the area of {name_of_crs(crs)}; crop it, or reproject it"
            )
        edges.append(points)
    (left, bottom), (right, top) = np.vstack(edges).min(axis=0), np.vstack(edges).max(axis=0)
    pixel_width, pixel_height = metres / unit[0], metres / unit[1]
    first_col = math.floor(left / pixel_width + EDGE_TOLERANCE)
    first_row = math.ceil(top / pixel_height - EDGE_TOLERANCE)
    width = math.ceil(right / pixel_width - EDGE_TOLERANCE) - first_col
    height = first_row - math.floor(bottom / pixel_height + EDGE_TOLERANCE)
    transform = (pixel_width, 0, first_col * pixel_width, 0, -pixel_height, first_row * pixel_height)
    return Grid(max(1, height), max(1, width), Georeference(crs, transform))


def _projection(layer: Layer, area: shapely.Geometry, path: str) -> tuple[str, tuple[float, float] | None]:
    """Return the CRS that an area of a layer is drawn in, and the metres of its units in the middle of the area."""
    middle = shapely.get_coordinates(shapely.centroid(shapely.envelope(area)))
    layer_crs = layer.crs or WGS84
    crs = layer_crs
    if Georeference(crs, (1, 0, 0, 0, -1, 0)).degrees:
        degrees = reproject(middle, layer_crs, WGS84)
        if degrees is None or np.abs(degrees[0, 1]) > 90:
            raise RasterError(f"{path} has coordinates that are not degrees: they lie beyond the poles")
        crs = utm_crs(*degrees[0].tolist())
    return crs, _unit(reproject(middle, layer_crs, crs), crs)


def _unit(origin: NDArray[np.float64] | None, crs: str) -> tuple[float, float] | None:
    """Return the metres of a CRS's units, across and down, at a point of it (1, 2); None if they are unknown."""
    if origin is None:
        return None
    return measure_gsd(Georeference(crs, (1, 0, origin[0, 0], 0, -1, origin[0, 1])), 0, 0)


def _is_stretched(layer: Layer, crs: str, unit: tuple[float, float] | None) -> bool:
    """Return whether the units of a CRS differ in length by more than a run tolerates at the corners of a layer."""
    left, bottom, right, top = layer.extent or (0.0, 0.0, 0.0, 0.0)
    for corner in ((left, bottom), (left, top), (right, bottom), (right, top)):
        there = _unit(reproject(np.array([corner]), layer.crs or WGS84, crs), crs)
        if unit is None or there is None:
            return True
        if any(abs(one / other - 1) > TOLERANCE for one, other in zip(there, unit, strict=True)):
            return True
    return False


def _selected(layer: Layer, options: MapOptions) -> shapely.Geometry | None:
    """Return the box of what `options` select, in a layer's CRS; None for all of it."""
    corners = None
    if options.bounds:
        corners = shapely.get_coordinates(shapely.envelope(parse_bounds(options.bounds).geometry))
    elif options.aoi:
        area = read_area(options.aoi)
        edge = shapely.get_coordinates(shapely.envelope(area.geometry))
        corners = reproject(edge, area.crs or layer.crs, layer.crs)
    return None if corners is None else shapely.envelope(shapely.MultiPoint(corners))


def _edge(extent: Box | None) -> NDArray[np.float64]:
    """Return points on the edge of an extent, (N, 2), which is curved when reprojected.

    The extent may be a line or a point, of which shapely would make an empty polygon.
    """
    left, bottom, right, top = extent or (0.0, 0.0, 0.0, 0.0)
    across, up = np.linspace(left, right, EDGE_POINTS), np.linspace(bottom, top, EDGE_POINTS)
    same = np.ones(EDGE_POINTS)
    sides = [(across, bottom * same), (across, top * same), (left * same, up), (right * same, up)]
    return np.vstack([np.stack(side, axis=1) for side in sides])


def _choose_metres(options: MapOptions, run: GsdRange | None) -> float:
    if options.res == "native":
        raise OptionError("--res native: a vector map has no pixels; give metres")
    metres = parse_res(options.res) or (run[0] if run else None)
    if metres is None:
        raise OptionError("a vector map needs --res, since the resolution that the run was trained at is unknown")
    return metres
