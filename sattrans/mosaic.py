"""Join georeferenced tiles that overlap into one tiled GeoTIFF, by rows of blocks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from shapely import area, box, union_all

from sattrans.dataset import IMAGE_SUFFIXES
from sattrans.errors import OptionError, OutputExists, RasterError, UsageError
from sattrans.files import fingerprint
from sattrans.grid import Window
from sattrans.join import JOINERS, WEIGHTS, Method
from sattrans.palette import RGB
from sattrans.progress import bar
from sattrans.raster.gate import Raster, open_raster
from sattrans.raster.georeference import Georeference
from sattrans.raster.read import read_valid
from sattrans.raster.rows import Layout, is_finished, is_ours, row_writer
from sattrans.version import __version__

OFF_GRID = 0.05
"""How far, in pixels, a tile may lie off the mosaic's grid."""

MOST_SIDE = 500_000
"""The widest or highest mosaic, in pixels: a larger one is a misplaced tile, and a row of it would not fit."""


@dataclass(frozen=True, slots=True)
class MosaicResult:
    """The output, its size in pixels, how many tiles went in, and the share of it that no tile covers."""

    output: Path
    height: int
    width: int
    tiles: int
    gap: float
    made: bool


@dataclass(frozen=True, slots=True)
class _Piece:
    """A tile and its place on the mosaic's grid."""

    path: Path
    window: Window


def mosaic(tiles: Path, output: Path, blend: Method | None = None, overwrite: bool = False) -> MosaicResult:
    """Join the rasters in a folder (or a tileset's `images`) into `output`, a cloud-optimised GeoTIFF.

    The tiles share a CRS, a resolution and a grid; their sizes may differ. Where they overlap, `blend` takes
    the first or the last (by name), the mean, or the mean weighted by the distance to each tile's edge
    (`feather`, the default for images; class maps take `first`). Pixels that no tile covers are transparent.
    Raises `UsageError` and `RasterError` for tiles that do not fit together.
    """
    paths = _find(tiles, output)
    if output.suffix.lower() not in (".tif", ".tiff"):
        raise OptionError(f"-o {output}: the mosaic is a GeoTIFF, give a name that ends in .tif")
    places, kind = _look(paths)
    origin, pieces, height, width = _lay_out(places)
    method = blend or ("first" if kind.bands == 1 else "feather")
    if method not in JOINERS:
        raise OptionError(f"--blend {method}: one of {', '.join(JOINERS)} is needed")
    if kind.colormap and method not in ("first", "last"):
        raise OptionError(f"--blend {method} would mix class values: class maps take first or last")
    outlines = [box(p.window.col, p.window.row, p.window.right, p.window.bottom) for p in pieces]
    gap = 1 - float(area(union_all(outlines))) / (height * width)
    options = {"tiles": fingerprint(paths), "blend": method}
    if not overwrite and is_finished(output, options):
        return MosaicResult(output, height, width, len(pieces), gap, made=False)
    nodata = kind.nodata
    if nodata is None and not kind.alpha and gap > 0 and kind.bands == 1:
        nodata = _free_value(paths)
    alpha = kind.alpha or (gap > 0 and nodata is None)
    tags = {"SATTRANS_VERSION": __version__}
    layout = Layout(height, width, kind.bands, origin, alpha, kind.colormap, nodata, tags)
    with row_writer(output, layout, options, overwrite) as writer:
        missing = writer.missing()
        total = len(layout.pieces)
        with bar(total, "mosaic", "piece", total - len(missing)) as progress:
            for piece in missing:
                writer.write(piece, _join(piece, pieces, layout, method))
                progress.update()
    return MosaicResult(output, height, width, len(pieces), gap, made=True)


def _find(tiles: Path, output: Path) -> list[Path]:
    if not tiles.is_dir():
        raise UsageError(f"{tiles}: no such folder of tiles")
    folder = tiles / "images" if (tiles / "tileset.json").is_file() else tiles
    own = output.resolve()
    found = [p for p in sorted(folder.iterdir()) if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".")]
    paths = [p for p in found if p.resolve() != own]
    if len(paths) < len(found) and not is_ours(output):
        raise OutputExists(f"{output} is one of the tiles: choose another output")
    if not paths:
        raise UsageError(f"{tiles} holds no rasters: make tiles with sattrans generate MAP -o {tiles}")
    return paths


