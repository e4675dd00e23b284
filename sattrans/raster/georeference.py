"""Where a raster lies on the earth: its CRS and transform, as manifests record them, and coordinates between CRSs."""

import math
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
from affine import Affine
from numpy.typing import ArrayLike, NDArray
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.warp import transform as transform_points

from sattrans.raster.window import Window


@dataclass(frozen=True)
class Georeference:
    """A CRS and an affine transform from (column, row) to (x, y).

    Attributes:
        crs: The CRS as WKT; None if it is unknown.
        transform: a, b, c, d, e, f with x = a·column + b·row + c and y = d·column + e·row + f.
    """

    crs: str | None
    transform: tuple[float, float, float, float, float, float]

    @classmethod
    def of(cls, crs: CRS | None, transform: Affine) -> "Georeference":
        """Return the georeference of rasterio's objects."""
        a, b, c, d, e, f = transform[:6]
        return cls(crs.to_wkt() if crs else None, (a, b, c, d, e, f))

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Georeference":
        """Return the georeference that `to_json` wrote."""
        a, b, c, d, e, f = value["transform"]
        return cls(value["crs"], (a, b, c, d, e, f))

    def to_json(self) -> dict[str, Any]:
        """Return what a manifest records."""
        return {"crs": self.crs, "transform": list(self.transform)}

    @cached_property
    def affine(self) -> Affine:
        """The transform as rasterio's object."""
        return Affine(*self.transform)

    @cached_property
    def rasterio_crs(self) -> CRS | None:
        """The CRS as rasterio's object."""
        return CRS.from_wkt(self.crs) if self.crs else None

    @property
    def crs_name(self) -> str:
        """The EPSG code of the CRS, else the name in its WKT; empty without a CRS."""
        crs = self.rasterio_crs
        if crs is None or self.crs is None:
            return ""
        code = crs.to_epsg()
        return f"EPSG:{code}" if code else name_of_crs(self.crs)

    @property
    def known(self) -> bool:
        """Whether there is a CRS or a transform."""
        return self.crs is not None or not self.affine.is_identity

    @property
    def resolution(self) -> tuple[float, float]:
        """Width and height of a pixel, in units of the CRS."""
        a, b, _, d, e, _ = self.transform
        return (a * a + d * d) ** 0.5, (b * b + e * e) ** 0.5

    @property
    def ground_resolution(self) -> tuple[float, str] | None:
        """The longer side of a pixel and its unit, "m", "degrees" or, if the CRS is unknown, "map units".

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
        """Whether columns run from west to east, and rows from north to south."""
        a, b, _, d, e, _ = self.transform
        return b == 0 and d == 0 and a > 0 and e < 0

    @property
    def first_pixel(self) -> tuple[int, int]:
        """The row and the column of the first pixel, counted from the origin of the CRS; (0, 0) if north is not up."""
        if not self.north_up:
            return 0, 0
        a, _, c, _, e, f = self.transform
        # Halves are common, and a sum of floats must not decide to which side they go.
        return math.floor(f / e + 0.501), math.floor(c / a + 0.501)

    def scaled(self, scale_x: float, scale_y: float) -> "Georeference":
        """Return the same origin and directions with pixels `scale_x` times as wide and `scale_y` times as high."""
        a, b, c, d, e, f = (self.affine @ Affine.scale(scale_x, scale_y))[:6]
        return Georeference(self.crs, (a, b, c, d, e, f))

    def at(self, window: Window) -> "Georeference":
        """Return the georeference of a window."""
        a, b, c, d, e, f = (self.affine @ Affine.translation(window.col, window.row))[:6]
        return Georeference(self.crs, (a, b, c, d, e, f))

    def to_pixels(self, points: NDArray[np.float64], crs: str | None) -> NDArray[np.float64] | None:
        """Return (column, row), (N, 2), for points (x, y), (N, 2), in another CRS (WKT).

        None if the CRSs cannot be related: only one is known, or one is local.
        """
        xy = reproject(points, crs, self.crs)
        return None if xy is None else _apply(~self.affine, xy)

    def to_coordinates(self, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (x, y) in this CRS, (N, 2), for (column, row), (N, 2)."""
        return _apply(self.affine, pixels)

    def footprints(self, windows: Sequence[Window]) -> list[dict[str, Any] | None]:
        """Return the outline of each window as a GeoJSON polygon in WGS 84, longitude first; None without a CRS.

        Rings run counterclockwise (RFC 7946 section 3.1.6), to 1e-7 degree (about a centimetre).
        """
        corners = self.to_coordinates(window_corners(windows))
        points = reproject(corners, self.crs, WGS84) if self.crs else None
        if points is None:
            return [None] * len(windows)
        return [_polygon(ring) for ring in points.round(7).reshape(-1, 4, 2).tolist()]


CRS_NAME = re.compile(r"(?:urn:ogc:def:crs:)?(?:EPSG:(?:[\d.]*:)?(?P<epsg>\d+)|OGC:(?:[\d.]*:)?CRS84)")

CRS_CODE = re.compile(r"[A-Z]+:[A-Z0-9]+")
"""An authority and its code, which can be neither a file name nor an address."""

