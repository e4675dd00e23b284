"""Generate a georeferenced image from a map of any size: overlapping windows, blended, streamed to disk."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sattrans.blend import RAMPS, Blend
from sattrans.dataset import IMAGE_SUFFIXES
from sattrans.device import several
from sattrans.errors import ClassesError, OptionError, OutputExists, SattransError
from sattrans.generating.change import Change
from sattrans.generating.folder import filling, folder_finished, write_tiles
from sattrans.generating.former import UPDATE, WORDS, Former, former, image_finished
from sattrans.generating.look import check_preview, write_preview
from sattrans.generating.need import Need, memory_of
from sattrans.generating.plan import Plan, parse_overlap
from sattrans.generating.record import (
    TAG,
    digests,
    seal,
    write_record,
)
from sattrans.generating.stream import Stream
from sattrans.mapping.opened import Map, open_map
from sattrans.mapping.options import MapOptions
from sattrans.metrics.seams import Seams, seams, some
from sattrans.plugins import model_class
from sattrans.progress import log
from sattrans.raster.creation import Creation
from sattrans.raster.gate import check_there, session
from sattrans.raster.room import check_room, room_needed
from sattrans.raster.rows import Layout, RowWriter, row_writer
from sattrans.run import Run
from sattrans.translator import Precision, Stats, Translator, resolve_precision
from sattrans.version import __version__
from sattrans.words import counted

RASTER_SUFFIXES = (".tif", ".tiff")

ENCODED = 0.9
"""What encoding leaves of a generated image, at the most."""


@dataclass(frozen=True, slots=True)
class GenerateOptions:
    """What decides an image beside map and run.

    `overlap` is a number of pixels, or a part of the tile size such as "25%". `blend` None takes `hann`, or `none`
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
        if self.batch_size < 1:
            raise OptionError(f"--batch-size {self.batch_size}: at least 1 is needed")
        if self.blend is not None and self.blend not in RAMPS:
            raise OptionError(f"--blend {self.blend}: one of {', '.join(RAMPS)} is needed")


@dataclass(frozen=True, slots=True)
class GenerateResult:
    """The output, the run that made it, its size in pixels, and what a user should know.

    `made` is False where the output was there already; `seams` is None there, and where no two windows meet.
    `windows` counts all that the map has, not those that an update made anew.
    """

    output: Path
    run: Run
    height: int
    width: int
    windows: int
    notices: tuple[str, ...]
    made: bool
    seams: Seams | None = None


