"""Windows of a raster, and the grids of tiles that they form: arithmetic on pixels, without files."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from sattrans.errors import OptionError


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A rectangle of pixels; `row` and `col` are its top left pixel, counted from the raster's top left."""

    row: int
    col: int
    height: int
    width: int

    @property
    def bottom(self) -> int:
        """The row below the last one."""
        return self.row + self.height

    @property
    def right(self) -> int:
        """The column to the right of the last one."""
        return self.col + self.width

    @property
    def slices(self) -> tuple[slice, slice]:
        """Slices of rows and columns, to index an array of the whole raster."""
        return slice(self.row, self.bottom), slice(self.col, self.right)

    def shifted(self, down: int, right: int) -> "Window":
        """Return a window of the same size, shifted by a number of pixels down and to the right."""
        return Window(self.row + down, self.col + right, self.height, self.width)

    def contains(self, other: "Window") -> bool:
        """Return whether `other` lies completely inside."""
        return (
            self.row <= other.row
            and self.col <= other.col
            and other.bottom <= self.bottom
            and other.right <= self.right
        )

    def intersection(self, other: "Window") -> "Window | None":
        """Return the window of shared pixels, or None if there are none."""
        row, col = max(self.row, other.row), max(self.col, other.col)
        height, width = min(self.bottom, other.bottom) - row, min(self.right, other.right) - col
        return Window(row, col, height, width) if height > 0 and width > 0 else None

    def union(self, other: "Window") -> "Window":
        """Return the smallest window that contains both."""
        row, col = min(self.row, other.row), min(self.col, other.col)
        return Window(row, col, max(self.bottom, other.bottom) - row, max(self.right, other.right) - col)


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a tile grid.

    Attributes:
        k: Its number, in a count of all cells, those cut by the edge included.
        window: Its pixels.
        whole: Whether it lies completely within the raster.
    """

    k: int
    window: Window
    whole: bool


def tile_cells(height: int, width: int, size: int, overlap: int = 0) -> Iterator[Cell]:
    """Yield the cells of a tile grid, row by row, from the top left.

    Cells that stick out at the right and at the bottom are counted, too (`whole` is False), as in the published
    LandCover.ai split.

    Args:
        height: Rows of the raster.
        width: Columns of the raster.
        size: Side of a tile in pixels.
        overlap: Pixels that neighbouring tiles share.
    """
    step = tile_step(size, overlap)
    k = 0
    for row in range(0, height, step):
        for col in range(0, width, step):
            whole = row + size <= height and col + size <= width
            yield Cell(k, Window(row, col, size, size), whole)
            k += 1


Edge = Literal["drop", "pad", "shift"]
"""What happens to cells that stick out: drop them, pad them with nodata, or shift them back inside."""


def apply_edge_rule(cells: Iterator[Cell], height: int, width: int, edge: Edge, overlap: int = 0) -> Iterator[Cell]:
    """Yield the cells that become tiles of a raster of `height` × `width` pixels; whole ones are unchanged.

    With `pad`, a cell that sticks out keeps its window; with `shift`, its window is shifted back to the edge. A cell
    is left out if neighbours contain all of its pixels and, with `shift`, if it is larger than the raster.
    """
    for cell in cells:
        w = cell.window
        if cell.whole:
            yield cell
            continue
        adds_nothing = (w.row > 0 and w.row + overlap >= height) or (w.col > 0 and w.col + overlap >= width)
        if edge == "drop" or adds_nothing:
            continue
        if edge == "pad":
            yield cell
        elif w.height <= height and w.width <= width:
            shifted = replace(w, row=min(w.row, height - w.height), col=min(w.col, width - w.width))
            yield replace(cell, window=shifted)


def tile_step(size: int, overlap: int) -> int:
    """Return the distance between the starts of neighbouring tiles; raise `OptionError` if it would not be positive."""
    if size < 1:
        raise OptionError(f"the size of a tile must be at least 1 px, got {size}")
    if not 0 <= overlap < size:
        raise OptionError(f"the overlap of tiles of {size} px must be 0 to {size - 1} px, got {overlap}")
    return size - overlap


def window_starts(length: int, size: int, overlap: int) -> range:
    """Return where windows of `size` start that cover `length` pixels, with neighbours sharing `overlap`.

    The last one may stick out: it is cut off instead of being shifted back, and so keeps its overlap.
    """
    step = tile_step(size, overlap)
    return range(0, max(1, length - overlap), step)
