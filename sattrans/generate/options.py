"""The options of `generate`."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from sattrans.errors import OptionError
from sattrans.maps.options import MapOptions
from sattrans.runs.options import Precision, Stats
from sattrans.utils.options import CreationOptions, Device, Option, Scheduler, Seed, check, check_scheduler

Blend = Literal["none", "linear", "hann", "bands"]
"""How overlapping windows are blended; `blending.RAMPS` has an entry for each."""

WINDOWS, FILES, SPEED = "Windows", "Files", "Speed"


def read_overlap(text: str) -> tuple[float, bool]:
    """Return the number of an overlap, and whether it is a percentage; otherwise it is in whole pixels.

    Raises:
        OptionError: If the text is neither.
    """
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise OptionError(f"--overlap {text}: write a number of pixels, or a percentage of the tile size such as 25%")
    if not text.endswith("%") and not number.is_integer():
        raise OptionError(f"--overlap {text}: write whole pixels, such as {round(number)}, or a percentage such as 25%")
    return number, text.endswith("%")


@dataclass(frozen=True, slots=True)
class GenerateOptions(MapOptions):
    """What `generate` makes of a map, and how. Each field is the option of the same name on the command line.

    Raises:
        OptionError: A value is out of bounds.
    """

    run: Annotated[
        Path | None,
        Option(
            "The folder of a run.",
            default="the newest finished run under runs/",
            decides_bytes=False,
            metavar="RUN",
            complete="runs",
        ),
    ] = None
    refine: Annotated[
        Path | None,
        Option(
            "A run that refines: the image of --run is made at its coarser resolution, and sharpened by this run.",
            decides_bytes=False,
            metavar="RUN",
            complete="runs",
        ),
    ] = None
    overlap: Annotated[
        str,
        Option(
            "What neighbouring windows share: pixels, or a percentage of the tile size.", panel=WINDOWS, metavar="N|P%"
        ),
    ] = "25%"
    blend: Annotated[
        Blend | None,
        Option(
            "How windows are blended where they overlap.",
            panel=WINDOWS,
            default="bands; none if the model needs no blending",
        ),
    ] = None
    stats: Annotated[
        Stats, Option("The statistics that batch norms use: those of the run, or each tile's own.", panel=WINDOWS)
    ] = "run"
    flat_field: Annotated[
        bool, Option("Subtract the pattern that every window repeats at the same position.", panel=WINDOWS)
    ] = True
    style: Annotated[
        str,
        Option(
            "The training scene whose season and light the image takes, or a reference image, for models that encode "
            "it; auto: the scene whose classes are most like the map's.",
            panel=WINDOWS,
            metavar="SCENE|IMAGE",
        ),
    ] = "auto"
    variants: Annotated[
        int,
        Option(
            "Images of the map with different random numbers: OUT-1.tif, OUT-2.tif and so on.",
            panel=FILES,
            minimum=1,
            decides_bytes=False,
        ),
    ] = 1
    batch_size: Annotated[int, Option("Windows translated at once.", panel=WINDOWS, minimum=1)] = 4
    seed: Seed = 0
    update: Annotated[
        Path | None,
        Option(
            "An image that was generated from this map before it changed: only what changed is translated.",
            panel=FILES,
            metavar="IMAGE",
            decides_bytes=False,
        ),
    ] = None
    preview: Annotated[
        Path | None,
        Option("Write map and image side by side as a PNG.", panel=FILES, decides_bytes=False, metavar="FILE"),
    ] = None
    sources: Annotated[
        Path | None,
        Option(
            "Write which training tile each part of the image is copied from, as GeoJSON, for models that copy.",
            panel=FILES,
            decides_bytes=False,
            metavar="FILE",
        ),
    ] = None
    co: CreationOptions = ()
    device: Device = "auto"
    devices: Annotated[
        int, Option("GPUs that translate at the same time.", panel=SPEED, minimum=1, decides_bytes=False)
    ] = 1
    precision: Annotated[Precision, Option("auto takes bf16 if the device is fast at it, else 32.", panel=SPEED)] = (
        "auto"
    )
    compile: Annotated[bool, Option("Have PyTorch compile the generator: for large maps.", panel=SPEED)] = False
    workers: Annotated[
        int | None,
        Option(
            "Threads that encode and write; processes of --scheduler local.",
            panel=SPEED,
            default="1; processes: one per processor",
            minimum=1,
            decides_bytes=False,
            variable="SATTRANS_WORKERS",
        ),
    ] = None
    scheduler: Scheduler = None

    def __post_init__(self) -> None:
        check(self)
        check_scheduler(self.scheduler, self.workers)
        read_overlap(self.overlap)
        if self.sources and (self.update or self.refine or self.variants > 1):
            raise OptionError("--sources is for one image of one run: leave out --update, --refine and --variants")
        if self.update and self.scheduler:
            raise OptionError("--update works on this machine: leave out --scheduler")
        if self.refine and self.scheduler:
            raise OptionError("--refine works on this machine: leave out --scheduler")
        if self.refine and self.update:
            raise OptionError("--update cannot take over parts of a refined image: leave out --update or --refine")
