"""Roads of a synthetic orthophoto: asphalt with worn lanes, sandy tracks with two ruts, verges and driveways."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from sattrans.demo.land_cover import MAIN, STREET, TRACK, House, Points, Road, perpendicular
from sattrans.demo.noise import Color, FloatImage, Mask, Shape, blend, noise

FINE = 2
"""Lines are drawn this much larger, and reduced, for smooth edges."""

VERGE: Color = (127, 133, 83)
SHOULDER: Color = (172, 162, 138)
ASPHALT: dict[int, Color] = {MAIN: (166, 165, 163), STREET: (178, 176, 171)}
WORN: dict[int, Color] = {MAIN: (156, 155, 154), STREET: (170, 168, 164)}
PAINT: Color = (205, 204, 198)
SAND: Color = (186, 168, 136)
GRASS_STRIP: Color = (146, 143, 98)
PAVING: Color = (164, 152, 139)
BEDS: tuple[Color, Color] = ((124, 104, 82), (98, 114, 68))
FARMYARD: Color = (168, 157, 134)


class _Lines:
    """Lines and polygons on an image, and how much of each pixel they cover."""

    def __init__(self, shape: Shape, color: Color) -> None:
        size = (shape[1] * FINE, shape[0] * FINE)
        self._colors, self._cover = Image.new("RGB", size, color), Image.new("L", size)

    def line(self, points: Points, width: float, color: Color) -> None:
        """Draw a line of a width in pixels."""
        points = np.vstack([points[:-1:3], points[-1:]])  # roads bend so slowly that a third of the points will do
        flat = ((points + 0.5) * FINE).ravel().tolist()
        ImageDraw.Draw(self._colors).line(flat, fill=color, width=round(width * FINE), joint="curve")
        ImageDraw.Draw(self._cover).line(flat, fill=255, width=round(width * FINE), joint="curve")

    def polygon(self, corners: Sequence[tuple[float, float]], color: Color) -> None:
        """Fill a polygon."""
        fine = [((x + 0.5) * FINE, (y + 0.5) * FINE) for x, y in corners]
        ImageDraw.Draw(self._colors).polygon(fine, fill=color)
        ImageDraw.Draw(self._cover).polygon(fine, fill=255)

    def over(self, below: FloatImage, grain: FloatImage) -> FloatImage:
        """Return the lines over an image (3, H, W), their colours multiplied by `grain` (H, W)."""
        colors = np.moveaxis(np.asarray(self._colors.reduce(FINE), np.float32), -1, 0)
        cover = np.asarray(self._cover.reduce(FINE), np.float32) / np.float32(255)
        return blend(below, colors * grain, cover)


def with_verges(ground: FloatImage, roads: Sequence[Road], rng: np.random.Generator) -> FloatImage:
    """Return the ground (3, H, W) with strips of rough grass along the roads."""
    shape = (ground.shape[1], ground.shape[2])
    lines = _Lines(shape, VERGE)
    for road in roads:
        lines.line(road.line, road.width + (5 if road.width == TRACK else 11), VERGE)
    return lines.over(ground, 1 + 0.05 * noise(shape, 4, rng) + 0.03 * noise(shape, 2, rng))


def with_roads(ground: FloatImage, roads: Sequence[Road], rng: np.random.Generator) -> FloatImage:
    """Return the ground (3, H, W) with the roads on it."""
    shape = (ground.shape[1], ground.shape[2])
    lines = _Lines(shape, SHOULDER)
    for road in (road for road in roads if road.width == TRACK):
        lines.line(road.line, TRACK, SAND)
        lines.line(road.line, 1.4, GRASS_STRIP)
    paved = sorted((road for road in roads if road.width != TRACK), key=lambda road: road.width)
    for road in paved:
        lines.line(road.line, road.width + 1.5, SHOULDER)
    for road in paved:
        lines.line(road.line, road.width - 1, ASPHALT[road.width])
    for road in paved:
        for lane in (-0.25, 0.25):
            for wheel in (-1.6, 1.6):
                lines.line(road.beside(lane * road.width + wheel)[4:], 1, WORN[road.width])
    for road in (road for road in paved if road.width == MAIN):
        for first in range(0, len(road.line) - 1, 4):
            lines.line(road.line[first : first + 2], 0.5, PAINT)
    return lines.over(ground, 1 + 0.012 * noise(shape, 5, rng) + 0.015 * noise(shape, 40, rng))


def with_yards(
    ground: FloatImage, houses: Sequence[House], ways: Sequence[Points], rng: np.random.Generator
) -> FloatImage:
    """Return the ground (3, H, W) with farmyards around barns, vegetable beds, terraces and driveways."""
    shape = (ground.shape[1], ground.shape[2])
    lines = _Lines(shape, PAVING)
    for house in houses:
        if house.is_barn:
            lines.polygon(house.corners(7), FARMYARD)
    for house in houses:
        if not house.is_barn:
            lines.polygon(house.corners(2.5, 0.2, 1), PAVING)
    for way in ways:
        lines.line(way, 5, PAVING)
    for house in houses[::4]:
        for row in range(7):
            first = house.center - (house.half[1] + 6 + 1.6 * row) * perpendicular(house.along)
            lines.line(first + np.array([[-3], [9]]) * house.along, 1, BEDS[row % 2])
    return lines.over(ground, 1 + 0.04 * noise(shape, 3, rng) + 0.03 * noise(shape, 9, rng))


def driveways(houses: Sequence[House], roads: Mask) -> list[Points]:
    """Return the driveways of dwellings, each a line (2, 2) from one side of the house straight to the nearest road."""
    ways = (_driveway(house, roads) for house in houses if not house.is_barn)
    return [way for way in ways if way is not None]


def _driveway(house: House, roads: Mask) -> Points | None:
    across, reach = perpendicular(house.along), np.arange(40)[:, np.newaxis]
    found = []
    for ahead, half, aside, room in (
        (across, house.half[1], house.along, house.half[0]),
        (house.along, house.half[0], across, house.half[1]),
    ):
        start = house.center + 0.55 * room * aside
        for sign in (-1, 1):
            points = start + sign * (half + reach) * ahead
            x, y = np.clip(points.astype(int), 0, (roads.shape[1] - 1, roads.shape[0] - 1)).T
            (met,) = np.nonzero(roads[y, x])
            if len(met):
                found.append((int(met[0]), points[[0, met[0]]]))
    return min(found, key=lambda way: way[0])[1] if found else None
