"""Translate a map as a stream: read windows ahead, translate them in batches, blend them, write finished chunks."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from sattrans.generate.blending import Floats
from sattrans.generate.flat_field import THREADS, FlatField
from sattrans.generate.flat_field_fit import FlatFieldEstimator, sample_windows
from sattrans.generate.panel import Panel
from sattrans.generate.windows import ChangedWindows, WindowPlan, panels
from sattrans.maps.open import Map
from sattrans.raster.bands import to_uint8
from sattrans.raster.cog.writer import RowWriter
from sattrans.raster.window import Window
from sattrans.utils.console import progress_bar

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
    """Translates the windows of a map.

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
    _cache: dict[WindowIndex, NDArray[np.uint8]] = field(default_factory=dict, init=False)
    _reader: ThreadPoolExecutor = field(default_factory=lambda: _pool(1), init=False)
    _helpers: ThreadPoolExecutor = field(default_factory=lambda: _pool(THREADS), init=False)

    def write(self, writer: RowWriter, change: ChangedWindows | None = None) -> None:
        """Translate the chunks that `writer` lacks, panel by panel, each from the top.

        With a `change`, only the chunks that it touches are translated; the others are copied from the existing image.
        """
        missing = writer.missing()
        if change:
            for chunk in missing:
                if not change.touches(chunk):
                    writer.write(chunk, change.existing(chunk))
            missing = [chunk for chunk in missing if change.touches(chunk)]
        todo = list(panels(missing))
        total = sum(len(list(self._needed_windows(chunks, change))) for chunks in todo)
        with ExitStack() as stack:
            writers = stack.enter_context(_pool(self.workers))
            progress = stack.enter_context(progress_bar(total, "generate", "window"))
            waiting: deque[Future[None]] = deque()
            for chunks in todo:
                for chunk, pixels in self._pieces(chunks, change, progress.update):
                    waiting.append(writers.submit(self._finish, writer, chunk, pixels, change))
                    while len(waiting) > MAX_WAITING + self.workers:
                        waiting.popleft().result()
            while waiting:
                waiting.popleft().result()

    def estimate_flat_field(self) -> None:
        """Estimate the flat field from as many windows as fit in memory; their images are kept for `write`."""
        places = sample_windows(self.plan.indices, self.plan.size)
        estimator, maps = FlatFieldEstimator(), {}
        with progress_bar(len(places), "estimate flat field", "window") as progress:
            for batch, windows, images in self._translated(places):
                for place, window, image in zip(batch, windows, images, strict=False):
                    self._cache[place], maps[place] = to_uint8(image), window
                estimator.add(windows[: len(batch)], images[: len(batch)], self._helpers.map)
                progress.update(len(batch))
        self.flat = estimator.fit(self._helpers.map)

        def correct(place: WindowIndex) -> None:
            image = self._cache[place].astype(np.float32)
            self._cache[place] = to_uint8(self.flat.correct(maps[place][np.newaxis], image[np.newaxis])[0])

        for _ in self._helpers.map(correct, maps):
            pass

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
            needed.update(self.plan.windows_over(self.plan.with_halo(chunk))[0])
        for row in sorted(needed):
            for col in self.plan.windows_over(self.plan.with_halo(chunks[0]))[1]:
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
            yield from finished(plan.rows[row])
            for (_, col), pixels in windows:
                panel.add_window(col, pixels)
                on_window()
            panel.finish_row(row)
        yield from finished(plan.extent[0])

    def translated(self, places: Sequence[WindowIndex]) -> Iterator[tuple[WindowIndex, Floats]]:
        """Yield each window and its image (3, size, size), in order, with the flat field subtracted."""
        anew = iter(self._corrected([place for place in places if place not in self._cache]))
        for place in places:
            # Panels share windows, so cached images are not dropped.
            yield (place, self._cache[place].astype(np.float32)) if place in self._cache else next(anew)

    def _corrected(self, places: Sequence[WindowIndex]) -> Iterator[tuple[WindowIndex, Floats]]:
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
        """Return the origins (row, column) of a batch's windows; the last is repeated until the batch is full."""
        filled = [*batch, *[batch[-1]] * (self.batch_size - len(batch))]
        return [(self.plan.rows[row], self.plan.cols[col]) for row, col in filled]

    def _batches(self, places: Sequence[WindowIndex]) -> Iterator[tuple[list[WindowIndex], NDArray[np.uint8]]]:
        """Yield the windows of a batch and `batch_size` maps."""
        batch: list[WindowIndex] = []
        windows: list[NDArray[np.uint8]] = []
        for row, cols, band in self._map_rows(places):
            for col in cols:
                left = self.plan.cols[col] - self.plan.cols[cols[0]]
                batch.append((row, col))
                windows.append(band[..., left : left + self.plan.size])
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
    """Read the map below the windows `first` to `last` of a row, (…, size, width), mirrored beyond its edge."""
    down = _mirrored(plan.rows[row], plan.rows[row] + plan.size, map_.height)
    across = _mirrored(plan.cols[first], plan.cols[last] + plan.size, map_.width)
    top, left = int(down.min()), int(across.min())
    pixels = map_.read(Window(top, left, int(down.max()) + 1 - top, int(across.max()) + 1 - left))
    if pixels.shape[-2:] == (len(down), len(across)):
        return pixels
    return pixels[..., down - top, :][..., across - left]


def _mirrored(start: int, end: int, length: int) -> NDArray[np.int64]:
    """Indices of `length` pixels for the positions from `start` to `end`, mirrored beyond the last pixel."""
    turn = np.arange(start, end) % (2 * length)
    return np.minimum(turn, 2 * length - 1 - turn)


def _completed(batch: Sequence[WindowIndex], windows: NDArray[np.uint8], images: Future[Floats]) -> TranslatedBatch:
    return batch, windows, images.result()


def _pool(threads: int) -> ThreadPoolExecutor:
    return _Pool(threads, "generate")


class _Pool(ThreadPoolExecutor):
    """After an error, drops the tasks that have not started."""

    def __exit__(self, *_: object) -> None:
        self.shutdown(cancel_futures=True)
