"""Schemas of a tileset's files. This module loads pydantic, so import it where a record is read."""

from typing import Annotated

from pydantic import ConfigDict, FailFast, Field

from sattrans.data.dataset import TileSplit
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


class SceneEntry(Schema):
    """A scene in a tileset's manifest."""

    id: Name
    region: Text
    image: Text
    map: Text | None
    height: Side
    width: Side
    crs: LongText | None
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
