"""Generate a georeferenced image from a map of any size: overlapping windows, blended, streamed to disk."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from sattrans.errors import ClassesError, SattransError
from sattrans.generate.estimate import GenerateEstimate, estimate_memory
from sattrans.generate.options import GenerateOptions, check_asked, is_image
from sattrans.generate.preview import write_preview
from sattrans.generate.stream import Stream
from sattrans.generate.tiles import GeneratedTiles, write_tiles
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
from sattrans.generate.windows import ChangedWindows, WindowPlan, parse_overlap
from sattrans.maps.open import Map, open_map
from sattrans.maps.options import MapOptions
from sattrans.metrics.seams import Seams, sampled_parts, seams
from sattrans.plugins import model_class
from sattrans.raster.cog.disk_space import check_disk_space, disk_space_needed
from sattrans.raster.cog.options import CreationOptions
from sattrans.raster.cog.writer import Layout, RowWriter, row_writer
from sattrans.raster.open import gdal_session
from sattrans.runs.device import choose_devices
from sattrans.runs.run import Run
from sattrans.runs.translator import Precision, Translator, resolve_precision, skip_initialisation
from sattrans.utils.atomic import check_writable
from sattrans.utils.console import log, pluralize
from sattrans.utils.version import __version__

__all__ = ["GenerateOptions", "GenerateResult", "generate", "open_run"]

ENCODED = 0.9
"""What encoding leaves of a generated image, at the most."""


@dataclass(frozen=True, slots=True)
class GenerateResult:
    """The output, the run that made it, its size in pixels, and what a user should know.

    `made` is False where the output was there already, or was only asked about; then `need` says what it will take.
    `seams` is None there, and where no two windows meet. `windows` counts all that the map has, `anew` those that an
    update translates; None without one.
    """

    output: Path
    run: Run
    height: int
    width: int
    windows: int
    notices: tuple[str, ...]
    made: bool
    seams: Seams | None = None
    need: GenerateEstimate | None = None
    anew: int | None = None


@dataclass(frozen=True)
class _Task:
    """A map that was opened for a run, and how it will be translated."""

    run: Run
    map: Map
    plan: WindowPlan
    precision: Precision
    told: dict[str, Any]

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
        """How the map's tiles are called."""
        return Path(self.told["map"][0]).stem

    @cached_property
    def seal(self) -> str:
        """The hash of all that the image takes from its map."""
        self.check_map()
        return seal(self.digests, self.map)

    def previous(self, path: Path) -> AbstractContextManager[PreviousImage]:
        """Open an image for an update. Raises `UsageError` if it was not made from this map before it changed."""
        return open_previous(path, self.told, self.plan, self.layout.bands)

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
        return GeneratedImage(path, self.told, seal_of_map, updatable, update, creation=creation, overwrite=overwrite)

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


def generate(
    map_: str | Path,
    output: Path,
    run: Path | Run | None = None,
    options: GenerateOptions | None = None,
    device: str = "auto",
    overwrite: bool = False,
    map_options: MapOptions | None = None,
    *,
    devices: int = 1,
    workers: int = 1,
    update: Path | None = None,
    preview: Path | None = None,
    creation: CreationOptions | None = None,
    dry_run: bool = False,
) -> GenerateResult:
    """Translate a map into a GeoTIFF (`output` ends in .tif) or a folder of tiles, with the map's georeference.

    The map holds class values, a colour table, or the classes' colours; for a run that was trained on pictures it
    is a picture, in three 8-bit bands or one with a colour table. It may also be a vector map, which is drawn by
    rules. `map_options` say which part of it is meant, which class is which, and at which ground resolution; the
    run's is taken where nothing is told. Where the map holds nothing, the image is transparent.

    `run` is a run, or its folder, or the newest finished run under `runs/`. Memory is bounded, whatever the map's size;
    what was killed is taken up by the same call. `update` is an image that was generated from the map before it
    was changed: only what the change touches is made anew. `workers` threads write. `preview` is a PNG of map and
    image. With `dry_run` all is checked as it would be, and nothing is written. Raises `ClassesError` where map and run
    know different classes, `RasterError` for a map that is not a picture although the run needs one.
    """
    options = options or GenerateOptions()
    check_asked(map_, output, map_options, workers, update, preview, creation)
    where = choose_devices(device, devices)
    with _task(map_, run, options, where[0], map_options) as task, ExitStack() as stack:
        # Refused here where it cannot be updated, whether there is anything to do or not.
        previous = stack.enter_context(task.previous(update)) if update else None
        image = task.image(output, previous, creation, overwrite) if is_image(output) else None
        if image:
            finished = image.is_finished(dry_run)
        else:
            tiles = GeneratedTiles(output, task.told, task.plan, task.stem, overwrite=overwrite)
            finished = tiles.is_finished(dry_run)
        if finished:
            if preview and not dry_run:
                write_preview(preview, task.map, task.run.palette, output)
            return task.result(output, (), made=False)
        check_writable(output)
        if not is_image(output):
            check_writable(output / "tile")
        task.check_map()
        for notice in task.map.notices:
            log.warning(notice)
        need = _need(task, options, where[0], output, creation)  # before there are networks, which it counts
        settings = options.seed, task.precision, options.stats, options.compile
        translators = [Translator(task.run, one, *settings) for one in where]
        ahead = len(where) > 1 or where[0].type != "cpu"
        stream = Stream(task.map, task.plan, translators, options.batch_size, workers, ahead)
        if image:
            result = _write_image(task, stream, image, previous, need, dry_run)
        else:
            result = _write_tiles(task, stream, tiles, need, dry_run)
        if preview and result.made:
            write_preview(preview, task.map, task.run.palette, output)
        return result


