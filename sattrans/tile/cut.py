"""Cut one row of tiles of one scene: the unit of work of a thread."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sattrans.data.dataset import TileSplit
from sattrans.data.tileset import Tile
from sattrans.raster.bands import read_image
from sattrans.raster.georeference import Georeference
from sattrans.raster.open import gdal_session
from sattrans.raster.palette import UNKNOWN, Palette
from sattrans.raster.scale import Scale
from sattrans.raster.tile_formats import FORMATS, TileFormat
from sattrans.raster.window import Cell, Window
from sattrans.tile.options import TilesetLayout
from sattrans.tile.scene import SceneSource, cached_scene
from sattrans.utils.atomic import put
from sattrans.utils.hashing import sha256

Pixels = NDArray[np.uint8]

NODATA = "nodata"
"""The reason for leaving out a cell with too few valid pixels."""


@dataclass(frozen=True, slots=True)
class CutSettings:
    """What decides the bytes of tiles, the same for every scene. Picklable.

    `min_valid` is the least part of a tile's pixels in the scene that must hold something; `min_share` the least
    parts of it that classes must cover, by name; `drop_empty` leaves out tiles of the first class alone.
    """

    palette: Palette | None
    scale: Scale | None = None
    drop_empty: bool = False
    min_share: Mapping[str, float] | None = None
    min_valid: float = 1.0
    format: TileFormat = "tif"
    layout: TilesetLayout = "tiles"


@dataclass(frozen=True, slots=True)
class TileRow:
    """A row of tiles of one scene, the unit of work. Picklable; `known` is its result in an interrupted run."""

    source: SceneSource
    cells: tuple[tuple[Cell, TileSplit], ...]
    cutting: CutSettings
    folder: Path
    known: "CutResult | None" = None

    @property
    def key(self) -> str:
        """A hash of all that decides what becomes of the row, but the pixels."""
        nameless = replace(self.source, record=replace(self.source.record, image="", map=None))
        # All of it is frozen and plain, so that its text says all; files are named the same from any folder.
        decisive = nameless, self.source.files, self.cells, self.cutting
        return hashlib.sha256(repr(decisive).encode()).hexdigest()[:32]

    def from_anywhere(self) -> "TileRow":
        """Return the row with absolute paths, for a process that may run in another folder."""
        return replace(self, source=self.source.from_anywhere(), folder=self.folder.absolute())


@dataclass(frozen=True, slots=True)
class CutResult:
    """The result of cutting a row.

    Attributes:
        tiles: Its tiles.
        dropped: The number of dropped cells, by reason.
        invalid: Of the cells dropped for nodata, how many have invalid pixels in the image, and how many in the map.
    """

    tiles: tuple[Tile, ...]
    dropped: Mapping[str, int]
    invalid: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class TilePixels:
    """The pixels of one tile: red, green, blue (3, S, S); a map as class indices (S, S), or as a picture (3, S, S).

    `valid` says which pixels hold something, None where all do; elsewhere the image is black and indices are
    `UNKNOWN`. `inside` counts the pixels that lie in the scene. `invalid` names the files with invalid pixels there,
    "image" and "map".
    """

    cell: Cell
    split: TileSplit
    rgb: Pixels
    map: Pixels | None
    valid: NDArray[np.bool_] | None
    inside: int
    invalid: tuple[str, ...] = ()


def cut_row(row: TileRow) -> CutResult:
    """Read a row's pixels once, write its tiles, and return them; a row whose tiles are there is left as it is."""
    if row.known and all(_is_complete(tile, row.folder) for tile in row.known.tiles):
        return row.known
    tiles: list[Tile] = []
    dropped: Counter[str] = Counter()
    invalid: Counter[str] = Counter()
    with gdal_session():
        for pixels in read_tiles(row):
            shares = _shares(pixels, row.cutting)
            reason = _reason_to_drop(pixels, shares, row.cutting)
            if reason:
                dropped[reason] += 1
                invalid.update(pixels.invalid if reason == NODATA else ())
            else:
                tiles.append(_write(pixels, shares, row))
    return CutResult(tuple(tiles), dict(dropped), dict(invalid))


def tile_bytes(row: TileRow) -> Iterator[int]:
    """Yield how many bytes each tile of a row would take, without writing any."""
    georeference = row.source.record.georeference
    for pixels in read_tiles(row):
        files = _files("", pixels, georeference.at(pixels.cell.window), row.cutting)
        yield sum(len(data) for _, data in files)


def read_tiles(row: TileRow) -> Iterator[TilePixels]:
    """Yield the pixels of a row's tiles. Raises `RasterError` or `ClassesError` for what is wrong with them."""
    opened = cached_scene(row.source, row.cutting.palette)
    windows = [cell.window for cell, _ in row.cells]
    left, right = min(w.col for w in windows), max(w.right for w in windows)
    band = Window(windows[0].row, left, windows[0].height, right - left)
    inside = opened.image.window.intersection(band)
    assert inside
    interleaved = FORMATS[row.cutting.format].is_picture
    rgb, valid = read_image(opened.image, inside, row.source.bands, row.cutting.scale, interleaved)
    map_, there = opened.map.read_with_mask(inside) if opened.map else (None, None)
    held = {"image": valid, "map": there}
    if there is not None:
        valid = there if valid is None else valid & there
    for cell, split in row.cells:
        part = inside.intersection(cell.window)
        assert part
        across = slice(part.col - left, part.right - left)
        pixels = _tile_pixels(
            cell,
            split,
            rgb[:, :, across],
            map_[..., across] if map_ is not None else None,
            valid[:, across] if valid is not None else None,
        )
        invalid = [name for name, mask in held.items() if mask is not None and not mask[:, across].all()]
        yield replace(pixels, invalid=tuple(invalid))


