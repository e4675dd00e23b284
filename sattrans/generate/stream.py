"""The stream: windows read ahead, translated in batches of one shape, blended, and written behind."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from sattrans.generate.blending import Floats
from sattrans.generate.flat_field import HELPERS, FlatField
from sattrans.generate.flat_field_fit import FlatFieldEstimator, sampled
from sattrans.generate.panel import Panel
from sattrans.generate.windows import Change, Plan, panels
from sattrans.maps.open import Map
from sattrans.raster.bands import to_uint8
from sattrans.raster.cog.writer import RowWriter
from sattrans.raster.window import Window
from sattrans.utils.console import bar

Translate = Callable[[NDArray[np.uint8], Sequence[tuple[int, int]]], Floats]
"""Maps of windows and their places in the whole map to red, green, blue: a `Translator`."""

Place = tuple[int, int]
"""Of a window: its row and its column among the windows, counted from 0."""

Translated = tuple[Sequence[Place], NDArray[np.uint8], Floats]
"""Windows, their maps and their images; both of these may have more than there are windows, to fill a batch."""

BEHIND = 2
"""How many pieces may wait to be written; more would be held in memory."""


@dataclass
class Stream:
    """A map being translated. With several `translators`, one a device, each has its own batches at the same time.

    With `ahead` they translate the next batch while the one before is blended.
    """

    map: Map
    plan: Plan
    translators: Sequence[Translate]
    batch_size: int
    workers: int = 1
    ahead: bool = True
    flat: FlatField = field(default_factory=lambda: FlatField({}))
    _known: dict[Place, NDArray[np.uint8]] = field(default_factory=dict, init=False)
    _reader: ThreadPoolExecutor = field(default_factory=lambda: _pool(1), init=False)
    _helpers: ThreadPoolExecutor = field(default_factory=lambda: _pool(HELPERS), init=False)

    def write(self, writer: RowWriter, change: Change | None = None) -> None:
        """Translate what the writer misses and hand it over, panel by panel, each from the top.

        With a `change` only what it touches is made, the rest comes from the image it stands for.
        """
        missing = writer.missing()
        if change:
            for piece in missing:
                if not change.touches(piece):
                    writer.write(piece, change.before(piece))
            missing = [piece for piece in missing if change.touches(piece)]
        todo = list(panels(missing))
        total = sum(len(list(self._places(pieces, change))) for pieces in todo)
        with ExitStack() as stack:
            writers = stack.enter_context(_pool(self.workers))
            progress = stack.enter_context(bar(total, "generate", "window"))
            waiting: deque[Future[None]] = deque()
            for pieces in todo:
                for piece, pixels in self._pieces(pieces, change, progress.update):
                    waiting.append(writers.submit(self._finish, writer, piece, pixels, change))
                    while len(waiting) > BEHIND + self.workers:
                        waiting.popleft().result()
            while waiting:
                waiting.popleft().result()

    def look(self) -> None:
        """Find the flat field of a model that knows classes, in as many windows as are kept in memory."""
        places = sampled(self.plan.places, self.plan.size)
        found, maps = FlatFieldEstimator(), {}
        with bar(len(places), "look at windows", "window") as progress:
            for batch, windows, images in self._translated(places):
                for place, window, image in zip(batch, windows, images, strict=False):
                    self._known[place], maps[place] = to_uint8(image), window
                found.add(windows[: len(batch)], images[: len(batch)], self._helpers.map)
                progress.update(len(batch))
        self.flat = found.field(self._helpers.map)

        def correct(place: Place) -> None:
            image = self._known[place].astype(np.float32)
            self._known[place] = to_uint8(self.flat.correct(maps[place][np.newaxis], image[np.newaxis])[0])

        for _ in self._helpers.map(correct, maps):
            pass

    def _finish(self, writer: RowWriter, piece: Window, pixels: NDArray[np.uint8], change: Change | None) -> None:
        if self.map.partial:
            valid = self._reader.submit(self.map.valid, piece).result()
            pixels = np.concatenate([np.where(valid, pixels, 0), np.where(valid, 255, 0)[np.newaxis]]).astype(np.uint8)
        if change:
            pixels = np.where(change.within(piece), pixels, change.before(piece))
        writer.write(piece, pixels)

    def _places(self, pieces: Sequence[Window], change: Change | None) -> Iterator[Place]:
        """Yield the windows that a panel's pieces need, row by row."""
        needed: set[int] = set()
        for piece in pieces:
            needed.update(self.plan.touching(self.plan.around(piece))[0])
        for row in sorted(needed):
            for col in self.plan.touching(self.plan.around(pieces[0]))[1]:
                if change is None or change.needs(row, col):
                    yield row, col

    def _pieces(
        self, pieces: Sequence[Window], change: Change | None, told: Callable[[], object]
    ) -> Iterator[tuple[Window, NDArray[np.uint8]]]:
        """Yield a panel's pieces as they are finished."""
        plan, todo = self.plan, deque(pieces)
        panel = Panel(plan, plan.around(pieces[0]))

        def finished(until: int) -> Iterator[tuple[Window, NDArray[np.uint8]]]:
            while todo and plan.around(todo[0]).bottom <= until:
                piece = todo.popleft()
                yield piece, panel.finished(piece)
                if todo:
                    panel.let_go(plan.around(todo[0]).row)

        translated = self.translated(list(self._places(pieces, change)))
        for row, windows in groupby(translated, lambda window: window[0][0]):
            yield from finished(plan.rows[row])
            for (_, col), pixels in windows:
                panel.lay(col, pixels)
                told()
            panel.sink(row)
        yield from finished(plan.extent[0])

    def translated(self, places: Sequence[Place]) -> Iterator[tuple[Place, Floats]]:
        """Yield windows and their images, (3, size, size), in order, corrected by the flat field."""
        anew = iter(self._corrected([place for place in places if place not in self._known]))
        for place in places:
            # Panels share windows: an image is kept for as long as the stream is.
            yield (place, self._known[place].astype(np.float32)) if place in self._known else next(anew)

    def _corrected(self, places: Sequence[Place]) -> Iterator[tuple[Place, Floats]]:
        for batch, windows, images in self._translated(places):
            count = len(batch)
            corrected = self.flat.correct(windows[:count], images[:count], self._helpers.map)
            yield from zip(batch, corrected, strict=True)

    def _translated(self, places: Sequence[Place]) -> Iterator[Translated]:
        """Yield windows, their maps and their images. Every batch has one shape; the last is filled.

        A device works while this thread blends; not where both are the same processor: a network's threads wait for
        each other, and so for whatever else has one of their cores.
        """
        if not self.ahead:
            for batch, windows in self._batches(places):
                yield batch, windows, self.translators[0](windows, self._origins(batch))
            return
        with ExitStack() as stack:
            devices = [stack.enter_context(_pool(1)) for _ in self.translators]
            running: deque[tuple[Sequence[Place], NDArray[np.uint8], Future[Floats]]] = deque()
            for number, (batch, windows) in enumerate(self._batches(places)):
                turn = number % len(devices)
                task = devices[turn].submit(self.translators[turn], windows, self._origins(batch))
                running.append((batch, windows, task))
                if len(running) > len(devices):
                    yield _done(*running.popleft())
            while running:
                yield _done(*running.popleft())

    def _origins(self, batch: Sequence[Place]) -> list[tuple[int, int]]:
        """Return where a batch's windows lie in the whole map; the last one's place is filled up with."""
        filled = [*batch, *[batch[-1]] * (self.batch_size - len(batch))]
        return [(self.plan.rows[row], self.plan.cols[col]) for row, col in filled]

    def _batches(self, places: Sequence[Place]) -> Iterator[tuple[list[Place], NDArray[np.uint8]]]:
        """Yield windows and their maps, `batch_size` of these."""
        batch: list[Place] = []
        windows: list[NDArray[np.uint8]] = []
        for row, cols, band in self._bands(places):
            for col in cols:
                left = self.plan.cols[col] - self.plan.cols[cols[0]]
                batch.append((row, col))
                windows.append(band[..., left : left + self.plan.size])
                if len(batch) == self.batch_size:
                    yield batch, np.stack(windows)
                    batch, windows = [], []
        if batch:
            yield batch, np.stack(windows + [windows[-1]] * (self.batch_size - len(batch)))

    def _bands(self, places: Sequence[Place]) -> Iterator[tuple[int, list[int], NDArray[np.uint8]]]:
        """Yield the rows of windows with the map under them, read one row ahead."""
        rows: dict[int, list[int]] = {}
        for row, col in places:
            rows.setdefault(row, []).append(col)
        ahead: deque[tuple[int, list[int], Future[NDArray[np.uint8]]]] = deque()
        for row, cols in rows.items():
            ahead.append((row, cols, self._reader.submit(read_band, self.map, self.plan, row, cols[0], cols[-1])))
            if len(ahead) > 1:
                done = ahead.popleft()
                yield done[0], done[1], done[2].result()
        for row, cols, band in ahead:
            yield row, cols, band.result()


