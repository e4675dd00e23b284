"""The training tiles of a tileset as examples for a segmenter: some of the real ones, or generated ones of all maps."""

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from sattrans.data.tileset import Tile
from sattrans.evaluate.images import ImageSource, RealTiles
from sattrans.evaluate.scoring import CACHE_CHUNK, MeasurementCache
from sattrans.raster.palette import UNKNOWN
from sattrans.utils.console import progress_bar
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

    All are made when the first is used, each once: a cache keeps them, so that an interruption loses a few at most.

    Args:
        source: Makes the images; it is asked for numbers of the real tiles.
        real: The real tiles.
        cache: Where the images are kept.
    """

    def __init__(self, source: ImageSource, real: RealTiles, cache: MeasurementCache) -> None:
        self._source, self._real, self._cache = source, real, cache
        self.tiles: Sequence[Tile] = real.tiles
        self.key = hash_of("generated", real.key, source.key)

    def stack(self, indices: Sequence[int], /) -> tuple[Tensor, Tensor]:
        """Return the images (N, 3, S, S) and the class indices (N, S, S) of some of them, uint8."""
        maps = self._real.store.maps(indices)
        images = torch.stack([self._image(index) for index in indices])
        return images * (maps != UNKNOWN)[:, None], maps

    def _image(self, number: int) -> Tensor:
        image = self._made.get(number)
        if image is None:
            image = self._load(number)
            assert image is not None, "a generated image was deleted"
        return image

    def _load(self, number: int) -> Tensor | None:
        rows = self._cache.load(self.key, [number])
        return None if rows is None else torch.tensor(rows["image"][0])

    @cached_property
    def _made(self) -> dict[int, Tensor]:
        """The images that are kept in memory, by number, once all are on disk."""
        kept: dict[int, Tensor] = {}
        count = len(self.tiles)
        keep = count * 3 * self._real.pixels <= MOST_KEPT
        with progress_bar(count, f"images of {self._source.name}", "image") as progress:
            for start in range(0, count, CACHE_CHUNK):
                numbers = range(start, min(start + CACHE_CHUNK, count))
                images = {number: self._load(number) for number in numbers}
                missing = [number for number, image in images.items() if image is None]
                progress.update(len(numbers) - len(missing))
                for number, image in zip(missing, self._source.images(missing), strict=True):
                    self._cache.store(self.key, [number], {"image": image.cpu().numpy()[None]})
                    images[number] = image.cpu()
                    progress.update()
                if keep:
                    kept.update({number: image for number, image in images.items() if image is not None})
        return kept
