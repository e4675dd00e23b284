"""Reference: the real images that others are scored against, those of a tileset's split first of all."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sattrans.batches import TileStore, to_picture
from sattrans.files import hash_of
from sattrans.tileset import Tile, Tileset


class Real(NamedTuple):
    """A real image (3, H, W) uint8, and its class indices (H, W); None where its map is a picture, or there is none."""

    image: Tensor
    map: Tensor | None


class Reference(ABC):
    """Real images of one size. `ids` are their names, `size` their shorter side, `classes` those of their maps.

    `key` says which images these are: another key, other images.
    """

    ids: Sequence[str]
    size: int
    classes: tuple[str, ...] = ()
    key: str

    def __len__(self) -> int:
        return len(self.ids)

    @abstractmethod
    def real(self, number: int) -> Real:
        """Return an image. Raises what its file is guilty of."""

    def map_picture(self, number: int) -> NDArray[np.uint8] | None:
        """Return the map of an image in its colours, (3, H, W), for looking."""
        return None


class TileReference(Reference):
    """Tiles of a tileset."""

    def __init__(self, tileset: Tileset, tiles: Sequence[Tile]) -> None:
        self.tileset, self.tiles = tileset, list(tiles)
        self.store = TileStore(tileset, tiles)
        self.ids = [tile.id for tile in tiles]
        self.size = tileset.size
        self.classes = tileset.palette.names if tileset.palette else ()
        self.key = hash_of(tileset.hash, *self.ids)

    def real(self, number: int) -> Real:
        """Return a tile."""
        image, map_ = self.store[number]
        return Real(image, map_ if self.tileset.palette else None)

    def map_picture(self, number: int) -> NDArray[np.uint8] | None:
        """Return a tile's map."""
        return to_picture(self.store[number][1], self.tileset.palette)
