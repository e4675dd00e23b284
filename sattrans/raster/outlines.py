"""Outlines: the areas of equal numbers in a raster as GeoJSON polygons."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.features import shapes

from sattrans.errors import RasterError
from sattrans.raster.georeference import WGS84, Georeference, reproject


def outlines(numbers: NDArray[np.int32], georeference: Georeference) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number and the polygon of each area of a raster (H, W) whose pixels share edges and a number.

    Polygons follow the edges of pixels, in WGS 84, longitude first, to 1e-7 degree (about a centimetre); the outer ring
    runs counterclockwise, holes clockwise (RFC 7946 section 3.1.6). Numbers below 0 are left out.

    Raises:
        RasterError: The raster's place on the earth is unknown.
    """
    for polygon, number in shapes(numbers, mask=numbers >= 0, connectivity=4):
        rings = [np.array(ring, np.float64) for ring in polygon["coordinates"]]
        points = reproject(georeference.to_coordinates(np.concatenate(rings)), georeference.crs, WGS84)
        if points is None:
            raise RasterError("polygons need a map whose place on the earth is known")
        placed = np.split(points.round(7), np.cumsum([len(ring) for ring in rings])[:-1])
        turned = [ring if _is_left_turning(ring) == (n == 0) else ring[::-1] for n, ring in enumerate(placed)]
        yield int(number), {"type": "Polygon", "coordinates": [ring.tolist() for ring in turned]}


def _is_left_turning(ring: NDArray[np.float64]) -> bool:
    x, y = (ring - ring[0]).T
    return bool((x[:-1] * y[1:] - x[1:] * y[:-1]).sum() > 0)