@dataclass(frozen=True, slots=True)
class _Task:
    """A map that was opened for a run, and how it will be translated."""

    run: Run
    map: Map
    plan: Plan
    precision: Precision
    told: dict[str, Any]

    def result(self, output: Path, notices: Sequence[str], made: bool, found: Seams | None = None) -> GenerateResult:
        plan = self.plan
        return GenerateResult(output, self.run, plan.height, plan.width, plan.windows, tuple(notices), made, found)

    @property
    def layout(self) -> Layout:
        run, map_ = self.run, self.map
        tags = {"SATTRANS_RUN": run.name, "SATTRANS_MODEL": run.model_name, "SATTRANS_VERSION": __version__}
        return Layout(map_.height, map_.width, 3, map_.georeference, map_.partial, tags=tags)

    def former(self, path: Path) -> AbstractContextManager[Former]:
        """Open an image for an update. Raises `UsageError` where it is none of this map's."""
        return former(path, self.told, self.plan, self.layout.bands)

    def check_map(self) -> None:
        try:
            self.map.check()
        except ClassesError as error:
            raise ClassesError(f"{error} (the classes of run {self.run.folder})") from error


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
    creation: Creation | None = None,
) -> GenerateResult:
    """Translate a map into a GeoTIFF (`output` ends in .tif) or a folder of tiles, with the map's georeference.

    The map holds class values, a colour table, or the classes' colours; for a run that was trained on pictures it
    is a picture, in three 8-bit bands or one with a colour table. It may also be a vector map, which is drawn by
    rules. `map_options` say which part of it is meant, which class is which, and at which ground resolution; the
    run's is taken where nothing is told. Where the map holds nothing, the image is transparent.

    `run` is a run, or its folder, or the newest finished run under `runs/`. Memory is bounded, whatever the map's size;
    what was killed is taken up by the same call. `update` is an image that was generated from the map before it
    was changed: only what the change touches is made anew. `workers` threads write. `preview` is a PNG of map and
    image. Raises `ClassesError` where map and run know different classes, `RasterError` for a map that is no
    picture where one is needed.
    """
    options = options or GenerateOptions()
    where = several(device, devices)
    if workers < 1:
        raise OptionError(f"--workers {workers}: at least 1 is needed")
    as_file = output.suffix.lower() in RASTER_SUFFIXES
    if not as_file and output.suffix.lower() not in IMAGE_SUFFIXES and (update or preview or creation):
        raise OptionError(f"-o {output}: --update, --preview and --co are for one image, give a name that ends in .tif")
    if preview:
        check_preview(preview, Path(map_), output)
    with _task(map_, output, run, options, where[0], map_options) as task:
        if update:
            with task.former(update):
                pass  # refused here where it cannot be, whether there is anything to do or not
        if not as_file:
            finished = folder_finished(output, task.told, overwrite)
        else:
            finished = not (overwrite or _same_file(update, output)) and _is_finished(task, output, creation)
        if finished:
            if preview:
                write_preview(preview, task.map, task.run.palette, output)
            return task.result(output, (), made=False)
        task.check_map()
        settings = options.seed, task.precision, options.stats, options.compile
        translators = [Translator(task.run, one, *settings) for one in where]
        ahead = len(where) > 1 or where[0].type != "cpu"
        stream = Stream(task.map, task.plan, translators, options.batch_size, workers, ahead)
        if not as_file:
            with filling(output, task.told, overwrite):
                _look(task, stream)
                write_tiles(stream, output, Path(str(map_)).stem)
            return task.result(output, task.map.notices, made=True)
        found = _write_image(task, stream, output, overwrite, update, creation)
        if preview:
            write_preview(preview, task.map, task.run.palette, output)
        return task.result(output, task.map.notices, made=True, found=found)


def plan_generate(
    map_: str | Path,
    output: Path,
    run: Path | None = None,
    options: GenerateOptions | None = None,
    device: str = "auto",
    map_options: MapOptions | None = None,
    creation: Creation | None = None,
) -> tuple[GenerateResult, Need]:
    """Return what `generate` would make, and what it would need; nothing is written."""
    options = options or GenerateOptions()
    with _task(map_, output, run, options, several(device, 1)[0], map_options) as task:
        task.check_map()
        return task.result(output, task.map.notices, made=False), _need(task, options, creation)


def open_run(folder: Path | None) -> Run:
    """Open a run, or the newest finished one, and say which."""
    opened = Run.open(folder) if folder else Run.newest()
    log.info("run %s (%s)", opened.folder, opened.model_name)
    return opened


