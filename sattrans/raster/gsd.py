"""How many metres of ground a pixel covers: whatever the units of a CRS, at the middle of a raster."""

import numpy as np
from rasterio.crs import CRS

from sattrans.raster.georeference import WGS84, Georeference, reproject

STRETCH = 0.01
"""A projection is taken at its word where its metres are that near to those of the ground: UTM's are, to 0.1 %."""

SEMI_MAJOR, ECCENTRICITY_SQUARED = 6_378_137.0, 0.00669437999014
"""Of the ellipsoid of WGS 84; another datum's differ by a part in 10,000 at most."""


def ground_pixel(place: Georeference, height: int, width: int) -> tuple[float, float] | None:
    """Return width and height in metres of the pixel in the middle of a raster, `height` × `width` pixels large.

    None where nothing tells: without a transform, without a CRS, or beyond the poles. Degrees and feet are
    converted; so are the metres of a projection that stretches the ground, as Web Mercator does.
    """
    crs = place.rasterio_crs
    if crs is None or place.affine.is_identity:
        return None
    measured = _measured(place, crs, height, width)
    if not crs.is_projected:
        return measured
    wide, high = (side * float(crs.linear_units_factor[1]) for side in place.resolution)
    if measured is None or (abs(measured[0] / wide - 1) < STRETCH and abs(measured[1] / high - 1) < STRETCH):
        return wide, high
    return measured


def ground_pixel_or_unit(place: Georeference, height: int, width: int) -> tuple[float, float] | None:
    """Return `ground_pixel`; without a CRS, the pixel in units of the transform, which are taken for metres."""
    if place.crs is None and not place.affine.is_identity:
        return place.resolution
    return ground_pixel(place, height, width)


def _measured(place: Georeference, crs: CRS, height: int, width: int) -> tuple[float, float] | None:
    """Return width and height of the middle pixel on the ellipsoid."""
    # In degrees a pixel is small enough to be measured; elsewhere about 100 m, or the digits do not suffice.
    step = max(1.0, 100 / max(place.resolution)) if crs.is_projected else 1.0
    middle = np.array([width / 2, height / 2])
    ends = middle + np.array([(-step, 0), (step, 0), (0, -step), (0, step)]) / 2
    points = reproject(place.points_of(np.vstack([middle, ends])), place.crs, WGS84)
    if points is None or np.abs(points[:, 1]).max() > 90:
        return None
    latitude = np.radians(points[0, 1])
    bend = 1 - ECCENTRICITY_SQUARED * np.sin(latitude) ** 2
    metres = SEMI_MAJOR * np.array([np.cos(latitude) / bend**0.5, (1 - ECCENTRICITY_SQUARED) / bend**1.5])
    moved = points[[2, 4]] - points[[1, 3]]
    moved[:, 0] = (moved[:, 0] + 180) % 360 - 180  # across the antimeridian
    across, down = np.hypot(*(np.radians(moved) * metres).T) / step
    return (float(across), float(down)) if across > 0 and down > 0 else None