@dataclass(frozen=True, slots=True)
class _Kind:
    """What all tiles of a mosaic have in common."""

    bands: int
    alpha: bool
    nodata: float | None
    colormap: dict[int, RGB] | None

    @classmethod
    def of(cls, raster: Raster) -> "_Kind":
        if raster.dtype != "uint8":
            raise RasterError(f"{raster.path} holds {raster.dtype} pixels: tiles of 8 bits are joined")
        alpha = raster.alpha_band is not None
        bands = raster.bands - alpha
        if bands not in (1, 3):
            raise RasterError(
                f"{raster.path} has {bands} bands: tiles of one (classes, grey) or three (colours) are joined"
            )
        return cls(bands, alpha, raster.nodata, raster.colormap() if bands == 1 else None)


@dataclass(frozen=True, slots=True)
class _Place:
    """A tile as it was found."""

    path: Path
    georeference: Georeference
    height: int
    width: int


def _look(paths: Sequence[Path]) -> tuple[list[_Place], _Kind]:
    places: list[_Place] = []
    kind: _Kind | None = None
    for path in paths:
        with open_raster(path) as raster:
            here, own = raster.georeference, _Kind.of(raster)
            places.append(_Place(path, here, raster.height, raster.width))
        if not here.north_up:
            raise RasterError(f"{path} has no georeference with north up: warp it first (rio warp)")
        if kind is None:
            kind = own
            continue
        first = places[0]
        if here.rasterio_crs != first.georeference.rasterio_crs:
            raise UsageError(
                f"{path} and {first.path} have different coordinate reference systems: reproject one first"
            )
        if not np.allclose(here.resolution, first.georeference.resolution, rtol=1e-6):
            raise UsageError(
                f"{path} has pixels of {here.resolution[0]:g}, {first.path} of "
                f"{first.georeference.resolution[0]:g}: resample one first"
            )
        if own != kind:
            raise UsageError(f"{path} and {first.path} differ in bands, colour table or nodata: they cannot be joined")
    assert kind is not None
    return places, kind


def _lay_out(places: Sequence[_Place]) -> tuple[Georeference, list[_Piece], int, int]:
    """Return the mosaic's georeference, the tiles on its grid, its height and its width."""
    reference = places[0].georeference
    pieces = []
    for place in places:
        col, row = ~reference.affine @ (place.georeference.transform[2], place.georeference.transform[5])
        if max(abs(col - round(col)), abs(row - round(row))) > OFF_GRID:
            raise UsageError(
                f"{place.path} is off the grid of {places[0].path} by {col - round(col):+.2f} columns and "
                f"{row - round(row):+.2f} rows: resample one onto the other's grid first"
            )
        pieces.append((place.path, Window(round(row), round(col), place.height, place.width)))
    top, left = min(w.row for _, w in pieces), min(w.col for _, w in pieces)
    height, width = max(w.bottom for _, w in pieces) - top, max(w.right for _, w in pieces) - left
    if max(height, width) > MOST_SIDE:
        raise UsageError(f"the tiles span {width} wide × {height} high: is one of them misplaced?")
    moved = [_Piece(path, Window(w.row - top, w.col - left, w.height, w.width)) for path, w in pieces]
    return reference.at(Window(top, left, height, width)), moved, height, width


def _join(piece: Window, tiles: Sequence[_Piece], layout: Layout, method: Method) -> NDArray[np.uint8]:
    joiner = JOINERS[method](layout.count, piece.height, piece.width)
    for tile in tiles:
        part = tile.window.intersection(piece)
        if part is None:
            continue
        inside = Window(part.row - tile.window.row, part.col - tile.window.col, part.height, part.width)
        with open_raster(tile.path) as raster:
            pixels = raster.read(inside, range(1, layout.count + 1)).astype(np.uint8, copy=False)
            valid = read_valid(raster, inside, pixels)
        weight = WEIGHTS[method](tile.window, part)
        if valid is not None:
            weight = weight * valid
        place = (
            slice(part.row - piece.row, part.bottom - piece.row),
            slice(part.col - piece.col, part.right - piece.col),
        )
        joiner.feed(place, pixels, weight)
    joined, filled = joiner.joined()
    if layout.nodata is not None:
        joined[:, ~filled] = int(layout.nodata)
    if layout.alpha:
        joined = np.concatenate([joined, np.where(filled, 255, 0).astype(np.uint8)[np.newaxis]])
    return joined


def _free_value(paths: Sequence[Path]) -> int:
    """Return the highest value that no tile holds: what stands for a gap between class maps."""
    free = np.ones(256, bool)
    for path in paths:
        with open_raster(path) as raster:
            for window in raster.bands_of_rows():
                free[np.unique(raster.read(window))] = False
    if not free.any():
        raise UsageError("the tiles leave gaps and hold every value from 0 to 255: give them a nodata value")
    return int(np.flatnonzero(free)[-1])
