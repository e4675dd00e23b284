"""The orthophoto of a synthetic landscape: fields, tree crowns, roofs, water and shadows.

Nearly everything in it follows from the map, so that a small network can learn it: meadows are green near
water and gardens near houses; barns have grey roofs and dwellings have red ones. The sun is in the south, because
training flips tiles horizontally.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from sattrans.demo.land_cover import BUILDING, ROAD, WATER, WOODLAND, House, SyntheticLandCover
from sattrans.demo.noise import FloatImage, Mask, Shape, blend, blurred, noise, solid, with_shadow

FIELDS = np.array([(136, 143, 90), (142, 145, 95), (131, 141, 88), (145, 145, 98), (133, 139, 89)], np.float32)
"""Colours of crops; they are similar, because the map does not tell which field has which crop."""

ROOF_SHADOW, WOOD_SHADOW = 7, 6
"""Lengths of shadows."""


def render_orthophoto(land_cover: SyntheticLandCover, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the orthophoto of a land cover, (3, H, W)."""
    shape = (land_cover.map.shape[0], land_cover.map.shape[1])
    building, road, water, wood = (land_cover.map == value for value in (BUILDING, ROAD, WATER, WOODLAND))
    photo = _fields(land_cover.parcels, rng)
    photo = blend(photo, (96, 124, 66), np.clip(2.7 * blurred(water, 14), 0, 0.9))  # wet meadows
    photo = blend(photo, (104, 134, 72), np.clip(2.2 * blurred(building, 14), 0, 0.9))  # gardens
    photo = photo * (1 + 0.03 * noise(shape, 7, rng) + 0.02 * noise(shape, 2, rng))
    photo = blend(photo, _surface(road, rng), blurred(road, 1.2))
    photo = blend(photo, _depth(water, rng), blurred(water, 1.2))
    photo = photo * (1 - 0.45 * blurred(with_shadow(wood, WOOD_SHADOW) & ~road, 1))
    photo = blend(photo, _crowns(wood, rng), blurred(wood, 1))
    photo = photo * (1 - 0.5 * blurred(with_shadow(building, ROOF_SHADOW), 0.8))
    photo = blend(photo, _roofs(shape, land_cover.houses, rng), blurred(building, 0.7))
    grain = rng.normal(0, 2, shape).astype(np.float32)
    pixels: NDArray[np.uint8] = np.clip(np.rint(photo + grain), 0, 255).astype(np.uint8)
    return pixels


def _fields(parcels: NDArray[np.int64], rng: np.random.Generator) -> FloatImage:
    """Return fields, (3, H, W), with one of a few colours for each parcel."""
    tone = rng.integers(0, len(FIELDS), 4096)[parcels % 4096]
    colors: FloatImage = np.moveaxis(FIELDS[tone], -1, 0)
    return colors


def _surface(road: Mask, rng: np.random.Generator) -> FloatImage:
    """Return the surface of roads, (3, H, W): asphalt on wide roads, sand on narrow ones."""
    wide = np.clip(3 * blurred(road, 6) - 1, 0, 1)
    return blend(solid(road.shape, (176, 164, 134)), (188, 187, 184), wide) * (1 + 0.02 * noise(road.shape, 3, rng))


def _depth(water: Mask, rng: np.random.Generator) -> FloatImage:
    """Return water, (3, H, W): greenish near the banks, deep blue farther away."""
    deep = np.clip(2 * blurred(water, 9) - 0.9, 0, 1)
    return blend(solid(water.shape, (66, 98, 112)), (36, 74, 116), deep) * (1 + 0.02 * noise(water.shape, 20, rng))


def _crowns(wood: Mask, rng: np.random.Generator) -> FloatImage:
    """Return tree crowns, (3, H, W): each is a dark disc, with lighter discs towards the sun."""
    height, width = wood.shape
    picture = Image.new("RGB", (width, height), (34, 54, 30))
    draw = ImageDraw.Draw(picture)
    grid = np.stack(np.meshgrid(np.arange(0, width, 8), np.arange(0, height, 8)), axis=-1).reshape(-1, 2)
    spots = np.clip(rng.permutation(grid + rng.uniform(-3, 3, grid.shape)), 0, (width - 1, height - 1))
    for x, y in spots[wood[spots[:, 1].astype(int), spots[:, 0].astype(int)]]:
        radius, light = rng.uniform(4, 6.5), rng.uniform(0.93, 1.07)
        for south, part, color in ((0, 1.0, (44, 70, 37)), (1, 0.75, (56, 85, 44)), (1.8, 0.4, (66, 96, 50))):
            r = part * radius
            red, green, blue = (int(band * light) for band in color)
            draw.ellipse((x - r, y + south - r, x + r, y + south + r), fill=(red, green, blue))
    return np.moveaxis(np.asarray(picture.filter(ImageFilter.GaussianBlur(0.8)), np.float32), -1, 0)


def _roofs(shape: Shape, houses: Sequence[House], rng: np.random.Generator) -> FloatImage:
    """Return roofs, (3, H, W): dwellings red-brown, barns grey; the slope that faces south is lighter."""
    picture = Image.new("RGB", shape[::-1], (140, 90, 75))
    draw = ImageDraw.Draw(picture)
    for house in houses:
        tone = rng.uniform(0.92, 1.08)
        south = float(house.along[0])  # how far south the roof's second half faces
        for first, last, facing in ((-1, 0, -south), (0, 1, south)):
            light = tone * (1 + 0.27 * facing)
            red, green, blue = (int(band * light) for band in ((150, 150, 152) if house.is_barn else (150, 88, 70)))
            draw.polygon(house.corners(2, first, last), fill=(red, green, blue))
    return np.moveaxis(np.asarray(picture, np.float32), -1, 0)
