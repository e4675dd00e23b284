"""What a mosaic does where tiles overlap: small objects that are fed tiles and give the joined pixels."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from sattrans.raster.window import Window

Method = Literal["first", "last", "mean", "feather"]
Pixels = NDArray[np.uint8]
Valid = NDArray[np.bool_] | None

MOST_CELLS = 1 << 14
"""Of a piece that tiles cut into more rectangles, no part is looked at by itself."""


class Joiner(Protocol):
    """Joins tiles on one piece of the mosaic. Windows count from the piece's top left; a tile may stick out."""

    order: Sequence[int]
    """The numbers of the tiles as they are to be fed."""

    def wanted(self, number: int) -> Window | None:
        """Return the part of a tile that is needed, within the piece; None where nothing of it will be seen."""

    def feed(self, number: int, part: Window, pixels: Pixels, valid: Valid) -> None:
        """Take the pixels (bands, h, w) of a wanted part, and which hold anything (h, w), None where all do."""

    def joined(self) -> tuple[Pixels, NDArray[np.bool_]]:
        """Return the pixels (bands, H, W), and where there is anything (H, W)."""


class Cells:
    """The rectangles that the edges of windows cut a piece into."""

    def __init__(self, windows: Sequence[Window]) -> None:
        self._rows = np.unique([edge for w in windows for edge in (w.row, w.bottom)])
        self._cols = np.unique([edge for w in windows for edge in (w.col, w.right)])
        self.shape = max(0, len(self._rows) - 1), max(0, len(self._cols) - 1)

    def span(self, window: Window) -> tuple[slice, slice]:
        """Return the rows and columns of the cells in a window, one of those that made them."""
        top, bottom = np.searchsorted(self._rows, (window.row, window.bottom))
        left, right = np.searchsorted(self._cols, (window.col, window.right))
        return slice(int(top), int(bottom)), slice(int(left), int(right))

    def around(self, chosen: NDArray[np.bool_], span: tuple[slice, slice]) -> Window | None:
        """Return the window around the chosen cells within a span, None where there are none."""
        rows, cols = chosen[span].nonzero()
        if not len(rows):
            return None
        top, bottom = self._rows[span[0].start + rows[0]], self._rows[span[0].start + rows[-1] + 1]
        left, right = self._cols[span[1].start + cols.min()], self._cols[span[1].start + cols.max() + 1]
        return Window(int(top), int(left), int(bottom - top), int(right - left))

    def runs(self, chosen: NDArray[np.bool_], span: tuple[slice, slice]) -> Iterator[Window]:
        """Yield the chosen cells within a span as windows, as few and large as is easily had."""
        rows, cols = span
        inside = chosen[span]
        top = 0
        for bottom in range(1, len(inside) + 1):
            if bottom < len(inside) and np.array_equal(inside[bottom], inside[top]):
                continue
            changes = np.flatnonzero(np.diff(inside[top], prepend=False, append=False))
            for left, right in zip(changes[::2], changes[1::2], strict=True):
                row, col = int(self._rows[rows.start + top]), int(self._cols[cols.start + left])
                end, side = int(self._rows[rows.start + bottom]), int(self._cols[cols.start + right])
                yield Window(row, col, end - row, side - col)
            top = bottom


def _within(tiles: Sequence[Window], height: int, width: int) -> list[Window]:
    """Return the parts of tiles within a piece; all of them reach into it."""
    parts = [tile.intersection(Window(0, 0, height, width)) for tile in tiles]
    return [part for part in parts if part is not None]


class Overlay:
    """Keeps the first tile at each pixel, or the last: what is to be seen is laid over the rest."""

    def __init__(
        self, bands: int, height: int, width: int, tiles: Sequence[Window], whole: bool, keep_first: bool
    ) -> None:
        self._pixels = np.zeros((bands, height, width), np.uint8)
        self._filled = np.zeros((height, width), bool)
        self._parts = _within(tiles, height, width)
        self.order: Sequence[int] = range(len(tiles))[:: -1 if keep_first else 1]
        self._cells = Cells(self._parts)
        self._seen: NDArray[np.int64] | None = None
        if whole:
            self._seen = np.full(self._cells.shape, -1)
            for number in self.order:
                self._seen[self._cells.span(self._parts[number])] = number

    def wanted(self, number: int) -> Window | None:
        """Return what will be seen of a tile; all of it, where tiles have holes."""
        part = self._parts[number]
        if self._seen is None:
            return part
        return self._cells.around(self._seen == number, self._cells.span(part))

    def feed(self, number: int, part: Window, pixels: Pixels, valid: Valid) -> None:
        """Take a tile."""
        place = part.slices
        if valid is None:
            self._pixels[:, *place] = pixels
            self._filled[place] = True
        else:
            np.copyto(self._pixels[:, *place], pixels, where=valid)
            self._filled[place] |= valid

    def joined(self) -> tuple[Pixels, NDArray[np.bool_]]:
        """Return what was joined."""
        return self._pixels, self._filled


