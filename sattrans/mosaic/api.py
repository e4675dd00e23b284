"""Join georeferenced tiles that overlap into one cloud-optimised GeoTIFF, piece by piece."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from sattrans.errors import OptionError, RasterError, UsageError
from sattrans.mosaic.dataset_pool import Shelf
from sattrans.mosaic.estimate import Need, need_of
from sattrans.mosaic.layout import Plan, Work, lay_out
from sattrans.mosaic.methods import JOINERS, Method
from sattrans.mosaic.tiles import Kind, Tile, find, look
from sattrans.raster.cog.disk_space import check_room
from sattrans.raster.cog.options import parse_creation
from sattrans.raster.cog.writer import Layout, check_begun, is_finished, row_writer
from sattrans.raster.open import session
from sattrans.raster.window import Window
from sattrans.utils.atomic import check_takes_files
from sattrans.utils.console import bar
from sattrans.utils.executor import as_done, executor, processors
from sattrans.utils.hashing import fingerprint
from sattrans.utils.version import __version__

MOST_WORKERS = 8
"""Threads where nobody says how many: each holds a piece in memory, and the disk keeps up with no more."""

WORDS = {"tiles": "of other tiles, or of these before they changed"}
"""How a mosaic was made where its tiles' hash alone differs."""


@dataclass(frozen=True, slots=True)
class MosaicOptions:
    """What `mosaic` may be told.

    `blend` is first, last, mean or feather (None: feather, for class maps first), `res` the side of a pixel in units
    of the tiles' CRS, `bounds` "left,bottom,right,top" in that CRS, `creation` options of GDAL's COG driver as
    "NAME=VALUE", `workers` a number of threads.
    """

    blend: Method | None = None
    res: float | None = None
    bounds: str | None = None
    creation: Sequence[str] = ()
    workers: int | None = None


@dataclass(frozen=True, slots=True)
class MosaicResult:
    """The output, its size in pixels, how many tiles went in, and what no tile covers.

    `gap` is the share of it, 0 to 1; `gaps` the windows around its parts, the largest first. `made` is False where
    the output was there already, or was only asked about; then `need` says what it will take.
    """

    output: Path
    height: int
    width: int
    tiles: int
    gap: float
    gaps: tuple[Window, ...]
    made: bool
    need: Need | None = None


def mosaic(
    tiles: Path,
    output: Path,
    options: MosaicOptions | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
) -> MosaicResult:
    """Join the rasters in a folder (or a tileset's `images`) into `output`, a cloud-optimised GeoTIFF.

    The tiles share a CRS; without `res`, a resolution and a grid, too. Where they overlap, `blend` takes the first
    or the last (by name), the mean, or the mean weighted by the distance to each tile's edge. Pixels that no tile
    covers are transparent, or have the tiles' nodata value; those of class maps have a value that no tile holds.
    What was killed is taken up by the same call. With `dry_run` all is checked so, and nothing is written. Raises
    `UsageError` and `RasterError` for tiles that do not fit together, and where the disk has no room.
    """
    options = options or MosaicOptions()
    creation = parse_creation(options.creation)
    _check(output, options)
    paths = find(tiles, output)
    workers = min(processors(), MOST_WORKERS) if options.workers is None else options.workers
    with Shelf() as shelf:  # outermost: what threads still read must not be closed
        with executor(workers) as pool:
            found = look(paths, tiles, shelf, pool, options.res)
        kind, method = found[0].kind, _method(found[0].kind, options.blend)
        # Values of one band that are laid over each other may be classes: they are never mixed.
        is_map = kind.bands == 1 and method in ("first", "last")
        plan = lay_out(found, is_map, options.res, options.bounds)
        height, width = plan.grid.height, plan.grid.width

        def result(made: bool, need: Need | None = None) -> MosaicResult:
            return MosaicResult(output, height, width, len(plan.tiles), plan.gap, tuple(plan.gaps), made, need)

        told = {"tiles": _identity(paths, found), "blend": method, "res": options.res, "bounds": options.bounds}
        if not overwrite and is_finished(output, told, creation, WORDS):
            return result(made=False)
        check_takes_files(output)
        with executor(workers) as pool:
            layout = _layout(plan, found, kind, is_map, shelf, pool)
        whole = not any(tile.alpha or tile.kind.nodata is not None for tile in found)
        whole &= not any(tile.warp for tile in plan.tiles)
        work = Work(plan, layout, method, shelf, whole)
        need = need_of(work, output, creation, workers)
        check_room(output, need.disk)
        if dry_run:
            check_begun(output, told, overwrite, creation, words=WORDS)
            return result(made=False, need=need)
        with row_writer(output, layout, told, overwrite, creation, words=WORDS) as writer:
            missing, total = writer.missing(), len(layout.pieces)
            with executor(workers) as pool, bar(total, "mosaic", "piece", total - len(missing)) as progress:
                for _ in as_done(pool, partial(work.write, writer), missing):
                    progress.update()
            if _identity(paths, found) != told["tiles"]:
                raise RasterError(f"{tiles}: tiles changed while they were joined; --overwrite joins them anew")
    return result(made=True)


