"""Buildings and cars of a synthetic orthophoto. The kind of a roof follows from the plan of the house."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sattrans.demo.land_cover import MAIN, House, Points, Road, perpendicular
from sattrans.demo.light import Surface, slope_light
from sattrans.demo.noise import Color, FloatImage

TILES: tuple[Color, ...] = ((163, 90, 69), (154, 85, 66), (166, 98, 76))
SLATE: Color = (118, 119, 124)
METAL: Color = (160, 168, 170)
BITUMEN: Color = (205, 203, 196)
CHIMNEY: Color = (150, 122, 108)
SOLAR: Color = (44, 54, 82)

EAVES, PITCH = 6.0, 0.62
"""Height of the walls, and rise of a roof in px per px."""

CARS: tuple[Color, ...] = ((222, 222, 222), (60, 62, 66), (168, 172, 176), (150, 46, 42), (58, 82, 130))


@dataclass(frozen=True, slots=True)
class _Patch:
    """Part of a surface around an object: its rows and columns, and positions along and across the object, in px."""

    window: tuple[slice, slice]
    along: FloatImage
    across: FloatImage

    @classmethod
    def around(cls, surface: Surface, center: Points, along: Points, reach: float) -> "_Patch":
        height, width = surface.height.shape
        x, y = (float(value) for value in center)
        rows = slice(max(0, int(y - reach)), min(height, int(y + reach) + 2))
        cols = slice(max(0, int(x - reach)), min(width, int(x + reach) + 2))
        down, right = np.mgrid[rows, cols].astype(np.float32)
        down, right = down - np.float32(y), right - np.float32(x)
        ahead = along.astype(np.float32)
        return cls((rows, cols), right * ahead[0] + down * ahead[1], down * ahead[0] - right * ahead[1])

    def box(self, along: tuple[float, float], across: tuple[float, float]) -> FloatImage:
        """Return how much of each pixel lies in a box with these limits, from 0 to 1."""
        inside = np.minimum(
            np.minimum(self.along - along[0], along[1] - self.along),
            np.minimum(self.across - across[0], across[1] - self.across),
        )
        cover: FloatImage = np.clip(inside + 0.5, 0, 1)
        return cover


def _put(
    surface: Surface,
    patch: _Patch,
    cover: FloatImage,
    color: FloatImage | Color,
    height: FloatImage | float,
    light: FloatImage | float,
) -> None:
    """Lay an object on a surface, which is changed in place, where it covers a pixel."""
    rows, cols = patch.window
    albedo = surface.albedo[:, rows, cols]
    above = np.array(color, np.float32)[:, np.newaxis, np.newaxis] if isinstance(color, tuple) else color
    albedo += (above - albedo) * cover
    before = surface.height[patch.window]
    np.copyto(before, np.asarray(height, np.float32), where=cover > 0.5)
    surface.sunlight[patch.window] += (np.asarray(light, np.float32) - surface.sunlight[patch.window]) * cover


def put_buildings(surface: Surface, houses: Sequence[House], rng: np.random.Generator) -> None:
    """Put buildings on a surface, which is changed in place.

    Large barns have metal roofs, small barns flat ones. Dwellings have red tiles, slender ones slate; compact ones
    have hipped roofs, the others gables.
    """
    for house in houses:
        patch = _Patch.around(surface, house.center, house.along, float(np.hypot(*house.half)) + 3)
        length, depth = house.half
        cover = patch.box((-length, length), (-depth, depth))
        grain = rng.normal(rng.normal(1, 0.05), 0.03, cover.shape).astype(np.float32)
        flat = house.is_barn and length <= 25
        if flat:
            _put_flat_roof(surface, patch, house, cover, grain, rng)
        else:
            _put_pitched_roof(surface, patch, house, cover, grain, rng)


def _put_flat_roof(
    surface: Surface, patch: _Patch, house: House, cover: FloatImage, grain: FloatImage, rng: np.random.Generator
) -> None:
    length, depth = house.half
    color = np.array(BITUMEN, np.float32)[:, np.newaxis, np.newaxis] * grain
    _put(surface, patch, cover, color, EAVES + 3, 1)
    inner = patch.box((1.2 - length, length - 1.2), (1.2 - depth, depth - 1.2))
    _put(surface, patch, inner, color * np.float32(0.9), EAVES + 2, 1)
    for _ in range(4):  # vents and skylights
        x, y = rng.uniform(-0.8, 0.8, 2) * (length - 4, depth - 4)
        box = patch.box((x - 1.5, x + 1.5), (y - 1.2, y + 1.2))
        _put(surface, patch, box, (176, 178, 178), EAVES + 5, 1)


def _put_pitched_roof(
    surface: Surface, patch: _Patch, house: House, cover: FloatImage, grain: FloatImage, rng: np.random.Generator
) -> None:
    length, depth = house.half
    slender = length / depth
    pitch = 0.6 * PITCH if house.is_barn else PITCH
    to_eaves, to_gable = depth - np.abs(patch.across), length - np.abs(patch.along)
    hip = (to_gable < to_eaves) & (slender < 1.35) & (not house.is_barn)
    rise = (pitch * np.where(hip, to_gable, to_eaves)).astype(np.float32)
    ahead, aside = float(house.along[1]), float(perpendicular(house.along)[1])  # how far south each of them leads
    half = np.clip(patch.across / 0.7, -1, 1)  # which half of the roof, with a smooth ridge
    south = np.where(hip, np.sign(patch.along) * ahead, half * aside).astype(np.float32)
    light = slope_light(pitch * south, np.full_like(south, pitch**2))
    if house.is_barn:
        base: Color = METAL
        grain = grain * np.where(patch.along % 4 < 1, np.float32(0.93), np.float32(1.01))  # standing seams
    elif slender > 1.75:
        base = SLATE
    else:
        base = TILES[rng.integers(0, len(TILES))]
    grain = grain * np.where(to_eaves < 1, np.float32(0.85), np.float32(1))  # gutters
    ridge = np.abs(patch.across) < 0.6
    grain = grain * np.where(ridge & ~hip, np.float32(1.1), np.float32(1))
    color = np.array(base, np.float32)[:, np.newaxis, np.newaxis] * grain
    height = np.float32(EAVES) + np.maximum(rise, np.float32(0))
    _put(surface, patch, cover, color, height, light)
    if house.is_barn:
        return
    x, y = rng.uniform(-0.5, 0.5) * length, rng.choice([-2.5, 2.5])
    _put(surface, patch, patch.box((x - 1, x + 1), (y - 1, y + 1)), CHIMNEY, EAVES + pitch * depth + 3, 1)
    if abs(aside) > 0.8 and rng.random() < 0.12:  # solar panels on the slope towards the sun
        sunny = float(np.sign(aside))
        low, high = sorted((sunny * 2, sunny * (depth - 2)))
        x = rng.uniform(-0.3, 0.1) * length
        _put(surface, patch, patch.box((x, x + 0.55 * length), (low, high)), SOLAR, height, light)


def put_cars(surface: Surface, roads: Sequence[Road], ways: Sequence[Points], rng: np.random.Generator) -> None:
    """Put cars on a surface, which is changed in place: on the main roads and on driveways."""
    for center, along in (*_traffic(roads, rng), *_parked(ways, rng)):
        if not (0 <= center[0] < surface.height.shape[1] and 0 <= center[1] < surface.height.shape[0]):
            continue  # roads begin outside the image
        patch = _Patch.around(surface, center, along, 8)
        color = CARS[rng.integers(0, len(CARS))]
        _put(surface, patch, patch.box((-4.3, 4.3), (-1.8, 1.8)), color, 2.2, 1)
        for glass in ((0.6, 2.0), (-3.4, -2.4)):
            _put(surface, patch, patch.box(glass, (-1.3, 1.3)), (52, 58, 66), 2.8, 1)


def _traffic(roads: Sequence[Road], rng: np.random.Generator) -> Iterator[tuple[Points, Points]]:
    for road in (road for road in roads if road.width == MAIN):
        for index in rng.choice(np.arange(8, len(road.line) - 8), min(5, len(road.line) // 60), replace=False):
            ahead = road.line[index + 1] - road.line[index - 1]
            ahead = ahead / np.hypot(*ahead) * rng.choice([-1, 1])
            yield road.line[index] + 2.9 * perpendicular(ahead), ahead


def _parked(ways: Sequence[Points], rng: np.random.Generator) -> Iterator[tuple[Points, Points]]:
    for start, end in ways:
        length = float(np.hypot(*(end - start)))
        if length > 8 and rng.random() < 0.3:
            ahead = (end - start) / length
            yield start + 5.2 * ahead, ahead
