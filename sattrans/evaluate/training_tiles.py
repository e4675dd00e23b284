"""What metrics need of the training tiles, read in one pass: thumbnails, blocks, and mean colours of the classes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sattrans.evaluate.copying import searched_tiles
from sattrans.evaluate.images import RealImages
from sattrans.metrics.baselines import mean_colors
from sattrans.metrics.color import MOMENTS, class_moments
from sattrans.metrics.copying import Blocks
from sattrans.metrics.nearest_tile import thumbnail
from sattrans.utils.console import progress_bar

ClassColorTable = NDArray[np.uint8]
"""A colour for each class index, (256, 3)."""


@dataclass(frozen=True, slots=True)
class TrainingTiles:
    """What was read of the training tiles.

    Attributes:
        thumbnails: Those of all tiles, (M, 3072).
        blocks: By which copies are found.
        colors: The mean colour of each class; None without classes.
    """

    thumbnails: NDArray[np.float32]
    blocks: Blocks
    colors: ClassColorTable | None


def read_training_tiles(tiles: RealImages) -> TrainingTiles:
    """Read all training tiles once."""
    classes = len(tiles.classes)
    thumbnails, blocks, moments = [], [], np.zeros((classes, MOMENTS))
    searched, grid = searched_tiles(tiles)
    slots = {number: slot for slot, number in enumerate(searched)}
    with progress_bar(len(tiles), "training tiles", "image") as progress:
        for number in range(len(tiles)):
            image, map_ = tiles.read(number)
            thumbnails.append(thumbnail(image))
            if number in slots:
                blocks.append(Blocks.of(image, slots[number], grid))
            if map_ is not None:
                moments += class_moments(image, map_, classes)
            progress.update()
    colors = mean_colors(moments) if classes else None
    return TrainingTiles(np.stack(thumbnails), Blocks.joined(blocks), colors)
