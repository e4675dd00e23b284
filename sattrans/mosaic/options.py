"""The options of `mosaic`."""

from dataclasses import dataclass
from typing import Annotated, Literal

from sattrans.utils.options import BOUNDS, WORKERS, CreationOptions, Option, Scheduler, check, check_scheduler

Method = Literal["first", "last", "mean", "feather"]

MAX_DEFAULT_WORKERS = 8
"""Upper limit of the default number of threads: each holds a chunk in memory, and more do not speed up the disk."""


@dataclass(frozen=True, slots=True)
class MosaicOptions:
    """How `mosaic` joins tiles. Each field is the option of the same name on the command line.

    Raises:
        OptionError: A value is out of bounds.
    """

    method: Annotated[
        Method | None,
        Option(
            "What becomes of pixels that several tiles cover.",
            default="feather, or first for tiles of one band",
            recorded_as="blend",
            aliases=("--blend",),
        ),
    ] = None
    res: Annotated[
        float | None,
        Option("Resample all tiles to pixels of this size: metres on the ground.", default="the tiles' own", above=0),
    ] = None
    bounds: Annotated[str | None, Option("Only these bounds, in the tiles' CRS.", metavar=BOUNDS)] = None
    co: CreationOptions = ()
    workers: Annotated[
        int | None,
        Option(
            WORKERS,
            default=f"one per processor, up to {MAX_DEFAULT_WORKERS}",
            minimum=1,
            decides_bytes=False,
            variable="SATTRANS_WORKERS",
        ),
    ] = None
    scheduler: Scheduler = None

    def __post_init__(self) -> None:
        check(self)
        check_scheduler(self.scheduler, self.workers)
