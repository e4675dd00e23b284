"""What scores need of the training tiles, in one pass over them: thumbnails, and the colours of the classes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sattrans.batches import TileStore
from sattrans.metrics.color import MOMENTS, class_moments
from sattrans.metrics.floors import mean_colors
from sattrans.metrics.memorising import thumbnail
from sattrans.progress import bar
from sattrans.tileset import Tile, Tileset


@dataclass(frozen=True, slots=True)
class TrainingTiles:
    """Thumbnails (M, 3072) of all training tiles, and each class's mean colour (256, 3), None without classes."""

    thumbnails: NDArray[np.float32]
    colors: NDArray[np.uint8] | None


def read_training_tiles(tileset: Tileset, tiles: Sequence[Tile]) -> TrainingTiles | None:
    """Look at all training tiles, one after the other; None where there are none."""
    if not tiles:
        return None
    store = TileStore(tileset, tiles)
    classes = len(tileset.palette) if tileset.palette else 0
    thumbnails, moments = [], np.zeros((classes, MOMENTS))
    with bar(len(tiles), "training tiles", "image") as progress:
        for number in range(len(tiles)):
            image, map_ = store[number]
            thumbnails.append(thumbnail(image))
            if classes:
                moments += class_moments(image, map_, classes)
            progress.update()
    return TrainingTiles(np.stack(thumbnails), mean_colors(moments) if classes else None)
