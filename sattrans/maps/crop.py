"""The part of a map that is translated: cut to bounds, and to polygons, outside of which there is nothing."""

import math
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from sattrans.errors import UsageError
from sattrans.maps.options import MapOptions
from sattrans.raster.alignment import Grid
from sattrans.raster.aoi import Area, parse_bounds, read_aoi
from sattrans.raster.georeference import WGS84, reproject
from sattrans.raster.rasterize import burn
from sattrans.raster.window import Window
from sattrans.utils.hashing import sha256

SLACK = 0.05
"""Of a pixel: what coordinates that were written down, or reprojected, may be off and still mean a pixel's edge."""

NONE_OF_IT = 1e-4
"""Of an area: what coordinates that were rounded, or reprojected, may lie beyond a map."""


@dataclass(frozen=True)
class Cut:
    """A window of a grid, and the outline in the grid's pixels that it is cut to; None for all of the window.

    `notices` say which of what was asked for lies beyond the map.
    """

    window: Window
    outline: shapely.Geometry | None = None
    notices: tuple[str, ...] = ()

    def inside(self, window: Window) -> NDArray[np.bool_]:
        """Return which pixels of a window, counted from this cut's corner, lie within the outline, (H, W)."""
        if self.outline is None:
            return np.ones((window.height, window.width), bool)
        there = Window(self.window.row + window.row, self.window.col + window.col, window.height, window.width)
        near = shapely.clip_by_rect(self.outline, there.col - 1, there.row - 1, there.right + 1, there.bottom + 1)
        parts = shapely.get_parts(near)
        pixels = np.zeros((window.height, window.width), np.uint8)
        burn(parts[shapely.get_dimensions(parts) == 2], 1, pixels, there)
        inside: NDArray[np.bool_] = pixels != 0
        return inside


def cut(path: str, grid: Grid, options: MapOptions, crs: str | None, free: bool = False) -> Cut:
    """Return what `bounds` and `aoi` leave of a map on a grid; `crs` is that of the bounds (WKT).

    Bounds leave the pixels that lie wholly inside; turned against the grid, they are an outline. A `free` grid, on
    which a map is drawn only now, is cut to the pixels around them instead. Raises `UsageError` where nothing is left.
    """
    window, outline, notices = Window(0, 0, grid.height, grid.width), None, []
    if options.bounds:
        told = parse_bounds(options.bounds)
        area = Area(told.name, told.geometry, crs)
        shape = _lay(area, path, grid)
        notices += _beyond(area, path, grid)
        upright = shapely.area(shape) >= (1 - 1e-6) * shapely.area(shapely.envelope(shape))
        window = _within(window, _pixels(shape, outwards=not upright), told, path)
        outline = None if upright or free else shape
    if options.aoi:
        area = read_aoi(options.aoi)
        shape = _lay(area, path, grid)
        notices += _beyond(area, path, grid)
        window = _within(window, _pixels(shape, outwards=True), area, path)
        outline = shape if outline is None else shapely.intersection(shape, outline)
    box = shapely.box(window.col, window.row, window.right, window.bottom)
    if outline is not None and not shapely.intersects(outline, box):
        raise UsageError(f"--bounds and --aoi share nothing of {path}")
    return Cut(window, outline, tuple(notices))


def told_area(options: MapOptions) -> dict[str, str | None]:
    """Return what an output remembers of the options that cut a map."""
    aoi = options.aoi
    return {"bounds": options.bounds, "aoi": f"{aoi.name} ({sha256(aoi)[:16]})" if aoi else None}


def _lay(area: Area, path: str, grid: Grid) -> shapely.Geometry:
    shape = area.in_pixels(grid.georeference, grid.height, grid.width, path)
    if not shapely.area(shapely.clip_by_rect(shape, 0, 0, grid.width, grid.height)):
        raise UsageError(f"{area.name} misses {path}, which lies in {_extent(area, grid)}")
    return shape


def _beyond(area: Area, path: str, grid: Grid) -> list[str]:
    """Say how much of an area lies beyond a map, if any does."""
    outline = _outline(grid, area.crs)
    share = 1 - shapely.area(shapely.intersection(area.geometry, outline)) / shapely.area(area.geometry)
    if outline is None or share < NONE_OF_IT:
        return []
    return [f"{share:.1%} of {area.name} lies beyond {path}, which lies in {_extent(area, grid)}: it is left out"]


def _extent(area: Area, grid: Grid) -> str:
    """Return where a map lies, in an area's CRS where it has a place there."""
    outline = _outline(grid, area.crs)
    if area.crs != WGS84 or outline is None:
        return ",".join(f"{number:.10g}" for number in shapely.bounds(outline or _outline(grid, None)))
    return ",".join(f"{number:.6f}" for number in shapely.bounds(outline)) + " (longitude and latitude)"


def _outline(grid: Grid, crs: str | None) -> shapely.Geometry | None:
    """Return a map's edge in a CRS, where a straight one may be bent; None is the map's own."""
    edge = shapely.segmentize(shapely.box(0, 0, grid.width, grid.height), max(grid.width, grid.height) / 16)
    points = grid.georeference.points_of(shapely.get_coordinates(edge))
    there = reproject(points, grid.georeference.crs, crs or grid.georeference.crs)
    return None if there is None else shapely.make_valid(shapely.Polygon(there))


def _pixels(shape: shapely.Geometry, outwards: bool) -> Window:
    """Return the pixels that a shape covers wholly, or `outwards` all that it touches."""
    left, top, right, bottom = shapely.bounds(shape).tolist()
    if outwards:
        col, row, end, low = (math.floor(left + SLACK), math.floor(top + SLACK), *map(_up, (right, bottom)))
    else:
        col, row, end, low = (_up(left), _up(top), math.floor(right + SLACK), math.floor(bottom + SLACK))
    return Window(row, col, low - row, end - col)


def _up(number: float) -> int:
    return math.ceil(number - SLACK)


def _within(window: Window, wanted: Window, area: Area, path: str) -> Window:
    left = window.intersection(wanted)
    if left is None:
        raise UsageError(f"{area.name} holds not a whole pixel of {path}")
    return left
