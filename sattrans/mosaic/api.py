"""Join georeferenced, overlapping tiles into one cloud-optimised GeoTIFF, chunk by chunk."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from sattrans.errors import OptionError, RasterError
from sattrans.mosaic.dataset_pool import DatasetPool
from sattrans.mosaic.estimate import MosaicEstimate, estimate
from sattrans.mosaic.joining import join_missing
from sattrans.mosaic.layout import ChunkJoiner, MosaicPlan, plan_mosaic
from sattrans.mosaic.methods import METHODS, class_map_methods
from sattrans.mosaic.options import MAX_DEFAULT_WORKERS, Method, MosaicOptions
from sattrans.mosaic.tiles import MosaicTile, PixelFormat, check_hashes, find_tiles, inspect_tiles
from sattrans.mosaic.values import merged_colormap, unused_value
from sattrans.raster.cog.disk_space import check_disk_space
from sattrans.raster.cog.options import parse_creation_options
from sattrans.raster.cog.output import GeoTiffOutput
from sattrans.raster.cog.writer import Layout, row_writer
from sattrans.raster.sidecar import with_side_files
from sattrans.raster.window import Window
from sattrans.utils.addresses import beside
from sattrans.utils.atomic import check_writable
from sattrans.utils.commands import command, publishing
from sattrans.utils.executor import executor, processors
from sattrans.utils.hashing import fingerprint
from sattrans.utils.options import recorded
from sattrans.utils.version import __version__

REASONS = {"tiles": "from other tiles, or from these tiles before they changed"}
"""How a mosaic was made if only the hash of its tiles differs."""


@dataclass(frozen=True, slots=True)
class MosaicResult:
    """What `mosaic` made, or would make.

    Attributes:
        output: The GeoTIFF.
        height: Its height in pixels.
        width: Its width in pixels.
        tiles: Number of tiles in it.
        gap_share: Share of it that no tile covers, 0 to 1.
        gaps: Bounding windows of the areas that no tile covers, the largest first.
        made: False if the output was already there, or for a dry run.
        estimate: For a dry run, the memory and disk space needed.
    """

    output: Path
    height: int
    width: int
    tiles: int
    gap_share: float
    gaps: tuple[Window, ...]
    made: bool
    estimate: MosaicEstimate | None = None


@command
@publishing
def mosaic(
    tiles: Path,
    output: Path | None = None,
    options: MosaicOptions = MosaicOptions(),
    *,
    overwrite: bool = False,
    dry_run: bool = False,
) -> MosaicResult:
    """Join the rasters in a folder, or a tileset's `images`, into one cloud-optimised GeoTIFF.

    Pixels that no tile covers are transparent, or have the tiles' nodata value; in class maps they have a value that
    no tile contains. Tiles that are transparent in part are laid over each other, or averaged by their opacity.

    To resume an interrupted mosaic, repeat the call.

    Args:
        tiles: Folder of tiles with 8 bits per band and one CRS; without `options.res`, also one resolution and grid.
        output: The GeoTIFF to write, outside the folder of tiles; None for `<folder>-mosaic.tif` beside the folder.
        options: How the tiles are joined.
        overwrite: Replace an existing output.
        dry_run: Check everything and estimate memory and disk space, but write nothing.

    Returns:
        The output's size, and what no tile covers.

    Raises:
        UsageError: Tiles do not match each other, an option is wrong, or the output is something else.
        RasterError: A tile cannot be read or used, or the disk has too little space.
    """
    output = output or _default_output(tiles)
    creation = parse_creation_options(options.co)
    _check(output)
    paths = find_tiles(tiles, output)
    workers = min(processors(), MAX_DEFAULT_WORKERS) if options.workers is None else options.workers
    with DatasetPool() as datasets:  # outermost: a dataset must not be closed while a thread reads it
        with executor(workers) as pool:
            found = inspect_tiles(paths, tiles, datasets, pool, options.res)
            check_hashes(paths, tiles, pool)
        pixel_format, method = found[0].format, _method(found[0].format, options.method)
        # The values of a single band may be classes, which must not be mixed, unless the user chose to average them.
        is_map = pixel_format.bands == 1 and not METHODS[method].averages
        plan = plan_mosaic(found, is_map, options.res, options.bounds)
        height, width = plan.grid.height, plan.grid.width

        def result(made: bool, needed: MosaicEstimate | None = None) -> MosaicResult:
            return MosaicResult(output, height, width, len(plan.tiles), plan.gap_share, tuple(plan.gaps), made, needed)

        resolved = {
            **recorded(options),
            "tiles": _identity(paths, found),
            "blend": method,
        }
        image = GeoTiffOutput(output, resolved, creation=creation, overwrite=overwrite, reasons=REASONS)
        if image.is_finished(dry_run):
            return result(made=False)
        check_writable(output)
        with executor(workers) as pool:
            layout = _layout(plan, found, pixel_format, is_map, datasets, pool)
        all_valid = not any(tile.has_transparency or tile.format.nodata is not None for tile in found)
        all_valid &= not any(tile.warp for tile in plan.tiles)
        joiner = ChunkJoiner(plan, layout, method, datasets, all_valid, is_map)
        needed = estimate(joiner, output, creation, workers)
        check_disk_space(output, needed.disk)
        if dry_run:
            image.check()
            return result(made=False, needed=needed)
        # A cluster that refuses to work does so before anything is written.
        with executor(workers, options.scheduler) as pool, row_writer(image, layout) as writer:
            pool.share(image.begun_manifest, paths[0])
            join_missing(joiner, writer, pool)
            if _identity(paths, found) != resolved["tiles"]:
                raise RasterError(
                    f"{tiles}: tiles changed while the mosaic was made; --overwrite makes it again from the start"
                )
    return result(made=True)


def _default_output(tiles: Path) -> Path:
    folder = tiles if tiles.name not in ("", "..") else tiles.resolve()
    return beside(folder, f"{folder.name}-mosaic.tif")


def _check(output: Path) -> None:
    if output.suffix.lower() not in (".tif", ".tiff"):
        raise OptionError(f"-o {output}: the mosaic is a GeoTIFF; give a name that ends in .tif")
    if output.is_dir():
        raise OptionError(f"-o {output} is a folder; give the name of a file")


def _method(pixel_format: PixelFormat, chosen: Method | None) -> Method:
    """Return the method: the chosen one, or the default for the format. Class maps are never averaged."""
    method = chosen or ("first" if pixel_format.bands == 1 else "feather")
    if pixel_format.colormap and METHODS[method].averages:
        raise OptionError(
            f"--method {method} would average class values; for class maps choose {' or '.join(class_map_methods())}"
        )
    return method


def _identity(paths: Sequence[Path], tiles: Sequence[MosaicTile]) -> str:
    """Return the number and a hash of the tiles, by transform and by the name, size and time of change of their files.

    Contents are not read.
    """
    try:
        files = fingerprint(with_side_files(paths))
    except FileNotFoundError as error:
        raise RasterError(f"{error.filename} was removed while the mosaic was made: put it back") from error
    transforms = repr([tile.grid.georeference.transform for tile in tiles])
    return f"{len(paths)} ({hashlib.sha256((files + transforms).encode()).hexdigest()[:12]})"


def _layout(
    plan: MosaicPlan,
    tiles: Sequence[MosaicTile],
    pixel_format: PixelFormat,
    is_map: bool,
    datasets: DatasetPool,
    pool: Executor,
) -> Layout:
    grid, colormap = plan.grid, merged_colormap(tiles, datasets, pool)
    declared = {tile.format.nodata for tile in tiles}
    alpha = any(tile.has_transparency for tile in tiles)
    # Tiles that differ in nodata tell each for itself what is empty; one value cannot say it for all of them.
    nodata = declared.pop() if len(declared) == 1 and not alpha else None
    if nodata is None and not alpha and (plan.gap_share > 0 or len(declared) > 1):
        if is_map:
            nodata = unused_value([tile.path for tile in tiles], datasets, pool)
        else:
            alpha = True
    return Layout(
        grid.height,
        grid.width,
        pixel_format.bands,
        grid.georeference,
        alpha,
        colormap,
        nodata,
        {"SATTRANS_VERSION": __version__},
        overviews="nearest" if is_map else "average",
    )
