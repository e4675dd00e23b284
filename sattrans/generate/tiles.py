"""A folder of tiles, each window a GeoTIFF of its own: what `mosaic` joins."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sattrans.errors import OutputExists
from sattrans.generate.stream import Stream
from sattrans.generate.windows import WindowPlan
from sattrans.raster.bands import to_uint8
from sattrans.raster.cog.layout import is_complete
from sattrans.raster.geotiff import write_geotiff
from sattrans.raster.window import Window
from sattrans.utils.atomic import remove
from sattrans.utils.console import log, pluralize, progress_bar
from sattrans.utils.lock import lock
from sattrans.utils.manifest import as_json, begun_of, check_free, check_same_options, read_manifest, write_manifest

MANIFEST = "generated.json"
VERSION = 1


def folder_finished(folder: Path, told: Mapping[str, Any], overwrite: bool, plan: WindowPlan, stem: str) -> bool:
    """Say whether the tiles are all there, and whole but for what `is_complete` does not notice.

    Raises `OutputExists` for other things, and for other options' tiles.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputExists(f"{folder} is a file: give a name that ends in .tif, or a folder")
    finished = folder / MANIFEST
    manifest = next((path for path in (finished, begun_of(finished)) if path.is_file()), None)
    check_free(folder, MANIFEST)
    if manifest is None or overwrite:
        return False
    made_with, asked = read_manifest(manifest, "generated", VERSION)["options"], as_json(told)
    was, now = made_with["map"][0], asked["map"][0]
    of = "before the file of the map changed" if was == now else f"of another map, {was}"
    check_same_options(folder, made_with, asked, {"map": of, "run_created": "by another run of that name"})
    lacking = len(_missing(folder, plan, stem)) if manifest == finished else 0
    if lacking:
        log.info("%s: %s missing or damaged", folder, pluralize(lacking, "tile is", "tiles are"))
    return manifest == finished and not lacking


@contextmanager
def filling(folder: Path, told: Mapping[str, Any], overwrite: bool) -> Iterator[None]:
    """Hold a folder as its one writer, its manifest begun; left without an error, it is finished."""
    with lock(folder):
        if overwrite:
            remove(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_manifest(begun_of(folder / MANIFEST), "generated", VERSION, {"options": dict(told)})
        (folder / MANIFEST).unlink(missing_ok=True)
        yield
        begun_of(folder / MANIFEST).replace(folder / MANIFEST)


def write_tiles(stream: Stream, folder: Path, stem: str) -> None:
    """Write each window as a tile, cut at the map's edge; those that are there already, and whole, are left."""
    map_, plan = stream.map, stream.plan
    missing = _missing(folder, plan, stem)
    with progress_bar(plan.window_count, "generate", "window", plan.window_count - len(missing)) as progress:
        for (row, col), pixels in stream.translated(missing):
            top, left = plan.rows[row], plan.cols[col]
            height, width = min(plan.size, map_.height - top), min(plan.size, map_.width - left)
            place = map_.georeference.at(Window(top, left, height, width))
            write_geotiff(_path_of(folder, plan, stem, row, col), to_uint8(pixels[:, :height, :width]), place)
            progress.update()


def _path_of(folder: Path, plan: WindowPlan, stem: str, row: int, col: int) -> Path:
    return folder / f"{stem}_{plan.rows[row]:06d}_{plan.cols[col]:06d}.tif"


def _missing(folder: Path, plan: WindowPlan, stem: str) -> list[tuple[int, int]]:
    """Return the windows whose tiles are not there, or were cut short."""
    paths = {place: _path_of(folder, plan, stem, *place) for place in plan.indices}
    return [place for place, path in paths.items() if not (path.is_file() and is_complete(path))]
