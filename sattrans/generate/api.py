"""Generate a georeferenced image from a map of any size: overlapping windows, blended, streamed to disk."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from sattrans.errors import ClassesError, RasterError, SattransError
from sattrans.generate.checks import check_request, default_image, is_image
from sattrans.generate.estimate import GenerateEstimate, estimate_memory
from sattrans.generate.options import Blend, GenerateOptions
from sattrans.generate.preview import write_preview
from sattrans.generate.stream import Stream
from sattrans.generate.style import choose_style
from sattrans.generate.tiles import GeneratedTiles, write_tiles
from sattrans.generate.unseen import unseen_notices
from sattrans.generate.update import (
    PENDING,
    TAG,
    Digests,
    GeneratedImage,
    PreviousImage,
    digests,
    open_previous,
    record_path,
    seal,
    write_record,
)
from sattrans.generate.windows import ChangedWindows, Span, WindowPlan, parse_overlap, window_size
from sattrans.maps.open import Map, files_of, open_map
from sattrans.metrics.seams import Seams, sampled_parts, seams
from sattrans.model import Model
from sattrans.raster.cog.disk_space import check_disk_space, disk_space_needed
from sattrans.raster.cog.options import CreationOptions, parse_creation_options
from sattrans.raster.cog.writer import Layout, RowWriter, row_writer
from sattrans.raster.open import gdal_session
from sattrans.runs.calibration import find_flat_field
from sattrans.runs.device import choose_devices
from sattrans.runs.flat_field import FlatField
from sattrans.runs.options import Precision
from sattrans.runs.run import Run
from sattrans.runs.styles import check_style, recorded_reference, reference_of
from sattrans.runs.translator import Translator, resolve_precision, skip_initialisation
from sattrans.utils.atomic import check_writable
from sattrans.utils.commands import command
from sattrans.utils.console import log, pluralize
from sattrans.utils.output import check_apart
from sattrans.utils.version import __version__

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


@dataclass(frozen=True)
class _Task:
    """A map that was opened for a run, and how it will be translated."""

    run: Run
    map: Map
    plan: WindowPlan
    precision: Precision
    recorded: dict[str, Any]
    flat: FlatField
    files: Mapping[Path, str] = field(default_factory=dict)
    """The fingerprints of the map's files, and those beside it, before they were read; empty for an address."""
    source: str | Path = ""

    def check_unchanged(self) -> None:
        """Raise `RasterError` if the map was replaced or removed while it was read."""
        now = files_of(self.source)
        for path in {**self.files, **now}:
            if now.get(path) == self.files.get(path):
                continue
            raise RasterError(f"{path} changed while it was read; make the image again with --overwrite")

    def result(self, output: Path, notices: Sequence[str], made: bool, **more: Any) -> GenerateResult:
        plan = self.plan
        return GenerateResult(
            output, self.run, plan.height, plan.width, plan.window_count, tuple(notices), made, **more
        )

    @property
    def layout(self) -> Layout:
        run, map_ = self.run, self.map
        tags = {"SATTRANS_RUN": run.name, "SATTRANS_MODEL": run.model_name, "SATTRANS_VERSION": __version__}
        return Layout(map_.height, map_.width, 3, map_.georeference, map_.has_nodata, tags=tags)

    @cached_property
    def digests(self) -> Digests:
        """The hash of each window's map, which is read for it once."""
        return digests(self.map, self.plan)

    @property
    def stem(self) -> str:
        """The stem of the names of tiles."""
        return Path(self.recorded["map"][0]).stem

    @cached_property
    def seal(self) -> str:
        """The hash of all that the image takes from its map."""
        self.check_map()
        return seal(self.digests, self.map)

    def previous(self, path: Path) -> AbstractContextManager[PreviousImage]:
        """Open an image for an update. Raises `UsageError` if it was not made from this map before it changed."""
        return open_previous(path, self.recorded, self.plan, self.layout.bands)

    def can_update(self, path: Path) -> bool:
        """Whether an update could start from an image."""
        try:
            with self.previous(path):
                return True
        except SattransError:
            return False

    def image(
        self, path: Path, update: PreviousImage | None, creation: CreationOptions | None, overwrite: bool
    ) -> GeneratedImage:
        """Return the image that is made of the map."""
        seal_of_map, updatable = (lambda: self.seal), (lambda: self.can_update(path))
        return GeneratedImage(
            path, self.recorded, seal_of_map, updatable, update, creation=creation, overwrite=overwrite
        )

    def check_map(self) -> None:
        """Raise `ClassesError` if the map has classes that the run does not know; the map is read for that, once."""
        if self._classes_error:
            raise self._classes_error

    @cached_property
    def _classes_error(self) -> ClassesError | None:
        try:
            self.map.check()
        except ClassesError as error:
            return ClassesError(f"{error} (the classes of run {self.run.folder})")
        return None


