"""Georeference: where a raster lies on the earth, as manifests keep it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.warp import transform as transform_points

from sattrans.raster.window import Window


@dataclass(frozen=True)
class Georeference:
    """A CRS (WKT; None where unknown) and an affine transform from (column, row) to (x, y).

    `transform` holds a, b, c, d, e, f: x = a·column + b·row + c, y = d·column + e·row + f.
    """

    crs: str | None
    transform: tuple[float, float, float, float, float, float]

    @classmethod
    def of(cls, crs: CRS | None, transform: Affine) -> "Georeference":
        """Take over what rasterio gives."""
        a, b, c, d, e, f = transform[:6]
        return cls(crs.to_wkt() if crs else None, (a, b, c, d, e, f))

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Georeference":
        """Read back what `to_json` wrote."""
        a, b, c, d, e, f = value["transform"]
        return cls(value["crs"], (a, b, c, d, e, f))

    def to_json(self) -> dict[str, Any]:
        """Return what a manifest keeps."""
        return {"crs": self.crs, "transform": list(self.transform)}

    @cached_property
    def affine(self) -> Affine:
        """The transform as rasterio wants it."""
        return Affine(*self.transform)

    @cached_property
    def rasterio_crs(self) -> CRS | None:
        """The CRS as rasterio wants it."""
        return CRS.from_wkt(self.crs) if self.crs else None

    @property
    def crs_name(self) -> str:
        """The CRS in few words: its EPSG code, else the name it has itself; nothing where there is none."""
        crs = self.rasterio_crs
        if crs is None or self.crs is None:
            return ""
        code = crs.to_epsg()
        return f"EPSG:{code}" if code else name_of_crs(self.crs)

    @property
    def known(self) -> bool:
        """Whether there is any georeference at all."""
        return self.crs is not None or not self.affine.is_identity

    @property
    def resolution(self) -> tuple[float, float]:
        """Width and height of a pixel, in units of the CRS."""
        a, b, _, d, e, _ = self.transform
        return (a * a + d * d) ** 0.5, (b * b + e * e) ** 0.5

    @property
    def ground_resolution(self) -> tuple[float, str] | None:
        """The longer side of a pixel and its unit: "m", "degrees" or, of a CRS that is not known, "map units".

        None without a transform.
        """
        if self.affine.is_identity:
            return None
        longer = max(self.resolution)
        crs = self.rasterio_crs
        if crs is not None and crs.is_projected:
            return longer * float(crs.linear_units_factor[1]), "m"
        return longer, "degrees" if crs is not None and crs.is_geographic else "map units"

    @property
    def degrees(self) -> bool:
        """Whether coordinates are longitude and latitude."""
        crs = self.rasterio_crs
        return crs is not None and bool(crs.is_geographic)

    @property
    def north_up(self) -> bool:
        """Whether rows run west to east, and from north to south."""
        a, b, _, d, e, _ = self.transform
        return b == 0 and d == 0 and a > 0 and e < 0

    def scaled(self, across: float, down: float) -> "Georeference":
        """Return the same corner and directions with pixels so many times as wide and as high."""
        a, b, c, d, e, f = (self.affine @ Affine.scale(across, down))[:6]
        return Georeference(self.crs, (a, b, c, d, e, f))

    def at(self, window: Window) -> "Georeference":
        """Return the georeference of a window."""
        moved = self.affine @ Affine.translation(window.col, window.row)
        a, b, c, d, e, f = moved[:6]
        return Georeference(self.crs, (a, b, c, d, e, f))

    def pixels_of(self, points: NDArray[np.float64], crs: str | None) -> NDArray[np.float64] | None:
        """Return where `points` (N, 2) of x, y in another CRS (WKT) lie, as (column, row), (N, 2).

        None where nothing relates the two: one is unknown and the other not, or local.
        """
        xy = reproject(points, crs, self.crs)
        return None if xy is None else _apply(~self.affine, xy)

    def points_of(self, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return x, y in this CRS, (N, 2), for (column, row), (N, 2)."""
        return _apply(self.affine, pixels)

    def footprints(self, windows: Sequence[Window]) -> list[dict[str, Any] | None]:
        """Return the outline of each window as a GeoJSON polygon in WGS 84, longitude first; None without a CRS.

        Rings run counterclockwise (RFC 7946 section 3.1.6), with 1e-7 degree (about a centimetre).
        """
        corners = corners_of(windows)
        places = reproject(self.points_of(corners), self.crs, WGS84) if self.crs else None
        if places is None:
            return [None] * len(windows)
        return [_polygon(ring) for ring in places.round(7).reshape(-1, 4, 2).tolist()]


