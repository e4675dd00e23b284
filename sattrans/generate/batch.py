"""Generate from a folder of maps: an image a map, each on its own, and a bad map loses none of the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sattrans.errors import Interrupted, LockedError, OptionError, SattransError, UsageError
from sattrans.generate.api import GenerateOptions, GenerateResult, generate, open_run
from sattrans.maps.ogr import vector_files
from sattrans.maps.options import MapOptions
from sattrans.raster.tile_formats import IMAGE_SUFFIXES
from sattrans.utils.console import progress_bar

MAP_SUFFIXES = (*IMAGE_SUFFIXES, ".gpkg", ".geojson", ".shp")


@dataclass(frozen=True, slots=True)
class SeriesResult:
    """The images made, or there already, and what was wrong with the other maps, by file."""

    made: tuple[GenerateResult, ...]
    failed: dict[Path, str]


def is_series(map_: str | Path) -> bool:
    """Say whether a path is a folder of maps: one with nothing but shapefiles is a vector map, a layer a file."""
    return Path(map_).is_dir() and not vector_files(Path(map_))


def maps_in(folder: Path) -> list[Path]:
    """Return the maps in a folder, by name. Raises `UsageError` where there is none, or two would make one image."""
    found = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in MAP_SUFFIXES and path.is_file() and not path.name.startswith(".")
    )
    if not found:
        raise UsageError(f"{folder} holds no map: files that end in {', '.join(MAP_SUFFIXES)} are looked for")
    by_stem: dict[str, Path] = {}
    for path in found:
        other = by_stem.setdefault(path.stem, path)
        if other != path:
            raise UsageError(f"{other} and {path} would both become {path.stem}.tif: rename one")
    return found


def generate_series(
    folder: Path,
    output: Path,
    run: Path | None = None,
    options: GenerateOptions | None = None,
    device: str = "auto",
    overwrite: bool = False,
    map_options: MapOptions | None = None,
    *,
    devices: int = 1,
    workers: int = 1,
    dry_run: bool = False,
) -> SeriesResult:
    """Translate each map in `folder` into `output/<name>.tif`, all by one run; the options are those of `generate`.

    The same call goes on where it was stopped. A map that is not right is left out and told in the result; where
    all are wrong in the same way, that error is raised. With `dry_run` nothing is written.
    """
    if output.suffix.lower() in IMAGE_SUFFIXES or output.is_file():
        raise OptionError(f"-o {output}: {folder} holds maps, one image is made of each: give a folder")
    if output.resolve() == folder.resolve():
        raise OptionError(f"-o {output} would mix images and maps: choose another folder")
    maps = maps_in(folder)
    opened = open_run(run)
    made: list[GenerateResult] = []
    failed: dict[Path, SattransError] = {}
    with progress_bar(len(maps), "maps", "map") as progress:
        for path in maps:
            target = output / f"{path.stem}.tif"
            try:
                common = opened, options, device, overwrite, map_options
                made.append(generate(path, target, *common, devices=devices, workers=workers, dry_run=dry_run))
            except (Interrupted, LockedError):
                raise
            except SattransError as error:
                failed[path] = error
            progress.update()
    _raise_if_alike(list(failed.values()), len(maps))
    return SeriesResult(tuple(made), {path: str(error) for path, error in failed.items()})


def _raise_if_alike(errors: Sequence[SattransError], maps: int) -> None:
    """Raise what is wrong with every map in the same words: it is what was asked for, not the maps."""
    if len(errors) == maps and len({str(error) for error in errors}) == 1:
        raise errors[0]
