"""What scores need of the training tiles, in one pass over them: thumbnails, and the colours of the classes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sattrans.evaluate.images import Reference
from sattrans.metrics.baselines import mean_colors
from sattrans.metrics.color import MOMENTS, class_moments
from sattrans.metrics.nearest_tile import thumbnail
from sattrans.utils.console import bar

Colors = NDArray[np.uint8]
"""A colour of each class index, (256, 3)."""


@dataclass(frozen=True, slots=True)
class TrainingTiles:
    """Thumbnails (M, 3072) of all training tiles, and each class's mean colour, None without classes."""

    thumbnails: NDArray[np.float32]
    colors: Colors | None


def read_training_tiles(tiles: Reference) -> TrainingTiles:
    """Look at all training tiles, one after the other."""
    classes = len(tiles.classes)
    thumbnails, moments = [], np.zeros((classes, MOMENTS))
    with bar(len(tiles), "training tiles", "image") as progress:
        for number in range(len(tiles)):
            image, map_ = tiles.real(number)
            thumbnails.append(thumbnail(image))
            if map_ is not None:
                moments += class_moments(image, map_, classes)
            progress.update()
    return TrainingTiles(np.stack(thumbnails), mean_colors(moments) if classes else None)
