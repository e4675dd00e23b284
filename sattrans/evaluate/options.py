"""The options of `evaluate`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from sattrans.errors import OptionError
from sattrans.utils.options import Device, Option, Scheduler, Seed, check, check_scheduler, option_fields

ScoredSplit = Literal["train", "val", "test"]

DOWNSTREAM = "Does the generated data help?"
"""The heading of the options of `--downstream` in `--help`."""


def _parse_names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def _parse_shares(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise OptionError(f"--downstream-shares must be shares such as 0.1,0.33,1, got {text}") from None


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
    floor: Annotated[
        tuple[str, ...],
        Option(
            "Also score images of the same maps by a model that learns nothing, such as one that copies training "
            "tiles, or by a run of one. They are made once, which may take minutes, and kept; repeatable.",
            metavar="MODEL|RUN",
            default="none",
            complete="models",
        ),
    ] = ()
    weights: Annotated[
        Mapping[str, Path],
        Option(
            "Published weights: vgg19=FILE for VGG19, inception=FILE for FID and KID; repeatable.",
            metavar="NAME=FILE",
            default="files in $SATTRANS_WEIGHTS",
            parse=_parse_weights,
        ),
    ] = field(default_factory=dict)
    downstream: Annotated[
        bool,
        Option(
            "Also train segmenters on real tiles, on generated ones and on both, and test them on the scored tiles.",
            panel=DOWNSTREAM,
        ),
    ] = False
    downstream_shares: Annotated[
        tuple[float, ...],
        Option(
            "Shares of the real training tiles that segmenters see.",
            panel=DOWNSTREAM,
            metavar="SHARES",
            default="0.1,0.33,1",
            above=0,
            maximum=1,
            parse=_parse_shares,
        ),
    ] = (0.1, 0.33, 1.0)
    downstream_steps: Annotated[int, Option("Training steps of each segmenter.", panel=DOWNSTREAM, minimum=1)] = 500
    downstream_repeats: Annotated[
        int, Option("Segmenters of each kind, with other seeds and other real tiles.", panel=DOWNSTREAM, minimum=2)
    ] = 3
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
        for entry in option_fields(type(self)):
            own = entry.option.panel == DOWNSTREAM and entry.name != "downstream"
            if own and not self.downstream and getattr(self, entry.name) != entry.default:
                raise OptionError(f"{entry.flag} needs --downstream: give both, or neither")
        check_scheduler(self.scheduler, self.workers)
