"""Tileset: a folder of tiles with its index (`tiles.geojson`) and its manifest (`tileset.json`)."""

import gc
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sattrans.data.dataset import SPLITS, TileSplit
from sattrans.errors import NothingToUse, SattransError, UsageError
from sattrans.raster.georeference import Georeference
from sattrans.raster.gsd import measure_gsd
from sattrans.raster.palette import Palette
from sattrans.raster.window import Window
from sattrans.utils.atomic import write_json
from sattrans.utils.console import pluralize
from sattrans.utils.folders import tiles_folder
from sattrans.utils.hashing import sha256
from sattrans.utils.manifest import begun_of, folders_with, read_manifest, write_manifest
from sattrans.utils.records import checked_json, read_bytes

if TYPE_CHECKING:
    from pydantic import BaseModel

VERSION = 2
MANIFEST = "tileset.json"
INDEX = "tiles.geojson"


@dataclass(frozen=True, slots=True)
class SceneRecord:
    """A scene as the manifest records it: its files (`map` is None if it has no map), size and georeference."""

    id: str
    region: str
    image: str
    map: str | None
    height: int
    width: int
    georeference: Georeference


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile. `image` and `map` are the names of its files in the tileset; an unpaired tile has no map.

    `shares` are the parts of the tile (0 to 1) that each class covers, by name. They add up to `valid`, the part that
    is not nodata, and are empty if the tileset has no classes.
    """

    id: str
    scene: str
    split: TileSplit
    window: Window
    shares: Mapping[str, float]
    image: str
    image_sha256: str
    map: str | None = None
    map_sha256: str | None = None
    valid: float = 1.0

    def image_path(self, folder: Path) -> Path:
        """Return the path of the image in a tileset's folder."""
        return folder / self.image

    def map_path(self, folder: Path) -> Path:
        """Return the path of a paired tile's map in a tileset's folder."""
        assert self.map, f"tile {self.id} has no map"
        return folder / self.map


@dataclass(frozen=True)
class Tileset:
    """A finished tileset. Open one with `Tileset.open`."""

    folder: Path
    manifest: Mapping[str, Any]

    @classmethod
    def open(cls, folder: Path) -> "Tileset":
        """Open a folder that `tile` finished. Raises `UsageError` if it is not a tileset or is unfinished."""
        if not (folder / MANIFEST).is_file():
            if begun_of(folder / MANIFEST).is_file():
                raise UsageError(f"{folder} is an unfinished tileset; repeat the sattrans tile command to finish it")
            raise UsageError(f"{folder} is not a tileset; make one with sattrans tile FOLDER -o {folder}")
        return cls(folder, read_manifest(folder / MANIFEST, "tileset", VERSION, _schema))

    @classmethod
    def all(cls, under: Path | None = None) -> list["Tileset"]:
        """Return the finished tilesets under a folder (by default `tiles_folder()`), oldest first.

        A damaged one, or one of another version, is left out.
        """
        found = []
        for folder in folders_with(under or tiles_folder(), MANIFEST):
            with suppress(SattransError):
                found.append(cls.open(folder))
        return sorted(found, key=lambda tileset: str(tileset.manifest["created"]))

    @classmethod
    def newest(cls, under: Path | None = None) -> "Tileset":
        """Open the newest tileset that can be trained on, not one with map and image side by side; see `all`.

        Raises `NothingToUse` if there is none.
        """
        under = under or tiles_folder()
        found = [tileset for tileset in cls.all(under) if not tileset.side_by_side]
        if not found:
            raise NothingToUse(f"no tileset in {under}/; make one with sattrans tile FOLDER, or name one with --data")
        return found[-1]

    def __repr__(self) -> str:
        return f"<Tileset {str(self.folder)!r}: {pluralize(len(self.tiles), 'tile')} of {self.size} px>"

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name

    @property
    def size(self) -> int:
        """Side of a tile in pixels."""
        return int(self.manifest["size"])

    @cached_property
    def palette(self) -> Palette | None:
        """The classes of the maps; None if the maps are RGB pictures."""
        classes = self.manifest["palette"]
        return Palette.from_json(classes) if classes is not None else None

    @property
    def side_by_side(self) -> bool:
        """Whether a tile's map and image are one file, left and right half: for other tools, not for training."""
        return bool(self.manifest["options"].get("layout") == "pairs")

    @property
    def ground_resolution(self) -> tuple[float, float] | None:
        """The shortest and the longest side of a pixel in all scenes, in metres; None if any is unknown."""
        sides = [measure_gsd(s.georeference, s.height, s.width) for s in self.scenes.values()]
        known = [side for pixel in sides if pixel for side in pixel]
        return (min(known), max(known)) if known and None not in sides else None

    @cached_property
    def scenes(self) -> dict[str, SceneRecord]:
        """The scenes by id."""
        return {
            s["id"]: SceneRecord(
                s["id"], s["region"], s["image"], s["map"], s["height"], s["width"], Georeference.from_json(s)
            )
            for s in self.manifest["scenes"]
        }

    @cached_property
    def tiles(self) -> tuple[Tile, ...]:
        """All tiles, in the order of the index."""
        path = self.folder / INDEX
        try:
            with _without_collection():
                return tuple(_tiles(read_bytes(path)))
        except OSError as error:
            raise UsageError(f"{path} is damaged ({error.strerror}): make the tileset again") from error
        except ValueError as error:
            raise UsageError(f"{path} is damaged ({error}): make the tileset again") from error

    def split(self, split: TileSplit) -> list[Tile]:
        """Return the tiles of a split."""
        return [tile for tile in self.tiles if tile.split == split]

    @staticmethod
    def most_varied(tiles: Sequence[Tile], count: int) -> list[int]:
        """Return the indices of the `count` tiles with the most even class mix, the highest entropy of class shares."""

        def entropy(tile: Tile) -> float:
            return -sum(share * math.log(share) for share in tile.shares.values() if share > 0)

        return sorted(range(len(tiles)), key=lambda index: (-entropy(tiles[index]), index))[:count]

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the index, which holds that of each tile."""
        return sha256(self.folder / INDEX)

    def georeference(self, tile: Tile) -> Georeference:
        """Return a tile's georeference."""
        return self.scenes[tile.scene].georeference.at(tile.window)


