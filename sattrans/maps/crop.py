"""Cropping a map to bounds and polygons: the window that is translated, and the outline outside of which is nodata."""

import math
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from sattrans.errors import UsageError
from sattrans.maps.area import read_area
from sattrans.maps.options import MapOptions
from sattrans.raster.alignment import Grid
from sattrans.raster.aoi import Area, parse_bounds
from sattrans.raster.georeference import WGS84, reproject
from sattrans.raster.rasterize import rasterize
from sattrans.raster.window import Window
from sattrans.utils.hashing import sha256

EDGE_TOLERANCE = 0.05
"""Distance in pixels at which a coordinate counts as a pixel's edge, since it was rounded or reprojected."""

MIN_SHARE_OUTSIDE = 1e-4
"""The least part of an area outside the map that is reported; rounding and reprojection cause smaller ones."""


@dataclass(frozen=True)
class Crop:
    """A part of a grid.

    Attributes:
        window: Its window of the grid.
        whole: All of the grid, counted from the part's corner.
        outline: A geometry in the grid's pixels outside of which is nodata; None for all of the window.
        notices: What of the bounds and polygons lies outside the map.
    """

    window: Window
    whole: Window
    outline: shapely.Geometry | None = None
    notices: tuple[str, ...] = ()

    def to_grid(self, window: Window) -> Window:
        """Return the grid's window for a window that is counted from the crop's corner."""
        return window.shifted(self.window.row, self.window.col)

    def inside(self, window: Window) -> NDArray[np.bool_]:
        """Return which pixels lie within the outline, (H, W), of a window counted from the crop's corner."""
        if self.outline is None:
            return np.ones((window.height, window.width), bool)
        on_grid = self.to_grid(window)
        near = shapely.clip_by_rect(
            self.outline, on_grid.col - 1, on_grid.row - 1, on_grid.right + 1, on_grid.bottom + 1
        )
        parts = shapely.get_parts(near)
        pixels = np.zeros((window.height, window.width), np.uint8)
        rasterize(parts[shapely.get_dimensions(parts) == 2], 1, pixels, on_grid)
        inside: NDArray[np.bool_] = pixels != 0
        return inside


def crop(path: str, grid: Grid, options: MapOptions, crs: str | None, rounds_up: bool = False) -> Crop:
    """Return the part of a map that `bounds` and `aoi` select.

    Bounds select the pixels that lie completely inside; bounds that are rotated relative to the grid become an outline.

    Args:
        path: The map's path, for messages.
        grid: The map's grid.
        options: With `bounds` and `aoi`.
        crs: The CRS of the bounds (WKT).
        rounds_up: Whether bounds select all pixels that they touch, since the map is only now rasterized.

    Raises:
        UsageError: if nothing is selected.
    """
    window, outline, notices = Window(0, 0, grid.height, grid.width), None, []
    if options.bounds:
        bounds = parse_bounds(options.bounds)
        area = Area(bounds.name, bounds.geometry, crs)
        shape = _to_pixels(area, path, grid)
        notices += _notice_outside(area, path, grid)
        is_upright = shapely.area(shape) >= (1 - 1e-6) * shapely.area(shapely.envelope(shape))
        window = _intersect(window, _pixels_of(shape, outwards=not is_upright), bounds, path)
        outline = None if is_upright or rounds_up else shape
    if options.aoi:
        area = read_area(options.aoi)
        shape = _to_pixels(area, path, grid)
        notices += _notice_outside(area, path, grid)
        window = _intersect(window, _pixels_of(shape, outwards=True), area, path)
        outline = shape if outline is None else shapely.intersection(shape, outline)
    box = shapely.box(window.col, window.row, window.right, window.bottom)
    if outline is not None and not shapely.intersects(outline, box):
        raise UsageError(f"--bounds and --aoi have no pixel of {path} in common")
    whole = Window(-window.row, -window.col, grid.height, grid.width)
    return Crop(window, whole, outline, tuple(notices))


def recorded_area(options: MapOptions) -> dict[str, str | None]:
    """Return what an output records of the options that crop a map."""
    aoi = options.aoi
    return {"bounds": options.bounds, "aoi": f"{aoi.name} ({sha256(aoi)[:16]})" if aoi else None}


def _to_pixels(area: Area, path: str, grid: Grid) -> shapely.Geometry:
    shape = area.to_pixels(grid.georeference, grid.height, grid.width, path)
    if not shapely.area(shapely.clip_by_rect(shape, 0, 0, grid.width, grid.height)):
        raise UsageError(f"{area.name} is outside {path}, which covers {_extent(area, grid)}")
    return shape


def _notice_outside(area: Area, path: str, grid: Grid) -> list[str]:
    """Return a notice of how much of an area is outside a map, if any is."""
    outline = _grid_outline(grid, area.crs)
    share = 1 - shapely.area(shapely.intersection(area.geometry, outline)) / shapely.area(area.geometry)
    if outline is None or share < MIN_SHARE_OUTSIDE:
        return []
    return [f"{share:.1%} of {area.name} is outside {path}, which covers {_extent(area, grid)}, and is left out"]


def _extent(area: Area, grid: Grid) -> str:
    """Return the extent of a map, in an area's CRS if it can be expressed there."""
    outline = _grid_outline(grid, area.crs)
    if area.crs != WGS84 or outline is None:
        return ",".join(f"{number:.10g}" for number in shapely.bounds(outline or _grid_outline(grid, None)))
    return ",".join(f"{number:.6f}" for number in shapely.bounds(outline)) + " (longitude and latitude)"


def _grid_outline(grid: Grid, crs: str | None) -> shapely.Geometry | None:
    """Return the outline of a map in a CRS, where straight edges may be curved; None is the map's own CRS."""
    edge = shapely.segmentize(shapely.box(0, 0, grid.width, grid.height), max(grid.width, grid.height) / 16)
    points = grid.georeference.to_coordinates(shapely.get_coordinates(edge))
    reprojected = reproject(points, grid.georeference.crs, crs or grid.georeference.crs)
    return None if reprojected is None else shapely.make_valid(shapely.Polygon(reprojected))


def _pixels_of(shape: shapely.Geometry, outwards: bool) -> Window:
    """Return the pixels that a shape covers completely or, if `outwards`, all that it touches."""
    left, top, right, bottom = shapely.bounds(shape).tolist()
    if outwards:
        first_col, first_row, last_col, last_row = _floor(left), _floor(top), _ceil(right), _ceil(bottom)
    else:
        first_col, first_row, last_col, last_row = _ceil(left), _ceil(top), _floor(right), _floor(bottom)
    return Window(first_row, first_col, last_row - first_row, last_col - first_col)


def _floor(number: float) -> int:
    return math.floor(number + EDGE_TOLERANCE)


def _ceil(number: float) -> int:
    return math.ceil(number - EDGE_TOLERANCE)


def _intersect(window: Window, selected: Window, area: Area, path: str) -> Window:
    intersection = window.intersection(selected)
    if intersection is None:
        raise UsageError(f"{area.name} does not contain a complete pixel of {path}")
    return intersection
