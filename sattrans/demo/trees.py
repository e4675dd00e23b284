"""Trees of a synthetic orthophoto: each crown is a lumpy dome that stands out of its neighbours."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from sattrans.demo.land_cover import Points
from sattrans.demo.light import Surface, sunlight
from sattrans.demo.noise import FloatImage, Mask, blurred, nearness, noise

BROADLEAF = np.array([(84, 104, 56), (94, 112, 58), (76, 100, 58), (104, 116, 62), (86, 98, 52)], np.float32)
CONIFER = np.array([(62, 82, 56), (56, 76, 54), (70, 88, 58)], np.float32)
"""Colours of crowns, by species."""

LARGEST = 11
"""Largest radius of a crown."""

SHAPES = 6
"""Number of crowns that are drawn for each radius and kind."""

Crowns = dict[tuple[bool, int, int], tuple[FloatImage, FloatImage]]
"""Height and sunlight of a crown, both square, by whether it is a conifer, its radius, and the number of its shape."""


def plant_woods(surface: Surface, wood: Mask, keep_clear: Mask, rng: np.random.Generator) -> None:
    """Plant trees on a mask (H, W): broad crowns at its edges and in hedges, conifers in the depth of the woods.

    Only the tips of crowns reach over what is to keep clear, (H, W).
    """
    height, width = wood.shape
    inside = nearness(wood, 7)
    beside = blurred(keep_clear, 3)
    stand = np.clip((nearness(wood, 30) - 0.72) * 4 + 0.5 * noise((height, width), 70, rng), 0, 1)
    glade = noise((height, width), 24, rng) + 0.6 * noise((height, width), 9, rng) > 2.1
    step = 6
    grid = np.stack(np.meshgrid(np.arange(0, width, step), np.arange(0, height, step)), axis=-1).reshape(-1, 2)
    spots = np.clip(grid + rng.uniform(0, step, grid.shape), 0, (width - 1, height - 1)).astype(int)
    x, y = spots.T
    spots = spots[wood[y, x] & (beside[y, x] < 0.15) & ~(glade & (inside > 0.9))[y, x] & (rng.random(len(x)) < 0.85)]
    x, y = spots.T
    conifer = rng.random(len(spots)) < stand[y, x]
    size = np.where(conifer, rng.uniform(3.2, 5.5, len(x)), rng.gamma(9, 0.7, len(x)).clip(4, LARGEST))
    radius = np.clip(size * np.clip(1.7 * inside[y, x] - 0.35, 0.45, 1 - 4 * beside[y, x]), 2, LARGEST)
    low = np.clip(1 - 3.5 * nearness(keep_clear, 9), 0.35, 1)  # lower beside roads, which would all lie in shadow
    plant(surface, spots, radius, conifer, rng, low[y, x])


def plant(
    surface: Surface,
    spots: NDArray[np.int64],
    radius: Points,
    conifer: Mask,
    rng: np.random.Generator,
    stature: FloatImage | float = 1.0,
) -> None:
    """Plant trees on a surface.

    Args:
        surface: It is changed in place.
        spots: Where trees stand: x and y, (n, 2).
        radius: Radii of their crowns, (n,), 1 to `LARGEST`.
        conifer: Which of them are conifers, (n,).
        rng: Draws the shape, the height and the tone of each.
        stature: How tall they are for their crowns, (n,), 1 for most.
    """
    pad = LARGEST + 3
    height = np.pad(surface.height, pad)
    light = np.pad(surface.sunlight, pad, constant_values=1)
    number = np.full(height.shape, -1, np.int32)
    crowns = _crowns()
    shapes, tall = rng.integers(0, SHAPES, len(spots)), (stature * rng.normal(1, 0.13, len(spots))).astype(np.float32)
    sizes = np.rint(radius).astype(int)
    for index, ((x, y), kind, size, shape) in enumerate(
        zip(spots.tolist(), conifer.tolist(), sizes.tolist(), shapes.tolist(), strict=True)
    ):
        crown, crown_light = crowns[kind, size, shape]
        first, last = pad - size - 2, pad + size + 3
        window = (slice(y + first, y + last), slice(x + first, x + last))
        crown = crown * tall[index]
        seen = crown > height[window]
        np.copyto(height[window], crown, where=seen)
        np.copyto(light[window], crown_light, where=seen)
        np.copyto(number[window], np.int32(index), where=seen)
    inner = (slice(pad, -pad), slice(pad, -pad))
    tone = np.where(
        conifer[:, np.newaxis],
        CONIFER[rng.integers(0, len(CONIFER), len(spots))],
        BROADLEAF[rng.integers(0, len(BROADLEAF), len(spots))],
    )
    tone = np.vstack([tone * rng.normal(1, 0.06, (len(spots), 1)), np.zeros((1, 3))]).astype(np.float32)
    seen = number[inner] >= 0
    surface.height, surface.sunlight = height[inner], light[inner]
    surface.albedo = np.where(seen, np.moveaxis(tone[number[inner]], -1, 0), surface.albedo)


@cache
def _crowns() -> Crowns:
    """Draw the crowns that all landscapes choose from; outside the crown, its height is below the ground."""
    rng, crowns = np.random.default_rng(0), Crowns()
    for conifer in (False, True):
        for size in range(1, LARGEST + 1):
            for shape in range(SHAPES):
                crowns[conifer, size, shape] = _crown(conifer, size, rng)
    return crowns


def _crown(conifer: bool, size: int, rng: np.random.Generator) -> tuple[FloatImage, FloatImage]:
    reach = size + 2
    down, across = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    angle, phase = np.arctan2(down, across), rng.uniform(0, 2 * np.pi, 3)
    outline = 1 + 0.1 * np.sin(2 * angle + phase[0]) + 0.09 * np.sin(3 * angle + phase[1])
    outline += 0.06 * np.sin(5 * angle + phase[2])
    part = np.hypot(down, across) / ((size + 0.3) * outline)
    dome = 1 - part if conifer else np.sqrt(np.clip(1 - part**2, 0, 1))
    square = (2 * reach + 1, 2 * reach + 1)
    clumps = noise(square, 3, rng) * (0.1 if conifer else 0.14) * min(size, 6) + 0.25 * noise(square, 2, rng)
    height = size * (1.5 if conifer else 0.8) * dome + clumps
    light = np.clip(sunlight(height) * (0.7 + 0.3 * np.clip(dome, 0, 1)), 0.25, 1.5)
    return np.where(part < 1, height + size * 1.5, -1).astype(np.float32), light.astype(np.float32)
