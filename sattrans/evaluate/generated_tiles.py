"""The training tiles of a tileset as examples for a segmenter: some of the real ones, or generated ones of all maps."""

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from sattrans.data.tileset import Tile
from sattrans.evaluate.images import ImageSource, RealTiles
from sattrans.evaluate.kept_images import KeptImages
from sattrans.evaluate.scoring import MeasurementCache
from sattrans.raster.palette import UNKNOWN
from sattrans.utils.hashing import hash_of

MOST_KEPT = 1 << 31
"""Bytes of generated images that are kept in memory; more are read from disk each time they are used."""


class SomeTiles:
    """Some of the real tiles.

    Args:
        real: The real tiles.
        chosen: Their numbers.
    """

    def __init__(self, real: RealTiles, chosen: Sequence[int]) -> None:
        self._real, self._chosen = real, list(chosen)
        self.tiles: Sequence[Tile] = [real.tiles[number] for number in chosen]
        self.key = hash_of("real", real.key, *map(str, sorted(chosen)))

    def stack(self, indices: Sequence[int], /) -> tuple[Tensor, Tensor]:
        """Return the images (N, 3, S, S) and the class indices (N, S, S) of some of them, uint8."""
        return self._real.store.stack([self._chosen[index] for index in indices])


class GeneratedTiles:
    """An image for each map of the real tiles, black where the map holds no data.

    All are made when the first is used, each once.

    Args:
        source: Makes the images; it is asked for numbers of the real tiles.
        real: The real tiles.
        cache: Where the images are kept.
    """

    def __init__(self, source: ImageSource, real: RealTiles, cache: MeasurementCache) -> None:
        self._source, self._real = KeptImages(source, real, cache), real
        self.tiles: Sequence[Tile] = real.tiles
        self.key = self._source.key

    def stack(self, indices: Sequence[int], /) -> tuple[Tensor, Tensor]:
        """Return the images (N, 3, S, S) and the class indices (N, S, S) of some of them, uint8."""
        maps = self._real.store.maps(indices)
        images = torch.stack([self._image(index) for index in indices])
        return images * (maps != UNKNOWN)[:, None], maps

    def _image(self, number: int) -> Tensor:
        image = self._made.get(number)
        return next(self._source.images([number])) if image is None else image

    @cached_property
    def _made(self) -> dict[int, Tensor]:
        """The images that are kept in memory, by number, once all are on disk."""
        keep = len(self.tiles) * 3 * self._real.pixels <= MOST_KEPT
        return {number: image for number, image in enumerate(self._source.make()) if keep}
