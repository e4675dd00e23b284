"""Schemas of a tileset's files.

Importing this module loads pydantic, which takes time: import it in the function that reads such a file.
"""

import re
from functools import lru_cache
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, FailFast, Field, RootModel

from sattrans.data.dataset import TileSplit
from sattrans.raster.georeference import parse_crs
from sattrans.utils.schemas import (
    Count,
    FileInside,
    Hash,
    LongText,
    Manifest,
    ManifestWithOptions,
    Name,
    Options,
    Schema,
    Share,
    Side,
    Table,
    Text,
    Time,
    Transform,
)

Level = Annotated[int, Field(ge=0, le=255)]


class ClassEntry(Schema):
    """A class of a palette."""

    value: Level
    name: Name
    color: Annotated[list[Level], Field(min_length=3, max_length=3)]


Classes = Annotated[list[ClassEntry], Field(min_length=1, max_length=255)]


HEX = re.compile(r"#[0-9a-fA-F]{6}")


def _color(color: Any) -> tuple[int, ...]:
    if isinstance(color, str) and HEX.fullmatch(color):
        return tuple(bytes.fromhex(color[1:]))
    if isinstance(color, list) and len(color) == 3 and all(type(band) is int and 0 <= band <= 255 for band in color):
        return tuple(color)
    raise ValueError('must be "#614a4a" or [97, 74, 74], each 0 to 255')


class ClassTable(Table):
    """A class in a file that people write."""

    value: Level
    color: Annotated[tuple[int, int, int], BeforeValidator(_color)]


class ClassTables(RootModel[dict[Name, ClassTable]]):
    """`classes.toml`, or the table `[classes]` of another file."""

    model_config = ConfigDict(strict=True)


@lru_cache(maxsize=256)
def _crs(wkt: str) -> str:
    """Refuse a CRS that is none, or that names a file, which PROJ would open."""
    parse_crs(wkt)
    return wkt


class SceneEntry(Schema):
    """A scene in a tileset's manifest."""

    id: Name
    region: Text
    image: Text
    map: Text | None
    height: Side
    width: Side
    crs: Annotated[LongText, AfterValidator(_crs)] | None
    transform: Transform


class InputEntry(Schema):
    """An input file, by size, time and hash."""

    model_config = ConfigDict(strict=True, extra="forbid")

    path: Text
    bytes: Count
    time: int
    sha256: Hash | None = None


class LeakageEntry(Schema):
    """How many tiles of different splits touch."""

    model_config = ConfigDict(strict=True, extra="forbid")

    touching: Count
    overlapping: Count
    between_scenes: Count
    tiles: Count
    by_splits: dict[Text, Count]


class TilesetManifest(ManifestWithOptions):
    """`tileset.json` of a finished tileset."""

    created: Time
    size: Annotated[int, Field(ge=1, le=1 << 16)]
    palette: Classes | None
    tiles: dict[TileSplit, Count]
    notices: list[Text]
    scenes: Annotated[list[SceneEntry], Field(max_length=1_000_000)]
    dropped: dict[Text, Count] = Field(default_factory=dict)
    leakage: LeakageEntry | None = None
    inputs: list[InputEntry] = Field(default_factory=list)
    scale: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None


class CutTilesetManifest(TilesetManifest):
    """`tileset.json` as `tile` writes it, with what it needs to compare and resume."""

    dropped: dict[Text, Count]
    leakage: LeakageEntry
    inputs: list[InputEntry]


class BegunTilesetManifest(Manifest):
    """`tileset.json.begun`."""

    created: Time
    options: Options
    inputs: list[InputEntry]
    scale: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None


class WindowEntry(Schema):
    """A tile's window in the journal."""

    model_config = ConfigDict(strict=True, extra="forbid")

    row: Count
    col: Count
    height: Side
    width: Side


class TileEntry(Schema):
    """A tile in the journal."""

    model_config = ConfigDict(strict=True, extra="forbid")

    id: Name
    scene: Name
    split: TileSplit
    window: WindowEntry
    shares: dict[Name, Share]
    image: FileInside
    image_sha256: Hash
    map: FileInside | None
    map_sha256: Hash | None
    valid: Share


class JournalEntry(Schema):
    """A line of the journal: a row of tiles that was cut, or an input that was hashed."""

    row: Name | None = None
    tiles: list[TileEntry] = Field(default_factory=list)
    dropped: dict[Text, Count] = Field(default_factory=dict)
    invalid: dict[Text, Count] = Field(default_factory=dict)
    input: InputEntry | None = None


class IndexProperties(Schema):
    """The properties of a feature of the index."""

    scene: Name
    split: TileSplit
    row: Count
    col: Count
    height: Side
    width: Side
    shares: dict[Name, Share]
    valid: Share
    image: FileInside
    image_sha256: Hash
    map: FileInside | None
    map_sha256: Hash | None


class IndexFeature(Schema):
    """A feature of the index, without its outline."""

    id: Name
    properties: IndexProperties


class Index(Schema):
    """`tiles.geojson`."""

    features: Annotated[list[IndexFeature], FailFast()]
