"""A mosaic laid out: its grid, where on it each tile goes, and what no tile covers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from sattrans.errors import UsageError
from sattrans.mosaic.dataset_pool import Shelf, Warp
from sattrans.mosaic.methods import JOINERS, Method
from sattrans.mosaic.tiles import Tile
from sattrans.raster.alignment import Grid
from sattrans.raster.aoi import parse_bounds
from sattrans.raster.bands import read_valid
from sattrans.raster.cog.writer import Layout, RowWriter
from sattrans.raster.georeference import Georeference
from sattrans.raster.open import session
from sattrans.raster.window import Window

OFF_GRID = 0.05
"""How far, in pixels, a tile may lie off the mosaic's grid."""

MOST_SIDE = 500_000
"""The widest or highest mosaic, in pixels: a larger one is a misplaced tile, or a slip of the unit."""

SLACK = 1e-6
"""Of a pixel: what a coordinate may be off by from being written as decimals."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A tile, its window on the mosaic's grid (it may stick out), and how it gets there, if it is on another."""

    path: Path
    window: Window
    warp: Warp | None


@dataclass(frozen=True)
class Plan:
    """The mosaic's grid and its tiles in their order."""

    grid: Grid
    tiles: Sequence[Placed]

    @cached_property
    def _index(self) -> shapely.STRtree:
        return shapely.STRtree([_box(tile.window) for tile in self.tiles])

    def under(self, piece: Window) -> list[Placed]:
        """Return the tiles that reach into a piece, in their order."""
        numbers = sorted(self._index.query(_box(piece)).tolist())
        return [self.tiles[n] for n in numbers if self.tiles[n].window.intersection(piece)]

    @cached_property
    def gaps(self) -> list[Window]:
        """What no tile covers, as the windows around each connected part, the largest first."""
        rest = shapely.difference(self._all, self._covered)
        parts = [part for part in shapely.get_parts(rest) if part.area]
        around = [tuple(map(round, part.bounds)) for part in sorted(parts, key=lambda part: -part.area)]
        return [Window(top, left, bottom - top, right - left) for left, top, right, bottom in around]

    @property
    def gap(self) -> float:
        """The part of the mosaic that no tile covers, 0 to 1."""
        return 1 - float(shapely.area(self._covered)) / (self.grid.height * self.grid.width)

    @property
    def _all(self) -> shapely.Geometry:
        return shapely.box(0, 0, self.grid.width, self.grid.height)

    @cached_property
    def _covered(self) -> shapely.Geometry:
        return shapely.intersection(shapely.union_all(self._index.geometries), self._all)


def lay_out(tiles: Sequence[Tile], is_map: bool, res: float | None, bounds: str | None) -> Plan:
    """Lay tiles out on the grid of the first, or one of square pixels of `res` from its corner, cut to `bounds`.

    Raises `UsageError` for tiles off the grid, for spans that cannot be meant, and for bounds that miss all tiles.
    """
    reference = tiles[0].grid.georeference
    if res is not None:
        wide, high = reference.resolution
        reference = reference.scaled(res / wide, res / high)
    placed = [_place(tile, tiles[0], reference, is_map, res) for tile in tiles]
    placed = [tile for tile in placed if tile.window.height and tile.window.width]
    whole = _around(placed)
    if max(whole.height, whole.width) > MOST_SIDE and bounds is None:
        raise UsageError(f"the tiles span {whole.width} wide × {whole.height} high: is one of them misplaced?")
    if bounds is not None:
        whole = _cut(bounds, reference, placed)
    grid = Grid(whole.height, whole.width, reference.at(whole))
    inside = [tile for tile in placed if tile.window.intersection(whole)]
    return Plan(grid, [_moved(tile, whole) for tile in inside])


