"""Ground sampling distance: the metres that a pixel covers, whatever the units of the CRS."""

import numpy as np
from rasterio.crs import CRS

from sattrans.raster.georeference import WGS84, Georeference, reproject

MAX_DISTORTION = 0.01
"""Up to this relative difference from the ellipsoid, a projection's own metres count; those of UTM differ by 0.1 %."""

SEMI_MAJOR_AXIS, ECCENTRICITY_SQUARED = 6_378_137.0, 0.00669437999014
"""Of the WGS 84 ellipsoid, in metres; those of other datums differ by a part in 10,000 at most."""


def measure_gsd(georeference: Georeference, height: int, width: int) -> tuple[float, float] | None:
    """Return width and height in metres of the pixel in the middle of a raster of `height` × `width` pixels.

    Degrees and feet are converted, and so are the metres of a projection that distorts distances, such as Web
    Mercator. None without a transform, without a CRS, or beyond the poles.
    """
    crs = georeference.rasterio_crs
    if crs is None or georeference.affine.is_identity:
        return None
    measured = _measure_on_ellipsoid(georeference, crs, height, width)
    if not crs.is_projected:
        return measured
    projected = tuple(side * float(crs.linear_units_factor[1]) for side in georeference.resolution)
    if measured is None or all(abs(m / p - 1) < MAX_DISTORTION for m, p in zip(measured, projected, strict=True)):
        return projected[0], projected[1]
    return measured


def measure_gsd_or_unit(georeference: Georeference, height: int, width: int) -> tuple[float, float] | None:
    """Return `measure_gsd`; without a CRS, the size of a pixel in units of the transform, which count as metres."""
    if georeference.crs is None and not georeference.affine.is_identity:
        return georeference.resolution
    return measure_gsd(georeference, height, width)


def _measure_on_ellipsoid(georeference: Georeference, crs: CRS, height: int, width: int) -> tuple[float, float] | None:
    # In degrees, a pixel is measured; in other units, about 100 m are, since a pixel would leave too few digits.
    step = max(1.0, 100 / max(georeference.resolution)) if crs.is_projected else 1.0
    middle = np.array([width / 2, height / 2])
    ends = middle + np.array([(-step, 0), (step, 0), (0, -step), (0, step)]) / 2
    points = reproject(georeference.to_coordinates(np.vstack([middle, ends])), georeference.crs, WGS84)
    if points is None or np.abs(points[:, 1]).max() > 90:
        return None
    latitude = np.radians(points[0, 1])
    curvature = 1 - ECCENTRICITY_SQUARED * np.sin(latitude) ** 2
    radii = SEMI_MAJOR_AXIS * np.array([np.cos(latitude) / curvature**0.5, (1 - ECCENTRICITY_SQUARED) / curvature**1.5])
    degrees = points[[2, 4]] - points[[1, 3]]
    degrees[:, 0] = (degrees[:, 0] + 180) % 360 - 180  # across the antimeridian
    pixel_width, pixel_height = np.hypot(*(np.radians(degrees) * radii).T) / step
    return (float(pixel_width), float(pixel_height)) if pixel_width > 0 and pixel_height > 0 else None