WGS84: str = CRS.from_epsg(4326).to_wkt()
"""Longitude and latitude, in this order, as in GeoJSON."""


def _apply(transform: Affine, points: NDArray[np.float64]) -> NDArray[np.float64]:
    a, b, c, d, e, f = transform[:6]
    x, y = points[:, 0], points[:, 1]
    return np.stack([a * x + b * y + c, d * x + e * y + f], axis=1)


def window_corners(windows: Sequence[Window]) -> NDArray[np.float64]:
    """Return the corners of windows as (column, row), (4 N, 2): top left, bottom left, bottom right, top right."""
    rows = ((w.col, w.row, w.col, w.bottom, w.right, w.bottom, w.right, w.row) for w in windows)
    return np.array(list(rows), np.float64).reshape(-1, 2)


def crs_wkt(name: str) -> str:
    """Return the WKT of a CRS named "EPSG:2180", "OGC:CRS84" or by its URN. Raises `ValueError` for another name."""
    # No other names, since PROJ also accepts a path or an address, which it then reads.
    match = CRS_NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"unknown CRS {name}")
    if match["epsg"] is None:
        return WGS84
    try:
        return str(CRS.from_epsg(int(match["epsg"])).to_wkt())
    except (RasterioError, ValueError) as error:
        raise ValueError(f"unknown CRS {name}") from error


GRID_FILE = re.compile(
    r"""(?:\+(?:nadgrids|geoidgrids|grids|file|init)=|PROJ4_GRIDS",")(?!@null)|PARAMETERFILE\["[^"]*","[^"]*[/\\:]""",
    re.IGNORECASE,
)
"""A file of a grid that a CRS names: PROJ opens it wherever it lies, and places are metres off without it. The official
CRSs name theirs in a PARAMETERFILE, without a path."""


def names_a_file(wkt: str) -> bool:
    """Return whether a CRS (WKT) names a file that PROJ would open, other than those that come with it."""
    return GRID_FILE.search(wkt) is not None


def parse_crs(text: str) -> str:
    """Return the WKT of a CRS given as WKT, or by authority and code, such as "ESRI:102100". Raises `ValueError`."""
    try:
        if CRS_CODE.fullmatch(text):
            return WGS84 if text.endswith(":CRS84") else str(CRS.from_user_input(text).to_wkt())
        if names_a_file(text):
            raise ValueError("its CRS needs a grid file")
        return str(CRS.from_wkt(text).to_wkt())
    except RasterioError as error:
        raise ValueError(f"unknown CRS {text[:60]}") from error


FARTHEST = 1e12
"""The largest coordinate: 25 times the circumference of the earth in millimetres."""

NOWHERE = "coordinates that are not finite, or lie nowhere on earth"


def lie_on_earth(coordinates: ArrayLike) -> bool:
    """Return whether coordinates could lie on earth; GEOS and PROJ have errors of their own for others."""
    return bool((np.abs(coordinates) <= FARTHEST).all())


def utm_crs(longitude: float, latitude: float) -> str:
    """Return the WKT of the UTM zone of a point given in degrees."""
    zone = int((longitude + 180) % 360 // 6) + 1
    return str(CRS.from_epsg((32600 if latitude >= 0 else 32700) + zone).to_wkt())


def name_of_crs(wkt: str) -> str:
    """Return the name in the WKT of a CRS."""
    match = re.match(r'\s*\w+\s*\[\s*"([^"]*)"', wkt)
    return match[1] if match else "an unnamed CRS"


def same_crs(first: str | None, second: str | None) -> bool:
    """Return whether two CRSs (WKT) have the same parameters, whatever their names."""
    if first == second or first is None or second is None:
        return first == second
    return bool(CRS.from_wkt(first) == CRS.from_wkt(second))


def reproject(points: NDArray[np.float64], source: str | None, target: str | None) -> NDArray[np.float64] | None:
    """Return `points` (x, y), (N, 2), in another CRS (both WKT); None if the CRSs cannot be related."""
    if same_crs(source, target):
        return points
    if source is None or target is None:
        return None
    try:
        xs, ys = transform_points(CRS.from_wkt(source), CRS.from_wkt(target), points[:, 0], points[:, 1])[:2]
    except (RasterioError, CPLE_BaseError):  # a local CRS, which is not tied to the earth, or a point outside
        return None
    reprojected = np.stack([xs, ys], axis=1)
    return reprojected if np.isfinite(reprojected).all() else None


# Warning filters belong to the process: if two threads set and restored them at once, they would mix them up.
_warnings_lock = threading.Lock()


@contextmanager
def suppress_warnings() -> Iterator[None]:
    """Suppress rasterio's warning about a missing georeference while a raster is opened; one thread at a time."""
    with _warnings_lock, catch_warnings():
        simplefilter("ignore", NotGeoreferencedWarning)
        yield


def _polygon(ring: list[list[float]]) -> dict[str, Any]:
    twice_area = sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(ring, ring[1:] + ring[:1], strict=True))
    if twice_area < 0:  # a south-up raster
        ring.reverse()
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