@command
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
    opened = _task(map_, run, options, devices[0], not is_image(output), dry_run)
    with opened as task, ExitStack() as stack:
        # An image that cannot be updated is refused here, whether there is anything to do or not.
        previous = stack.enter_context(task.previous(update)) if update else None
        image = task.image(output, previous, creation, overwrite) if is_image(output) else None
        if image:
            finished = image.is_finished(dry_run)
        else:
            tiles = GeneratedTiles(output, task.recorded, task.plan, task.stem, overwrite=overwrite)
            finished = tiles.is_finished(dry_run)
        if finished:
            if preview and not dry_run:
                write_preview(preview, task.map, task.run.palette, output)
            return task.result(output, (), made=False)
        check_writable(output)
        if not is_image(output):
            check_writable(output / "tile")
        task.check_map()
        for notice in (*task.map.notices, *unseen_notices(task.run, task.map, str(map_))):
            log.warning(notice)
        estimate = _estimate(
            task, options, devices[0], output, creation
        )  # before networks, which it counts, are loaded
        style = reference_of(options.style, task.run.spec) or task.recorded.get("style")
        settings = options.seed, task.precision, options.stats, options.compile, style
        translators = [Translator(task.run, device, *settings) for device in devices]
        ahead = len(devices) > 1 or devices[0].type != "cpu"
        batch_size = task.recorded["batch_size"]
        stream = Stream(task.map, task.plan, translators, batch_size, options.workers, ahead, task.flat)
        if image:
            result = _write_image(task, stream, image, previous, estimate, dry_run)
        else:
            result = _write_tiles(task, stream, tiles, estimate, dry_run)
        if preview and result.made:
            write_preview(preview, task.map, task.run.palette, output)
        return result


def open_run(folder: Path | None) -> Run:
    """Open a run, or the newest finished one, and log which."""
    opened = Run.open(folder) if folder else Run.newest()
    log.info("run %s (%s)", opened.folder, opened.model_name)
    return opened


@contextmanager
def _task(
    map_: str | Path,
    opened: Run,
    options: GenerateOptions,
    device: torch.device,
    each_is_a_file: bool,
    dry_run: bool,
) -> Iterator[_Task]:
    """Open map and run, and check that they fit together."""
    kind, spec = opened.kind, opened.spec
    precision = resolve_precision(options.precision, device)
    blend = options.blend or ("bands" if kind.margin is None else "none")
    check_style(options.style, spec, kind)
    state = files_of(map_)
    with gdal_session(), open_map(map_, options, opened.palette, opened.ground_resolution) as read_map:
        plan = _plan(read_map, kind, spec.size, options, blend, each_is_a_file)
        flat = find_flat_field(opened, options.stats, device, store=not dry_run) if options.flat_field else None
        recorded = {
            **read_map.identity,
            "run": opened.name,
            "run_created": opened.manifest["created"],
            "window": plan.size,
            "overlap": plan.overlap,
            "blend": blend,
            "starts": list(plan.starts),
            "seed": options.seed,
            "batch_size": max(1, options.batch_size * spec.size**2 // plan.size**2),
            "precision": precision,
            "stats": options.stats,
            "compile": options.compile,
            "flat_field": flat is not None,
            "calibration": flat.digest if flat else None,
        }
        if reference := reference_of(options.style, spec):
            recorded["style"] = recorded_reference(reference)
        elif kind.styled and spec.scenes:
            recorded["style"] = choose_style(options.style, options.update, spec, read_map)
        yield _Task(opened, read_map, plan, precision, recorded, flat or FlatField({}), state, map_)


def _plan(
    map_: Map, kind: type[Model], tile: int, options: GenerateOptions, blend: Blend, each_is_a_file: bool
) -> WindowPlan:
    """Return the windows that a part of a map depends on."""
    whole = map_.whole
    first_row, first_col = map_.georeference.at(whole).first_pixel
    rows = Span(whole.height, range(-whole.row, map_.height - whole.row), first_row)
    cols = Span(whole.width, range(-whole.col, map_.width - whole.col), first_col)
    size = window_size(tile, kind.stride, kind.margin, rows, cols, each_is_a_file)
    overlap = (
        parse_overlap(options.overlap, size, kind.stride, kind.margin) if size < max(rows.length, cols.length) else 0
    )
    if kind.margin is not None and blend == "none" and not each_is_a_file:
        return WindowPlan.fitted(rows, cols, size, overlap, kind.stride, kind.margin)
    return WindowPlan.anchored(rows, cols, size, overlap, blend, kind.stride)


def _estimate(
    task: _Task, options: GenerateOptions, device: torch.device, output: Path, creation: CreationOptions
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
    task: _Task, stream: Stream, tiles: GeneratedTiles, estimate: GenerateEstimate, dry_run: bool
) -> GenerateResult:
    if dry_run:
        tiles.check()
        return task.result(tiles.path, task.map.notices, made=False, estimate=estimate)
    with tiles.claim():
        write_tiles(stream, tiles.path, task.stem)
        task.check_unchanged()
        tiles.finish()
    return task.result(tiles.path, task.map.notices, made=True)


def _write_image(
    task: _Task,
    stream: Stream,
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
        return task.result(output, task.map.notices, made=False, estimate=estimate, updated=updated)
    with row_writer(image, task.layout) as writer:
        stream.write(writer, change)
        task.check_unchanged()
        score = _score(task, writer)
        if score:
            writer.tags["SATTRANS_SEAMS"] = f"gradient={score.gradient:.4f} detail={score.detail:.4f}"
        writer.tags[TAG] = task.seal
        write_record(image.unfinished / PENDING, task.recorded, task.plan, found, task.seal)
        writer.beside[PENDING] = record_path(output)
    return task.result(output, task.map.notices, made=True, seams=score, updated=updated)


def _score(task: _Task, writer: RowWriter) -> Seams | None:
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
