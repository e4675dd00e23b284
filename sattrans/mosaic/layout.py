"""Plan a mosaic: its grid, the window of each tile on it, and the gaps; then join the tiles chunk by chunk."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from sattrans.errors import OptionError, UsageError
from sattrans.mosaic.dataset_pool import DatasetPool, Warp
from sattrans.mosaic.methods import METHODS
from sattrans.mosaic.options import Method
from sattrans.mosaic.tiles import MosaicTile
from sattrans.raster.alignment import Grid
from sattrans.raster.aoi import parse_bounds
from sattrans.raster.bands import read_valid_mask
from sattrans.raster.cog.writer import Layout, RowWriter
from sattrans.raster.georeference import Georeference
from sattrans.raster.open import gdal_session
from sattrans.raster.window import Window

GRID_TOLERANCE = 0.05
"""Largest offset, in pixels, of a tile from the mosaic's grid that needs no resampling."""

MAX_SIDE = 500_000
"""Largest width or height of a mosaic in pixels: beyond it, a tile is misplaced or a unit is wrong."""

ROUNDING = 1e-6
"""Error, in pixels, that a coordinate may have because it was written as a decimal number."""


@dataclass(frozen=True, slots=True)
class PlacedTile:
    """A tile and its window on the mosaic's grid, which may cross the mosaic's edge. `warp`: None on the same grid."""

    path: Path
    window: Window
    warp: Warp | None


@dataclass(frozen=True)
class MosaicPlan:
    """The mosaic's grid and its tiles, sorted by name."""

    grid: Grid
    tiles: Sequence[PlacedTile]

    @cached_property
    def _index(self) -> shapely.STRtree:
        return shapely.STRtree([_box(tile.window) for tile in self.tiles])

    def tiles_over(self, chunk: Window) -> list[PlacedTile]:
        """Return the tiles that overlap a chunk, sorted by name."""
        indices = sorted(self._index.query(_box(chunk)).tolist())
        return [self.tiles[index] for index in indices if self.tiles[index].window.intersection(chunk)]

    @cached_property
    def gaps(self) -> list[Window]:
        """The bounding windows of the connected areas that no tile covers, the largest area first."""
        uncovered = shapely.difference(self._extent, self._covered)
        parts = sorted((part for part in shapely.get_parts(uncovered) if part.area), key=lambda part: -part.area)
        bounds = [tuple(map(round, part.bounds)) for part in parts]
        return [Window(top, left, bottom - top, right - left) for left, top, right, bottom in bounds]

    @property
    def gap_share(self) -> float:
        """The share of the mosaic that no tile covers, 0 to 1."""
        return 1 - float(shapely.area(self._covered)) / (self.grid.height * self.grid.width)

    @property
    def _extent(self) -> shapely.Geometry:
        return shapely.box(0, 0, self.grid.width, self.grid.height)

    @cached_property
    def _covered(self) -> shapely.Geometry:
        return shapely.intersection(shapely.union_all(self._index.geometries), self._extent)


def plan_mosaic(tiles: Sequence[MosaicTile], is_map: bool, res: float | None, bounds: str | None) -> MosaicPlan:
    """Choose the mosaic's grid and find the window of each tile on it.

    The grid is that of the first tile. With `res`, it starts at the first tile's corner, and its pixels have that size
    in metres on the ground. `bounds` clips it. Raises `UsageError` for tiles off the grid, for an implausible extent,
    and for bounds that contain no tile.
    """
    reference = tiles[0].grid.georeference
    if res is not None:
        pixel = tiles[0].measure_gsd
        if pixel is None:
            raise OptionError(f"--res {res:g}: {tiles[0].path} does not tell its ground resolution: give it a CRS")
        reference = reference.scaled(res / pixel[0], res / pixel[1])
    placed = [_place(tile, tiles[0], reference, is_map, res) for tile in tiles]
    placed = [tile for tile in placed if tile.window.height and tile.window.width]
    extent = _extent(placed)
    if max(extent.height, extent.width) > MAX_SIDE and bounds is None:
        raise UsageError(
            f"the tiles span {extent.width} wide × {extent.height} high: check the georeference of each tile, or "
            "choose a part with --bounds"
        )
    if bounds is not None:
        extent = _bounds_window(bounds, reference, placed)
    grid = Grid(extent.height, extent.width, reference.at(extent))
    return MosaicPlan(grid, [_relative_to(extent, tile) for tile in placed if tile.window.intersection(extent)])