def tile_to_json(tile: Tile) -> dict[str, Any]:
    """Return a tile's fields for JSON."""
    window = tile.window
    extent = {"row": window.row, "col": window.col, "height": window.height, "width": window.width}
    return {field.name: getattr(tile, field.name) for field in fields(tile)} | {"window": extent}


def tile_from_json(value: Mapping[str, Any]) -> Tile:
    """Return the tile of which `tile_to_json` returned the fields."""
    return Tile(**{**value, "window": Window(**value["window"])})


def _schema() -> "type[BaseModel]":
    from sattrans.data.schemas import TilesetManifest

    return TilesetManifest


MAX_TILES = 500_000
"""The most tiles of a tileset, whose index is held in memory."""


OBJECTS_OF_TILE = 4
"""JSON objects of a tile in the index: feature, outline, properties and shares."""


@contextmanager
def _without_collection() -> Iterator[None]:
    """Pause the collection of garbage, which takes half of the time while many objects are made that stay."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _tiles(data: bytes) -> Iterator[Tile]:
    """Yield the tiles of an index. Raises `ValueError` if it is damaged."""
    from sattrans.data.schemas import Index, IndexProperties

    # Counted before memory is taken for them; objects, as a key may be left out, or written with escapes.
    most = max(data.count(b'"Feature"'), data.count(b'"image_sha256"'), data.count(b"{") // OBJECTS_OF_TILE)
    if most > MAX_TILES:
        raise ValueError(f"it has more than {MAX_TILES} tiles")
    features = checked_json(Index, data).features
    for name in IndexProperties.model_fields:
        if data.count(f'"{name}":'.encode()) > len(features):
            raise ValueError(f"a tile has {name} twice")
    for feature in features:
        p = feature.properties
        window = Window(p.row, p.col, p.height, p.width)
        yield Tile(
            feature.id,
            p.scene,
            p.split,
            window,
            p.shares,
            p.image,
            p.image_sha256,
            p.map,
            p.map_sha256,
            p.valid,
        )


def write_index(folder: Path, tiles: Iterable[Tile], scenes: Mapping[str, SceneRecord]) -> None:
    """Write `tiles.geojson` (RFC 7946): a feature per tile with its footprint in WGS 84, null for an unknown CRS."""
    tiles = list(tiles)
    outline_of: dict[str, Any] = {}
    of_scene: dict[str, list[Tile]] = {}
    for tile in tiles:
        of_scene.setdefault(tile.scene, []).append(tile)
    # All tiles of a scene in one call, because setting up a reprojection takes as long as reprojecting them.
    for name, scene_tiles in of_scene.items():
        outlines = scenes[name].georeference.footprints([tile.window for tile in scene_tiles])
        outline_of.update(zip([tile.id for tile in scene_tiles], outlines, strict=True))
    features = [
        {
            "type": "Feature",
            "id": tile.id,
            "geometry": outline_of[tile.id],
            "properties": {
                "scene": tile.scene,
                "split": tile.split,
                "row": tile.window.row,
                "col": tile.window.col,
                "height": tile.window.height,
                "width": tile.window.width,
                "shares": {name: round(share, 6) for name, share in tile.shares.items()},
                "valid": round(tile.valid, 6),
                "image": tile.image,
                "image_sha256": tile.image_sha256,
                "map": tile.map,
                "map_sha256": tile.map_sha256,
            },
        }
        for tile in tiles
    ]
    write_json(folder / INDEX, {"type": "FeatureCollection", "features": features}, indent=None)


def manifest_body(
    created: str,
    options: Mapping[str, Any],
    size: int,
    palette: Palette | None,
    scenes: Sequence[SceneRecord],
    tiles: Sequence[Tile],
    notices: Sequence[str],
) -> dict[str, Any]:
    """Return the fields of a finished tileset's manifest; `tile` adds others."""
    return {
        "created": created,
        "options": dict(options),
        "size": size,
        "palette": palette.to_json() if palette else None,
        "tiles": {split: sum(tile.split == split for tile in tiles) for split in (*SPLITS, "unpaired")},
        "notices": list(notices),
        "scenes": [
            {
                "id": s.id,
                "region": s.region,
                "image": s.image,
                "map": s.map,
                "height": s.height,
                "width": s.width,
                **s.georeference.to_json(),
            }
            for s in scenes
        ],
    }


def write_tileset_manifest(path: Path, body: Mapping[str, Any]) -> None:
    """Write a tileset's manifest at `path`."""
    write_manifest(path, "tileset", VERSION, body)
