"""A small synthetic landscape: a land-cover map and a matching orthophoto.

All lengths are in pixels of half a metre; points are (x, y), arrays (height, width).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sattrans.demo.land_cover import PALETTE, SyntheticLandCover
from sattrans.demo.orthophoto import render_orthophoto

PIXEL = 0.5
"""Size of a pixel in metres."""

__all__ = ["PALETTE", "PIXEL", "Landscape", "make_landscape"]


@dataclass(frozen=True, slots=True)
class Landscape:
    """A synthetic landscape: `map` has class values, (H, W) uint8; `photo` is RGB, (3, H, W) uint8."""

    map: NDArray[np.uint8]
    photo: NDArray[np.uint8]


def make_landscape(height: int, width: int, seed: int) -> Landscape:
    """Return the landscape of a seed, `height` × `width` pixels; from about 512 px per side it has every class."""
    rng = np.random.default_rng(seed)
    land_cover = SyntheticLandCover.generate(height, width, rng)
    return Landscape(land_cover.map, render_orthophoto(land_cover, rng))
