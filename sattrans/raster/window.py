"""Windows and the grids they form: pure arithmetic on pixels, no files."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from sattrans.errors import OptionError


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A rectangle of pixels; `row` and `col` are its top left, counted from the raster's."""

    row: int
    col: int
    height: int
    width: int

    @property
    def bottom(self) -> int:
        """The first row below."""
        return self.row + self.height

    @property
    def right(self) -> int:
        """The first column to the right."""
        return self.col + self.width

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows, columns: to index an array of the whole raster."""
        return slice(self.row, self.bottom), slice(self.col, self.right)

    def moved(self, down: int, right: int) -> "Window":
        """Return a rectangle of the same size, so many pixels further down and to the right."""
        return Window(self.row + down, self.col + right, self.height, self.width)

    def contains(self, other: "Window") -> bool:
        """Say whether `other` lies wholly inside."""
        return (
            self.row <= other.row
            and self.col <= other.col
            and other.bottom <= self.bottom
            and other.right <= self.right
        )

    def intersection(self, other: "Window") -> "Window | None":
        """Return the shared rectangle, or None where they share no pixel."""
        row, col = max(self.row, other.row), max(self.col, other.col)
        height, width = min(self.bottom, other.bottom) - row, min(self.right, other.right) - col
        return Window(row, col, height, width) if height > 0 and width > 0 else None

    def union(self, other: "Window") -> "Window":
        """Return the smallest rectangle that holds both."""
        row, col = min(self.row, other.row), min(self.col, other.col)
        return Window(row, col, max(self.bottom, other.bottom) - row, max(self.right, other.right) - col)


@dataclass(frozen=True, slots=True)
class Cell:
    """A place in a tile grid. `k` counts every cell, those cut by the edge included."""

    k: int
    window: Window
    whole: bool


def tile_cells(height: int, width: int, size: int, overlap: int = 0) -> Iterator[Cell]:
    """Yield the cells of a grid over `height` × `width` pixels: rows outer, columns inner, from the top left.

    The counter runs over every cell, also those that stick out at the right and the bottom (`whole` is
    False there), as the published LandCover.ai split counts. Neighbours share `overlap` pixels.
    """
    step = tile_step(size, overlap)
    k = 0
    for row in range(0, height, step):
        for col in range(0, width, step):
            whole = row + size <= height and col + size <= width
            yield Cell(k, Window(row, col, size, size), whole)
            k += 1


Edge = Literal["drop", "pad", "shift"]
"""What becomes of cells that stick out: left out, filled up with nothing, or moved back inside."""


def settle(cells: Iterator[Cell], height: int, width: int, edge: Edge, overlap: int = 0) -> Iterator[Cell]:
    """Yield the cells that are tiles of a raster of `height` × `width` pixels, whole ones as they are.

    With `pad` a cell that sticks out is kept where it stands, with `shift` it is moved back until it ends at the
    edge; one whose pixels its neighbours hold already is none, nor, with `shift`, one larger than the raster.
    """
    for cell in cells:
        w = cell.window
        if cell.whole:
            yield cell
            continue
        nothing_new = (w.row > 0 and w.row + overlap >= height) or (w.col > 0 and w.col + overlap >= width)
        if edge == "drop" or nothing_new:
            continue
        if edge == "pad":
            yield cell
        elif w.height <= height and w.width <= width:
            moved = replace(w, row=min(w.row, height - w.height), col=min(w.col, width - w.width))
            yield replace(cell, window=moved)


def tile_step(size: int, overlap: int) -> int:
    """Return how far apart neighbouring tiles start, or raise `OptionError` where they would not move on."""
    if size < 1:
        raise OptionError(f"a tile of {size} px: the size must be at least 1")
    if not 0 <= overlap < size:
        raise OptionError(f"an overlap of {overlap} px does not fit tiles of {size} px: 0 to {size - 1} do")
    return size - overlap


def cover_starts(length: int, size: int, overlap: int) -> range:
    """Return where windows of `size` start so that they cover `length` pixels, neighbours sharing `overlap`.

    The last may stick out: a window that is cut off keeps its place (and so what it overlaps) instead of
    moving back.
    """
    step = tile_step(size, overlap)
    return range(0, max(1, length - overlap), step)
