"""Files that hold map and image side by side: which half is which, and whether they look swapped."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sattrans.data.dataset import Scene
from sattrans.raster.bands import choose_bands
from sattrans.raster.open import open_raster
from sattrans.raster.window import Window
from sattrans.tile.options import Direction
from sattrans.utils.console import pluralize

LOOKED_AT = 9
"""Number of files that are looked at."""

ROWS = 256
"""Rows of each that are read."""

SAME = 2
"""Difference in grey levels up to which two pixels have the same colour, since a JPEG changes flat colours a little."""

CLEARLY = 0.1
"""How much larger the flat part of the half that is drawn must be."""


def half_notices(scenes: Sequence[Scene], direction: Direction) -> Iterator[str]:
    """Yield which half of the files is which, and whether they look swapped."""
    files = [scene.image for scene in scenes if scene.side_by_side and scene.image]
    if not files:
        return
    first, second = ("map", "image") if direction == "AtoB" else ("image", "map")
    other = "BtoA" if direction == "AtoB" else "AtoB"
    yield (
        f"{pluralize(len(files), 'picture is', 'pictures are')} cut into halves: the left half is the {first}, the "
        f"right half the {second} (--direction {other} swaps them)"
    )
    flatter = []
    for path in files[:: max(1, len(files) // LOOKED_AT)][:LOOKED_AT]:
        with open_raster(path) as both:
            height, half = min(ROWS, both.height), both.width // 2
            top, bands = (both.height - height) // 2, choose_bands(both).bands
            left, right = (_flat_part(both.read(Window(top, at, height, half), bands)) for at in (0, half))
            flatter.append(left - right if direction == "AtoB" else right - left)
    if sum(part < -CLEARLY for part in flatter) > len(flatter) / 2:
        yield (
            "the images have larger flat areas than the maps, as drawn maps usually have: if the halves are swapped, "
            f"use --direction {other}"
        )


def _flat_part(pixels: NDArray[np.generic]) -> float:
    """Return the part of the pixels (bands, H, W) that have the colour of their neighbour."""
    if pixels.shape[2] < 2:
        return 0.0
    difference = np.abs(np.diff(pixels.astype(np.int32), axis=2)).max(axis=0)
    return float((difference <= SAME).mean())
