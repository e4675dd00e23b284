"""Generate an image from each map of a folder; a map that is not right does not stop the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sattrans.data.dataset import VECTOR_SUFFIXES, passed_over
from sattrans.errors import Interrupted, LockedError, OptionError, SattransError, UsageError
from sattrans.generate.api import GenerateResult, generate_by, open_run
from sattrans.generate.checks import check_request
from sattrans.generate.options import GenerateOptions
from sattrans.maps.ogr import vector_files
from sattrans.raster.cog.output import check_own_images
from sattrans.raster.tile_formats import IMAGE_SUFFIXES
from sattrans.utils.addresses import address_of, beside
from sattrans.utils.commands import command, publishing
from sattrans.utils.console import progress_bar
from sattrans.utils.contents import contents_of
from sattrans.utils.output import check_apart

MAP_SUFFIXES = (*IMAGE_SUFFIXES, *VECTOR_SUFFIXES)


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The images of a folder of maps.

    Attributes:
        made: The result for each map that is right.
        failed: What is wrong with the other maps, by file.
    """

    made: tuple[GenerateResult, ...]
    failed: dict[Path, str]


def is_batch(map_: str | Path) -> bool:
    """Return whether a path is a folder of maps; a folder with nothing but shapefiles is one vector map.

    An address is that of a folder if it ends in a slash.
    """
    if address_of(map_):
        return str(map_).endswith("/")
    return Path(map_).is_dir() and not vector_files(Path(map_))


def maps_in(folder: Path) -> list[Path]:
    """Return the maps in a folder, by name. Raises `UsageError` if there is none, or two would become one image."""
    found = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in MAP_SUFFIXES and path.is_file() and not passed_over(path)
    )
    if not found:
        raise UsageError(f"{folder} has no map (it holds {contents_of(folder)}); maps end in {', '.join(MAP_SUFFIXES)}")
    by_stem: dict[str, Path] = {}
    for path in found:
        first = by_stem.setdefault(path.stem, path)
        if first != path:
            raise UsageError(f"{first} and {path} would both become {path.stem}.tif; rename one")
    return found


@command
@publishing
def generate_batch(
    folder: Path,
    output: Path | None = None,
    options: GenerateOptions = GenerateOptions(),
    *,
    overwrite: bool = False,
    dry_run: bool = False,
) -> BatchResult:
    """Translate each map in a folder by one run; an interrupted call is resumed by the same call.

    Args:
        folder: The folder of maps; folders within are not read.
        output: The folder of images, each named `<map>.tif`; None for `<folder>-sat` beside the folder.
        options: As for `generate`, without `update`, `preview`, `sources`, `variants` and `co`.
        overwrite: Replace images that were made with other options.
        dry_run: Check everything, but write nothing.

    Returns:
        The images, and what is wrong with the other maps.

    Raises:
        UsageError: If the folder has no map, or options do not fit several maps.
        SattransError: If all maps fail with the same message.
    """
    if options.update or options.preview or options.sources or options.co or options.variants > 1:
        raise OptionError(
            "--update, --preview, --sources, --variants and --co are for one map, not for a folder of maps"
        )
    output = output or beside(folder, f"{folder.name}-sat")
    if output.suffix.lower() in IMAGE_SUFFIXES or output.is_file():
        raise OptionError(f"-o {output}: {folder} is a folder of maps, and each becomes an image; give a folder")
    check_apart(output, [folder], below=False)
    maps = maps_in(folder)
    check_own_images(output, [output / f"{path.stem}.tif" for path in maps])
    run = open_run(options.run)
    made: list[GenerateResult] = []
    failed: dict[Path, SattransError] = {}
    with progress_bar(len(maps), "maps", "map") as progress:
        for path in maps:
            target = output / f"{path.stem}.tif"
            try:
                check_request(path, target, options)
                made.append(generate_by(run, path, target, options, overwrite=overwrite, dry_run=dry_run))
            except (Interrupted, LockedError):
                raise
            except SattransError as error:
                failed[path] = error
            progress.update()
    _raise_if_alike(list(failed.values()), len(maps))
    return BatchResult(tuple(made), {path: str(error) for path, error in failed.items()})


def _raise_if_alike(errors: Sequence[SattransError], maps: int) -> None:
    """Raise the error if all maps have the same: then the cause is in the options, not in the maps."""
    if len(errors) == maps and len({str(error) for error in errors}) == 1:
        raise errors[0]
