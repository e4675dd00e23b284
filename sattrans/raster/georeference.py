"""Georeference: where a raster lies on the earth, as manifests keep it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.warp import transform as transform_points

from sattrans.grid import Window


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
    def known(self) -> bool:
        """Whether there is any georeference at all."""
        return self.crs is not None or not self.affine.is_identity

    @property
    def resolution(self) -> tuple[float, float]:
        """Width and height of a pixel, in units of the CRS."""
        a, b, _, d, e, _ = self.transform
        return (a * a + d * d) ** 0.5, (b * b + e * e) ** 0.5

    @property
    def north_up(self) -> bool:
        """Whether rows run west to east, and from north to south."""
        a, b, _, d, e, _ = self.transform
        return b == 0 and d == 0 and a > 0 and e < 0

    def at(self, window: Window) -> "Georeference":
        """Return the georeference of a window."""
        moved = self.affine @ Affine.translation(window.col, window.row)
        a, b, c, d, e, f = moved[:6]
        return Georeference(self.crs, (a, b, c, d, e, f))

    def footprint(self, window: Window) -> dict[str, Any] | None:
        """Return a window's outline as a GeoJSON polygon in WGS 84, longitude first; None without a CRS.

        The ring runs counterclockwise (RFC 7946 section 3.1.6), with 1e-7 degree (about a centimetre).
        """
        if self.rasterio_crs is None:
            return None
        corners = [
            (window.col, window.row),
            (window.col, window.bottom),
            (window.right, window.bottom),
            (window.right, window.row),
        ]
        xs, ys = zip(*(self.affine @ corner for corner in corners), strict=True)
        try:
            lon, lat = transform_points(self.rasterio_crs, CRS.from_epsg(4326), xs, ys)[:2]
        except RasterioError:  # a local CRS that nothing relates to the earth
            return None
        ring = [[round(x, 7), round(y, 7)] for x, y in zip(lon, lat, strict=True)]
        twice_area = sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(ring, ring[1:] + ring[:1], strict=True))
        if twice_area < 0:  # a south-up raster
            ring.reverse()
        return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
