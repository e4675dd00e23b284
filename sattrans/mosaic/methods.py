"""What a mosaic does where tiles overlap. A new method is an entry of `METHODS`, and its name in `Method`."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sattrans.mosaic.options import Method
from sattrans.raster.window import Window

Pixels = NDArray[np.uint8]
Opacity = Pixels | None
"""How opaque pixels are, (h, w), 0 to 255; None if all are opaque."""

MAX_CELLS = 1 << 14
"""If tile edges cut a chunk into more cells, the chunk is not split into covered-once and shared windows."""


class Joiner(Protocol):
    """Joins the tiles on one chunk of the mosaic. Windows count from the chunk's top left; tiles may cross its edge."""

    order: Sequence[int]
    """The indices of the tiles, in the order in which `add` expects them."""

    def visible_part(self, index: int) -> Window | None:
        """Return the part of a tile that the result depends on, inside the chunk; None if there is none."""

    def add(self, index: int, part: Window, pixels: Pixels, opacity: Opacity) -> None:
        """Add the visible part of a tile: pixels (bands, h, w), and how opaque they are."""

    def result(self) -> tuple[Pixels, Pixels]:
        """Return the joined pixels (bands, H, W), and how opaque they are, (H, W); 0 where no tile has data."""


class CellGrid:
    """The rectangles (cells) that the edges of windows cut a chunk into."""

    def __init__(self, windows: Sequence[Window]) -> None:
        self._rows = np.unique([edge for w in windows for edge in (w.row, w.bottom)])
        self._cols = np.unique([edge for w in windows for edge in (w.col, w.right)])
        self.shape = max(0, len(self._rows) - 1), max(0, len(self._cols) - 1)

    def span(self, window: Window) -> tuple[slice, slice]:
        """Return the rows and columns of the cells in a window, which is one of those that made the grid."""
        top, bottom = np.searchsorted(self._rows, (window.row, window.bottom))
        left, right = np.searchsorted(self._cols, (window.col, window.right))
        return slice(int(top), int(bottom)), slice(int(left), int(right))

    def bounding_window(self, selected: NDArray[np.bool_], span: tuple[slice, slice]) -> Window | None:
        """Return the bounding window of the selected cells in a span, None if there are none."""
        rows, cols = selected[span].nonzero()
        if not len(rows):
            return None
        top, bottom = self._rows[span[0].start + rows[0]], self._rows[span[0].start + rows[-1] + 1]
        left, right = self._cols[span[1].start + cols.min()], self._cols[span[1].start + cols.max() + 1]
        return Window(int(top), int(left), int(bottom - top), int(right - left))

    def windows(self, selected: NDArray[np.bool_], span: tuple[slice, slice]) -> Iterator[Window]:
        """Yield windows that together cover the selected cells in a span once; equal rows of cells are merged."""
        rows, cols = span
        inside = selected[span]
        top = 0
        for bottom in range(1, len(inside) + 1):
            if bottom < len(inside) and np.array_equal(inside[bottom], inside[top]):
                continue
            changes = np.flatnonzero(np.diff(inside[top], prepend=False, append=False))
            for left, right in zip(changes[::2], changes[1::2], strict=True):
                row, col = int(self._rows[rows.start + top]), int(self._cols[cols.start + left])
                end_row, end_col = int(self._rows[rows.start + bottom]), int(self._cols[cols.start + right])
                yield Window(row, col, end_row - row, end_col - col)
            top = bottom


def _clipped(tiles: Sequence[Window], height: int, width: int) -> list[Window]:
    """Return the parts of tiles inside a chunk; all of them overlap it."""
    parts = [tile.intersection(Window(0, 0, height, width)) for tile in tiles]
    return [part for part in parts if part is not None]


