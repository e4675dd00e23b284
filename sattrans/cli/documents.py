"""What commands print with `--json`: one document each, with a format and a version.

A version grows if a field is dropped or changes its meaning. docs/make_schemas.py writes their schemas to docs/schemas.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

if TYPE_CHECKING:
    from sattrans.metrics.seams import Seams


class Part(BaseModel):
    """A part of a document."""

    model_config = ConfigDict(extra="forbid")


class Document(Part):
    """What all documents have."""

    version: Literal[1] = 1
    notes: list[str] = Field(default=[], description="What a user should know, a sentence each.")

    def to_json(self) -> Any:
        """Return the document as JSON has it; a number that is not finite is null."""
        return _finite(self.model_dump(mode="json"))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class ErrorDocument(Document):
    """An error, on stderr."""

    format: Literal["sattrans.error"] = "sattrans.error"
    error: str = Field(description="What is wrong, where, and what to do: one line.")
    details: list[str] = Field(default=[], description="Further lines.")
    exit_code: int = Field(description="1: the command failed. 2: it was used wrongly. 128 and more: a signal.")


class Leaks(Part):
    """Pairs of tiles of different splits."""

    touching: int
    overlapping: int
    between_scenes: int
    tiles: int = Field(description="Tiles in these pairs.")
    by_splits: dict[str, int]


class Scene(Part):
    """A scene of a dataset."""

    id: str
    width: int = Field(description="Pixels.")
    height: int = Field(description="Pixels.")
    tiles: dict[str, int] = Field(description="Tiles by split.")


class TileDocument(Document):
    """What `sattrans tile` made, or would make."""

    format: Literal["sattrans.tile"] = "sattrans.tile"
    folder: Path
    dry_run: bool
    made: bool = Field(description="False if it was there already, and after a dry run.")
    size: int = Field(description="Side of a tile, in pixels.")
    tiles: dict[str, int] = Field(description="Tiles by split.")
    scenes: list[Scene]
    classes: dict[str, dict[str, float]] = Field(description="Share of the area by split and class; empty if unknown.")
    dropped: dict[str, int] = Field(description="Cells left out, by reason.")
    leaks: Leaks
    bytes: int | None = Field(default=None, description="Of a dry run, an estimate of the size on disk.")


class SeamScore(Part):
    """Across the lines where windows meet, against inside; 1 is seamless."""

    gradient: float
    detail: float

    @classmethod
    def of(cls, seams: "Seams | None") -> "SeamScore | None":
        """Return the score; None if no two windows meet."""
        return cls(gradient=seams.gradient, detail=seams.detail) if seams else None


class Image(Part):
    """An image that `sattrans generate` made, or would make."""

    output: Path
    dry_run: bool
    made: bool = Field(description="False if it was there already, and after a dry run.")
    run: Path
    model: str
    width: int = Field(description="Pixels.")
    height: int = Field(description="Pixels.")
    windows: int
    updated: int | None = Field(description="Windows translated again; null without --update.")
    seams: SeamScore | None
    refined: Path | None = Field(description="The run of --refine.")
    consistency: float | None = Field(description="Mean grey levels between a refined image made coarse and its base.")
    memory: int | None = Field(description="Of a dry run, bytes needed.")
    disk: int | None = Field(description="Of a dry run, bytes needed while it is written.")


class GenerateDocument(Document):
    """What `sattrans generate` made, or would make: an image for each map and variant."""

    format: Literal["sattrans.generate"] = "sattrans.generate"
    images: list[Image]


class Gap(Part):
    """The bounding window of an area that no tile covers, in pixels."""

    row: int
    column: int
    width: int
    height: int


class MosaicDocument(Document):
    """What `sattrans mosaic` made, or would make."""

    format: Literal["sattrans.mosaic"] = "sattrans.mosaic"
    output: Path
    dry_run: bool
    made: bool = Field(description="False if it was there already, and after a dry run.")
    width: int = Field(description="Pixels.")
    height: int = Field(description="Pixels.")
    tiles: int
    gap_share: float = Field(description="Part of the mosaic that no tile covers, 0 to 1.")
    gaps: list[Gap] = Field(description="The largest first.")
    memory: int | None = Field(description="Of a dry run, bytes needed.")
    disk: int | None = Field(description="Of a dry run, bytes needed while it is written.")
    free: int | None = Field(description="Of a dry run, free bytes on that disk.")


class ScoreEntry(Part):
    """A score with its 95 % interval over images, if it has one."""

    value: float | None
    low: float | None
    high: float | None


class Column(Part):
    """The scores of a run, of runs that differ in their seed only, or of a folder."""

    name: str
    scores: dict[str, ScoreEntry] = Field(description="By metric.")


class RepeatedScoreEntry(ScoreEntry):
    """The mean mIoU of several segmenters, or a difference of two; the interval is over tiles and segmenters."""

    values: list[float | None] = Field(description="Of each segmenter.")


class CurvePointEntry(Part):
    """Segmenters that learned from some real tiles, alone and together with the generated ones."""

    real_tiles: int
    real: RepeatedScoreEntry
    both: RepeatedScoreEntry
    difference: RepeatedScoreEntry = Field(description="`both` less `real`, paired.")
    finding: Literal["helps", "makes it worse", "does not help", "cannot be told"]


class DownstreamRun(Part):
    """The images of a run as training data."""

    name: str
    verdict: str
    generated: RepeatedScoreEntry = Field(description="Of segmenters that learned from generated images alone.")
    points: list[CurvePointEntry]


class DownstreamEntry(Part):
    """Whether generated images help to train a segmenter that is tested on real tiles."""

    steps: int
    repeats: int
    generated_tiles: int
    runs: list[DownstreamRun]


class EvaluateDocument(Document):
    """What `sattrans evaluate` found; scores.json in the folder has more."""

    format: Literal["sattrans.evaluate"] = "sattrans.evaluate"
    verdict: str = Field(description="What the scores mean, in a sentence; empty if they do not say it.")
    folder: Path
    dry_run: bool
    split: str = Field(description="The split, or `pairs`.")
    images: int
    names: list[str] = Field(description="What was scored, or would be.")
    metrics: dict[str, str] = Field(description="Titles by metric.")
    columns: list[Column]
    baselines: dict[str, dict[str, ScoreEntry]] = Field(description="`real`, `class_colors` and the floors, by metric.")
    downstream: DownstreamEntry | None = Field(default=None, description="With `--downstream`.")


class ImageSeams(Part):
    """The seams of an image; null if no two windows meet."""

    image: Path
    seams: SeamScore | None


class SeamsDocument(Document):
    """What `sattrans evaluate` found of generated GeoTIFFs."""

    format: Literal["sattrans.seams"] = "sattrans.seams"
    images: list[ImageSeams]


class TrainDocument(Document):
    """What `sattrans train` trained, or would train."""

    format: Literal["sattrans.train"] = "sattrans.train"
    folder: Path
    dry_run: bool
    model: str
    tileset: Path
    steps: int
    epochs: int | None = Field(description="Null after a dry run, and so are the fields below.")
    monitor: str | None
    best: float | None = Field(description="The lowest value of `monitor`.")
    best_epoch: int | None
    best_step: int | None = None
    stopped_early: bool | None


class ColorizeDocument(Document):
    """What `sattrans colorize` made, or would make."""

    format: Literal["sattrans.colorize"] = "sattrans.colorize"
    dry_run: bool
    made: list[Path]
    existing: list[Path]
    planned: list[Path]
    legend: Path | None


class RunEntry(Part):
    """A run in a list."""

    name: str
    folder: Path
    model: str
    tileset: str
    finished: bool
    epochs: int | None
    monitor: str
    best: float | None
    best_epoch: int | None
    created: str


class RunsDocument(Document):
    """The runs in a folder, oldest first."""

    format: Literal["sattrans.runs"] = "sattrans.runs"
    folder: Path
    runs: list[RunEntry]


class RunDocument(Document):
    """A run: what run.json records, and the last line of metrics.jsonl."""

    format: Literal["sattrans.run"] = "sattrans.run"
    folder: Path
    finished: bool
    manifest: dict[str, JsonValue]
    last: dict[str, JsonValue] | None


class TilesetEntry(Part):
    """A tileset in a list."""

    name: str
    folder: Path
    dataset: str
    size: int = Field(description="Side of a tile, in pixels.")
    tiles: dict[str, int] = Field(description="Tiles by split.")
    classes: list[str] = Field(description="Empty if its maps are pictures.")
    created: str


class TilesetsDocument(Document):
    """The tilesets in a folder, oldest first."""

    format: Literal["sattrans.tilesets"] = "sattrans.tilesets"
    folder: Path
    tilesets: list[TilesetEntry]


class CalibratedDocument(Document):
    """The flat field that `sattrans runs calibrate` estimated; `strength` is in grey levels of 255."""

    format: Literal["sattrans.calibrated"] = "sattrans.calibrated"
    folder: Path
    classes: list[str]
    strength: float


class RemovedDocument(Document):
    """What `sattrans runs remove` or `sattrans tilesets remove` removed, or would remove."""

    format: Literal["sattrans.removed"] = "sattrans.removed"
    dry_run: bool
    folders: list[Path]
    bytes: int


class DatasetEntry(Part):
    """A dataset plugin."""

    name: str
    title: str
    layout: str
    licence: str
    homepage: str
    published_size: int | None = Field(description="Side of a published tile, in pixels.")
    classes: dict[str, str] | None = Field(description="Colours by class; null if the folder says them.")


class DatasetsDocument(Document):
    """The datasets that are installed; one of them with `show`."""

    format: Literal["sattrans.datasets"] = "sattrans.datasets"
    datasets: list[DatasetEntry]


class ModelEntry(Part):
    """A model plugin."""

    name: str
    title: str
    paper: str
    default: bool
    sizes: list[int] = Field(description="Sides of tiles that it takes, in pixels.")
    training: dict[str, JsonValue] = Field(description="Its defaults.")
    options: dict[str, JsonValue] = Field(description="JSON Schema of its options.")


class ModelsDocument(Document):
    """The models that are installed; one of them with `show`."""

    format: Literal["sattrans.models"] = "sattrans.models"
    models: list[ModelEntry]


class PluginEntry(Part):
    """A plugin; `error` is empty if it loads."""

    kind: Literal["dataset", "model"]
    name: str
    package: str
    package_version: str
    error: str


class PluginsDocument(Document):
    """Every plugin."""

    format: Literal["sattrans.plugins"] = "sattrans.plugins"
    plugins: list[PluginEntry]


class CheckEntry(Part):
    """A thing that `sattrans check` looked at."""

    what: str
    state: Literal["ok", "note", "broken"]
    found: str


class CheckDocument(Document):
    """What `sattrans check` found."""

    format: Literal["sattrans.check"] = "sattrans.check"
    ok: bool = Field(description="Whether nothing is broken.")
    checks: list[CheckEntry]


def documents() -> list[type[Document]]:
    """Return all documents."""
    return Document.__subclasses__()
