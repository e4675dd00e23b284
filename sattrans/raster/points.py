"""Rasters that are placed by ground control points or a camera model instead of a transform."""

import numpy as np
from affine import Affine
from rasterio.crs import CRS
from rasterio.io import DatasetReader

MAX_COORDINATE = 1e9
"""The largest coordinate of a point; a larger one is on no map."""

TOLERANCE = 0.01
"""Largest distance in pixels of a point from where a transform puts it, for the transform to stand for the points."""


def place_by_points(name: str, src: DatasetReader, crs: CRS | None) -> tuple[CRS | None, Affine, str]:
    """Return the CRS and transform that ground control points amount to, and a notice if they amount to none."""
    points, points_crs = src.gcps
    if len(points) >= 3:
        transform = _fit(np.array([(p.col, p.row, p.x, p.y) for p in points], np.float64))
        if transform is not None:
            return points_crs or crs, transform, ""
    if points:  # their CRS without a transform would place the pixels at the CRS's origin
        return (
            None,
            src.transform,
            (
                f"{name} is placed by {len(points)} ground control points that no transform fits, so it counts as a "
                "raster without a place; warp it first (gdalwarp, or QGIS's georeferencer)"
            ),
        )
    if src.rpcs is not None:
        return (
            crs,
            src.transform,
            (
                f"{name} is placed by a camera model (RPC), so it counts as a raster without a place; orthorectify it "
                "first (gdalwarp -rpc)"
            ),
        )
    return crs, src.transform, ""


def _fit(points: np.ndarray) -> Affine | None:
    """Return the transform from (column, row) to (x, y) that fits points (N, 4) to `TOLERANCE`; None if none does."""
    pixels, places = points[:, :2], points[:, 2:]
    if not np.isfinite(points).all() or np.abs(points).max() > MAX_COORDINATE:
        return None
    middle = places.mean(axis=0)  # keeps digits, which large coordinates would cost
    matrix = np.column_stack([pixels, np.ones(len(pixels))])
    solution, _, rank, _ = np.linalg.lstsq(matrix, places - middle, rcond=None)
    if rank < 3:
        return None
    (a, d), (b, e), (c, f) = solution
    transform = Affine(a, b, c + middle[0], d, e, f + middle[1])
    if transform.is_degenerate:
        return None
    residual = matrix @ solution - (places - middle)
    distance = np.abs(np.linalg.solve(np.array([[a, b], [d, e]]), residual.T)).max()
    return transform if distance <= TOLERANCE else None
