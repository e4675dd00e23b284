"""The orthophoto of a synthetic landscape.

What stands where follows from the map, so that a small network can learn it: meadows lie near water and gardens near
houses, conifers stand in the depth of the woods, and the plan of a house tells its roof. Only the crops do not.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from sattrans.demo.buildings import put_buildings, put_cars
from sattrans.demo.fields import fields
from sattrans.demo.land_cover import BUILDING, ROAD, WATER, WOODLAND, House, SyntheticLandCover
from sattrans.demo.light import Surface, sunlight
from sattrans.demo.noise import FloatImage, Mask, Shape, blend, blurred, nearness, noise, solid
from sattrans.demo.roads import driveways, with_roads, with_verges, with_yards
from sattrans.demo.trees import plant, plant_woods

LAWNS = np.array([(108, 126, 76), (122, 132, 84), (98, 119, 70), (134, 136, 92), (112, 124, 82)], np.float32)
"""Colours of the gardens of neighbours."""

GARDEN = 20
"""Width of the garden around a house."""


def render_orthophoto(land_cover: SyntheticLandCover, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the orthophoto of a land cover, (3, H, W)."""
    shape = (land_cover.map.shape[0], land_cover.map.shape[1])
    building, road, water, wood = (land_cover.map == value for value in (BUILDING, ROAD, WATER, WOODLAND))
    tufts = 1 + 0.04 * noise(shape, 4, rng) + 0.035 * noise(shape, 2, rng)
    photo = fields(land_cover.parcels, rng)
    ragged = 1 + 0.3 * noise(shape, 7, rng) + 0.25 * noise(shape, 30, rng)
    photo = blend(photo, solid(shape, (106, 124, 72)) * tufts, np.clip(8 * (nearness(water, 22) * ragged - 0.12), 0, 1))
    photo = blend(photo, solid(shape, (112, 119, 75)) * tufts, np.clip(5 * (nearness(wood, 6) * ragged - 0.15), 0, 1))
    photo = blend(photo, solid(shape, (117, 128, 82)) * tufts, np.clip(12 * (nearness(building, 32) - 0.03), 0, 0.8))
    plots = _plots(shape, land_cover.houses)
    lawn = np.moveaxis(LAWNS[plots % len(LAWNS)], -1, 0)
    photo = blend(photo, lawn * tufts, blurred(plots >= 0, 0.8))
    photo = with_verges(photo, land_cover.roads, rng)
    photo = blend(photo, solid(shape, (74, 76, 48)) * tufts, blurred(wood, 2))
    ways = driveways(land_cover.houses, road)
    photo = with_yards(photo, land_cover.houses, ways, rng)
    photo = blend(photo, _water(water, rng), blurred(water, 0.8))
    photo = with_roads(photo, land_cover.roads, rng)
    surface = Surface.flat(photo)
    surface.sunlight *= _hillshade(shape, water, rng)
    surface.height -= 1.5 * water  # so that banks and bridges cast shadows
    plant_woods(surface, wood, building | road | water, rng)
    _plant_gardens(surface, plots, building | road | water, rng)
    put_buildings(surface, land_cover.houses, rng)
    put_cars(surface, land_cover.roads, ways, rng)
    return _sensed(surface.lit(), rng)


def _plots(shape: Shape, houses: Sequence[House]) -> NDArray[np.int32]:
    """Return the number of the house whose garden a pixel lies in, (H, W), and -1 elsewhere."""
    picture = Image.new("I", shape[::-1], -1)
    draw = ImageDraw.Draw(picture)
    for number, house in enumerate(houses):
        if not house.is_barn:
            draw.polygon(house.corners(GARDEN), fill=number)
    return np.asarray(picture)


def _plant_gardens(surface: Surface, plots: NDArray[np.int32], taken: Mask, rng: np.random.Generator) -> None:
    """Plant hedges between the gardens of neighbours, and shrubs and fruit trees in them."""
    height, width = plots.shape
    border = np.zeros(plots.shape, bool)
    border[:-1] |= plots[:-1] != plots[1:]
    border[:, :-1] |= plots[:, :-1] != plots[:, 1:]
    hedged = border & (plots % 3 > 0)
    chance = np.where(hedged, 0.22, np.where(plots >= 0, 0.0022, 0.0)) * (blurred(taken, 5) < 0.04)
    y, x = np.nonzero(rng.random((height, width), np.float32) < chance)
    radius = np.where(hedged[y, x], rng.uniform(1, 2.2, len(x)), rng.uniform(1.6, 5.4, len(x)))
    plant(surface, np.stack([x, y], axis=1), radius, np.zeros(len(x), bool), rng)


def _water(water: Mask, rng: np.random.Generator) -> FloatImage:
    """Return water, (3, H, W): the bed shows near the banks, and faint ripples run across the wind."""
    near, far = blurred(water, 3), nearness(water, 10)
    photo = blend(solid(water.shape, (98, 104, 86)), (54, 80, 90), np.clip(2.4 * near - 1.3, 0, 1))
    photo = blend(photo, (36, 62, 80), np.clip(2 * far - 0.9, 0, 1))
    stretched = noise((water.shape[0], water.shape[1] // 4 + 1), 3, rng)
    ripples = Image.fromarray(stretched).resize(water.shape[::-1], Image.Resampling.BICUBIC)
    return photo * (1 + 0.035 * np.asarray(ripples) + 0.04 * noise(water.shape, 50, rng))


def _hillshade(shape: Shape, water: Mask, rng: np.random.Generator) -> FloatImage:
    """Return the direct light on the terrain, (H, W): low hills, and a valley along the river."""
    small = (shape[0] // 4 + 1, shape[1] // 4 + 1)
    valley = np.asarray(Image.fromarray(nearness(water, 40)).resize(small[::-1], Image.Resampling.BILINEAR))
    hills = 2.4 * noise(small, 40, rng) + 0.5 * noise(small, 14, rng) - 12 * valley
    light = Image.fromarray(sunlight(hills))
    return np.asarray(light.resize(shape[::-1], Image.Resampling.BICUBIC))


def _sensed(photo: FloatImage, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return what a camera makes of a scene: slightly blurred, with haze and noise."""
    sharp = np.moveaxis(np.clip(photo * 1.02 + 5, 0, 255), 0, -1).astype(np.uint8)
    blurry = np.asarray(Image.fromarray(np.ascontiguousarray(sharp)).filter(ImageFilter.GaussianBlur(0.55)), np.float32)
    grain = rng.standard_normal(photo.shape[1:], np.float32) * np.float32(2.2)
    pixels = np.clip(np.rint(np.moveaxis(blurry, -1, 0) + grain), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(pixels)
