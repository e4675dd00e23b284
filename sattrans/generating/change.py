"""A change of a map: which windows are to be made anew, and which pixels they decide."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sattrans.generating.plan import Plan
from sattrans.grid import Window


@dataclass(frozen=True)
class Change:
    """The windows whose map changed, (rows, columns) of windows, and how to read the image made before.

    `before` gives the bands of a part of that image, alpha included.
    """

    plan: Plan
    changed: NDArray[np.bool_]
    before: Callable[[Window], NDArray[np.uint8]]

    def touches(self, piece: Window) -> bool:
        """Say whether a changed window reaches into a piece."""
        rows, cols = self.plan.touching(piece)
        return bool(self.changed[rows.start : rows.stop, cols.start : cols.stop].any())

    def needs(self, row: int, col: int) -> bool:
        """Say whether a window shares pixels with a changed one, and so is needed to blend them."""
        plan = self.plan
        near = (plan.size + plan.halo - 1) // (plan.size - plan.overlap)
        part = self.changed[max(0, row - near) : row + near + 1, max(0, col - near) : col + near + 1]
        return bool(part.any())

    def within(self, piece: Window) -> NDArray[np.bool_]:
        """Return which pixels of a piece lie in a changed window, (H, W)."""
        inside = np.zeros((piece.height, piece.width), bool)
        rows, cols = self.plan.touching(piece)
        for row in rows:
            for col in cols:
                if self.changed[row, col]:
                    top, left = self.plan.rows[row] - piece.row, self.plan.cols[col] - piece.col
                    size = self.plan.size
                    inside[max(0, top) : max(0, top + size), max(0, left) : max(0, left + size)] = True
        return inside
