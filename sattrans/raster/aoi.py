"""Areas of interest: bounds, or the polygons of a GeoJSON file, compared with the windows of a raster."""

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
from sattrans.raster.georeference import NOWHERE, WGS84, Georeference, crs_wkt, lie_on_earth, reproject, window_corners
from sattrans.raster.window import Window
from sattrans.utils.records import MAX_RECORD, checked, parse_json, read_text, shown

TOLERANCE = 0.25
"""How far a tile may stick out of an area, in pixels: an edge that is straight in degrees is curved when projected."""

COORDINATE_PRECISION = 1e-7
"""Degrees (about a centimetre) that the coordinates of an area are rounded to, also those in our own index."""


@dataclass(frozen=True)
class Area:
    """Polygons in a CRS.

    Attributes:
        name: What the user typed, such as "--bounds 0,0,1,1".
        geometry: The polygons.
        crs: Their CRS as WKT; None for that of the raster that the area is compared with.

    Raises:
        OptionError: A coordinate lies nowhere on earth.
    """

    name: str
    geometry: shapely.Geometry
    crs: str | None = None

    def __post_init__(self) -> None:
        if not lie_on_earth(shapely.get_coordinates(self.geometry)):
            raise OptionError(f"{self.name} has {NOWHERE}; give an area on earth")

    def contains(self, windows: Sequence[Window], georeference: Georeference, image: str) -> list[bool]:
        """Return which windows of a raster lie completely inside; `image` is the raster's path.

        Raises `OptionError` if the raster has no georeference, or its CRS cannot be related to the area's.
        """
        if not windows:
            return []
        right, bottom = max(w.right for w in windows), max(w.bottom for w in windows)
        area = shapely.buffer(self.to_pixels(georeference, bottom, right, image), TOLERANCE)
        shapely.prepare(area)
        boxes = [shapely.box(w.col, w.row, w.right, w.bottom) for w in windows]
        inside: list[bool] = shapely.contains(area, boxes).tolist()
        return inside

    def to_pixels(self, georeference: Georeference, height: int, width: int, image: str) -> shapely.Geometry:
        """Return the part of the area near a raster of `height` × `width` pixels, with columns as x and rows as y.

        `image` is the raster's path. Raises `OptionError` as `contains` does.
        """
        if not georeference.known:
            raise OptionError(f"cannot compare {self.name} with {image}, which has no georeference; add one")
        crs = georeference.crs if self.crs is None else self.crs

        def related(points: NDArray[np.float64] | None) -> NDArray[np.float64]:
            if points is None:
                raise OptionError(f"cannot compare {self.name} with {image}: their CRSs cannot be related")
            return points

        corners = georeference.to_coordinates(window_corners([Window(0, 0, height, width)]))
        corners = related(reproject(corners, georeference.crs, crs))

        # Only the part near the raster, since its projection does not cover the whole world. Edges are split into short
        # segments, since one that is straight in longitude and latitude is curved in the raster's projection.
        (west, south), (east, north) = corners.min(axis=0), corners.max(axis=0)
        dx, dy = east - west, north - south
        near = shapely.clip_by_rect(self.geometry, west - dx, south - dy, east + dx, north + dy)
        segments = shapely.segmentize(near, max(dx, dy) / 64)
        if crs == WGS84:
            segments = shapely.buffer(segments, COORDINATE_PRECISION)
        pixels: shapely.Geometry = shapely.transform(segments, lambda xy: related(georeference.to_pixels(xy, crs)))
        return pixels


def parse_bounds(text: str) -> Area:
    """Parse "left,bottom,right,top", in units of the CRS of the raster that they are compared with.

    Raises `OptionError`.
    """
    try:
        left, bottom, right, top = (float(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise OptionError(f"--bounds {text}: give four numbers, left,bottom,right,top") from None
    if not (np.isfinite([left, bottom, right, top]).all() and left < right and bottom < top):
        raise OptionError(f"--bounds {text}: left must be below right and bottom below top, in units of the CRS")
    return Area(f"--bounds {text}", shapely.box(left, bottom, right, top))


def read_aoi(path: Path) -> Area:
    """Read the polygons of a GeoJSON file, in longitude and latitude or in the CRS that an old file names.

    Format: RFC 7946; the `crs` member is from the 2008 specification. Raises `UsageError`.
    """
    try:
        value = parse_json(read_text(path, MAX_RECORD))
        polygons = [shape(geometry) for geometry in _geometries(value)]
        crs = _crs(value)
    except OSError as error:
        raise UsageError(f"cannot read --aoi {path}: {error.strerror}") from error
    except (ValueError, ShapelyError) as error:
        raise UsageError(f"--aoi {path} is not a GeoJSON of polygons ({error}); export it as GeoJSON again") from error
    for polygon in polygons:  # before the union, which would repair them in some arbitrary way
        if not polygon.is_valid:
            reason = shapely.is_valid_reason(polygon)
            raise UsageError(f"--aoi {path} contains a polygon that crosses itself ({reason}); repair it first")
    geometry = shapely.union_all(polygons)
    if not geometry.area:
        raise UsageError(f"--aoi {path} contains no polygon; give an area")
    if crs == WGS84 and np.abs(shapely.bounds(geometry)).max() > 360:
        raise UsageError(
            f"--aoi {path} contains coordinates that are not degrees; GeoJSON is in longitude and latitude"
        )
    return Area(f"--aoi {path}", geometry, crs)


def _geometries(value: Any) -> list[dict[str, Any]]:
    from sattrans.raster.schemas import GEOMETRIES, Parts

    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "Feature":
        return _geometries(value["geometry"]) if value.get("geometry") else []
    if kind in ("FeatureCollection", "GeometryCollection"):
        parts = checked(Parts, value)
        return [geometry for part in parts.features or parts.geometries for geometry in _geometries(part)]
    if not isinstance(kind, str):
        raise ValueError("a part of it has no type")
    if kind not in GEOMETRIES:
        raise ValueError(f"a {shown(kind).strip(chr(39))} has no area")
    return [checked(GEOMETRIES[kind], value, first=1).model_dump()]


def _crs(value: dict[str, Any]) -> str:
    from sattrans.raster.schemas import NamedCrs

    return crs_wkt(checked(NamedCrs, value["crs"]).properties.name) if value.get("crs") else WGS84
