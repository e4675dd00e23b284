"""A map that is opened for a run, and all that is decided before its first window is translated."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from sattrans.errors import ClassesError, OptionError, RasterError, SattransError
from sattrans.generate.axis import Span, window_size
from sattrans.generate.options import Blend, GenerateOptions
from sattrans.generate.sources import Recorder, Sources, folder_of
from sattrans.generate.stream import Stream, Translate
from sattrans.generate.style import choose_style
from sattrans.generate.update import Digests, GeneratedImage, PreviousImage, digests, open_previous, seal
from sattrans.generate.windows import WindowPlan, parse_overlap
from sattrans.maps.open import Map, files_of, open_map
from sattrans.model import Model
from sattrans.raster.cog.options import CreationOptions
from sattrans.raster.cog.writer import Layout
from sattrans.raster.open import gdal_session
from sattrans.runs.calibration import find_flat_field
from sattrans.runs.flat_field import FlatField
from sattrans.runs.options import Precision
from sattrans.runs.run import Run
from sattrans.runs.styles import check_style, recorded_reference, reference_of
from sattrans.runs.translator import Translator, resolve_precision
from sattrans.utils.version import __version__


@dataclass(frozen=True)
class Task:
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
    base: "Task | None" = None
    """For a run that refines, how the coarse image is made."""

    def check_unchanged(self) -> None:
        """Raise `RasterError` if the map was replaced or removed while it was read."""
        now = files_of(self.source)
        for path in {**self.files, **now}:
            if now.get(path) == self.files.get(path):
                continue
            raise RasterError(f"{path} changed while it was read; make the image again with --overwrite")

    @property
    def layout(self) -> Layout:
        """What the image is."""
        run, map_ = self.maker, self.map
        tags = {"SATTRANS_RUN": run.name, "SATTRANS_MODEL": run.model_name, "SATTRANS_VERSION": __version__}
        tags |= {f"SATTRANS_{name.upper()}": text for name, text in run.rights.items()}
        if self.base:
            tags["SATTRANS_REFINE"] = self.run.name
        return Layout(map_.height, map_.width, 3, map_.georeference, map_.has_nodata, tags=tags)

    @property
    def maker(self) -> Run:
        """The run that makes an image of the map, which another one may refine."""
        return self.base.run if self.base else self.run

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

    def sources(self, path: Path, overwrite: bool) -> Sources:
        """Return the file of what the image is copied from. Raises `UsageError` if it cannot be written."""
        return Sources(path, self.run, self.map, self.plan, self.recorded, self.seal, overwrite)

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

    def stream(self, options: GenerateOptions, devices: Sequence[torch.device]) -> Stream:
        """Load a network for each device, and return what translates the windows."""
        # A run that refines has no style; what is recorded is that of its base.
        style = None if self.base else reference_of(options.style, self.run.spec) or self.recorded.get("style")
        settings = options.seed, self.precision, options.stats, options.compile, style
        translators: list[Translate] = [Translator(self.run, device, *settings) for device in devices]
        if options.sources:
            folder = folder_of(options.sources)
            translators = [Recorder(each, folder) for each in translators if isinstance(each, Translator)]
        ahead = len(devices) > 1 or devices[0].type != "cpu"
        batch_size, workers = self.recorded["batch_size"], options.workers or 1
        return Stream(self.map, self.plan, translators, batch_size, workers, ahead, self.flat)


@contextmanager
def open_task(
    map_: str | Path,
    opened: Run,
    options: GenerateOptions,
    device: torch.device,
    each_is_a_file: bool,
    store: bool = True,
) -> Iterator[Task]:
    """Open map and run, and check that they fit together.

    Args:
        map_: The map, as for `generate`.
        opened: The run.
        options: As for `generate`.
        device: The device that translates.
        each_is_a_file: Whether each window becomes a tile of its own.
        store: Whether a flat field that the run lacks is kept in the run.
    """
    state = files_of(map_)
    with gdal_session(), open_map(map_, options, opened.palette, opened.ground_resolution) as read_map:
        task = task_of(read_map, opened, options, device, each_is_a_file, store)
        yield replace(task, files=state, source=map_)


def task_of(
    map_: Map, opened: Run, options: GenerateOptions, device: torch.device, each_is_a_file: bool, store: bool
) -> Task:
    """Return how an opened map will be translated; see `open_task`."""
    kind, spec = opened.kind, opened.spec
    precision = resolve_precision(options.precision, device)
    blend = _blend(kind, options)
    check_style(options.style, spec, kind)
    plan = _plan(map_, kind, spec.size, options, blend, each_is_a_file)
    flat = find_flat_field(opened, options.stats, device, store=store) if options.flat_field else None
    recorded = {
        **map_.identity,
        "run": opened.name,
        "run_created": opened.manifest["created"],
        "window": plan.size,
        "overlap": plan.overlap,
        "blend": blend,
        "starts": list(plan.starts),
        "seed": options.seed,
        "batch_size": max(1, options.batch_size * spec.size**2 // plan.seen**2),
        "precision": precision,
        "stats": options.stats,
        "compile": options.compile,
        "flat_field": flat is not None,
        "calibration": flat.digest if flat else None,
    }
    if reference := reference_of(options.style, spec):
        recorded["style"] = recorded_reference(reference)
    elif kind.styled and spec.scenes:
        recorded["style"] = choose_style(options.style, options.update, spec, map_)
    return Task(opened, map_, plan, precision, recorded, flat or FlatField({}))


def _blend(kind: type[Model], options: GenerateOptions) -> Blend:
    """Return how windows are blended. Raises `OptionError` if the model allows no choice."""
    if kind.context is not None and options.blend not in (None, "none"):
        raise OptionError(f"--blend {options.blend}: model '{kind.name}' joins its windows itself; leave --blend out")
    if kind.margin is not None or kind.context is not None:
        return options.blend or "none"
    return options.blend or "bands"


def _plan(
    map_: Map, kind: type[Model], tile: int, options: GenerateOptions, blend: Blend, each_is_a_file: bool
) -> WindowPlan:
    """Return the windows that a part of a map depends on."""
    whole = map_.whole
    first_row, first_col = map_.georeference.at(whole).first_pixel
    rows = Span(whole.height, range(-whole.row, map_.height - whole.row), first_row)
    cols = Span(whole.width, range(-whole.col, map_.width - whole.col), first_col)
    if kind.context is not None:
        return WindowPlan.side_by_side(rows, cols, tile, kind.context)
    size = window_size(tile, kind.stride, kind.margin, rows, cols, each_is_a_file)
    overlap = (
        parse_overlap(options.overlap, size, kind.stride, kind.margin) if size < max(rows.length, cols.length) else 0
    )
    if kind.margin is not None and blend == "none" and not each_is_a_file:
        return WindowPlan.fitted(rows, cols, size, overlap, kind.stride, kind.margin)
    return WindowPlan.anchored(rows, cols, size, overlap, blend, kind.stride)
