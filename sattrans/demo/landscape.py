"""A small synthetic place: a land-cover map, and the orthophoto that belongs to it.

All lengths are pixels, half a metre each; points are (x, y), arrays (height, width).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sattrans.demo.land_cover import PALETTE, Plan
from sattrans.demo.orthophoto import photograph

PIXEL = 0.5
"""Side of a pixel in metres."""

__all__ = ["PALETTE", "PIXEL", "Place", "make_place"]


@dataclass(frozen=True, slots=True)
class Place:
    """`map` holds class values, (H, W) uint8; `photo` red, green, blue, (3, H, W) uint8."""

    map: NDArray[np.uint8]
    photo: NDArray[np.uint8]


def make_place(height: int, width: int, seed: int) -> Place:
    """Return the place of that seed; from about 512 px a side on it holds every class."""
    rng = np.random.default_rng(seed)
    plan = Plan.draw(height, width, rng)
    return Place(plan.map, photograph(plan, rng))