def read_band(map_: Map, plan: Plan, row: int, first: int, last: int) -> NDArray[np.uint8]:
    """Return the map under a row of windows, from column `first` to `last`, (…, size, width); mirrored at its edge."""
    down = _mirrored(plan.rows[row], plan.rows[row] + plan.size, map_.height)
    across = _mirrored(plan.cols[first], plan.cols[last] + plan.size, map_.width)
    top, left = int(down.min()), int(across.min())
    pixels = map_.read(Window(top, left, int(down.max()) + 1 - top, int(across.max()) + 1 - left))
    if pixels.shape[-2:] == (len(down), len(across)):
        return pixels
    return pixels[..., down - top, :][..., across - left]


def _mirrored(start: int, end: int, length: int) -> NDArray[np.int64]:
    """Return which of `length` pixels stand at the positions from `start` to `end`, mirrored beyond the last."""
    turn = np.arange(start, end) % (2 * length)
    return np.minimum(turn, 2 * length - 1 - turn)


def _done(batch: Sequence[Place], windows: NDArray[np.uint8], images: Future[Floats]) -> Translated:
    return batch, windows, images.result()


def _pool(threads: int) -> ThreadPoolExecutor:
    return _Pool(threads, "generate")


class _Pool(ThreadPoolExecutor):
    """Does not do, after an error, what was not begun."""

    def __exit__(self, *_: object) -> None:
        self.shutdown(cancel_futures=True)
