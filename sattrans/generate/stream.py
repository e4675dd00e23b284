"""Translate a map as a stream: read windows ahead, translate them in batches, blend them, write finished chunks."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from sattrans.generate.panel import Panel
from sattrans.generate.windows import ChangedWindows, WindowPlan, panels
from sattrans.maps.open import Map
from sattrans.raster.cells import Floats, framed
from sattrans.raster.cog.writer import RowWriter
from sattrans.raster.window import Window
from sattrans.runs.flat_field import THREADS, FlatField

Translate = Callable[[NDArray[np.uint8], Sequence[tuple[int, int]]], Floats]
"""From the maps of windows and their origins (row, column) in pixels to RGB images; a `Translator` is one."""

WindowIndex = tuple[int, int]
"""The row and the column of a window in the grid of windows, counted from 0."""

TranslatedBatch = tuple[Sequence[WindowIndex], NDArray[np.uint8], Floats]
"""Window indices, their maps and their images. The last batch repeats its last window, so it may hold more images."""

MAX_WAITING = 2
"""Finished chunks that may wait for a writer; each is held in memory."""


@dataclass
class Stream:
    """Translates a part of a map, window by window.

    Args:
        map: The map to read.
        plan: Where the windows lie, and how they are blended.
        translators: One for each device; they take turns, each with a batch of its own.
        batch_size: Windows in a batch.
        workers: Threads that encode and write finished chunks.
        ahead: Whether the devices translate the next batch while the last one is blended.
        flat: The flat field that is subtracted from each window.
    """

    map: Map
    plan: WindowPlan
    translators: Sequence[Translate]
    batch_size: int
    workers: int = 1
    ahead: bool = True
    flat: FlatField = field(default_factory=lambda: FlatField({}))
    _reader: ThreadPoolExecutor = field(default_factory=lambda: _pool(1), init=False)
    _helpers: ThreadPoolExecutor = field(default_factory=lambda: _pool(THREADS), init=False)

    def write(
        self,
        writer: RowWriter,
        chunks: Sequence[Window],
        change: ChangedWindows | None = None,
        on_window: Callable[[], object] = lambda: None,
    ) -> None:
        """Translate chunks and write them, panel by panel, each from the top.

        With a `change`, only the chunks that it touches are translated; the others are copied from the existing image.

        Args:
            writer: What writes the chunks.
            chunks: Some of its chunks.
            change: What a change of the map touches.
            on_window: Called for each window that was translated.
        """
        if change:
            for chunk in chunks:
                if not change.touches(chunk):
                    writer.write(chunk, change.existing(chunk))
            chunks = [chunk for chunk in chunks if change.touches(chunk)]
        with _pool(self.workers) as writers:
            waiting: deque[Future[None]] = deque()
            for panel in panels(chunks):
                for chunk, pixels in self._pieces(panel, change, on_window):
                    waiting.append(writers.submit(self._finish, writer, chunk, pixels, change))
                    while len(waiting) > MAX_WAITING + self.workers:
                        waiting.popleft().result()
            while waiting:
                waiting.popleft().result()

    def count_windows(self, chunks: Sequence[Window], change: ChangedWindows | None = None) -> int:
        """Return how many windows `write` will translate."""
        touched = [chunk for chunk in chunks if change is None or change.touches(chunk)]
        return sum(len(list(self._needed_windows(panel, change))) for panel in panels(touched))

    def _finish(
        self, writer: RowWriter, chunk: Window, pixels: NDArray[np.uint8], change: ChangedWindows | None
    ) -> None:
        if self.map.has_nodata:
            valid = self._reader.submit(self.map.valid, chunk).result()
            pixels = np.concatenate([np.where(valid, pixels, 0), np.where(valid, 255, 0)[np.newaxis]]).astype(np.uint8)
        if change:
            pixels = np.where(change.pixel_mask(chunk), pixels, change.existing(chunk))
        writer.write(chunk, pixels)

    def _needed_windows(self, chunks: Sequence[Window], change: ChangedWindows | None) -> Iterator[WindowIndex]:
        """Yield the windows that the chunks of a panel depend on, row by row."""
        needed: set[int] = set()
        for chunk in chunks:
            rows, cols = self.plan.windows_over(chunk)  # of which the columns are the same in all
            needed.update(rows)
        for row in sorted(needed):
            for col in cols:
                if change is None or change.requires(row, col):
                    yield row, col

    def _pieces(
        self, chunks: Sequence[Window], change: ChangedWindows | None, on_window: Callable[[], object]
    ) -> Iterator[tuple[Window, NDArray[np.uint8]]]:
        """Yield the chunks of a panel as soon as all their windows are added."""
        plan, todo = self.plan, deque(chunks)
        panel = Panel(plan, plan.with_halo(chunks[0]))

        def finished(until: int) -> Iterator[tuple[Window, NDArray[np.uint8]]]:
            while todo and plan.with_halo(todo[0]).bottom <= until:
                chunk = todo.popleft()
                yield chunk, panel.pixels(chunk)
                if todo:
                    panel.release(plan.with_halo(todo[0]).row)

        translated = self.translated(list(self._needed_windows(chunks, change)))
        for row, windows in groupby(translated, lambda window: window[0][0]):
            yield from finished(plan.rows.starts[row])
            for (_, col), pixels in windows:
                panel.add_window(col, pixels)
                on_window()
            panel.finish_row(row)
        yield from finished(plan.with_halo(chunks[-1]).bottom)

    def translated(self, places: Sequence[WindowIndex]) -> Iterator[tuple[WindowIndex, Floats]]:
        """Yield each window and its image (3, size, size), in order, with the flat field subtracted."""
        for batch, windows, images in self._translated(places):
            count = len(batch)
            corrected = self.flat.correct(windows[:count], images[:count], self._helpers.map)
            yield from zip(batch, corrected, strict=True)

    def _translated(self, places: Sequence[WindowIndex]) -> Iterator[TranslatedBatch]:
        """Yield windows, their maps and their images, in batches of one shape.

        A GPU translates while this thread blends. On a CPU they take turns: the threads of a network wait for each
        other, so each would wait for whatever else uses one of its cores.
        """
        if not self.ahead:
            for batch, windows in self._batches(places):
                yield batch, windows, self.translators[0](windows, self._origins(batch))
            return
        with ExitStack() as stack:
            devices = [stack.enter_context(_pool(1)) for _ in self.translators]
            running: deque[tuple[Sequence[WindowIndex], NDArray[np.uint8], Future[Floats]]] = deque()
            for number, (batch, windows) in enumerate(self._batches(places)):
                turn = number % len(devices)
                task = devices[turn].submit(self.translators[turn], windows, self._origins(batch))
                running.append((batch, windows, task))
                if len(running) > len(devices):
                    yield _completed(*running.popleft())
            while running:
                yield _completed(*running.popleft())

    def _origins(self, batch: Sequence[WindowIndex]) -> list[tuple[int, int]]:
        """Return where a batch's windows start (row, column), in pixels from the origin of the CRS.

        The last one is repeated until the batch is full.
        """
        filled = [*batch, *[batch[-1]] * (self.batch_size - len(batch))]
        rows, cols = self.plan.rows, self.plan.cols
        return [(rows.origin + rows.starts[row], cols.origin + cols.starts[col]) for row, col in filled]

    def _batches(self, places: Sequence[WindowIndex]) -> Iterator[tuple[list[WindowIndex], NDArray[np.uint8]]]:
        """Yield the windows of a batch and `batch_size` maps."""
        batch: list[WindowIndex] = []
        windows: list[NDArray[np.uint8]] = []
        for row, cols, band in self._map_rows(places):
            for col in cols:
                left = self.plan.cols.starts[col] - self.plan.cols.starts[cols[0]]
                batch.append((row, col))
                windows.append(band[..., left : left + self.plan.seen])
                if len(batch) == self.batch_size:
                    yield batch, np.stack(windows)
                    batch, windows = [], []
        if batch:
            yield batch, np.stack(windows + [windows[-1]] * (self.batch_size - len(batch)))

    def _map_rows(self, places: Sequence[WindowIndex]) -> Iterator[tuple[int, list[int], NDArray[np.uint8]]]:
        """Yield the rows of windows with the map below them; the next row is read in the background."""
        rows: dict[int, list[int]] = {}
        for row, col in places:
            rows.setdefault(row, []).append(col)
        ahead: deque[tuple[int, list[int], Future[NDArray[np.uint8]]]] = deque()
        for row, cols in rows.items():
            ahead.append((row, cols, self._reader.submit(read_map_row, self.map, self.plan, row, cols[0], cols[-1])))
            if len(ahead) > 1:
                done = ahead.popleft()
                yield done[0], done[1], done[2].result()
        for row, cols, band in ahead:
            yield row, cols, band.result()


def read_map_row(map_: Map, plan: WindowPlan, row: int, first: int, last: int) -> NDArray[np.uint8]:
    """Read the map below the windows `first` to `last` of a row, and around them if they have a context.

    Returns:
        The map (…, size, width), mirrored beyond its edges; if windows have a context, without data there.
    """
    rows, cols = plan.rows, plan.cols
    if plan.context:
        return _read_around(map_, plan, rows.starts[row], cols.starts[first], cols.starts[last])
    down = rows.map_pixels(rows.starts[row], rows.starts[row] + plan.size)
    across = cols.map_pixels(cols.starts[first], cols.starts[last] + plan.size)
    top, left = int(down.min()), int(across.min())
    window = Window(top, left, int(down.max()) + 1 - top, int(across.max()) + 1 - left)
    pixels = map_.read(window.shifted(map_.whole.row, map_.whole.col))
    if pixels.shape[-2:] == (len(down), len(across)):
        return pixels
    return pixels[..., down - top, :][..., across - left]


def _read_around(map_: Map, plan: WindowPlan, top: int, left: int, last: int) -> NDArray[np.uint8]:
    """Read the map below windows that start at a row and from one column to another, with their context."""
    whole = Window(plan.rows.map_start, plan.cols.map_start, plan.rows.map_length, plan.cols.map_length)
    asked = Window(top - plan.context, left - plan.context, plan.seen, last - left + plan.seen)
    found = asked.intersection(whole)
    assert found is not None, "each window lies on the map"
    pixels = map_.read(found.shifted(map_.whole.row - whole.row, map_.whole.col - whole.col))
    rows, cols = (
        (found.row - asked.row, asked.bottom - found.bottom),
        (found.col - asked.col, asked.right - found.right),
    )
    return framed(pixels, rows, cols, has_classes=pixels.ndim == 2)


def _completed(batch: Sequence[WindowIndex], windows: NDArray[np.uint8], images: Future[Floats]) -> TranslatedBatch:
    return batch, windows, images.result()


def _pool(threads: int) -> ThreadPoolExecutor:
    return _Pool(threads, "generate")


class _Pool(ThreadPoolExecutor):
    """After an error, drops the tasks that have not started."""

    def __exit__(self, *_: object) -> None:
        self.shutdown(cancel_futures=True)