def _place(tile: Tile, first: Tile, reference: Georeference, is_map: bool, res: float | None) -> Placed:
    """Return a tile with its window on the endless grid of `reference`."""
    place, (height, width) = tile.grid.georeference, (tile.grid.height, tile.grid.width)
    left, top = ~reference.affine @ place.affine @ (0, 0)
    right, bottom = ~reference.affine @ place.affine @ (width, height)
    off = left - round(left), top - round(top)
    same = abs(right - left - width) < OFF_GRID and abs(bottom - top - height) < OFF_GRID
    if same and max(map(abs, off)) <= OFF_GRID:
        return Placed(tile.path, Window(round(top), round(left), height, width), None)
    if res is None:
        raise UsageError(
            f"{tile.path} is off the grid of {first.path} by {off[0]:+.2f} columns and {off[1]:+.2f} rows: --res "
            f"{place.resolution[0]:g} puts all tiles onto one grid, by interpolation"
        )
    # The pixels whose centres lie in the tile: of two tiles side by side, each centre lies in one.
    row, col = math.ceil(top - 0.5 - SLACK), math.ceil(left - 0.5 - SLACK)
    end, side = math.ceil(bottom - 0.5 - SLACK), math.ceil(right - 0.5 - SLACK)
    window = Window(row, col, end - row, side - col)
    grid = Grid(window.height, window.width, reference.at(window))
    empty = None if tile.alpha else tile.kind.nodata
    return Placed(tile.path, window, Warp(grid, tile.grid, is_map, empty))


def _around(tiles: Sequence[Placed]) -> Window:
    whole = tiles[0].window
    top, left = min(t.window.row for t in tiles), min(t.window.col for t in tiles)
    bottom, right = max(t.window.bottom for t in tiles), max(t.window.right for t in tiles)
    return whole.union(Window(top, left, bottom - top, right - left))


def _cut(bounds: str, reference: Georeference, tiles: Sequence[Placed]) -> Window:
    """Return the pixels that bounds (left,bottom,right,top in the tiles' CRS) touch."""
    west, south, east, north = shapely.bounds(parse_bounds(bounds).geometry).tolist()
    left, top = ~reference.affine @ (west, north)
    right, bottom = ~reference.affine @ (east, south)
    row, col = math.floor(top + SLACK), math.floor(left + SLACK)
    window = Window(row, col, math.ceil(bottom - SLACK) - row, math.ceil(right - SLACK) - col)
    if not any(tile.window.intersection(window) for tile in tiles):
        around = _around(tiles)
        x0, y1 = reference.affine @ (around.col, around.row)
        x1, y0 = reference.affine @ (around.right, around.bottom)
        raise UsageError(
            f"--bounds {bounds}: no tile lies there; the tiles lie within {x0:.12g},{y0:.12g},{x1:.12g},{y1:.12g}"
        )
    if max(window.height, window.width) > MOST_SIDE:
        raise UsageError(f"--bounds {bounds} spans {window.width} wide × {window.height} high: are the units right?")
    return window


def _moved(tile: Placed, whole: Window) -> Placed:
    window = tile.window
    return Placed(
        tile.path, Window(window.row - whole.row, window.col - whole.col, window.height, window.width), tile.warp
    )


def _box(window: Window) -> shapely.Geometry:
    return shapely.box(window.col, window.row, window.right, window.bottom)


@dataclass(frozen=True)
class Work:
    """What all pieces of a mosaic are made with. Pieces are made by several threads at a time.

    `whole` says that no tile can have a pixel that holds nothing.
    """

    plan: Plan
    layout: Layout
    method: Method
    shelf: Shelf
    whole: bool

    def write(self, writer: RowWriter, piece: Window) -> None:
        """Make a piece, and write it."""
        with session(files_only=True):
            writer.write(piece, self.joined(piece))

    def joined(self, piece: Window) -> NDArray[np.uint8]:
        """Return the pixels of a piece, (bands, height, width)."""
        tiles = self.plan.under(piece)
        windows = [_from(piece, tile.window) for tile in tiles]
        joiner = JOINERS[self.method](self.layout.count, piece.height, piece.width, windows, self.whole)
        for number in joiner.order:
            part = joiner.wanted(number)
            if part is not None:
                joiner.feed(number, part, *self._read(tiles[number], _from(windows[number], part)))
        pixels, filled = joiner.joined()
        if self.layout.nodata is not None:
            pixels[:, ~filled] = int(self.layout.nodata)
        if self.layout.alpha:
            pixels = np.concatenate([pixels, np.where(filled, 255, 0).astype(np.uint8)[np.newaxis]])
        return pixels

    def _read(self, tile: Placed, inside: Window) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
        with self.shelf.opened(tile.path, tile.warp) as raster:
            pixels = raster.read(inside, range(1, self.layout.count + 1)).astype(np.uint8, copy=False)
            valid = read_valid(raster, inside, pixels)
        return pixels, None if valid is None or valid.all() else valid


def _from(origin: Window, window: Window) -> Window:
    """Return a window as it is counted from the top left of another."""
    return Window(window.row - origin.row, window.col - origin.col, window.height, window.width)
