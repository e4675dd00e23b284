"""Translating by the workers of a cluster: each opens the map and keeps a network, and writes its own pieces."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial, reduce
from pathlib import Path
from typing import Generic, TypeVar

from sattrans.errors import SattransError
from sattrans.generate.options import GenerateOptions
from sattrans.generate.stream import Stream
from sattrans.generate.task import Task, open_task
from sattrans.generate.tiles import GeneratedTiles, write_windows
from sattrans.generate.update import GeneratedImage
from sattrans.generate.windows import ChangedWindows
from sattrans.raster.cog.elsewhere import BlockSizes, WriterElsewhere, make_overviews
from sattrans.raster.cog.writer import RowWriter
from sattrans.raster.window import Window
from sattrans.runs.device import choose_device
from sattrans.runs.run import Run
from sattrans.runs.styles import reference_of
from sattrans.utils.cluster_unit import Kept
from sattrans.utils.console import progress_bar
from sattrans.utils.executor import Pool
from sattrans.utils.manifest import as_json

GROUPS = 4
"""Groups of chunks, each 1024 px high, that a unit has in a large image: windows at its edges are translated twice."""

UNITS = 16
"""Units that a smaller image has, so that there is work for several workers."""

WINDOWS = 32
"""Windows in a unit of tiles."""

Item = TypeVar("Item")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TaskElsewhere:
    """What a worker needs to translate as the client would. Picklable; all paths are absolute.

    `recorded` is what the client's output records, as JSON: a worker that would make something else must not.
    """

    map: str
    run: Path
    options: GenerateOptions
    each_is_a_file: bool
    recorded: str


@dataclass(frozen=True, slots=True)
class Unit(Generic[Item]):
    """Some chunks of an image, or some windows that become tiles, and where they go. Picklable."""

    task: TaskElsewhere
    items: Sequence[Item]
    writer: WriterElsewhere | None = None
    folder: Path | None = None
    stem: str = ""


class WriteElsewhere:
    """Writes by the workers of a cluster; see `write.Write`."""

    def __init__(self, task: Task, options: GenerateOptions, pool: Pool) -> None:
        self._task, self._options, self._pool = task, options, pool

    def image(self, image: GeneratedImage, writer: RowWriter, change: ChangedWindows | None) -> None:
        """See `Write`; `GenerateOptions` refuses a change."""
        self._share(image.begun_manifest)
        task, elsewhere = self._elsewhere(each_is_a_file=False), WriterElsewhere.of(writer)
        units = [Unit(task, chunks, writer=elsewhere) for chunks in _grouped(list(writer.missing_by_parent()))]
        missing, total = len(writer.missing()), len(writer.layout.chunks)
        with progress_bar(total, "generate", "chunk", total - missing) as progress:
            for _, written in self._pool.as_done(_write_chunks, units):
                writer.adopt(written)
                progress.update(sum(chunk.level == 0 for chunk in written))
        make_overviews(writer, self._pool)

    def tiles(self, tiles: GeneratedTiles, stem: str) -> None:
        """See `Write`."""
        self._share(tiles.begun_manifest)
        task, folder = self._elsewhere(each_is_a_file=True), tiles.path.absolute()
        missing, total = tiles.missing(), tiles.plan.window_count
        size = max(1, min(WINDOWS, len(missing) // UNITS))
        units = [
            Unit(task, missing[first : first + size], folder=folder, stem=stem)
            for first in range(0, len(missing), size)
        ]
        with progress_bar(total, "generate", "window", total - len(missing)) as progress:
            for _, count in self._pool.as_done(_write_tiles, units):
                progress.update(count)

    def _share(self, output: Path) -> None:
        run = self._task.run
        self._pool.share(output, run.checkpoint("best"), *self._task.files)
        self._pool.afterwards(forget)

    def _style(self) -> str:
        """Return the style: an absolute path, or the scene that was chosen."""
        reference = reference_of(self._options.style, self._task.run.spec)
        return str(reference.absolute() if reference else self._task.recorded.get("style", self._options.style))

    def _elsewhere(self, each_is_a_file: bool) -> TaskElsewhere:
        task, options = self._task, self._options
        chosen = replace(
            options,
            run=None,
            scheduler=None,
            workers=None,
            preview=None,
            devices=1,
            precision=task.precision,
            style=self._style(),
            aoi=_absolute(options.aoi),
            sources=options.sources and options.sources.absolute(),
            rules=_absolute(options.rules),
        )
        return TaskElsewhere(
            str(_absolute(task.source)), task.run.folder.absolute(), chosen, each_is_a_file, _recorded(task)
        )


def _grouped(groups: Sequence[Sequence[Window]]) -> Iterator[list[Window]]:
    """Yield the chunks of each unit: of groups that lie below each other."""
    count = max(1, min(GROUPS, len(groups) // UNITS))
    by_column: dict[int, list[Sequence[Window]]] = {}
    for group in groups:
        by_column.setdefault(min(chunk.col for chunk in group), []).append(group)
    for column in by_column.values():
        for first in range(0, len(column), count):
            yield [chunk for group in column[first : first + count] for chunk in group]


Name = TypeVar("Name", str, Path, str | Path, Path | None, str | Path | None)


def _absolute(name: Name) -> Name | Path:
    """Return the absolute path of a file; an address, or the name of something built in, as it is."""
    return Path(name).absolute() if name is not None and Path(name).exists() else name


def _recorded(task: Task) -> str:
    return json.dumps(as_json(task.recorded), sort_keys=True)


_kept: Kept[Stream] = Kept()


def _use(task: TaskElsewhere, do: Callable[[Stream], T]) -> T:
    """Return what a function makes with the opened map and the network of a task."""
    key = f"{task.map} {task.run} {task.each_is_a_file} {task.recorded}"
    return _kept.use(key, partial(_open, task), do)


def _open(task: TaskElsewhere, stack: ExitStack) -> Stream:
    device, run = choose_device(task.options.device), Run.open(task.run)
    found = stack.enter_context(open_task(task.map, run, task.options, device, task.each_is_a_file, store=False))
    if _recorded(found) != task.recorded:
        raise SattransError(
            f"a worker would translate {task.map} otherwise than this machine: give it the same map, run and packages"
        )
    return found.stream(task.options, [device])


def _write_chunks(unit: Unit[Window]) -> BlockSizes:
    """Translate the chunks of a unit, and the overviews that they are enough for."""
    assert unit.writer is not None
    writer = unit.writer.open()

    def write(stream: Stream) -> None:
        area = reduce(Window.union, unit.items)
        replace(stream, plan=stream.plan.over(area)).write(writer, unit.items)

    _use(unit.task, write)
    return writer.written


def _write_tiles(unit: Unit[tuple[int, int]]) -> int:
    """Translate the windows of a unit, each to a tile; return how many."""
    assert unit.folder is not None
    _use(unit.task, partial(write_windows, folder=unit.folder, stem=unit.stem, places=unit.items))
    return len(unit.items)


def forget() -> None:
    """Free the network and close the map that this process keeps."""
    _kept.forget()
