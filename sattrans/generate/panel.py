"""A panel: a range of image columns in which windows are summed, from the top, until chunks are finished."""

import numpy as np
from numpy.typing import NDArray

from sattrans.generate.blending import RollingRows
from sattrans.generate.windows import WindowPlan
from sattrans.raster.bands import to_uint8
from sattrans.raster.cells import Floats, blur, cell_means, upsample
from sattrans.raster.window import Window

BANDS = 3


class _LayerSums:
    """Weighted sums of windows, cell by cell: first along a row of windows, then row by row."""

    def __init__(self, cell: int, down: Floats, across: Floats, area: Window) -> None:
        self._cell, self._left = cell, area.col // cell
        # The weight of a cell is the mean weight of its pixels.
        self._down, self._across = (w.reshape(len(w), -1, cell).mean(axis=2, dtype=np.float32) for w in (down, across))
        self._rows = RollingRows(BANDS, -(-area.width // cell), area.row // cell)
        self._strip = np.zeros((BANDS, down.shape[1] // cell, self._rows.width), np.float32)

    def add_window(self, start: int, col: int, pixels: Floats) -> None:
        """Add a window (3, S, S) that starts at pixel column `start`; the part outside the panel is left out."""
        cells = pixels if self._cell == 1 else cell_means(pixels, self._cell)
        left = start // self._cell - self._left
        begin, end = max(0, -left), min(cells.shape[2], self._strip.shape[2] - left)
        place = self._strip[:, :, left + begin : left + end]
        place += cells[:, :, begin:end] * self._across[col, begin:end]

    def finish_row(self, start: int, row: int) -> None:
        """Add the current row of windows, which starts at pixel row `start`, to the sums, and begin a new row."""
        self._rows.add(start // self._cell, self._strip, np.repeat(self._down[row][np.newaxis], BANDS, axis=0))
        self._strip[:] = 0

    def rows(self, area: Window) -> Floats:
        """Return the sums of the rows of an area, by cell."""
        return self._rows.rows(area.row // self._cell, area.bottom // self._cell)

    def release(self, until: int) -> None:
        """Free the sums above pixel row `until`."""
        self._rows.release(until // self._cell)


class Panel:
    """The weighted sum of windows over an area whose edges lie on cell borders.

    With two layers, the second holds the coarse image, by cells. Its difference from the first is blurred and upsampled
    to pixels, and added; a cell influences pixels less than three cells away.
    """

    def __init__(self, plan: WindowPlan, area: Window) -> None:
        self._plan = plan
        layers = zip((1, plan.cell)[: plan.layers], plan.rows.weights, plan.cols.weights, strict=True)
        self._layers = [_LayerSums(cell, down, across, area) for cell, down, across in layers]

    def add_window(self, col: int, pixels: Floats) -> None:
        """Add the pixels (3, S, S) of the window in column `col` to the current row."""
        for layer in self._layers:
            layer.add_window(self._plan.cols.starts[col], col, pixels)

    def finish_row(self, row: int) -> None:
        """Finish the row of windows with this index."""
        for layer in self._layers:
            layer.finish_row(self._plan.rows.starts[row], row)

    def pixels(self, chunk: Window) -> NDArray[np.uint8]:
        """Return the pixels of a chunk, (3, H, W); all windows that reach it must have been added."""
        plan = self._plan
        area = plan.with_halo(chunk)
        inside = (slice(None), *plan.by_position(chunk).shifted(-area.row, -area.col).slices)
        fine, *coarse = (layer.rows(area) for layer in self._layers)
        if not coarse:
            return to_uint8(fine[inside])
        cell = plan.cell
        beyond = blur(coarse[0] - cell_means(fine, cell))
        return to_uint8(fine[inside] + upsample(beyond, cell)[inside])

    def release(self, until: int) -> None:
        """Free what lies above a pixel row on a cell border."""
        for layer in self._layers:
            layer.release(until)
