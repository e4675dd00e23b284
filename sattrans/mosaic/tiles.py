"""The tiles of a mosaic: find them in a folder, and inspect each of them."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from sattrans.data.tileset import MANIFEST, Tileset
from sattrans.errors import OutputExists, RasterError, UsageError
from sattrans.mosaic.dataset_pool import DatasetPool
from sattrans.raster.alignment import Grid, target_grid
from sattrans.raster.bands import choose_bands
from sattrans.raster.georeference import Georeference, reproject, same_crs, window_corners
from sattrans.raster.gsd import measure_gsd_or_unit
from sattrans.raster.open import Raster, gdal_session
from sattrans.raster.palette import RGB
from sattrans.raster.tile_formats import IMAGE_SUFFIXES, READABLE
from sattrans.raster.validity import effective_nodata, has_transparency
from sattrans.raster.window import Window
from sattrans.utils.addresses import place_of
from sattrans.utils.console import log_few
from sattrans.utils.contents import contents_of
from sattrans.utils.hashing import sha256
from sattrans.utils.manifest import is_unfinished
from sattrans.utils.output import check_apart

GRID_TOLERANCE = 0.05
"""Largest offset, in pixels, of a tile from the mosaic's grid that needs no resampling."""

BATCH = 16
"""Number of tiles that a thread inspects before it takes the next batch."""


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """What a tile's pixels are.

    Attributes:
        bands: The number of bands without alpha.
        numbers: Their numbers, counted from 1: one, or those of red, green and blue.
        nodata: The value of pixels without data; None if there is none, or if alpha or a mask decides.
        colormap: The colour table of a tile of one band.
    """

    bands: int
    numbers: tuple[int, ...]
    nodata: float | None
    colormap: Mapping[int, RGB] | None

    @classmethod
    def of(cls, raster: Raster) -> "PixelFormat":
        """Return the format of an open tile. Raises `RasterError` if a mosaic cannot be made of such tiles."""
        if raster.dtype != "uint8":
            raise RasterError(
                f"{raster.path} has {raster.dtype} pixels, and a mosaic is made of 8-bit tiles: scale it first, for "
                "example with sattrans tile --scale"
            )
        bands = sum(color != "alpha" for color in raster.band_colors)
        if bands not in (1, 3):
            raise RasterError(
                f"{raster.path} has {bands} bands, and a mosaic is made of tiles with one band (classes, grey) or "
                "three (colours): select the bands first (gdal_translate -b 1 -b 2 -b 3)"
            )
        numbers = choose_bands(raster).bands if bands == 3 else choose_bands(raster).bands[:1]
        return cls(bands, numbers, effective_nodata(raster), raster.colormap() if bands == 1 else None)


@dataclass(frozen=True, slots=True)
class MosaicTile:
    """A tile of the mosaic as its file describes it.

    `has_transparency` says whether it has alpha or a mask; `notices` are what the user should know about the file.
    """

    path: Path
    grid: Grid
    format: PixelFormat
    has_transparency: bool
    notices: tuple[str, ...] = ()

    @property
    def measure_gsd(self) -> tuple[float, float] | None:
        """Width and height of a pixel in metres on the ground; without a CRS, in units of the transform."""
        return measure_gsd_or_unit(self.grid.georeference, self.grid.height, self.grid.width)


