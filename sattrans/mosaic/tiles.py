"""The tiles of a mosaic: find them in a folder, and inspect each of them."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from sattrans.data.tileset import MANIFEST, Tileset
from sattrans.errors import OutputExists, RasterError, UsageError
from sattrans.mosaic.dataset_pool import DatasetPool
from sattrans.raster.alignment import Grid, target_grid
from sattrans.raster.georeference import Georeference
from sattrans.raster.gsd import measure_gsd_or_unit
from sattrans.raster.open import Raster, gdal_session
from sattrans.raster.palette import RGB
from sattrans.raster.tile_formats import IMAGE_SUFFIXES
from sattrans.utils.manifest import is_unfinished

BATCH = 16
"""Number of tiles that a thread inspects before it takes the next batch."""


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """What all tiles of a mosaic have in common: the number of bands without alpha, nodata and the colour table."""

    bands: int
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
        bands = raster.bands - (raster.alpha_band is not None)
        if bands not in (1, 3):
            raise RasterError(
                f"{raster.path} has {bands} bands, and a mosaic is made of tiles with one band (classes, grey) or "
                "three (colours): select the bands first (rio stack)"
            )
        return cls(bands, raster.nodata, raster.colormap() if bands == 1 else None)


@dataclass(frozen=True, slots=True)
class MosaicTile:
    """A tile of the mosaic as its file describes it."""

    path: Path
    grid: Grid
    format: PixelFormat
    has_alpha: bool

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
    if output.parent.resolve() == image_folder.resolve():
        raise OutputExists(
            f"{output} would be among the tiles, and the next mosaic would include it: choose another folder"
        )
    if output.exists() and any(path.samefile(output) for path in paths):
        raise OutputExists(f"{output} is one of the tiles: choose another output")
    if not paths:
        raise UsageError(
            f"{folder} contains no rasters: give the folder of the tiles, or make tiles with sattrans generate MAP "
            f"-o {folder}"
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


def _inspect(paths: Sequence[Path], datasets: DatasetPool, res: float | None) -> list[MosaicTile]:
    tiles = []
    with gdal_session(files_only=True):
        for path in paths:
            with datasets.inspect(path) as raster:
                if res is not None and raster.georeference.known:
                    target_grid(raster, res)  # raises if `res` is far from the tile's own resolution
                pixel_format = PixelFormat.of(raster)
                tiles.append(MosaicTile(path, Grid.of(raster), pixel_format, raster.alpha_band is not None))
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
    """Raise `UsageError` if a tile and the first tile differ in CRS, in resolution without `res`, or in format."""
    own, reference = tile.grid.georeference, first.grid.georeference
    both = f"{tile.path} and {first.path}"
    if own.crs != reference.crs and own.rasterio_crs != reference.rasterio_crs:
        raise UsageError(
            f"{both} have different coordinate reference systems ({own.crs_name or 'none'} and "
            f"{reference.crs_name or 'none'}): reproject one of them first (rio warp)"
        )
    size, reference_size = own.resolution, reference.resolution
    if res is None and max(abs(a - b) / b for a, b in zip(size, reference_size, strict=True)) > 1e-6:
        raise UsageError(
            f"{tile.path} has pixels of {size[0]:g} × {size[1]:g}, {first.path} of {reference_size[0]:g} × "
            f"{reference_size[1]:g}: choose the mosaic's resolution in metres with --res, for example --res "
            f"{min((tile.measure_gsd or size)[0], (first.measure_gsd or reference_size)[0]):.4g}"
        )
    if tile.format != first.format:
        raise UsageError(
            f"{both} differ in {_difference(tile.format, first.format)}: make a mosaic of each kind separately"
        )


def _difference(tile: PixelFormat, first: PixelFormat) -> str:
    if tile.bands != first.bands:
        return f"bands ({tile.bands} and {first.bands})"
    if tile.nodata != first.nodata:
        values = ("none" if nodata is None else f"{nodata:g}" for nodata in (tile.nodata, first.nodata))
        return f"nodata ({' and '.join(values)})"
    return "colour table"
