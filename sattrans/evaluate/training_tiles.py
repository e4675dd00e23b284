"""What metrics need of the training tiles, read in one pass: thumbnails, blocks, colours and lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sattrans.evaluate.copying import Copying, finder_of, searched_tiles
from sattrans.evaluate.images import RealImages
from sattrans.evaluate.pairwise import LineRecall
from sattrans.metrics.baselines import evenly_spaced, mean_colors
from sattrans.metrics.color import MOMENTS, class_moments
from sattrans.metrics.copying import Blocks
from sattrans.metrics.lines import LineLooks, line_moments
from sattrans.metrics.nearest_tile import thumbnail
from sattrans.utils.console import progress_bar

LINE_PIXELS = 1 << 22
"""Pixels of training tiles from which the look of lines is learned: those of 64 tiles of 256 px."""

ClassColorTable = NDArray[np.uint8]
"""A colour for each class index, (256, 3)."""


@dataclass(frozen=True, slots=True)
class TrainingTiles:
    """What was read of the training tiles.

    Attributes:
        thumbnails: Those of all tiles, (M, 3072).
        blocks: By which copies are found; None if no score asks for them.
        lines: What lines of each class look like, in up to `LINE_PIXELS` pixels, see `line_moments`.
        colors: The mean colour of each class; None without classes.
    """

    thumbnails: NDArray[np.float32]
    blocks: Blocks | None
    lines: NDArray[np.float64]
    colors: ClassColorTable | None

    def tools(self, tiles: RealImages) -> dict[str, Any]:
        """Return what metric families need of it, given the tiles that were read; see `MetricContext.tools`."""
        found = {"train": self.thumbnails, "lines": LineLooks(self.lines)}
        return found if self.blocks is None else {**found, "copies": finder_of(self.blocks, tiles)}


def read_training_tiles(tiles: RealImages, metrics: Sequence[str] = ()) -> TrainingTiles:
    """Read all training tiles once. Blocks and lines, which take longest, are left out if `metrics` need none."""
    classes = len(tiles.classes)
    thumbnails, blocks, moments = [], [], np.zeros((classes, MOMENTS))
    searched, grid = searched_tiles(tiles)
    searched = searched if Copying.among(metrics) else []
    lines = np.zeros((classes, 2, MOMENTS))
    most = min(len(tiles), max(1, LINE_PIXELS // tiles.size**2))
    drawn = set(evenly_spaced(len(tiles), most)) if LineRecall.among(metrics) else set()
    slots = {number: slot for slot, number in enumerate(searched)}
    with progress_bar(len(tiles), "training tiles", "image") as progress:
        for number in range(len(tiles)):
            image, map_ = tiles.read(number)
            thumbnails.append(thumbnail(image))
            if number in slots:
                blocks.append(Blocks.of(image, slots[number], grid))
            if map_ is not None:
                moments += class_moments(image, map_, classes)
                if number in drawn:
                    lines += line_moments(image, map_, classes)
            progress.update()
    colors = mean_colors(moments) if classes else None
    return TrainingTiles(np.stack(thumbnails), Blocks.joined(blocks) if blocks else None, lines, colors)