def open_run(folder: Path | None) -> Run:
    """Open a run, or the newest finished one, and say which."""
    opened = Run.open(folder) if folder else Run.newest()
    log.info("run %s (%s)", opened.folder, opened.model_name)
    return opened


@contextmanager
def _task(
    map_: str | Path,
    run: Path | Run | None,
    options: GenerateOptions,
    device: torch.device,
    map_options: MapOptions | None,
) -> Iterator[_Task]:
    """Open map and run, and check that they fit together."""
    opened = run if isinstance(run, Run) else open_run(run)
    kind, spec = model_class(opened.model_name), opened.spec
    precision = resolve_precision(options.precision, device)
    blend = options.blend or ("bands" if kind.margin is None else "none")
    overlap = parse_overlap(options.overlap, spec.size, kind.stride, kind.margin)
    given = map_options or MapOptions()
    with gdal_session(), open_map(map_, given, opened.palette, opened.ground_resolution) as read_map:
        told = {
            **read_map.identity,
            "run": opened.name,
            "run_created": opened.manifest["created"],
            "window": spec.size,
            "overlap": overlap,
            "blend": blend,
            "seed": options.seed,
            "batch_size": options.batch_size,
            "precision": precision,
            "stats": options.stats,
            "compile": options.compile,
            "flat_field": options.flat_field and kind.margin is None and opened.palette is not None,
        }
        plan = WindowPlan(read_map.height, read_map.width, spec.size, overlap, blend)
        yield _Task(opened, read_map, plan, precision, told)


def _need(
    task: _Task, options: GenerateOptions, device: torch.device, output: Path, creation: CreationOptions | None
) -> GenerateEstimate:
    with skip_initialisation(), torch.device("meta"):
        weights = sum(parameter.numel() for parameter in task.run.build_model().generator.parameters())
    width = int(task.run.manifest["options"]["width"])
    classes = len(task.run.palette) if task.run.palette and task.told["flat_field"] else 0
    memory = estimate_memory(
        task.plan, task.layout.bands, weights, options.batch_size, width, classes, device.type != "cpu"
    )
    if is_image(output):
        return GenerateEstimate(memory, disk_space_needed(task.layout, ENCODED, creation))
    return GenerateEstimate(memory, int(ENCODED * task.plan.window_count * task.plan.size**2 * task.layout.count))


def _write_tiles(
    task: _Task, stream: Stream, tiles: GeneratedTiles, need: GenerateEstimate, dry_run: bool
) -> GenerateResult:
    if dry_run:
        tiles.check()
        return task.result(tiles.path, task.map.notices, made=False, need=need)
    with tiles.claim():
        _look(task, stream)
        write_tiles(stream, tiles.path, task.stem)
        tiles.finish()
    return task.result(tiles.path, task.map.notices, made=True)


def _write_image(
    task: _Task,
    stream: Stream,
    image: GeneratedImage,
    previous: PreviousImage | None,
    need: GenerateEstimate,
    dry_run: bool,
) -> GenerateResult:
    """Write the GeoTIFF, and its record beside it."""
    output = image.path
    check_disk_space(output, need.disk)
    found = task.digests
    change = anew = None
    if previous:
        changed, stream.flat = previous.digests != found, previous.flat
        change = ChangedWindows(task.plan, changed, previous.read)
        anew = sum(change.requires(*place) for place in task.plan.indices)
        windows = pluralize(changed.size, "window")
        log.info("%d of %s changed; %d are made anew, with those that overlap them", changed.sum(), windows, anew)
    if dry_run:
        image.check()
        return task.result(output, task.map.notices, made=False, need=need, anew=anew)
    with row_writer(image, task.layout) as writer:
        if not change:
            _look(task, stream)
        stream.write(writer, change)
        score = _score(task, writer)
        if score:
            writer.tags["SATTRANS_SEAMS"] = f"gradient={score.gradient:.4f} detail={score.detail:.4f}"
        writer.tags[TAG] = task.seal
        write_record(image.unfinished / PENDING, task.told, task.plan, found, task.seal, stream.flat)
        writer.beside[PENDING] = record_path(output)
    return task.result(output, task.map.notices, made=True, seams=score, anew=anew)


def _look(task: _Task, stream: Stream) -> None:
    if task.told["flat_field"]:
        stream.estimate_flat_field()
        if stream.flat.strength >= 0.5:
            name, repeated = task.told["map"][0], stream.flat.strength
            log.info("flat field of %s: windows repeat %.1f grey levels at the same place, taken out", name, repeated)


def _score(task: _Task, writer: RowWriter) -> Seams | None:
    plan, partial = task.plan, task.map.has_nodata
    return seams(
        lambda window: writer.read(window)[:3],
        (lambda window: writer.read(window)[3] > 0) if partial else None,
        sampled_parts(writer.layout.chunks),
        (plan.height, plan.width),
        plan.boundaries(),
        plan.overlap,
    )
