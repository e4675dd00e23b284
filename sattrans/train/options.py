"""The options of `train`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from sattrans.errors import OptionError
from sattrans.utils.options import Device, Option, check
from sattrans.utils.records import read_toml, refusing

TrainPrecision = Literal["32", "bf16"]
"""The numbers that networks compute with: 32-bit floats, or bfloat16 under autocast."""

LENGTH, DATA, OPTIMIZATION, RUNNING = "How long", "Which tiles", "Optimization", "Running"


def parse_setting(text: str) -> dict[str, str]:
    """Split "name=value". Raises `OptionError`."""
    name, equals, value = text.partition("=")
    if not equals:
        raise OptionError(f"--set must be name=value, got {text}")
    return {name.strip(): value.strip()}


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """What `train` trains, and how. Each field is the option of the same name on the command line.

    A field that is None takes the model's default (`Model.defaults`).

    Raises:
        OptionError: A value is out of bounds, or options exclude each other.
    """

    model: Annotated[
        str | None,
        Option(
            "The model's name (sattrans models).",
            short="-m",
            metavar="NAME",
            default="the one that sattrans models marks",
            complete="models",
        ),
    ] = None
    settings: Annotated[
        Mapping[str, Any],
        Option(
            "An option of the model; repeatable (sattrans models show NAME lists them).",
            name="--set",
            metavar="NAME=VALUE",
            parse=parse_setting,
        ),
    ] = field(default_factory=dict)
    epochs: Annotated[
        int | None, Option("How often each tile is seen.", panel=LENGTH, default="the model's", minimum=1)
    ] = None
    steps: Annotated[
        int | None, Option("Steps, instead of epochs.", panel=LENGTH, default="the model's, if it has them", minimum=1)
    ] = None
    patience: Annotated[
        int | None,
        Option("Stop after this many epochs without a better value.", panel=LENGTH, default="the model's", minimum=1),
    ] = None
    monitor: Annotated[
        str | None,
        Option(
            "The validation score that selects the best checkpoint and stops early: joint_kid, kid, or a loss of the "
            "model.",
            metavar="SCORE",
            panel=LENGTH,
            default="the model's",
        ),
    ] = None
    sample_every: Annotated[
        int | None,
        Option(
            "Steps between two validations, each with a sheet of samples and a checkpoint.",
            panel=LENGTH,
            default="an epoch",
            minimum=1,
        ),
    ] = None
    balance: Annotated[
        str | None,
        Option(
            "Show rare classes more often: auto, or how much a pixel of a class counts, as road=5,building=2.",
            metavar="auto|CLASS=N",
            panel=DATA,
            default="all alike",
        ),
    ] = None
    warp: Annotated[
        int,
        Option(
            "Warp map and image together at random, by up to this many pixels.",
            metavar="PX",
            panel=DATA,
            minimum=0,
            maximum=64,
        ),
    ] = 0
    batch_size: Annotated[
        int | None,
        Option("Tiles in a step of one process.", panel=OPTIMIZATION, default="the model's", minimum=1),
    ] = None
    ema: Annotated[
        float | None,
        Option(
            "Decay of the generator's moving average; 0 for no average.",
            panel=OPTIMIZATION,
            default="the model's",
            minimum=0,
            below=1,
        ),
    ] = None
    precision: Annotated[TrainPrecision, Option("32, or bf16 if the processor is fast at it.", panel=OPTIMIZATION)] = (
        "32"
    )
    init: Annotated[
        Path | None,
        Option("A run whose last weights to start from.", panel=OPTIMIZATION, metavar="RUN", complete="runs"),
    ] = None
    seed: Annotated[int, Option("Same seed, same weights (on the CPU).", panel=OPTIMIZATION, minimum=0)] = 0
    compile: Annotated[
        bool, Option("Have PyTorch compile the networks: slow to start, then faster.", panel=RUNNING)
    ] = False
    device: Device = "auto"
    devices: Annotated[
        int,
        Option(
            "Processes that train one model, each on its own device (CUDA) with its own batch.",
            panel=RUNNING,
            minimum=1,
            decides_bytes=False,
        ),
    ] = 1

    def __post_init__(self) -> None:
        check(self)
        if self.epochs is not None and self.steps is not None:
            raise OptionError("--epochs and --steps exclude each other: give one")


def read_recipe(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read an options file: TOML with the model's options, and a table `[train]` with fields of `TrainOptions`.

    Returns:
        The model's options, and the table; empty if there is none.

    Raises:
        OptionError: If the file does not exist or is not valid TOML, or `[train]` is not a table.
    """
    with refusing(f"--options {path}", OptionError):
        own = read_toml(path)
    shared = own.pop("train", {})
    if not isinstance(shared, dict):
        raise OptionError(f"--options {path}: [train] must be a table")
    return own, shared
