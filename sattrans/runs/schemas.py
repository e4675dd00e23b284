"""Schemas of a run's files. This module loads pydantic, so import it where a record is read."""

from typing import Annotated, get_args

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, model_validator

from sattrans.data.schemas import Classes
from sattrans.model import Schedule, SourceEncoding
from sattrans.utils.records import MAX_WHOLE
from sattrans.utils.schemas import Count, Hash, Manifest, Name, Options, Positive, Schema, Share, Text, Time

Pair = Annotated[list[Positive], Field(min_length=2, max_length=2)]
Channels = Annotated[int, Field(ge=1, le=4096)]
AtLeastOne = Annotated[int, Field(ge=1, lt=MAX_WHOLE)]


class SettingsEntry(Schema):
    """The settings of the training loop."""

    model_config = ConfigDict(strict=True, extra="forbid")

    steps: AtLeastOne
    batch_size: Annotated[int, Field(ge=1, le=1 << 20)]
    seed: Count
    precision: Annotated[str, Field(pattern="^(32|bf16)$")]
    ema: Annotated[float, Field(ge=0, lt=1)]
    patience: AtLeastOne | None
    monitor: Name
    schedule: Schedule
    processes: Annotated[int, Field(ge=1, le=1 << 16)] = 1
    compile: bool = False
    sample_every: AtLeastOne | None = None
    balance: dict[Name, Positive] | None = None
    warp: Count = 0


class SpecEntry(Schema):
    """What the networks were built for."""

    model_config = ConfigDict(strict=True, extra="forbid")

    size: Annotated[int, Field(ge=1, le=1 << 14)]
    source_channels: Channels
    target_channels: Channels = 3
    classes: Annotated[int, Field(ge=0, le=255)] = 0
    scenes: Annotated[list[Name], Field(max_length=1_000_000)] = Field(default_factory=list)
    shares: list[list[Share]] = Field(default_factory=list)
    tiles: Count = 0

    @model_validator(mode="after")
    def _agree(self) -> "SpecEntry":
        if self.shares and (
            len(self.shares) != len(self.scenes) or any(len(scene) != self.classes for scene in self.shares)
        ):
            raise ValueError("must give each scene a share of each class in shares")
        return self


class DataEntry(Schema):
    """The tileset that a run was trained on."""

    folder: Text
    name: Text
    hash: Hash


class SummaryEntry(Schema):
    """How a training ended."""

    steps: AtLeastOne
    epochs: AtLeastOne
    best: float
    best_epoch: AtLeastOne
    best_step: AtLeastOne | None = None
    monitor: Name
    stopped_early: bool


def _resolved(options: Options) -> Options:
    """Refuse options that lack those that every model has."""
    if options.get("source") not in get_args(SourceEncoding):
        raise ValueError(f"must have source {' or '.join(get_args(SourceEncoding))}")
    if type(options.get("width")) is not int:
        raise ValueError("must have a whole number width")
    return options


class RunManifest(Manifest):
    """`run.json`, finished or begun."""

    created: Time
    model: Name
    plugin: dict[Name, JsonValue] = Field(default_factory=dict)
    options: Annotated[Options, AfterValidator(_resolved)]
    settings: SettingsEntry
    spec: SpecEntry
    palette: Classes | None
    resolution: Pair | None = None
    ground_resolution: Pair | None = None
    data: DataEntry
    licence: Text | None = None
    attribution: Text | None = None
    init: Text | None
    versions: dict[Name, Text]
    summary: SummaryEntry = Field(default=None)  # type: ignore[assignment]  # absent until it is finished, never null

    @model_validator(mode="after")
    def _agree(self) -> "RunManifest":
        if self.spec.classes and len(self.palette or ()) != self.spec.classes:
            raise ValueError("must have as many classes in palette as in spec.classes")
        return self


class Calibration(Manifest):
    """`calibration.json`: the flat field for each statistics of batch norms."""

    fields: dict[Name, str]


class MetricsLine(Schema):
    """A line of `metrics.jsonl`; a value that is not finite stays, because it tells that training diverged."""

    epoch: Count
    step: Count
    train: dict[Name, float]
    val: dict[Name, float]
    images_per_second: float
    remarks: list[Text] = Field(default_factory=list)


class LoopState(Schema):
    """The state of a training in its last checkpoint."""

    step: Count
    best: float | None
    best_epoch: AtLeastOne | None
    best_step: AtLeastOne | None = None
    stale: Count
    sums: dict[Name, Annotated[list[float], Field(min_length=2, max_length=2)]]
    seconds: float
    optimizers: dict[Name, dict[Name, JsonValue]]
