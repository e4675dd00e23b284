"""Farmland of a synthetic orthophoto: a crop on each parcel, in rows, with tramlines and headlands."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sattrans.demo.land_cover import PARCEL, Parcels
from sattrans.demo.noise import Color, FloatImage, blend, blurred, noise

KEYS = 4096
"""Size of the tables in which a parcel finds its properties."""

HEADLAND = 13
"""Width of the strips at the ends of a field, which are worked crosswise: where tractors turn."""

TRAMLINES, GAUGE = 38, 2.2
"""Distance between the pairs of wheel tracks in a crop, and half the distance of the two wheels."""


class Crop(NamedTuple):
    """How a crop looks.

    Attributes:
        color: Its mean colour.
        share: How common it is.
        rows: Contrast of its rows.
        swaths: Contrast of the stripes that a mower or combine leaves.
        tramlines: How visible the wheel tracks are.
        patches: How visible spots of thin or lodged crop are.
    """

    color: Color
    share: float
    rows: float
    swaths: float
    tramlines: float
    patches: float


CROPS = (
    Crop((106, 121, 76), 0.20, 0.05, 0.0, 0.60, 0.12),  # green cereals
    Crop((127, 134, 85), 0.16, 0.05, 0.0, 0.50, 0.15),  # cereals that turn
    Crop((157, 151, 99), 0.13, 0.05, 0.0, 0.45, 0.20),  # ripe cereals
    Crop((152, 146, 107), 0.08, 0.05, 0.07, 0.0, 0.10),  # stubble
    Crop((129, 120, 91), 0.12, 0.08, 0.0, 0.0, 0.25),  # ploughed soil
    Crop((98, 114, 71), 0.11, 0.08, 0.0, 0.0, 0.15),  # maize or beet
    Crop((116, 131, 82), 0.13, 0.03, 0.05, 0.0, 0.0),  # mown meadow
    Crop((123, 130, 82), 0.07, 0.03, 0.0, 0.0, 0.25),  # fallow
)

SOIL: Color = (148, 131, 102)
BAULK: Color = (118, 128, 76)


def fields(parcels: Parcels, rng: np.random.Generator) -> FloatImage:
    """Return the colours of farmland, (3, H, W)."""
    shape = (parcels.number.shape[0], parcels.number.shape[1])
    key = _field_keys(parcels, rng)
    crop = rng.choice(len(CROPS), KEYS, p=[crop.share for crop in CROPS])
    along, beside = parcels.along % PARCEL[0], parcels.beside % PARCEL[1]
    headland = np.minimum(along, PARCEL[0] - along) < HEADLAND
    along, beside = np.where(headland, beside, along), np.where(headland, along, beside)

    def of_crop(name: str) -> FloatImage:
        return np.array([getattr(kind, name) for kind in CROPS], np.float32)[crop][key]

    light = 1 + 0.015 * noise(shape, 3, rng) + 0.02 * noise(shape, 90, rng)
    light += of_crop("rows") * _rows(along, beside, key, rng)
    light += of_crop("swaths") * np.clip(2 * np.sin(beside * np.float32(np.pi / 7)), -1, 1)
    colors = np.array([kind.color for kind in CROPS], np.float32)[crop] * rng.normal(1, 0.04, (KEYS, 1))
    colors += rng.normal(0, 2, (KEYS, 3))
    photo: FloatImage = np.moveaxis(colors.astype(np.float32)[key], -1, 0) * light
    wheel = np.abs(np.abs((beside + 12) % TRAMLINES - TRAMLINES / 2) - GAUGE)
    bare = of_crop("tramlines") * np.exp(-((wheel / 0.8) ** 2))
    bare += of_crop("patches") * np.clip(noise(shape, 22, rng) + 0.5 * noise(shape, 6, rng) - 1.5, 0, 1)
    photo = blend(photo, SOIL, np.clip(bare, 0, 1))
    return blend(photo, BAULK, np.clip(1.6 * blurred(_borders(key), 0.9), 0, 0.8))


def _field_keys(parcels: Parcels, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return which field a pixel belongs to, (H, W), 0 to KEYS - 1: some parcels are halved, some are worked as one."""
    across = parcels.beside / PARCEL[1]
    strip = np.floor(across).astype(np.int64)
    paired = parcels.number - strip + (strip >> 1 << 1)
    joined = (rng.random(KEYS) < 0.3)[paired % KEYS]
    number = np.where(joined, paired, parcels.number)
    halved = ~joined & (rng.random(KEYS) < 0.35)[number % KEYS] & (across - strip > 0.5)
    key: NDArray[np.int64] = (number + 2011 * halved) % KEYS
    return key


def _rows(along: FloatImage, beside: FloatImage, key: NDArray[np.int64], rng: np.random.Generator) -> FloatImage:
    """Return the light and dark of rows, (H, W), with a standard deviation near 1: long in the direction of work."""
    side = 512
    streaks = np.zeros((side, side), np.float32)
    for length, width in ((90, 3), (40, 12), (12, 2)):  # half pixels across, so that turned rows stay smooth
        grid = Image.fromarray(rng.standard_normal((side // length + 3, side // width + 3), np.float32))
        large = grid.resize((side + 3 * width, side + 3 * length), Image.Resampling.BICUBIC)
        streaks += np.asarray(large)[length : length + side, width : width + side]
    start, shift = rng.integers(0, side - PARCEL[0] - 1, KEYS), rng.integers(0, side // 16, KEYS)
    row = (along + start[key]).astype(np.int64)
    col = (2 * beside).astype(np.int64) % (side - 64) + shift[key]
    texture: FloatImage = streaks.ravel()[row * side + col]
    return texture / np.float32(1.4)


def _borders(key: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return the mask of pixels, (H, W), whose neighbour to the east or south lies in another field."""
    border = np.zeros(key.shape, bool)
    border[:-1] |= key[:-1] != key[1:]
    border[:, :-1] |= key[:, :-1] != key[:, 1:]
    return border