class Overlay:
    """Takes each pixel from the first tile there, or from the last: later additions overwrite earlier ones."""

    def __init__(
        self, bands: int, height: int, width: int, tiles: Sequence[Window], all_valid: bool, keep_first: bool
    ) -> None:
        self._pixels = np.zeros((bands, height, width), np.uint8)
        self._opacity = np.zeros((height, width), np.uint8)
        self._parts = _clipped(tiles, height, width)
        self.order: Sequence[int] = range(len(tiles))[:: -1 if keep_first else 1]
        self._cells = CellGrid(self._parts)
        self._top_tile: NDArray[np.int64] | None = None
        if all_valid:
            self._top_tile = np.full(self._cells.shape, -1)
            for index in self.order:
                self._top_tile[self._cells.span(self._parts[index])] = index

    def visible_part(self, index: int) -> Window | None:
        """Return the bounding window of the cells where a tile is on top; the whole tile, if tiles may have holes."""
        part = self._parts[index]
        if self._top_tile is None:
            return part
        return self._cells.bounding_window(self._top_tile == index, self._cells.span(part))

    def add(self, index: int, part: Window, pixels: Pixels, opacity: Opacity) -> None:
        """Lay a tile over the pixels below it."""
        below, below_opacity = self._pixels[:, *part.slices], self._opacity[part.slices]
        if opacity is None:
            below[:], below_opacity[:] = pixels, 255
            return
        partial = (opacity > 0) & (opacity < 255)
        if partial.any():  # the operator "over" of Porter and Duff, Compositing Digital Images, 1984
            over, under = opacity.astype(np.float32) / 255, below_opacity.astype(np.float32) / 255
            both = over + under * (1 - over)
            mixed = (pixels * over + below * (under * (1 - over))) / np.maximum(both, np.float32(1e-6))
            np.copyto(below, np.rint(mixed).astype(np.uint8), where=partial)
            np.copyto(below_opacity, np.rint(255 * both).astype(np.uint8), where=partial)
        np.copyto(below, pixels, where=opacity == 255)
        np.copyto(below_opacity, np.uint8(255), where=opacity == 255)

    def result(self) -> tuple[Pixels, Pixels]:
        """Return the joined pixels, and how opaque they are."""
        return self._pixels, self._opacity


class _SharedSums:
    """The weighted sums of tiles in a window that several of them cover."""

    def __init__(self, bands: int, window: Window) -> None:
        self.window = window
        self._sum = np.zeros((bands, window.height, window.width), np.float32)
        self._weight = np.zeros((window.height, window.width), np.float32)
        self._opacity = np.zeros((window.height, window.width), np.uint8)

    def add(self, overlap: Window, pixels: Pixels, weight: NDArray[np.float32], opacity: Opacity) -> None:
        slices = _slices_in(self.window, overlap)
        self._sum[:, *slices] += pixels * weight
        self._weight[slices] += weight
        highest = self._opacity[slices]
        np.maximum(highest, np.uint8(255) if opacity is None else opacity, out=highest)

    def mean(self) -> tuple[Pixels, Opacity]:
        """Return the mean, and the opacity of the most opaque tile; None if all pixels are opaque."""
        filled = True if self._weight.all() else self._weight > 0
        mean = np.divide(self._sum, self._weight, out=self._sum, where=filled)
        return np.rint(mean, out=mean).astype(np.uint8), None if self._opacity.min() == 255 else self._opacity


