"""Areas of interest, bounds or the polygons of a GeoJSON file: laid over a raster, and asked what lies inside."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.errors import ShapelyError
from shapely.geometry import shape

from sattrans.errors import OptionError, UsageError
from sattrans.raster.georeference import WGS84, Georeference, corners_of, crs_wkt, reproject
from sattrans.raster.window import Window

SLACK = 0.25
"""How far, in pixels, a tile may stick out of an area: its footprint, straight in degrees, is bent in a projection."""

DIGIT = 1e-7
"""Of a degree, about a centimetre: what the coordinates of an area are rounded to, those of our own index too."""


@dataclass(frozen=True)
class Area:
    """Polygons in a CRS (WKT; None is that of whichever scene is asked about). `name` is what the user typed."""

    name: str
    geometry: shapely.Geometry
    crs: str | None = None

    def holds(self, windows: Sequence[Window], place: Georeference, image: str) -> list[bool]:
        """Say which windows of a scene at `place` lie wholly inside; `image` is its file.

        Raises `OptionError` where the scene has no georeference, or none that relates to the area's.
        """
        if not windows:
            return []
        right, bottom = max(w.right for w in windows), max(w.bottom for w in windows)
        inside = shapely.buffer(self.in_pixels(place, bottom, right, image), SLACK)
        shapely.prepare(inside)
        boxes = [shapely.box(w.col, w.row, w.right, w.bottom) for w in windows]
        held: list[bool] = shapely.contains(inside, boxes).tolist()
        return held

    def in_pixels(self, place: Georeference, height: int, width: int, image: str) -> shapely.Geometry:
        """Return what of it lies around a raster, `height` × `width` pixels at `place`, with columns and rows for x, y.

        `image` is the raster's file. Raises `OptionError` as `holds` does.
        """
        if not place.known:
            raise OptionError(f"{self.name} cannot be laid over {image}, which has no georeference: give it one")
        crs = place.crs if self.crs is None else self.crs

        def there(points: NDArray[np.float64] | None) -> NDArray[np.float64]:
            if points is None:
                raise OptionError(f"{self.name} cannot be laid over {image}: nothing relates its CRS to the area's")
            return points

        around = there(reproject(place.points_of(corners_of([Window(0, 0, height, width)])), place.crs, crs))

        # No more than what lies around the raster: not all of the world has a place in its projection. A straight
        # edge in longitude and latitude is bent there: it is followed in short pieces.
        (west, south), (east, north) = around.min(axis=0), around.max(axis=0)
        wide, high = east - west, north - south
        near = shapely.clip_by_rect(self.geometry, west - wide, south - high, east + wide, north + high)
        fine = shapely.segmentize(near, max(wide, high) / 64)
        if crs == WGS84:
            fine = shapely.buffer(fine, DIGIT)
        pixels: shapely.Geometry = shapely.transform(fine, lambda points: there(place.pixels_of(points, crs)))
        return pixels


def parse_bounds(text: str) -> Area:
    """Read "left,bottom,right,top", in units of the CRS of whatever they are laid over. Raises `OptionError`."""
    try:
        left, bottom, right, top = (float(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise OptionError(f"--bounds {text}: four numbers are needed, left,bottom,right,top") from None
    if not (np.isfinite([left, bottom, right, top]).all() and left < right and bottom < top):
        raise OptionError(f"--bounds {text}: left below right and bottom below top are needed, in units of the CRS")
    return Area(f"--bounds {text}", shapely.box(left, bottom, right, top))


def read_aoi(path: Path) -> Area:
    """Read the polygons of a GeoJSON file: longitude and latitude, or the CRS that an old file names.

    Format: RFC 7946; the `crs` member is that of the 2008 specification. Raises `UsageError`.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"))
        parts = [shape(part) for part in _geometries(value)]
        crs = _crs(value)
    except OSError as error:
        raise UsageError(f"--aoi {path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, ShapelyError) as error:
        raise UsageError(f"--aoi {path} is no GeoJSON of polygons ({error}): export it as GeoJSON again") from error
    for part in parts:  # before they are joined, which would mend them in some way or other
        if not part.is_valid:
            reason = shapely.is_valid_reason(part)
            raise UsageError(f"--aoi {path} holds a polygon that crosses itself ({reason}): mend it first")
    geometry = shapely.union_all(parts)
    if not geometry.area:
        raise UsageError(f"--aoi {path} holds no polygon: an area is needed")
    if crs == WGS84 and np.abs(shapely.bounds(geometry)).max() > 360:
        raise UsageError(f"--aoi {path} holds coordinates that are no degrees: GeoJSON is in longitude and latitude")
    return Area(f"--aoi {path}", geometry, crs)


def _geometries(value: dict[str, Any]) -> list[dict[str, Any]]:
    kind = value["type"]
    if kind == "FeatureCollection":
        return [part for feature in value["features"] for part in _geometries(feature)]
    if kind == "Feature":
        return _geometries(value["geometry"]) if value["geometry"] else []
    if kind == "GeometryCollection":
        return [part for geometry in value["geometries"] for part in _geometries(geometry)]
    if kind not in ("Polygon", "MultiPolygon"):
        raise ValueError(f"a {kind} is no area")
    return [value]


def _crs(value: dict[str, Any]) -> str:
    if not value.get("crs"):
        return WGS84
    return crs_wkt(str(value["crs"]["properties"]["name"]))
