"""Generate a georeferenced image from a map of any size: overlapping windows, blended, streamed to disk."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sattrans.errors import OptionError
from sattrans.generate.checks import check_request, default_image, is_image
from sattrans.generate.elsewhere import WriteElsewhere
from sattrans.generate.estimate import GenerateEstimate, estimate_memory
from sattrans.generate.options import GenerateOptions
from sattrans.generate.preview import write_preview
from sattrans.generate.refine import WriteRefined, open_refined, open_refiner
from sattrans.generate.task import Task, open_task
from sattrans.generate.tiles import GeneratedTiles
from sattrans.generate.unseen import unseen_notices
from sattrans.generate.update import PENDING, TAG, GeneratedImage, PreviousImage, record_path, write_record
from sattrans.generate.windows import ChangedWindows
from sattrans.generate.write import Write, WriteHere
from sattrans.metrics.seams import Seams, sampled_parts, seams
from sattrans.raster.cog.disk_space import check_disk_space, disk_space_needed
from sattrans.raster.cog.options import CreationOptions, parse_creation_options
from sattrans.raster.cog.writer import RowWriter, row_writer
from sattrans.runs.device import choose_devices
from sattrans.runs.run import Run
from sattrans.runs.translator import skip_initialisation
from sattrans.utils.atomic import check_writable
from sattrans.utils.commands import command, publishing
from sattrans.utils.console import log, pluralize
from sattrans.utils.executor import executor
from sattrans.utils.lock import lock
from sattrans.utils.output import check_apart

ENCODED = 0.9
"""Share of its size that encoding leaves of a generated image, at most."""


@dataclass(frozen=True, slots=True)
class GenerateResult:
    """What `generate` made, or would make.

    Attributes:
        output: The image, or the folder of tiles.
        run: The run that translated the map.
        height: Height of the image, in pixels.
        width: Width of the image, in pixels.
        windows: Number of windows over the map.
        notices: What a user should know, a sentence each.
        made: Whether the image was written now; False if it existed, and after a dry run.
        seams: The seam score; None if no two windows meet, or nothing was written.
        estimate: Of a dry run, the memory and disk space that the image needs.
        updated: Number of windows that an update translates; None without an update.
        refined: The run that sharpened the image; None if none did.
        consistency: How far a refined image, made coarse again, is from the coarse image: mean of grey levels.
    """

    output: Path
    run: Run
    height: int
    width: int
    windows: int
    notices: tuple[str, ...]
    made: bool
    seams: Seams | None = None
    estimate: GenerateEstimate | None = None
    updated: int | None = None
    refined: Run | None = None
    consistency: float | None = None


@command
@publishing
def generate(
    map_: str | Path,
    output: Path | None = None,
    options: GenerateOptions = GenerateOptions(),
    *,
    overwrite: bool = False,
    dry_run: bool = False,
) -> GenerateResult:
    """Translate a map of any size into a georeferenced image.

    The map has class values, a colour table, or the colours of the classes in three bands; for a run that was trained
    on pictures it is a picture, in three 8-bit bands or one band with a colour table. It may be a vector map, which is
    drawn by rules. Pixels without data in the map are transparent in the image. Memory does not grow with the map; an
    interrupted call is resumed by the same call.

    Args:
        map_: The map: a raster or vector file, or an address that GDAL opens.
        output: A GeoTIFF (`.tif`), or a folder for one tile per window; None for `<map>.sat.tif` beside the map.
        options: The run, the part of the map, and how it is translated.
        overwrite: Replace an output that was made with other options.
        dry_run: Check everything and estimate memory and disk space, but write nothing.

    Returns:
        The image, or what a dry run found.

    Raises:
        UsageError: If map, run, options and output do not fit together.
        ClassesError: If the map has classes that the run does not know.
        RasterError: If the map cannot be read, or is not a picture although the run needs one.
    """
    output = output or default_image(map_)
    check_request(map_, output, options)
    return generate_by(open_run(options.run), map_, output, options, overwrite=overwrite, dry_run=dry_run)


def generate_by(
    run: Run, map_: str | Path, output: Path, options: GenerateOptions, *, overwrite: bool, dry_run: bool
) -> GenerateResult:
    """Translate a map by an opened run, after `check_request`; see `generate`."""
    check_apart(output, [run.folder])
    devices = choose_devices(options.device, options.devices)
    update, preview = options.update, options.preview
    creation = parse_creation_options(options.co)
    if options.refine:
        opened = open_refined(map_, run, open_refiner(options.refine, run), options, devices[0], store=not dry_run)
    else:
        opened = open_task(map_, run, options, devices[0], not is_image(output), store=not dry_run)
    with opened as task, ExitStack() as stack:
        # An image that cannot be updated is refused here, whether there is anything to do or not.
        previous = stack.enter_context(task.previous(update)) if update else None
        image = task.image(output, previous, creation, overwrite) if is_image(output) else None
        if image:
            finished = image.is_finished(dry_run)
        else:
            tiles = GeneratedTiles(output, task.recorded, task.plan, task.stem, overwrite=overwrite)
            finished = tiles.is_finished(dry_run)
        sources = task.sources(options.sources, overwrite) if options.sources else None
        if sources and not dry_run:
            stack.enter_context(lock(sources.path))
        if finished:
            if preview and not dry_run:
                write_preview(preview, task.map, task.run.palette, output)
            if sources and not dry_run and not sources.finished:
                sources.begin()
                sources.finish(lambda: task.stream(options, devices))
            return _result(task, output, (), made=False)
        check_writable(output)
        if not is_image(output):
            check_writable(output / "tile")
        task.check_map()
        for notice in (*task.map.notices, *unseen_notices(task.maker, task.map, str(map_))):
            log.warning(notice)
        # Before networks are loaded, whose memory it counts.
        estimate = _estimate(task, options, devices[0], output, creation)
        if sources and not dry_run:
            sources.begin()
        write: Write
        if options.scheduler and not dry_run:  # a cluster that refuses to work does so before anything is written
            gpu = options.device in ("auto", "cuda")
            pool = stack.enter_context(executor(options.workers, options.scheduler, gpu=gpu))
            write = WriteElsewhere(task, options, pool)
        elif task.base:
            write = WriteRefined(task, options, devices)
        else:
            write = WriteHere(task.stream(options, devices))
        if image:
            result = _write_image(task, write, image, previous, estimate, dry_run)
        else:
            result = _write_tiles(task, write, tiles, estimate, dry_run)
        if preview and result.made:
            write_preview(preview, task.map, task.run.palette, output)
        if sources and result.made:
            sources.finish(lambda: task.stream(options, devices))
        return result


def _result(task: Task, output: Path, notices: Sequence[str], made: bool, **more: Any) -> GenerateResult:
    plan = task.plan
    size = plan.height, plan.width, plan.window_count
    refined = task.run if task.base else None
    return GenerateResult(output, task.maker, *size, tuple(notices), made, refined=refined, **more)


def open_run(folder: Path | None) -> Run:
    """Open a run, or the newest finished one, and log which."""
    opened = Run.open(folder) if folder else Run.newest(usable=lambda run: not run.kind.refines)
    if opened.kind.refines:
        raise OptionError(
            f"{opened.folder} sharpens images: name it with --refine, and the run that makes them with --run"
        )
    log.info("run %s (%s)", opened.folder, opened.model_name)
    return opened


def _estimate(
    task: Task, options: GenerateOptions, device: torch.device, output: Path, creation: CreationOptions
) -> GenerateEstimate:
    own = _estimate_of(task, options, device, output, creation)
    if task.base is None:
        return own
    base = _estimate_of(task.base, options, device, output, CreationOptions())
    return GenerateEstimate(max(own.memory, base.memory), own.disk + base.disk)


def _estimate_of(
    task: Task, options: GenerateOptions, device: torch.device, output: Path, creation: CreationOptions
) -> GenerateEstimate:
    with skip_initialisation(), torch.device("meta"):
        weights = sum(parameter.numel() for parameter in task.run.build_model().generator.parameters())
    width = int(task.run.manifest["options"]["width"])
    classes = len(task.run.palette) if task.run.palette and task.recorded["flat_field"] else 0
    memory = estimate_memory(
        task.plan, task.layout.bands, weights, task.recorded["batch_size"], width, classes, device.type != "cpu"
    )
    if is_image(output):
        return GenerateEstimate(memory, disk_space_needed(task.layout, ENCODED, creation))
    return GenerateEstimate(memory, int(ENCODED * task.plan.window_count * task.plan.size**2 * task.layout.count))


def _write_tiles(
    task: Task, write: Write, tiles: GeneratedTiles, estimate: GenerateEstimate, dry_run: bool
) -> GenerateResult:
    if dry_run:
        tiles.check()
        return _result(task, tiles.path, task.map.notices, made=False, estimate=estimate)
    with tiles.claim():
        write.tiles(tiles, task.stem)
        task.check_unchanged()
        tiles.finish()
    return _result(task, tiles.path, task.map.notices, made=True)


def _write_image(
    task: Task,
    write: Write,
    image: GeneratedImage,
    previous: PreviousImage | None,
    estimate: GenerateEstimate,
    dry_run: bool,
) -> GenerateResult:
    """Write the GeoTIFF, and its record beside it."""
    output = image.path
    check_disk_space(output, estimate.disk)
    found = task.digests
    change = updated = None
    if previous:
        changed = previous.digests != found
        change = ChangedWindows(task.plan, changed, previous.read)
        updated = sum(change.requires(*place) for place in task.plan.indices)
        windows = pluralize(changed.size, "window")
        log.info("%d of %s changed; %d are translated, with those that overlap them", changed.sum(), windows, updated)
    if dry_run:
        image.check()
        return _result(task, output, task.map.notices, made=False, estimate=estimate, updated=updated)
    with row_writer(image, task.layout) as writer:
        write.image(image, writer, change)
        task.check_unchanged()
        score = _score(task, writer)
        consistency = write.consistency(image, writer) if isinstance(write, WriteRefined) else None
        if consistency is not None:
            writer.tags["SATTRANS_CONSISTENCY"] = f"{consistency:.3f}"
        if score:
            writer.tags["SATTRANS_SEAMS"] = f"gradient={score.gradient:.4f} detail={score.detail:.4f}"
        writer.tags[TAG] = task.seal
        write_record(image.unfinished / PENDING, task.recorded, task.plan, found, task.seal, consistency)
        writer.beside[PENDING] = record_path(output)
    return _result(task, output, task.map.notices, made=True, seams=score, updated=updated, consistency=consistency)


def _score(task: Task, writer: RowWriter) -> Seams | None:
    plan, partial = task.plan, task.map.has_nodata
    return seams(
        lambda window: writer.read(window)[:3],
        (lambda window: writer.read(window)[3] > 0) if partial else None,
        sampled_parts(writer.layout.chunks),
        (plan.height, plan.width),
        plan.starts,
        plan.size,
        plan.overlap,
    )
