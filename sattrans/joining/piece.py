"""One piece of a mosaic: the tiles on it read and joined."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sattrans.grid import Window
from sattrans.join import JOINERS, Method
from sattrans.joining.plan import Placed, Plan
from sattrans.joining.shelf import Shelf
from sattrans.raster.gate import session
from sattrans.raster.read import read_valid
from sattrans.raster.rows import Layout, RowWriter


@dataclass(frozen=True)
class Work:
    """What all pieces of a mosaic are made with. Pieces are made by several threads at a time.

    `whole` says that no tile can have a pixel that holds nothing.
    """

    plan: Plan
    layout: Layout
    method: Method
    shelf: Shelf
    whole: bool

    def write(self, writer: RowWriter, piece: Window) -> None:
        """Make a piece, and write it."""
        with session(files_only=True):
            writer.write(piece, self.joined(piece))

    def joined(self, piece: Window) -> NDArray[np.uint8]:
        """Return the pixels of a piece, (bands, height, width)."""
        tiles = self.plan.under(piece)
        windows = [_from(piece, tile.window) for tile in tiles]
        joiner = JOINERS[self.method](self.layout.count, piece.height, piece.width, windows, self.whole)
        for number in joiner.order:
            part = joiner.wanted(number)
            if part is not None:
                joiner.feed(number, part, *self._read(tiles[number], _from(windows[number], part)))
        pixels, filled = joiner.joined()
        if self.layout.nodata is not None:
            pixels[:, ~filled] = int(self.layout.nodata)
        if self.layout.alpha:
            pixels = np.concatenate([pixels, np.where(filled, 255, 0).astype(np.uint8)[np.newaxis]])
        return pixels

    def _read(self, tile: Placed, inside: Window) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
        with self.shelf.opened(tile.path, tile.warp) as raster:
            pixels = raster.read(inside, range(1, self.layout.count + 1)).astype(np.uint8, copy=False)
            valid = read_valid(raster, inside, pixels)
        return pixels, None if valid is None or valid.all() else valid


def _from(origin: Window, window: Window) -> Window:
    """Return a window as it is counted from the top left of another."""
    return Window(window.row - origin.row, window.col - origin.col, window.height, window.width)
