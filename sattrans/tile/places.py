"""Many small scenes beside each other, such as web-map tiles: split by place, so that neighbours stay together."""

import math
from collections.abc import Sequence

import numpy as np
import shapely

from sattrans.data.dataset import Split
from sattrans.data.tileset import SceneRecord
from sattrans.raster.georeference import reproject, window_corners
from sattrans.raster.window import Window
from sattrans.tile.options import Fractions
from sattrans.tile.splits import deal

BLOCKS = 10
"""Approximate number of blocks: fewer make the splits uneven; more have longer borders, at which tiles are left out."""

SLACK = 0.05
"""Distance, as a part of a scene's side, at which scenes still touch: coordinates were rounded."""


def outlines(records: Sequence[SceneRecord]) -> list[shapely.Geometry] | None:
    """Return the outline of each scene in the CRS of the first; None if the place of one is unknown."""
    crs = records[0].georeference.crs if records else None
    found: list[shapely.Geometry] = []
    for record in records:
        if crs is None or record.georeference.crs is None:
            return None
        corners = record.georeference.to_coordinates(window_corners([Window(0, 0, record.height, record.width)]))
        points = reproject(corners, record.georeference.crs, crs)
        if points is None:
            return None
        found.append(shapely.Polygon(points))
    return found


def adjoin(shapes: Sequence[shapely.Geometry]) -> bool:
    """Return whether most scenes touch another one."""
    reach = SLACK * math.sqrt(float(np.median(shapely.area(shapes))))
    firsts, seconds = shapely.STRtree(shapes).query(shapes, predicate="dwithin", distance=reach)
    return 2 * len(set(firsts[firsts != seconds].tolist())) > len(shapes)


def by_place(shapes: Sequence[shapely.Geometry], seed: int, fractions: Fractions) -> list[Split]:
    """Return the split of each scene: that of its block of neighbouring scenes."""
    centres = shapely.get_coordinates(shapely.centroid(shapes))
    low, size = centres.min(axis=0), np.maximum(np.ptp(centres, axis=0), 1e-12)
    across = min(BLOCKS, max(1, round(math.sqrt(BLOCKS * size[0] / size[1]))))
    parts = np.array([across, max(1, round(BLOCKS / across))])
    places = np.minimum((centres - low) / size * parts, parts - 1).astype(int)
    keys = [tuple(place) for place in places.tolist()]
    blocks = sorted(set(keys))
    split_of = dict(zip(blocks, deal(len(blocks), seed, fractions), strict=True))
    return [split_of[key] for key in keys]
