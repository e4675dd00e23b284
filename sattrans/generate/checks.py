"""Checks of a request to `generate`, before anything heavy is loaded."""

import re
from pathlib import Path

from sattrans.data.dataset import GENERATED
from sattrans.errors import OptionError, OutputExists, UsageError
from sattrans.generate.options import GenerateOptions
from sattrans.generate.preview import check_preview
from sattrans.maps.area import read_area
from sattrans.maps.gsd import parse_res
from sattrans.raster.aoi import parse_bounds
from sattrans.raster.cog.options import parse_creation_options
from sattrans.raster.open import check_exists
from sattrans.raster.tile_formats import IMAGE_SUFFIXES
from sattrans.utils.addresses import address_of, beside
from sattrans.utils.output import check_apart

RASTER_SUFFIXES = (".tif", ".tiff")


def default_image(map_: str | Path) -> Path:
    """Return where the image of a map goes if no output is given: `<map>.sat.tif` beside the map."""
    return beside(map_, f"{Path(map_).stem}{GENERATED}")


def is_image(output: Path) -> bool:
    """Return whether an output is one image; otherwise it is a folder of tiles."""
    return output.suffix.lower() in RASTER_SUFFIXES


def check_request(map_: str | Path, output: Path, options: GenerateOptions) -> None:
    """Check paths and options before anything heavy is loaded.

    Raises:
        UsageError: If the output cannot be written, or options do not fit it.
        RasterError: If the map does not exist.
    """
    update, preview = options.update, options.preview
    suffix = output.suffix.lower()
    if output.name.lower() in RASTER_SUFFIXES:
        raise OptionError(f"-o {output}: give a name before the suffix")
    if is_image(output):
        if output.is_dir():
            raise OutputExists(f"{output} is a folder: give the name of a file, or of a folder without .tif")
    elif suffix in IMAGE_SUFFIXES:
        raise OptionError(f"-o {output}: the image is a GeoTIFF; give a name that ends in .tif, or a folder")
    elif re.match(r"\.[a-z]", suffix) and not output.is_dir():
        raise OptionError(
            f"-o {output}: an image ends in .tif, and {suffix} would make a folder of tiles: give one of these names, "
            "or create that folder first"
        )
    elif update or preview or options.sources or options.refine or options.co:
        raise OptionError(
            f"-o {output}: --update, --preview, --sources, --refine and --co need one image; give a name that ends in "
            ".tif"
        )
    if options.sources:
        from sattrans.generate.sources import check_sources

        check_sources(options.sources, output)
    parse_res(options.res)
    if options.bounds:
        parse_bounds(options.bounds)
    if options.aoi:
        read_area(options.aoi)
    parse_creation_options(options.co)
    if _is_same_file(output, Path(map_)):
        raise OutputExists(f"{output} is the map itself; choose another output")
    # A folder of shapefiles is a map; a raster among them would make it a folder of maps.
    read = [path for path in (map_, options.aoi, options.rules) if path and (address_of(path) or Path(path).exists())]
    check_apart(output, read)
    check_exists(map_)
    if preview:
        check_preview(preview, Path(map_), output)
    if update and not (update.is_file() or address_of(update)):  # an address is refused by the command
        raise UsageError(f"--update {update}: no such image")


def _is_same_file(first: Path, second: Path) -> bool:
    """Return whether two paths lead to the same existing file."""
    return first.exists() and second.exists() and first.samefile(second)
