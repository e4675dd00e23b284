"""What `generate` is asked for, checked before anything heavy is loaded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sattrans.errors import OptionError, OutputExists, UsageError
from sattrans.generate.blending import RAMPS, Blend
from sattrans.generate.preview import check_preview
from sattrans.generate.windows import read_overlap
from sattrans.maps.gsd import parse_res
from sattrans.maps.options import MapOptions
from sattrans.raster.aoi import parse_bounds, read_aoi
from sattrans.raster.open import check_exists
from sattrans.raster.tile_formats import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from sattrans.raster.cog.options import CreationOptions
    from sattrans.runs.translator import Precision, Stats

RASTER_SUFFIXES = (".tif", ".tiff")


@dataclass(frozen=True, slots=True)
class GenerateOptions:
    """What decides an image beside map and run.

    `overlap` is a number of pixels, or a part of the tile size such as "25%". `blend` None takes `bands`, or `none`
    for a model of finite view, which needs no blending. `precision` `auto` is bf16 where the device is quick at it.
    `stats` says whose statistics batch norms take: those of the run, or each tile's own. `flat_field` takes out what
    windows repeat at the same place; a model of finite view repeats nothing, and of pictures as maps it cannot be told.
    """

    overlap: str = "25%"
    blend: Blend | None = None
    batch_size: int = 4
    seed: int = 0
    precision: Precision = "auto"
    stats: Stats = "run"
    compile: bool = False
    flat_field: bool = True

    def __post_init__(self) -> None:
        read_overlap(self.overlap)
        if self.batch_size < 1:
            raise OptionError(f"--batch-size {self.batch_size}: at least 1 is needed")
        if self.blend is not None and self.blend not in RAMPS:
            raise OptionError(f"--blend {self.blend}: one of {', '.join(RAMPS)} is needed")


def is_image(output: Path) -> bool:
    """Say whether an output is one image; else it is a folder of tiles."""
    return output.suffix.lower() in RASTER_SUFFIXES


def check_asked(
    map_: str | Path,
    output: Path,
    map_options: MapOptions | None = None,
    workers: int = 1,
    update: Path | None = None,
    preview: Path | None = None,
    creation: CreationOptions | None = None,
) -> None:
    """Raise `UsageError` for an output that cannot be, and options that do not fit it; `RasterError` for no map."""
    if workers < 1:
        raise OptionError(f"--workers {workers}: at least 1 is needed")
    suffix = output.suffix.lower()
    if output.name.lower() in RASTER_SUFFIXES:
        raise OptionError(f"-o {output}: a name is needed before the suffix")
    if is_image(output):
        if output.is_dir():
            raise OutputExists(f"{output} is a folder: give a file name, or a folder without .tif")
    elif suffix in IMAGE_SUFFIXES:
        raise OptionError(f"-o {output}: the image is a GeoTIFF, give a name that ends in .tif, or a folder")
    elif re.match(r"\.[a-z]", suffix) and not output.is_dir():
        raise OptionError(
            f"-o {output}: an image ends in .tif, and {suffix} would make a folder of tiles: give one of these names, "
            "or make that folder first"
        )
    elif update or preview or creation:
        raise OptionError(f"-o {output}: --update, --preview and --co are for one image, give a name that ends in .tif")
    given = map_options or MapOptions()
    parse_res(given.res)
    if given.bounds:
        parse_bounds(given.bounds)
    if given.aoi:
        read_aoi(given.aoi)
    if is_same_file(output, Path(map_)):
        raise OutputExists(f"{output} is the map itself: choose another output")
    # Of shapefiles; a raster among them would make it a folder of maps.
    if is_image(output) and Path(map_).is_dir() and output.parent.resolve() == Path(map_).resolve():
        raise OutputExists(f"{output} would lie in the map, a folder of shapefiles: choose another folder")
    check_exists(map_)
    if preview:
        check_preview(preview, Path(map_), output)
    if update and not update.is_file():
        raise UsageError(f"--update {update}: no such image")


def is_same_file(one: Path | None, other: Path) -> bool:
    """Say whether two paths lead to one file that is there."""
    return one is not None and one.exists() and other.exists() and one.samefile(other)
