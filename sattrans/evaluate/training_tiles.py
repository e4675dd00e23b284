"""What metrics need of the training tiles, read in one pass: thumbnails, and the mean colours of the classes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sattrans.evaluate.images import RealImages
from sattrans.metrics.baselines import mean_colors
from sattrans.metrics.color import MOMENTS, class_moments
from sattrans.metrics.nearest_tile import thumbnail
from sattrans.utils.console import progress_bar

ClassColorTable = NDArray[np.uint8]
"""A colour for each class index, (256, 3)."""


@dataclass(frozen=True, slots=True)
class TrainingTiles:
    """Thumbnails (M, 3072) of all training tiles, and the mean colour of each class; None without classes."""

    thumbnails: NDArray[np.float32]
    colors: ClassColorTable | None


def read_training_tiles(tiles: RealImages) -> TrainingTiles:
    """Read all training tiles once."""
    classes = len(tiles.classes)
    thumbnails, moments = [], np.zeros((classes, MOMENTS))
    with progress_bar(len(tiles), "training tiles", "image") as progress:
        for number in range(len(tiles)):
            image, map_ = tiles.read(number)
            thumbnails.append(thumbnail(image))
            if map_ is not None:
                moments += class_moments(image, map_, classes)
            progress.update()
    return TrainingTiles(np.stack(thumbnails), mean_colors(moments) if classes else None)
