"""The options of `evaluate`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from sattrans.errors import OptionError
from sattrans.utils.options import Device, Option, Scheduler, Seed, check, check_scheduler

ScoredSplit = Literal["train", "val", "test"]


def _parse_names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def _parse_weights(text: str) -> dict[str, Path]:
    name, sign, path = text.partition("=")
    if not (name and sign and path):
        raise OptionError(f"--weights must be NAME=FILE, such as vgg19=vgg19-dcbb9e9d.pth, got {text}")
    return {name: Path(path)}


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """What `evaluate` scores, and how. Each field is the option of the same name on the command line.

    Raises:
        OptionError: A value is out of bounds.
    """

    split: Annotated[ScoredSplit | None, Option("The tiles to score on.", default="test, else val")] = None
    data: Annotated[
        Path | None,
        Option("The tileset that the runs were trained on.", default="the folder that the runs name", metavar="FOLDER"),
    ] = None
    metrics: Annotated[
        tuple[str, ...],
        Option(
            "Names of scores, such as mae,ssim.", metavar="NAMES", default="all that are available", parse=_parse_names
        ),
    ] = ()
    segmenter: Annotated[
        str | None,
        Option(
            "For mIoU: train, to train a segmenter on the real tiles once and store it, or the file of a stored one.",
            metavar="train|FILE",
        ),
    ] = None
    weights: Annotated[
        Mapping[str, Path],
        Option(
            "Published weights: vgg19=FILE for VGG19, inception=FILE for FID and KID; repeatable.",
            metavar="NAME=FILE",
            default="files in $SATTRANS_WEIGHTS",
            parse=_parse_weights,
        ),
    ] = field(default_factory=dict)
    batch_size: Annotated[int, Option("Tiles translated at once.", minimum=1, decides_bytes=False)] = 8
    seed: Seed = 0
    device: Device = "auto"
    workers: Annotated[
        int | None,
        Option(
            "Processes of --scheduler local.",
            default="one per processor",
            minimum=1,
            decides_bytes=False,
            variable="SATTRANS_WORKERS",
        ),
    ] = None
    scheduler: Scheduler = None

    def __post_init__(self) -> None:
        check(self)
        check_scheduler(self.scheduler, self.workers)