@contextmanager
def _task(
    map_: str | Path,
    output: Path,
    run: Path | Run | None,
    options: GenerateOptions,
    device: torch.device,
    map_options: MapOptions | None,
) -> Iterator[_Task]:
    """Open map and run, and check that they fit together and may become the output."""
    as_file = output.suffix.lower() in RASTER_SUFFIXES
    if not as_file and output.suffix.lower() in IMAGE_SUFFIXES:
        raise OptionError(f"-o {output}: the image is a GeoTIFF, give a name that ends in .tif, or a folder")
    if as_file and output.is_dir():
        raise OutputExists(f"{output} is a folder: give a file name, or a folder without .tif")
    if _same_file(output, Path(map_)):
        raise OutputExists(f"{output} is the map itself: choose another output")
    if as_file and output.parent.resolve() == Path(map_).resolve():  # shapefiles, which another raster makes maps
        raise OutputExists(f"{output} would lie in the map, a folder of shapefiles: choose another folder")
    check_there(map_)
    opened = run if isinstance(run, Run) else open_run(run)
    kind, spec = model_class(opened.model_name), opened.spec
    precision = resolve_precision(options.precision, device)
    blend = options.blend or ("hann" if kind.margin is None else "none")
    overlap = parse_overlap(options.overlap, spec.size, kind.stride, kind.margin)
    given = map_options or MapOptions()
    with session(), open_map(map_, given, opened.palette, opened.ground_resolution) as read_map:
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
        plan = Plan(read_map.height, read_map.width, spec.size, overlap, blend)
        yield _Task(opened, read_map, plan, precision, told)


def _is_finished(task: _Task, output: Path, creation: Creation | None) -> bool:
    def sealed() -> str:
        task.check_map()
        return seal(digests(task.map, task.plan), task.map)

    def updatable() -> bool:
        try:
            with task.former(output):
                return True
        except SattransError:
            return False

    return image_finished(output, task.told, creation or Creation(), sealed, updatable)


def _same_file(one: Path | None, other: Path) -> bool:
    return one is not None and one.exists() and other.exists() and one.samefile(other)


def _need(task: _Task, options: GenerateOptions, creation: Creation | None) -> Need:
    with torch.device("meta"):
        weights = sum(parameter.numel() for parameter in task.run.build_model().generator.parameters())
    width = int(task.run.manifest["options"]["width"])
    memory = memory_of(task.plan, task.layout.bands, weights, options.batch_size, width)
    return Need(memory, room_needed(task.layout, ENCODED, creation))


def _write_image(
    task: _Task, stream: Stream, output: Path, overwrite: bool, update: Path | None, creation: Creation | None
) -> Seams | None:
    """Write the GeoTIFF, and its record beside it."""
    check_room(output, room_needed(task.layout, ENCODED, creation))
    found = digests(task.map, task.plan)
    sealed = seal(found, task.map)
    replaces = overwrite or _same_file(update, output)
    with ExitStack() as stack:
        before = stack.enter_context(task.former(update)) if update else None
        aside = {UPDATE: before.name} if before else None
        made = task.layout, {**task.told, "map": sealed}, replaces, creation
        writer = stack.enter_context(row_writer(output, *made, words=WORDS, aside=aside))
        change = None
        if before:
            changed, stream.flat = before.digests != found, before.flat
            log.info("%d of %s changed", int(changed.sum()), counted(changed.size, "window"))
            change = Change(task.plan, changed, before.read)
        else:
            _look(task, stream)
        stream.write(writer, change)
        score = _score(task, writer)
        if score:
            writer.tags["SATTRANS_SEAMS"] = f"gradient={score.gradient:.4f} detail={score.detail:.4f}"
        writer.tags[TAG] = sealed
        record = output, task.told, task.plan, found, sealed, stream.flat
        # A kill between the two leaves the pieces and a record; where an image stands, that and its own record.
        stands = output.exists()
        if not stands:
            write_record(*record)
    if stands:
        write_record(*record)
    return score


def _look(task: _Task, stream: Stream) -> None:
    if task.told["flat_field"]:
        stream.look()
        if stream.flat.strength >= 0.5:
            name, repeated = task.told["map"][0], stream.flat.strength
            log.info("flat field of %s: windows repeat %.1f grey levels at the same place, taken out", name, repeated)


def _score(task: _Task, writer: RowWriter) -> Seams | None:
    plan, partial = task.plan, task.map.partial
    return seams(
        lambda window: writer.read(window)[:3],
        (lambda window: writer.read(window)[3] > 0) if partial else None,
        some(writer.layout.pieces),
        (plan.height, plan.width),
        plan.boundaries(),
        plan.overlap,
    )
