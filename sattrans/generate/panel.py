"""A panel: columns of the image, from the top, that windows are added up in until pieces of it are finished."""

import numpy as np
from numpy.typing import NDArray

from sattrans.generate.blending import Floats, RollingRows, blurred, cell_means, drawn_out
from sattrans.generate.windows import Plan
from sattrans.raster.bands import to_uint8
from sattrans.raster.window import Window

BANDS = 3


class _Sums:
    """Windows added up cell by cell, weighed down and across: a row of them first, then row under row."""

    def __init__(self, cell: int, down: Floats, across: Floats, area: Window) -> None:
        self._cell, self._left = cell, area.col // cell
        # What a cell weighs is what its pixels weigh in the mean.
        self._down, self._across = (w.reshape(len(w), -1, cell).mean(axis=2, dtype=np.float32) for w in (down, across))
        self._rows = RollingRows(BANDS, -(-area.width // cell), area.row // cell)
        self._strip = np.zeros((BANDS, down.shape[1] // cell, self._rows.width), np.float32)

    def lay(self, start: int, col: int, pixels: Floats) -> None:
        """Add a window (3, S, S) that starts at a column of pixels; what lies beyond the panel is left out."""
        cells = pixels if self._cell == 1 else cell_means(pixels, self._cell)
        left = start // self._cell - self._left
        begin, end = max(0, -left), min(cells.shape[2], self._strip.shape[2] - left)
        place = self._strip[:, :, left + begin : left + end]
        place += cells[:, :, begin:end] * self._across[col, begin:end]

    def sink(self, start: int, row: int) -> None:
        """Add the row of windows, which starts at a row of pixels, and empty it."""
        self._rows.add(start // self._cell, self._strip, np.repeat(self._down[row][np.newaxis], BANDS, axis=0))
        self._strip[:] = 0

    def look(self, area: Window) -> Floats:
        """Return the sums of an area's rows, by cells."""
        return self._rows.look(area.row // self._cell, area.bottom // self._cell)

    def let_go(self, until: int) -> None:
        """Forget what lies above a row of pixels."""
        self._rows.let_go(until // self._cell)


class Panel:
    """What windows add up to, over an area whose edges lie at whole cells.

    With two layers the second is of what is coarse: its sum is kept by cells, which is all that is looked at. What it
    has beyond the first is blurred and drawn out to pixels, none of which reaches three cells far.
    """

    def __init__(self, plan: Plan, area: Window) -> None:
        self._plan = plan
        layers = zip((1, plan.cell)[: plan.layers], plan.row_weights, plan.col_weights, strict=True)
        self._layers = [_Sums(cell, down, across, area) for cell, down, across in layers]

    def lay(self, col: int, pixels: Floats) -> None:
        """Add a window's pixels (3, S, S) to its row, by the number of its column."""
        for layer in self._layers:
            layer.lay(self._plan.cols[col], col, pixels)

    def sink(self, row: int) -> None:
        """Add the row of windows that was laid, by its number."""
        for layer in self._layers:
            layer.sink(self._plan.rows[row], row)

    def finished(self, piece: Window) -> NDArray[np.uint8]:
        """Return a piece's pixels, (3, H, W), once all windows that reach it were added."""
        area = self._plan.around(piece)
        inside = (
            slice(None),
            slice(piece.row - area.row, piece.bottom - area.row),
            slice(piece.col - area.col, piece.right - area.col),
        )
        fine, *coarse = (layer.look(area) for layer in self._layers)
        if not coarse:
            return to_uint8(fine[inside])
        cell = self._plan.cell
        beyond = blurred(coarse[0] - cell_means(fine, cell))
        return to_uint8(fine[inside] + drawn_out(beyond, cell)[inside])

    def let_go(self, until: int) -> None:
        """Forget what lies above a row of pixels at a whole cell."""
        for layer in self._layers:
            layer.let_go(until)