def _tile_pixels(
    cell: Cell, split: TileSplit, rgb: Pixels, map_: Pixels | None, valid: NDArray[np.bool_] | None
) -> TilePixels:
    height, width = rgb.shape[1:]
    missing = (0, cell.window.height - height), (0, cell.window.width - width)
    if valid is not None and valid.all():
        valid = None
    if missing != ((0, 0), (0, 0)):  # a cell that sticks out of the scene: filled up with nothing
        here = np.ones((height, width), bool) if valid is None else valid
        valid = np.pad(here, missing)
        rgb = np.pad(rgb, ((0, 0), *missing))
        map_ = np.pad(map_, ((0, 0), *missing)[-map_.ndim :]) if map_ is not None else None
    if valid is not None:
        rgb = np.where(valid, rgb, 0).astype(np.uint8)
        if map_ is not None:
            map_ = np.where(valid, map_, UNKNOWN if map_.ndim == 2 else 0).astype(np.uint8)
    return TilePixels(cell, split, rgb, map_, valid, height * width)


def _shares(pixels: TilePixels, cutting: CutSettings) -> dict[str, float]:
    """Return the part of the tile that each class covers, of those that are there."""
    if cutting.palette is None or pixels.map is None:
        return {}
    # One count per class: for the number of classes that maps have, this is several times faster than a histogram.
    counts = (np.count_nonzero(pixels.map == index) for index in range(len(cutting.palette)))
    return {name: count / pixels.map.size for name, count in zip(cutting.palette.names, counts, strict=True) if count}


def _reason_to_drop(pixels: TilePixels, shares: Mapping[str, float], cutting: CutSettings) -> str:
    valid = pixels.inside if pixels.valid is None else int(pixels.valid.sum())
    if valid < cutting.min_valid * pixels.inside or not valid:
        return NODATA
    if pixels.map is None or cutting.palette is None:
        return ""
    if cutting.drop_empty and set(shares) <= {cutting.palette.names[0]}:
        return "empty"
    few = [name for name, least in (cutting.min_share or {}).items() if shares.get(name, 0.0) < least]
    return f"with too little {few[0]}" if few else ""


def _write(pixels: TilePixels, shares: Mapping[str, float], row: TileRow) -> Tile:
    scene, cutting = row.source.record, row.cutting
    name = f"{scene.id}_{pixels.cell.k}"
    files = dict(_files(name, pixels, scene.georeference.at(pixels.cell.window), cutting))
    hashes = {}
    for path, data in files.items():
        hashes[path] = hashlib.sha256(data).hexdigest()
        put(row.folder / path, data)
    image, *others = files
    map_ = others[0] if others else image if cutting.layout == "pairs" else None
    valid = 1.0 if pixels.valid is None else float(pixels.valid.mean())
    rounded = {name: round(share, 6) for name, share in shares.items()}
    return Tile(
        name,
        scene.id,
        pixels.split,
        pixels.cell.window,
        rounded,
        image,
        hashes[image],
        map_,
        hashes[map_] if map_ else None,
        round(valid, 6),
    )


def _files(
    name: str, pixels: TilePixels, georeference: Georeference, cutting: CutSettings
) -> Iterator[tuple[str, bytes]]:
    """Yield the tile's files: path within the tileset, and bytes. The image comes first."""
    kind = FORMATS[cutting.format]
    if cutting.layout == "pairs":
        both = np.concatenate([_map_in_colors(pixels, cutting.palette), pixels.rgb], axis=2)
        yield f"{pixels.split}/{name}{kind.image_suffix}", kind.encode_image(both, georeference)
        return
    yield f"images/{name}{kind.image_suffix}", kind.encode_image(pixels.rgb, georeference)
    if pixels.map is None:
        return
    path = f"maps/{name}{kind.map_suffix}"
    if cutting.palette is None:
        yield path, kind.encode_picture(pixels.map, georeference)
        return
    values = cutting.palette.to_values(pixels.map)
    yield path, kind.encode_class_map(values, georeference, cutting.palette, pixels.valid is not None)


def _map_in_colors(pixels: TilePixels, palette: Palette | None) -> Pixels:
    """Return the tile's map in colours, (3, S, S); black where it holds nothing."""
    assert pixels.map is not None
    if palette is None:
        return pixels.map
    return palette.to_rgb(pixels.map)


def _is_complete(tile: Tile, folder: Path) -> bool:
    """Return whether a tile's files exist and have the recorded hashes."""
    recorded = {tile.image: tile.image_sha256, tile.map: tile.map_sha256}
    try:
        return all(sha256(folder / path) == hash_ for path, hash_ in recorded.items() if path)
    except OSError:
        return False