CRS_NAME = re.compile(r"(?:urn:ogc:def:crs:)?(?:EPSG:(?:[\d.]*:)?(?P<epsg>\d+)|OGC:(?:[\d.]*:)?CRS84)")

CRS_CODE = re.compile(r"[A-Z]+:[A-Z0-9]+")
"""An authority and its code: a name of no file and no address."""

WGS84: str = CRS.from_epsg(4326).to_wkt()
"""Longitude and latitude, in this order, as GeoJSON has them."""


def _apply(transform: Affine, points: NDArray[np.float64]) -> NDArray[np.float64]:
    a, b, c, d, e, f = transform[:6]
    x, y = points[:, 0], points[:, 1]
    return np.stack([a * x + b * y + c, d * x + e * y + f], axis=1)


def corners_of(windows: Sequence[Window]) -> NDArray[np.float64]:
    """Return the corners of windows as (column, row), (4 N, 2): top left, bottom left, bottom right, top right."""
    rows = ((w.col, w.row, w.col, w.bottom, w.right, w.bottom, w.right, w.row) for w in windows)
    return np.array(list(rows), np.float64).reshape(-1, 2)


def crs_wkt(name: str) -> str:
    """Return the WKT of a CRS named "EPSG:2180", "OGC:CRS84" or by its URN. Raises `ValueError` for another."""
    # No more than that: what PROJ takes for a name may also be a path or an address, which it reads.
    named = CRS_NAME.fullmatch(name)
    if named is None:
        raise ValueError(f"{name} is no CRS that is known here")
    if named["epsg"] is None:
        return WGS84
    try:
        return str(CRS.from_epsg(int(named["epsg"])).to_wkt())
    except (RasterioError, ValueError) as error:
        raise ValueError(f"{name} is no CRS that is known here") from error


def crs_of(told: str) -> str:
    """Return the WKT of a CRS told as WKT, or by authority and code, such as "ESRI:102100". Raises `ValueError`."""
    try:
        if CRS_CODE.fullmatch(told):
            return WGS84 if told.endswith(":CRS84") else str(CRS.from_user_input(told).to_wkt())
        return str(CRS.from_wkt(told).to_wkt())
    except RasterioError as error:
        raise ValueError(f"{told[:60]} is no CRS that is known here") from error


def utm_of(longitude: float, latitude: float) -> str:
    """Return the WKT of the UTM zone that a place in degrees lies in."""
    zone = int((longitude + 180) % 360 // 6) + 1
    return str(CRS.from_epsg((32600 if latitude >= 0 else 32700) + zone).to_wkt())


def name_of_crs(wkt: str) -> str:
    """Return what a CRS calls itself."""
    named = re.match(r'\s*\w+\s*\[\s*"([^"]*)"', wkt)
    return named[1] if named else "a CRS without a name"


def same_crs(one: str | None, other: str | None) -> bool:
    """Say whether two CRSs (WKT) have the same parameters, whatever their names."""
    if one == other or one is None or other is None:
        return one == other
    return bool(CRS.from_wkt(one) == CRS.from_wkt(other))


def reproject(points: NDArray[np.float64], crs: str | None, into: str | None) -> NDArray[np.float64] | None:
    """Return `points` (N, 2) of x, y in another CRS (both WKT); None where nothing relates the two."""
    if same_crs(crs, into):
        return points
    if crs is None or into is None:
        return None
    try:
        xs, ys = transform_points(CRS.from_wkt(crs), CRS.from_wkt(into), points[:, 0], points[:, 1])[:2]
    except (RasterioError, CPLE_BaseError):  # a local CRS that nothing relates to the earth, or no place on it
        return None
    moved = np.stack([xs, ys], axis=1)
    return moved if np.isfinite(moved).all() else None


def _polygon(ring: list[list[float]]) -> dict[str, Any]:
    twice_area = sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(ring, ring[1:] + ring[:1], strict=True))
    if twice_area < 0:  # a south-up raster
        ring.reverse()
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
