"""The tiles of a mosaic: found in a folder, and looked at, one by one."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from sattrans.data.dataset import IMAGE_SUFFIXES
from sattrans.data.tileset import MANIFEST, Tileset
from sattrans.errors import OutputExists, RasterError, UsageError
from sattrans.mosaic.dataset_pool import Shelf
from sattrans.raster.alignment import Grid, target_grid
from sattrans.raster.georeference import Georeference
from sattrans.raster.open import Raster, session
from sattrans.raster.palette import RGB
from sattrans.utils.manifest import is_unfinished

BATCH = 16
"""Tiles that a thread looks at before it takes others."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What all tiles of a mosaic have in common: how many bands (alpha left out), nodata and colour table."""

    bands: int
    nodata: float | None
    colormap: Mapping[int, RGB] | None

    @classmethod
    def of(cls, raster: Raster) -> "Kind":
        """Return that of an open tile. Raises `RasterError` for one that cannot be joined."""
        if raster.dtype != "uint8":
            raise RasterError(
                f"{raster.path} holds {raster.dtype} pixels: tiles of 8 bits are joined; scale it first, such as with "
                "sattrans tile --scale"
            )
        bands = raster.bands - (raster.alpha_band is not None)
        if bands not in (1, 3):
            raise RasterError(
                f"{raster.path} has {bands} bands: tiles of one (classes, grey) or three (colours) are joined"
            )
        return cls(bands, raster.nodata, raster.colormap() if bands == 1 else None)


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile as it was found."""

    path: Path
    grid: Grid
    kind: Kind
    alpha: bool


def find(folder: Path, output: Path) -> list[Path]:
    """Return the rasters in a folder, or a tileset's images, by name.

    Raises `UsageError` where there are none, or not all of them yet, and `OutputExists` where the output would replace
    a tile, or become one for who joins them again. Folders within are not looked into.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder of tiles")
    if is_unfinished(folder):
        raise UsageError(f"{folder} is unfinished, it lacks tiles: run the command that makes it again, which goes on")
    within = folder / "images" if (folder / MANIFEST).is_file() else folder
    if within is not folder and not within.is_dir():
        raise UsageError(f"{folder} holds pairs of map and image in one file, for other tools: cut tiles to join anew")
    paths = [p for p in sorted(within.iterdir()) if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".")]
    if output.parent.resolve() == within.resolve():
        raise OutputExists(f"{output} would lie among the tiles, and be one of them next time: choose another folder")
    if output.exists() and any(path.samefile(output) for path in paths):
        raise OutputExists(f"{output} is one of the tiles: choose another output")
    if not paths:
        raise UsageError(
            f"{folder} holds no rasters: give the folder that the tiles lie in, or make some with sattrans generate "
            f"MAP -o {folder}"
        )
    return paths


def look(paths: Sequence[Path], folder: Path, shelf: Shelf, pool: Executor, res: float | None) -> list[Tile]:
    """Look at all tiles; what is refused of one, or of two that differ, is raised as `UsageError` or `RasterError`.

    A tile without a georeference of its own has that of the tileset's index, where there is one.
    """
    batches = [paths[start : start + BATCH] for start in range(0, len(paths), BATCH)]
    tiles = [tile for batch in pool.map(partial(_look, shelf=shelf, res=res), batches) for tile in batch]
    if not all(tile.grid.georeference.known for tile in tiles):
        places = _indexed(folder)
        tiles = [_placed(tile, places) for tile in tiles]
    for tile in tiles:
        place = tile.grid.georeference
        if not place.known:
            raise RasterError(
                f"{tile.path} has no georeference, no world file beside it, and no index of sattrans tile lists it: "
                "nothing says where it lies"
            )
        if not place.north_up:
            raise RasterError(f"{tile.path} is rotated or mirrored: warp it to north up first (rio warp)")
        _check_fits(tile, tiles[0], res)
    return tiles


def _look(paths: Sequence[Path], shelf: Shelf, res: float | None) -> list[Tile]:
    tiles = []
    with session(files_only=True):
        for path in paths:
            with shelf.glanced_at(path) as raster:
                if res is not None and raster.georeference.known:
                    target_grid(raster, res)  # says so where it is far from the tile's own
                tiles.append(Tile(path, Grid.of(raster), Kind.of(raster), raster.alpha_band is not None))
    return tiles


def _indexed(folder: Path) -> dict[Path, Georeference]:
    """Return where the images of a tileset lie; nothing for another folder."""
    if not (folder / MANIFEST).is_file():
        return {}
    tileset = Tileset.open(folder)
    scenes = tileset.scenes
    return {t.image_path(folder): scenes[t.scene].georeference.at(t.window) for t in tileset.tiles}


def _placed(tile: Tile, places: Mapping[Path, Georeference]) -> Tile:
    if tile.grid.georeference.known or tile.path not in places:
        return tile
    return replace(tile, grid=replace(tile.grid, georeference=places[tile.path]))


def _check_fits(tile: Tile, first: Tile, res: float | None) -> None:
    here, there = tile.grid.georeference, first.grid.georeference
    both = f"{tile.path} and {first.path}"
    if here.crs != there.crs and here.rasterio_crs != there.rasterio_crs:
        raise UsageError(
            f"{both} have different coordinate reference systems ({here.crs_name or 'none'} and "
            f"{there.crs_name or 'none'}): reproject one first (rio warp)"
        )
    own, other = here.resolution, there.resolution
    if res is None and max(abs(a - b) / b for a, b in zip(own, other, strict=True)) > 1e-6:
        raise UsageError(
            f"{tile.path} has pixels of {own[0]:g} × {own[1]:g}, {first.path} of {other[0]:g} × {other[1]:g}: say with "
            f"--res which the mosaic is to have, such as --res {min(own[0], other[0]):g}"
        )
    if tile.kind != first.kind:
        raise UsageError(f"{both} differ in {_difference(tile.kind, first.kind)}: they cannot be joined")


def _difference(one: Kind, other: Kind) -> str:
    if one.bands != other.bands:
        return f"bands ({one.bands} and {other.bands})"
    if one.nodata != other.nodata:
        return "nodata ({} and {})".format(*("none" if k.nodata is None else f"{k.nodata:g}" for k in (one, other)))
    return "colour table"
