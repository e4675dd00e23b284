"""Cut one row of tiles of one scene: the piece of work that tile hands to its processes."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sattrans.dataset import Split
from sattrans.errors import RasterError
from sattrans.files import sha256
from sattrans.grid import Cell, Window
from sattrans.palette import UNKNOWN, Palette
from sattrans.raster.gate import open_raster
from sattrans.raster.maps import Coding, class_map
from sattrans.raster.read import read_rgb, read_valid
from sattrans.raster.write import write_tile
from sattrans.tileset import SceneRecord, Tile


@dataclass(frozen=True, slots=True)
class Source:
    """A scene as it was found: its record, the image's bands for red, green, blue, and how the map codes classes."""

    record: SceneRecord
    bands: tuple[int, int, int]
    coding: Coding
    palette: Palette


@dataclass(frozen=True, slots=True)
class Band:
    """A row of tiles of one scene, and where they go. Picklable."""

    source: Source
    cells: tuple[tuple[Cell, Split], ...]
    drop_empty: bool
    folder: Path


def cut_band(job: Band) -> tuple[list[Tile], Counter[str]]:
    """Cut one row of tiles: read its rows once, write what is not there, return the tiles and what was dropped."""
    tiles: list[Tile] = []
    dropped: Counter[str] = Counter()
    left = min(cell.window.col for cell, _ in job.cells)
    right = max(cell.window.right for cell, _ in job.cells)
    first = job.cells[0][0].window
    band = Window(first.row, left, first.height, right - left)
    assert job.source.record.map
    with open_raster(Path(job.source.record.image)) as image, open_raster(Path(job.source.record.map)) as map_:
        rgb = read_rgb(image, band, job.source.bands)
        indices = class_map(map_, job.source.palette, job.source.coding).read(band)
        valid = read_valid(image, band, rgb)
    for cell, split in job.cells:
        across = slice(cell.window.col - left, cell.window.right - left)
        part, pixels = indices[:, across], rgb[:, :, across]
        if (part == UNKNOWN).any() or (valid is not None and not valid[:, across].all()):
            dropped["nodata"] += 1
            continue
        counts = np.bincount(part.ravel(), minlength=len(job.source.palette))
        if job.drop_empty and counts[0] == part.size:
            dropped["empty"] += 1
            continue
        shares = {name: float(n) / part.size for name, n in zip(job.source.palette.names, counts, strict=True) if n}
        name = f"{job.source.record.id}_{cell.k}"
        place = job.source.record.georeference.at(cell.window)
        image_path, map_path = job.folder / "images" / f"{name}.tif", job.folder / "maps" / f"{name}.tif"
        if not _holds(image_path, pixels):
            write_tile(image_path, pixels, place)
        values = job.source.palette.to_values(part)
        if not _holds(map_path, values[np.newaxis]):
            write_tile(map_path, values, place, job.source.palette)
        files = f"images/{name}.tif", sha256(image_path), f"maps/{name}.tif", sha256(map_path)
        tiles.append(Tile(name, job.source.record.id, split, cell.window, shares, *files))
    return tiles, dropped


def _holds(path: Path, pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> bool:
    """Say whether a tile that a killed run left is there and whole."""
    if not path.exists():
        return False
    try:
        with open_raster(path) as raster:
            return bool(np.array_equal(raster.read(), pixels))
    except RasterError:
        return False
