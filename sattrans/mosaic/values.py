"""The values of tiles of one band: a colour table for all of them, and a value that none of them contains."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path

import numpy as np

from sattrans.errors import UsageError
from sattrans.mosaic.dataset_pool import DatasetPool
from sattrans.mosaic.tiles import MosaicTile
from sattrans.raster.open import gdal_session
from sattrans.raster.palette import RGB

Values = frozenset[int]


def _values_of(paths: Sequence[Path], datasets: DatasetPool, pool: Executor) -> list[Values]:
    """Return the values that each tile contains; all of them are read for that."""

    def values(path: Path) -> Values:
        with gdal_session(files_only=True), datasets.open(path) as raster:
            return frozenset(int(value) for window in raster.strips() for value in np.unique(raster.read(window)))

    return list(pool.map(values, paths))


def unused_value(paths: Sequence[Path], datasets: DatasetPool, pool: Executor) -> int:
    """Return the highest value that no tile contains, which becomes the nodata value of the mosaic."""
    unused = set(range(256)).difference(*_values_of(paths, datasets, pool))
    if not unused:
        raise UsageError(
            "there are gaps between the tiles, and no value from 0 to 255 is free to mark them: set a nodata value in "
            "the tiles (rio edit-info --nodata)"
        )
    return max(unused)


def merged_colormap(tiles: Sequence[MosaicTile], datasets: DatasetPool, pool: Executor) -> Mapping[int, RGB] | None:
    """Return the colour table that all tiles have in common; None if they have none.

    Entries that no pixel has may differ. Tiles are read only if entries do.

    Raises `UsageError` if one value has different colours in two tiles that contain it.
    """
    first = tiles[0].format.colormap
    if first is None or all(tile.format.colormap == first for tile in tiles):
        return first
    colors: dict[int, set[RGB]] = {}
    for tile in tiles:
        for value, color in (tile.format.colormap or {}).items():
            colors.setdefault(value, set()).add(color)
    merged = {value: next(iter(found)) for value, found in colors.items() if len(found) == 1}
    differing = colors.keys() - merged
    if not differing:
        return merged
    users: dict[int, MosaicTile] = {}
    for tile, values in zip(tiles, _values_of([tile.path for tile in tiles], datasets, pool), strict=True):
        table = tile.format.colormap or {}
        for value in differing & values & table.keys():
            if merged.setdefault(value, table[value]) != table[value]:
                raise UsageError(
                    f"{tile.path} and {users[value].path} differ in colour table: value {value} is "
                    f"#{bytes(table[value]).hex()} and #{bytes(merged[value]).hex()}; expand each to red, green, blue "
                    "first (gdal_translate -expand rgb)"
                )
            users.setdefault(value, tile)
    return merged