def find_tiles(folder: Path, output: Path) -> list[Path]:
    """Return the rasters in a folder, or the images of a tileset, sorted by name. Subfolders are ignored.

    Raises `UsageError` if there are none or the folder is unfinished, and `OutputExists` if the output would replace
    a tile, or would be found as a tile by the next call.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder of tiles")
    if is_unfinished(folder):
        raise UsageError(f"{folder} is unfinished, some tiles are missing: repeat the command that makes it")
    image_folder = folder / "images" if (folder / MANIFEST).is_file() else folder
    if image_folder is not folder and not image_folder.is_dir():
        raise UsageError(
            f"{folder} contains maps and images side by side in one file, for other tools: cut tiles with sattrans "
            "tile --layout tiles"
        )
    paths = [
        path
        for path in sorted(image_folder.iterdir())
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    ]
    if place_of(output.parent) == place_of(image_folder):
        raise OutputExists(
            f"{output} would be among the tiles, and the next mosaic would include it: choose another folder"
        )
    if image_folder is not folder:
        check_apart(output, [folder])
    if output.exists() and any(path.samefile(output) for path in paths):
        raise OutputExists(f"{output} is one of the tiles: choose another output")
    if not paths:
        raise UsageError(
            f"{folder} contains no rasters (it holds {contents_of(image_folder)}): give the folder of the tiles, as "
            f"{READABLE}, or make tiles with sattrans generate MAP -o {folder}"
        )
    return paths


def inspect_tiles(
    paths: Sequence[Path], folder: Path, datasets: DatasetPool, pool: Executor, res: float | None
) -> list[MosaicTile]:
    """Open all tiles and return what their files say.

    A tile that has no georeference of its own gets the one in the tileset's index, if there is an index. Raises
    `RasterError` for a tile that cannot be part of a mosaic, and `UsageError` for two tiles that do not match.
    """
    batches = [paths[start : start + BATCH] for start in range(0, len(paths), BATCH)]
    tiles = [tile for batch in pool.map(partial(_inspect, datasets=datasets, res=res), batches) for tile in batch]
    if not all(tile.grid.georeference.known for tile in tiles):
        georeferences = _georeferences_of_index(folder)
        tiles = [_georeferenced(tile, georeferences) for tile in tiles]
    log_few([notice for tile in tiles for notice in tile.notices])
    for tile in tiles:
        georeference = tile.grid.georeference
        if not georeference.known:
            raise RasterError(
                f"{tile.path} has no georeference, no world file beside it, and no entry in the index of a tileset: "
                "add a world file or an .aux.xml"
            )
        if not georeference.north_up:
            raise RasterError(f"{tile.path} is rotated or mirrored: warp it to north up first (rio warp)")
        _check_compatible(tile, tiles[0], res)
    return tiles


def check_hashes(paths: Sequence[Path], folder: Path, pool: Executor) -> None:
    """Raise `RasterError` for an image of a tileset that is not the one in its index, or is missing."""
    if not (folder / MANIFEST).is_file():
        return
    recorded = {tile.image_path(folder): tile.image_sha256 for tile in Tileset.open(folder).tiles}
    missing = sorted(recorded.keys() - set(paths))
    if missing:
        raise RasterError(f"{missing[0]} is missing; make the tileset again with --overwrite")
    for path, hash_ in zip(paths, pool.map(sha256, paths), strict=True):
        if recorded.get(path, hash_) != hash_:
            raise RasterError(f"{path} is not the tile that was cut, it has changed since; make the tileset again")


def _inspect(paths: Sequence[Path], datasets: DatasetPool, res: float | None) -> list[MosaicTile]:
    tiles = []
    with gdal_session(files_only=True):
        for path in paths:
            with datasets.inspect(path) as raster:
                if res is not None and raster.georeference.known:
                    target_grid(raster, res)  # raises if `res` is far from the tile's own resolution
                pixel_format = PixelFormat.of(raster)
                tiles.append(MosaicTile(path, Grid.of(raster), pixel_format, has_transparency(raster), raster.notices))
    return tiles


def _georeferences_of_index(folder: Path) -> dict[Path, Georeference]:
    """Return the georeference of each image of a tileset; an empty dict for any other folder."""
    if not (folder / MANIFEST).is_file():
        return {}
    tileset = Tileset.open(folder)
    scenes = tileset.scenes
    return {t.image_path(folder): scenes[t.scene].georeference.at(t.window) for t in tileset.tiles}


def _georeferenced(tile: MosaicTile, georeferences: Mapping[Path, Georeference]) -> MosaicTile:
    if tile.grid.georeference.known or tile.path not in georeferences:
        return tile
    return replace(tile, grid=replace(tile.grid, georeference=georeferences[tile.path]))


def _check_compatible(tile: MosaicTile, first: MosaicTile, res: float | None) -> None:
    """Raise `UsageError` if a tile and the first tile differ in CRS, in resolution without `res`, or in bands."""
    own, reference = tile.grid.georeference, first.grid.georeference
    both = f"{tile.path} and {first.path}"
    if not _same_place(tile.grid, reference):
        raise UsageError(
            f"{both} have different coordinate reference systems ({own.crs_name or 'none'} and "
            f"{reference.crs_name or 'none'}): reproject one of them first (rio warp)"
        )
    size, reference_size = own.resolution, reference.resolution
    drift = max(
        abs(a / b - 1) * length
        for a, b, length in zip(size, reference_size, (tile.grid.width, tile.grid.height), strict=True)
    )
    if res is None and drift > GRID_TOLERANCE:
        raise UsageError(
            f"{tile.path} has pixels of {size[0]:g} × {size[1]:g}, {first.path} of {reference_size[0]:g} × "
            f"{reference_size[1]:g}: choose the mosaic's resolution in metres with --res, for example --res "
            f"{min((tile.measure_gsd or size)[0], (first.measure_gsd or reference_size)[0]):.4g}"
        )
    if tile.format.bands != first.format.bands:
        raise UsageError(
            f"{both} differ in bands ({tile.format.bands} and {first.format.bands}): make a mosaic of each kind "
            "separately"
        )
    if (tile.format.colormap is None) != (first.format.colormap is None):
        raise UsageError(f"{both} differ in colour table, one has none: make a mosaic of each kind separately")


def _same_place(grid: Grid, reference: Georeference) -> bool:
    """Return whether a tile has the CRS of `reference`, by whatever name, or one with other heights alone."""
    own = grid.georeference
    if own.crs is None or reference.crs is None or same_crs(own.crs, reference.crs):
        return own.crs == reference.crs or same_crs(own.crs, reference.crs)
    corners = own.to_coordinates(window_corners([Window(0, 0, grid.height, grid.width)]))
    there = reproject(corners, own.crs, reference.crs)
    return there is not None and bool(np.abs(there - corners).max() <= GRID_TOLERANCE * min(own.resolution))