class _Sums:
    """The weighted sums of tiles in a window that they share."""

    def __init__(self, bands: int, window: Window) -> None:
        self.window = window
        self._sum = np.zeros((bands, window.height, window.width), np.float32)
        self._weight = np.zeros((window.height, window.width), np.float32)

    def add(self, run: Window, pixels: Pixels, weight: NDArray[np.float32]) -> None:
        place = _inside(run, self.window)
        self._sum[:, *place] += pixels * weight
        self._weight[place] += weight

    def mean(self) -> tuple[Pixels, Valid]:
        """Return the mean, and where there is one; None where that is everywhere."""
        filled = None if self._weight.all() else self._weight > 0
        mean = np.divide(self._sum, self._weight, out=self._sum, where=True if filled is None else filled)
        return np.rint(mean, out=mean).astype(np.uint8), filled


class Weighted:
    """The mean of the tiles at each pixel, by their weights. Where there is one, its pixels are taken as they are."""

    def __init__(
        self,
        bands: int,
        height: int,
        width: int,
        tiles: Sequence[Window],
        whole: bool,
        weight: Callable[[Window, Window], NDArray[np.float32]],
    ) -> None:
        self._pixels = np.zeros((bands, height, width), np.uint8)
        self._filled = np.zeros((height, width), bool)
        self._tiles, self._parts = tiles, _within(tiles, height, width)
        self._weigh = weight
        self.order: Sequence[int] = range(len(tiles))
        self._alone, shared = self._split(Window(0, 0, height, width))
        self._shared = [_Sums(bands, run) for run in shared]

    def _split(self, piece: Window) -> tuple[list[list[Window]], list[Window]]:
        """Return where each tile is the only one, and where there are more."""
        cells = Cells(self._parts)
        if cells.shape[0] * cells.shape[1] > MOST_CELLS:
            return [[] for _ in self._parts], [piece]
        spans = [cells.span(part) for part in self._parts]
        count = np.zeros(cells.shape, int)
        for span in spans:
            count[span] += 1
        everywhere = slice(0, cells.shape[0]), slice(0, cells.shape[1])
        return [list(cells.runs(count == 1, span)) for span in spans], list(cells.runs(count > 1, everywhere))

    def wanted(self, number: int) -> Window | None:
        """Return all of a tile."""
        return self._parts[number]

    def feed(self, number: int, part: Window, pixels: Pixels, valid: Valid) -> None:
        """Take a tile."""
        for alone in self._alone[number]:
            inside = _inside(alone, part)
            self._copy(alone, pixels[:, *inside], None if valid is None else valid[inside])
        for shared in self._shared:
            if run := shared.window.intersection(part):
                weight = self._weigh(self._tiles[number], run)
                if valid is not None:
                    weight = weight * valid[_inside(run, part)]
                shared.add(run, pixels[:, *_inside(run, part)], weight)

    def joined(self) -> tuple[Pixels, NDArray[np.bool_]]:
        """Return what was joined."""
        for shared in self._shared:
            self._copy(shared.window, *shared.mean())
        return self._pixels, self._filled

    def _copy(self, run: Window, pixels: Pixels, valid: Valid) -> None:
        if valid is None:
            self._pixels[:, *run.slices] = pixels
            self._filled[run.slices] = True
        else:
            np.copyto(self._pixels[:, *run.slices], pixels, where=valid)
            self._filled[run.slices] = valid


def _inside(run: Window, part: Window) -> tuple[slice, slice]:
    """Return where a run lies in an array of a part."""
    return Window(run.row - part.row, run.col - part.col, run.height, run.width).slices


def even(tile: Window, part: Window) -> NDArray[np.float32]:
    """Weigh every pixel of a tile alike."""
    return np.ones((part.height, part.width), np.float32)


def by_distance(tile: Window, part: Window) -> NDArray[np.float32]:
    """Weigh a pixel by its distance to the tile's nearest edge, in pixels, half a one at least."""
    rows = np.arange(part.row, part.bottom, dtype=np.float32) + 0.5
    cols = np.arange(part.col, part.right, dtype=np.float32) + 0.5
    down = np.minimum(rows - tile.row, tile.bottom - rows)
    across = np.minimum(cols - tile.col, tile.right - cols)
    nearest: NDArray[np.float32] = np.minimum(down[:, np.newaxis], across[np.newaxis, :])
    return nearest


JOINERS: dict[Method, Callable[[int, int, int, Sequence[Window], bool], Joiner]] = {
    "first": partial(Overlay, keep_first=True),
    "last": partial(Overlay, keep_first=False),
    "mean": partial(Weighted, weight=even),
    "feather": partial(Weighted, weight=by_distance),
}
"""Made from a piece's bands, height and width, the tiles on it, and whether all pixels of all tiles hold anything."""