def _place(tile: MosaicTile, first: MosaicTile, reference: Georeference, is_map: bool, res: float | None) -> PlacedTile:
    """Return a tile with its window on the unbounded grid of `reference`."""
    own, (height, width) = tile.grid.georeference, (tile.grid.height, tile.grid.width)
    left, top = ~reference.affine @ own.affine @ (0, 0)
    right, bottom = ~reference.affine @ own.affine @ (width, height)
    offset = left - round(left), top - round(top)
    same_size = abs(right - left - width) < GRID_TOLERANCE and abs(bottom - top - height) < GRID_TOLERANCE
    if same_size and max(map(abs, offset)) <= GRID_TOLERANCE:
        return PlacedTile(tile.path, Window(round(top), round(left), height, width), None)
    if res is None:
        pixel = tile.measure_gsd or own.resolution
        raise UsageError(
            f"{tile.path} is off the grid of {first.path} by {offset[0]:+.2f} columns and {offset[1]:+.2f} rows: "
            f"--res {pixel[0]:.4g} resamples all tiles to one grid"
        )
    # The pixels whose centres are in the tile: if two tiles share an edge, each centre is in only one of them.
    first_row, first_col = math.ceil(top - 0.5 - ROUNDING), math.ceil(left - 0.5 - ROUNDING)
    end_row, end_col = math.ceil(bottom - 0.5 - ROUNDING), math.ceil(right - 0.5 - ROUNDING)
    window = Window(first_row, first_col, end_row - first_row, end_col - first_col)
    grid = Grid(window.height, window.width, reference.at(window))
    nodata = None if tile.has_alpha else tile.format.nodata
    return PlacedTile(tile.path, window, Warp(grid, tile.grid, is_map, nodata))


def _extent(tiles: Sequence[PlacedTile]) -> Window:
    """Return the bounding window of all tiles."""
    top, left = min(t.window.row for t in tiles), min(t.window.col for t in tiles)
    bottom, right = max(t.window.bottom for t in tiles), max(t.window.right for t in tiles)
    return Window(top, left, bottom - top, right - left)


def _bounds_window(bounds: str, reference: Georeference, tiles: Sequence[PlacedTile]) -> Window:
    """Return the window of all pixels that bounds (left,bottom,right,top in the tiles' CRS) touch."""
    west, south, east, north = shapely.bounds(parse_bounds(bounds).geometry).tolist()
    left, top = ~reference.affine @ (west, north)
    right, bottom = ~reference.affine @ (east, south)
    row, col = math.floor(top + ROUNDING), math.floor(left + ROUNDING)
    window = Window(row, col, math.ceil(bottom - ROUNDING) - row, math.ceil(right - ROUNDING) - col)
    if not any(tile.window.intersection(window) for tile in tiles):
        extent = _extent(tiles)
        x0, y1 = reference.affine @ (extent.col, extent.row)
        x1, y0 = reference.affine @ (extent.right, extent.bottom)
        raise UsageError(
            f"--bounds {bounds} contains no tile; the tiles extend over {x0:.12g},{y0:.12g},{x1:.12g},{y1:.12g}"
        )
    if max(window.height, window.width) > MAX_SIDE:
        raise UsageError(
            f"--bounds {bounds} spans {window.width} wide × {window.height} high: give coordinates in the unit of the "
            "tiles' CRS"
        )
    return window


def _relative_to(extent: Window, tile: PlacedTile) -> PlacedTile:
    return PlacedTile(tile.path, tile.window.shifted(-extent.row, -extent.col), tile.warp)


def _box(window: Window) -> shapely.Geometry:
    return shapely.box(window.col, window.row, window.right, window.bottom)


@dataclass(frozen=True)
class ChunkJoiner:
    """Joins the tiles of a mosaic chunk by chunk; several threads may use it at once.

    `all_valid` says that no tile can have a pixel without data.
    """

    plan: MosaicPlan
    layout: Layout
    method: Method
    datasets: DatasetPool
    all_valid: bool

    @property
    def averages(self) -> bool:
        """Whether the method averages pixel values."""
        return METHODS[self.method].averages

    def write(self, writer: RowWriter, chunk: Window) -> None:
        """Join the tiles on a chunk, and write it."""
        with gdal_session(files_only=True):
            writer.write(chunk, self.join(chunk))

    def join(self, chunk: Window) -> NDArray[np.uint8]:
        """Return the pixels of a chunk, (bands, height, width)."""
        tiles = self.plan.tiles_over(chunk)
        windows = [tile.window.shifted(-chunk.row, -chunk.col) for tile in tiles]
        joiner = METHODS[self.method].joiner(self.layout.count, chunk.height, chunk.width, windows, self.all_valid)
        for index in joiner.order:
            part = joiner.visible_part(index)
            if part is not None:
                part_of_tile = part.shifted(-windows[index].row, -windows[index].col)
                joiner.add(index, part, *self._read(tiles[index], part_of_tile))
        pixels, filled = joiner.result()
        if self.layout.nodata is not None:
            pixels[:, ~filled] = int(self.layout.nodata)
        if self.layout.alpha:
            pixels = np.concatenate([pixels, np.where(filled, 255, 0).astype(np.uint8)[np.newaxis]])
        return pixels

    def _read(self, tile: PlacedTile, part: Window) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
        with self.datasets.open(tile.path, tile.warp) as raster:
            pixels = raster.read(part, range(1, self.layout.count + 1)).astype(np.uint8, copy=False)
            valid = read_valid_mask(raster, part, pixels)
        return pixels, None if valid is None or valid.all() else valid
