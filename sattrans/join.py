"""What a mosaic does where tiles overlap: small objects that are fed tiles and give the joined pixels."""

from collections.abc import Callable
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from sattrans.blend import to_uint8
from sattrans.grid import Window

Method = Literal["first", "last", "mean", "feather"]


class Joiner(Protocol):
    """Joins tiles on one piece of the mosaic. `feed` takes them in their order."""

    def feed(self, place: tuple[slice, slice], pixels: NDArray[np.uint8], weight: NDArray[np.float32]) -> None:
        """Take (bands, h, w) pixels for a place; a weight (h, w) of 0 says that there is nothing."""

    def joined(self) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Return the pixels (bands, H, W), and where there is anything (H, W)."""


class Overlay:
    """Keeps the first tile at each pixel, or the last."""

    def __init__(self, bands: int, height: int, width: int, keep_first: bool) -> None:
        self._pixels = np.zeros((bands, height, width), np.uint8)
        self._filled = np.zeros((height, width), bool)
        self._keep_first = keep_first

    def feed(self, place: tuple[slice, slice], pixels: NDArray[np.uint8], weight: NDArray[np.float32]) -> None:
        """Take a tile."""
        wanted = weight > 0
        if self._keep_first:
            wanted &= ~self._filled[place]
        np.copyto(self._pixels[:, *place], pixels, where=wanted)
        self._filled[place] |= wanted

    def joined(self) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Return what was joined."""
        return self._pixels, self._filled


class Weighted:
    """The mean of the tiles at each pixel, by their weights."""

    def __init__(self, bands: int, height: int, width: int) -> None:
        self._sum = np.zeros((bands, height, width), np.float32)
        self._weight = np.zeros((height, width), np.float32)

    def feed(self, place: tuple[slice, slice], pixels: NDArray[np.uint8], weight: NDArray[np.float32]) -> None:
        """Take a tile."""
        self._sum[:, *place] += pixels * weight
        self._weight[place] += weight

    def joined(self) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Return what was joined."""
        filled = self._weight > 0
        return to_uint8(np.divide(self._sum, self._weight, out=np.zeros_like(self._sum), where=filled)), filled


JOINERS: dict[Method, Callable[[int, int, int], Joiner]] = {
    "first": lambda bands, height, width: Overlay(bands, height, width, keep_first=True),
    "last": lambda bands, height, width: Overlay(bands, height, width, keep_first=False),
    "mean": Weighted,
    "feather": Weighted,
}


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


WEIGHTS: dict[Method, Callable[[Window, Window], NDArray[np.float32]]] = {
    "first": even,
    "last": even,
    "mean": even,
    "feather": by_distance,
}
"""The weights of the pixels in a part of a tile, (part height, part width)."""
