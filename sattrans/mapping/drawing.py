"""The grid that a vector map is drawn on: pixels of so many metres, in metres, over all its layers."""

import math
from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from sattrans.area import parse_bounds, read_aoi
from sattrans.errors import RasterError
from sattrans.mapping.cut import SLACK
from sattrans.mapping.options import MapOptions
from sattrans.mapping.vectors import Layer
from sattrans.raster.align import Grid
from sattrans.raster.georeference import WGS84, Georeference, name_of_crs, reproject, utm_of
from sattrans.raster.ground import ground_pixel


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