def _check(output: Path, options: MosaicOptions) -> None:
    if output.suffix.lower() not in (".tif", ".tiff"):
        raise OptionError(f"-o {output}: the mosaic is a GeoTIFF, give a name that ends in .tif")
    if output.is_dir():
        raise OptionError(f"-o {output} is a folder: give the name of a file")
    if options.blend is not None and options.blend not in JOINERS:
        raise OptionError(f"--blend {options.blend}: one of {', '.join(JOINERS)} is needed")
    if options.res is not None and not 0 < options.res < float("inf"):
        raise OptionError(f"--res {options.res:g}: the side of a pixel is needed, in units of the tiles' CRS")


def _method(kind: Kind, blend: Method | None) -> Method:
    method = blend or ("first" if kind.bands == 1 else "feather")
    if kind.colormap and method not in ("first", "last"):
        raise OptionError(f"--blend {method} would mix class values: class maps take first or last")
    return method


def _identity(paths: Sequence[Path], tiles: Sequence[Tile]) -> str:
    """Return what tells these tiles, in these places, from others: a changed one is noticed, unread."""
    try:
        files = fingerprint(paths)
    except FileNotFoundError as error:
        raise RasterError(f"{error.filename} has gone while tiles were joined: put it back") from error
    places = repr([tile.grid.georeference.transform for tile in tiles])
    return f"{len(paths)} ({hashlib.sha256((files + places).encode()).hexdigest()[:12]})"


def _layout(plan: Plan, tiles: Sequence[Tile], kind: Kind, is_map: bool, shelf: Shelf, pool: Executor) -> Layout:
    grid, nodata = plan.grid, kind.nodata
    alpha = any(tile.alpha for tile in tiles)
    if plan.gap > 0 and nodata is None and not alpha:
        if is_map:
            nodata = _free_value([tile.path for tile in tiles], shelf, pool)
        else:
            alpha = True
    return Layout(
        grid.height,
        grid.width,
        kind.bands,
        grid.georeference,
        alpha,
        kind.colormap,
        nodata,
        {"SATTRANS_VERSION": __version__},
        overviews="nearest" if is_map else "average",
    )


def _free_value(paths: Sequence[Path], shelf: Shelf, pool: Executor) -> int:
    """Return the highest value that no tile holds: what stands for a gap between class maps."""

    def held(path: Path) -> set[int]:
        with session(files_only=True), shelf.opened(path) as raster:
            return {int(value) for window in raster.bands_of_rows() for value in np.unique(raster.read(window))}

    free = set(range(256)).difference(*pool.map(held, paths))
    if not free:
        raise UsageError("the tiles leave gaps and hold every value from 0 to 255: give them a nodata value")
    return max(free)