class Weighted:
    """The weighted mean of the tiles at each pixel. A pixel that one tile alone covers is copied."""

    def __init__(
        self,
        bands: int,
        height: int,
        width: int,
        tiles: Sequence[Window],
        all_valid: bool,
        weight: Callable[[Window, Window], NDArray[np.float32]],
    ) -> None:
        self._pixels = np.zeros((bands, height, width), np.uint8)
        self._opacity = np.zeros((height, width), np.uint8)
        self._tiles, self._parts = tiles, _clipped(tiles, height, width)
        self._weight = weight
        self.order: Sequence[int] = range(len(tiles))
        self._covered_once, shared = self._split(Window(0, 0, height, width))
        self._shared = [_SharedSums(bands, window) for window in shared]

    def _split(self, chunk: Window) -> tuple[list[list[Window]], list[Window]]:
        """Return the windows that only one tile covers, tile by tile, and the windows that several cover."""
        cells = CellGrid(self._parts)
        if cells.shape[0] * cells.shape[1] > MAX_CELLS:
            return [[] for _ in self._parts], [chunk]
        spans = [cells.span(part) for part in self._parts]
        count = np.zeros(cells.shape, int)
        for span in spans:
            count[span] += 1
        everywhere = slice(0, cells.shape[0]), slice(0, cells.shape[1])
        return [list(cells.windows(count == 1, span)) for span in spans], list(cells.windows(count > 1, everywhere))

    def visible_part(self, index: int) -> Window | None:
        """Return the whole tile."""
        return self._parts[index]

    def add(self, index: int, part: Window, pixels: Pixels, opacity: Opacity) -> None:
        """Copy what only this tile covers, and add the rest to the sums."""
        for window in self._covered_once[index]:
            slices = _slices_in(part, window)
            self._copy(window, pixels[:, *slices], None if opacity is None else opacity[slices])
        for shared in self._shared:
            if overlap := shared.window.intersection(part):
                slices = _slices_in(part, overlap)
                weight = self._weight(self._tiles[index], overlap)
                shown = None if opacity is None else opacity[slices]
                if shown is not None:
                    weight = weight * np.divide(shown, 255, dtype=np.float32)
                shared.add(overlap, pixels[:, *slices], weight, shown)

    def result(self) -> tuple[Pixels, Pixels]:
        """Return the joined pixels, and how opaque they are."""
        for shared in self._shared:
            self._copy(shared.window, *shared.mean())
        return self._pixels, self._opacity

    def _copy(self, window: Window, pixels: Pixels, opacity: Opacity) -> None:
        if opacity is None:
            self._pixels[:, *window.slices] = pixels
            self._opacity[window.slices] = 255
        else:
            np.copyto(self._pixels[:, *window.slices], pixels, where=opacity > 0)
            self._opacity[window.slices] = opacity


def _slices_in(outer: Window, inner: Window) -> tuple[slice, slice]:
    """Return the slices of `inner` in an array that holds the pixels of `outer`."""
    return inner.shifted(-outer.row, -outer.col).slices


def uniform_weight(tile: Window, part: Window) -> NDArray[np.float32]:
    """Return weight 1 for each pixel of a part of a tile, (h, w)."""
    return np.ones((part.height, part.width), np.float32)


def edge_distance_weight(tile: Window, part: Window) -> NDArray[np.float32]:
    """Return the distance of each pixel's centre to the tile's nearest edge, in pixels (at least 0.5), (h, w)."""
    rows = np.arange(part.row, part.bottom, dtype=np.float32) + 0.5
    cols = np.arange(part.col, part.right, dtype=np.float32) + 0.5
    vertical = np.minimum(rows - tile.row, tile.bottom - rows)
    horizontal = np.minimum(cols - tile.col, tile.right - cols)
    nearest: NDArray[np.float32] = np.minimum(vertical[:, np.newaxis], horizontal[np.newaxis, :])
    return nearest


@dataclass(frozen=True, slots=True)
class OverlapMethod:
    """What becomes of pixels that several tiles cover.

    Attributes:
        summary: Which pixel the mosaic gets, as the documentation says it.
        joiner: Makes a `Joiner` for one chunk from the number of bands, the chunk's height and width in pixels, the
            windows of its tiles, and whether all pixels of all tiles are valid.
        averages: Whether pixel values are averaged; if so, the method is refused for class maps.
    """

    summary: str
    joiner: Callable[[int, int, int, Sequence[Window], bool], Joiner]
    averages: bool


METHODS: dict[Method, OverlapMethod] = {
    "first": OverlapMethod("the first tile, by name", partial(Overlay, keep_first=True), averages=False),
    "last": OverlapMethod("the last tile, by name", partial(Overlay, keep_first=False), averages=False),
    "mean": OverlapMethod("the mean of all tiles", partial(Weighted, weight=uniform_weight), averages=True),
    "feather": OverlapMethod(
        "the mean of all tiles, weighted by the distance to each tile's nearest edge, so that no seam is visible",
        partial(Weighted, weight=edge_distance_weight),
        averages=True,
    ),
}
"""The methods by their name, as `--method` takes it."""


def class_map_methods() -> tuple[Method, ...]:
    """Return the names of the methods that do not average, which are those for class maps."""
    return tuple(name for name, method in METHODS.items() if not method.averages)
