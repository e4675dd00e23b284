"""Plan a mosaic: its grid, the window of each tile on it, and the gaps; then join the tiles chunk by chunk."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from sattrans.errors import OptionError, UsageError
from sattrans.mosaic.dataset_pool import DatasetPool, Warp
from sattrans.mosaic.methods import METHODS, Opacity, Pixels
from sattrans.mosaic.options import Method
from sattrans.mosaic.tiles import GRID_TOLERANCE, MosaicTile
from sattrans.raster.alignment import Grid
from sattrans.raster.aoi import parse_bounds
from sattrans.raster.cog.writer import Layout, RowWriter
from sattrans.raster.georeference import Georeference
from sattrans.raster.open import gdal_session
from sattrans.raster.validity import effective_nodata, holds_data, is_opaque, read_opacity
from sattrans.raster.window import Window

MAX_SIDE = 500_000
"""Largest width or height of a mosaic in pixels: beyond it, a tile is misplaced or a unit is wrong."""

DECIMALS = 1e-6
"""Error of a pixel's size that a world file of six decimals has, in units of the CRS."""

ROUNDING = 1e-6
"""Error, in pixels, that a coordinate may have because it was written as a decimal number."""


@dataclass(frozen=True, slots=True)
class PlacedTile:
    """A tile and its window on the mosaic's grid, which may cross the mosaic's edge.

    `bands` are read of it; `has_transparency` is as in `MosaicTile`; `warp` is None if it is on the mosaic's grid.
    """

    path: Path
    window: Window
    bands: tuple[int, ...]
    has_transparency: bool
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
    else:
        reference = _with_exact_pixels(reference, tiles)
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


def _with_exact_pixels(reference: Georeference, tiles: Sequence[MosaicTile]) -> Georeference:
    """Return a grid whose pixels are as large as the distances between tiles say, if world files rounded their size.

    Six decimals of a pixel's size are enough within a tile, but their error grows with the number of pixels.
    """
    a, b, c, d, e, f = reference.transform
    sides = []
    for side, origin, ends in (
        (a, c, [tile.grid.georeference.transform[2] for tile in tiles]),
        (e, f, [tile.grid.georeference.transform[5] for tile in tiles]),
    ):
        distance = max((end - origin for end in ends), key=abs)
        pixels = round(distance / side)
        exact = distance / pixels if pixels else side
        is_off = abs(distance / side - pixels) > GRID_TOLERANCE / 2
        sides.append(exact if is_off and abs(exact - side) <= DECIMALS else side)
    return Georeference(reference.crs, (sides[0], b, c, d, sides[1], f))


def _place(tile: MosaicTile, first: MosaicTile, reference: Georeference, is_map: bool, res: float | None) -> PlacedTile:
    """Return a tile with its window on the unbounded grid of `reference`."""
    own, (height, width) = tile.grid.georeference, (tile.grid.height, tile.grid.width)
    left, top = ~reference.affine @ own.affine @ (0, 0)
    right, bottom = ~reference.affine @ own.affine @ (width, height)
    offset = left - round(left), top - round(top)
    same_size = abs(right - left - width) < GRID_TOLERANCE and abs(bottom - top - height) < GRID_TOLERANCE
    if same_size and max(map(abs, offset)) <= GRID_TOLERANCE:
        window = Window(round(top), round(left), height, width)
        return PlacedTile(tile.path, window, tile.format.numbers, tile.has_transparency, None)
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
    warp = Warp(grid, tile.grid, is_map, tile.format.nodata)
    return PlacedTile(tile.path, window, tile.format.numbers, tile.has_transparency, warp)


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
    return replace(tile, window=tile.window.shifted(-extent.row, -extent.col))


def _box(window: Window) -> shapely.Geometry:
    return shapely.box(window.col, window.row, window.right, window.bottom)


@dataclass(frozen=True)
class ChunkJoiner:
    """Joins the tiles of a mosaic chunk by chunk; several threads may use it at once.

    `all_valid` says that no tile can have a pixel without data; `is_map`, that values may be classes.
    """

    plan: MosaicPlan
    layout: Layout
    method: Method
    datasets: DatasetPool
    all_valid: bool
    is_map: bool

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
        pixels, opacity = joiner.result()
        if self.layout.nodata is not None:
            pixels[:, opacity == 0] = int(self.layout.nodata)
        if self.layout.alpha:
            pixels = np.concatenate([pixels, opacity[np.newaxis]])
        return pixels

    def _read(self, tile: PlacedTile, part: Window) -> tuple[Pixels, Opacity]:
        with self.datasets.open(tile.path, tile.warp) as raster:
            pixels = raster.read(part, tile.bands).astype(np.uint8, copy=False)
            opacity = read_opacity(raster, part)
            if opacity is None:
                data = holds_data(pixels, effective_nodata(raster))
                return pixels, None if data is None or data.all() else np.where(data, np.uint8(255), np.uint8(0))
            if tile.warp:
                opacity = _without_edges(opacity, part, tile.warp) if tile.has_transparency else _any(opacity)
            if self.is_map:  # classes cannot be mixed
                opacity = np.where(is_opaque(raster, opacity), np.uint8(255), np.uint8(0))
        return pixels, opacity


def _any(opacity: Pixels) -> Pixels:
    return np.where(opacity > 0, np.uint8(255), np.uint8(0))


def _without_edges(opacity: Pixels, part: Window, warp: Warp) -> Pixels:
    """Return the opacity of a warped tile's pixels, of which those at its edge are covered in part only.

    Such a pixel belongs to one tile, so that its opacity is that of the covered part: else each edge between two tiles
    would be a transparent line.
    """
    to_target = ~warp.target.georeference.affine @ warp.source.georeference.affine
    (left, top), (right, bottom) = to_target @ (0, 0), to_target @ (warp.source.width, warp.source.height)
    rows, cols = np.arange(part.row, part.bottom), np.arange(part.col, part.right)
    down = np.minimum(rows + 1, bottom) - np.maximum(rows, top)
    across = np.minimum(cols + 1, right) - np.maximum(cols, left)
    covered = np.outer(down.clip(1e-3, 1), across.clip(1e-3, 1))
    return np.rint(np.minimum(opacity / covered, 255)).astype(np.uint8)
