"""The land cover of a synthetic landscape: water, woods, roads and houses.

There is a river with a lake, two main roads that cross in a village, streets and field tracks that branch off them,
houses along the streets, and woods outside the villages.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sattrans.demo.noise import FloatImage, Mask, Shape, blurred, dilated, noise
from sattrans.raster.palette import LandClass, Palette

BACKGROUND, BUILDING, WOODLAND, WATER, ROAD = range(5)

PALETTE = Palette(
    (
        LandClass(BACKGROUND, "background", (0, 0, 0)),
        LandClass(BUILDING, "building", (97, 74, 74)),
        LandClass(WOODLAND, "woodland", (38, 115, 0)),
        LandClass(WATER, "water", (0, 197, 255)),
        LandClass(ROAD, "road", (207, 207, 207)),
    )
)
"""The classes of LandCover.ai, with its values and usual colours."""

MAIN, STREET, TRACK = 12, 8, 5
"""Widths of roads."""

STEP = 4
"""Distance between the points of a line."""

VILLAGE = 280
"""Radius of a village."""

PARCEL = (240, 80)
"""Length and width of a parcel."""

Points = NDArray[np.float64]
"""A line (n, 2), or one point or direction (2,)."""


@dataclass(frozen=True, slots=True)
class Road:
    """A road: its centre line and its width."""

    line: Points
    width: int

    def beside(self, offset: float) -> Points:
        """Return the line that runs `offset` px to the right of the centre line, (n, 2)."""
        ahead = np.gradient(self.line, axis=0)
        ahead /= np.hypot(*ahead.T)[:, np.newaxis]
        line: Points = self.line + offset * np.stack([-ahead[:, 1], ahead[:, 0]], axis=1)
        return line


@dataclass(frozen=True, slots=True)
class House:
    """A rectangular house: its centre, the unit vector along its ridge, half its length and half its depth."""

    center: Points
    along: Points
    half: tuple[float, float]

    def corners(self, margin: float = 0.0, first: float = -1.0, last: float = 1.0) -> list[tuple[float, float]]:
        """Return the corners, moved out by `margin` px; from `first` -1 to `last` 0 is one half of the roof."""
        length, depth = self.half[0] + margin, self.half[1] + margin
        ends = ((-1, first), (1, first), (1, last), (-1, last))
        corners = (self.center + a * length * self.along + b * depth * perpendicular(self.along) for a, b in ends)
        return [(float(x), float(y)) for x, y in corners]

    @property
    def is_barn(self) -> bool:
        """Whether the house is a barn, not a dwelling."""
        return self.half[0] > 18


@dataclass(frozen=True, slots=True)
class Parcels:
    """The parcels of farmland: strips of `PARCEL` px, whose direction differs from district to district.

    Attributes:
        number: Which parcel a pixel belongs to, (H, W).
        along: Position of a pixel in the direction of the strips of its district, (H, W).
        beside: Position across them, (H, W).
    """

    number: NDArray[np.int64]
    along: FloatImage
    beside: FloatImage


@dataclass(frozen=True, slots=True)
class SyntheticLandCover:
    """A map of class values, (H, W) uint8, and what it was drawn from."""

    map: NDArray[np.uint8]
    roads: tuple[Road, ...]
    houses: tuple[House, ...]
    parcels: Parcels

    @classmethod
    def generate(cls, height: int, width: int, rng: np.random.Generator) -> "SyntheticLandCover":
        """Return a random land cover: first the water, then roads, houses, and woods on the remaining area."""
        river_north = bool(rng.random() < 0.5)
        water = _water_mask((height, width), river_north, rng)
        roads, villages = _roads(water, river_north, rng)
        paved = _road_mask(water.shape, roads)
        houses = tuple(_houses(dilated(water, 10) | _road_mask(water.shape, roads, 4), roads, villages, rng))
        picture = Image.new("1", (width, height))
        for house in houses:
            ImageDraw.Draw(picture).polygon(house.corners(), fill=1)
        building = np.asarray(picture)
        wide = _road_mask(water.shape, [road for road in roads if road.width != TRACK], 7)
        parcels = _parcels(water.shape, rng)
        trees = _wood_mask(water.shape, villages, rng) | _hedge_mask(parcels.number, rng) & ~dilated(building, 30)
        wood = trees & ~(dilated(water, 4) | wide | dilated(building, 5))
        masks = {BUILDING: building, ROAD: paved, WATER: water, WOODLAND: wood}  # on overlaps, the first class wins
        classes = np.select(list(masks.values()), list(masks), BACKGROUND).astype(np.uint8)
        return cls(classes, tuple(roads), houses, parcels)


def perpendicular(along: Points) -> Points:
    """Return a direction (2,), turned right by 90°."""
    return np.array([-along[1], along[0]])


def _curve(start: Sequence[float], end: Sequence[float], sway: float, bends: int, rng: np.random.Generator) -> Points:
    """Return a winding line; `sway` is its largest distance to the straight line."""
    first, last = np.array(start), np.array(end)
    length = float(np.hypot(*(last - first)))
    t = np.linspace(0, 1, int(length / STEP) + 2)[:, np.newaxis]
    slow, fast = rng.uniform(0, 2 * np.pi, 2)
    offset = np.sin(2 * np.pi * bends * t + slow) + 0.4 * np.sin(4 * np.pi * bends * t + fast)
    line: Points = first + t * (last - first) + sway * offset * perpendicular((last - first) / length)
    return line


def _water_mask(shape: Shape, north: bool, rng: np.random.Generator) -> Mask:
    """Return the mask of water: a river through the north or the south, and a lake along it."""
    height, width = shape
    picture = Image.new("1", (width, height))
    draw = ImageDraw.Draw(picture)
    share = rng.uniform(0.2, 0.3)
    level = height * (share if north else 1 - share)
    river = _curve((-40, level), (width + 40, level + rng.uniform(-40, 40)), 34, max(1, width // 420), rng)
    for number, (x, y) in enumerate(river):
        r = 13 + 4 * np.sin(number / 19)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=1)
    x, y = river[int(len(river) * rng.choice([0.22, 0.8]))]
    turn = np.linspace(0, 2 * np.pi, 90)
    phase = rng.uniform(0, 2 * np.pi, 3)
    radius = 60 + 13 * np.sin(2 * turn + phase[0]) + 9 * np.sin(3 * turn + phase[1]) + 3 * np.sin(7 * turn + phase[2])
    shore = np.stack([x + 1.35 * radius * np.cos(turn), y + radius * np.sin(turn)], axis=1)
    draw.polygon([(float(x), float(y)) for x, y in shore], fill=1)
    return np.asarray(picture)


class _RoadNetwork:
    """The roads so far, and the masks that limit a new road: roads, the surroundings of roads, and water."""

    def __init__(self, water: Mask, rng: np.random.Generator) -> None:
        self.roads: list[Road] = []
        self.rng = rng
        self.water = dilated(water, 12)
        self.paved = np.zeros(water.shape, bool)
        self.near_road = np.zeros(water.shape, bool)

    def add(self, line: Points, width: int) -> None:
        """Add a road."""
        road = Road(line, width)
        self.roads.append(road)
        self.paved |= _road_mask(self.water.shape, [road])
        self.near_road |= _road_mask(self.water.shape, [road], 16)

    def branch(self, line: Points, part: float, side: int, length: float, width: int) -> None:
        """Add a road that branches off a line to its left or right, and ends at a road, at water, or at `length`.

        It starts at the fraction `part` (0 to 1) of the line. A road that is short, or close to another, is not added.
        """
        start = min(max(int(len(line) * part), 1), len(line) - 2)
        along = line[start + 1] - line[start - 1]
        heading = np.arctan2(along[1], along[0]) + side * np.pi / 2 + self.rng.uniform(-0.15, 0.15)
        bend = self.rng.uniform(-0.01, 0.01)
        points, beside = [line[start]], 0
        while len(points) * STEP < length:
            heading += bend
            points.append(points[-1] + STEP * np.array([np.cos(heading), np.sin(heading)]))
            col, row = (int(value) for value in points[-1])
            inside = 0 <= row < self.water.shape[0] and 0 <= col < self.water.shape[1]
            if not inside or self.water[row, col]:
                break
            if len(points) > 8:
                beside += bool(self.near_road[row, col])
                if self.paved[row, col]:
                    break
        if len(points) > 16 and beside < 9:
            self.add(np.array(points), width)


def _roads(water: Mask, river_north: bool, rng: np.random.Generator) -> tuple[list[Road], list[Points]]:
    """Return the roads, each of which starts on an earlier one, and the centres of the villages."""
    height, width = water.shape
    share, x = rng.uniform(0.58, 0.68), width * rng.uniform(0.35, 0.65)
    level = height * (share if river_north else 1 - share)
    long = _curve((-20, level), (width + 20, level + rng.uniform(-50, 50)), 22, 1, rng)
    cross = _curve((x + rng.uniform(-60, 60), -20), (x, height + 20), 18, 1, rng)
    network = _RoadNetwork(water, rng)
    network.add(long, MAIN)
    network.add(cross, MAIN)
    crossing = int(np.hypot(*(long[:, np.newaxis] - cross).transpose(2, 0, 1)).min(axis=1).argmin())
    hamlet = int(len(long) * (0.88 if crossing < len(long) / 2 else 0.12))
    for at, numbers in ((crossing, (-2, -1, 1, 2)), (hamlet, (0,))):
        for number in numbers:
            for side in (-1, 1):
                position = at + number * 33 + rng.uniform(-5, 5)
                network.branch(long, position / len(long), side, rng.uniform(110, 220), STREET)
    for street in [road for road in network.roads if road.width == STREET]:  # lanes from street to street
        network.branch(street.line, 0.7, 1, 150, STREET)
    for line, part in ((long, 0.25), (long, 0.75), (cross, 0.1), (cross, 0.3), (cross, 0.7), (cross, 0.9)):
        for side in (-1, 1):
            network.branch(line, part + rng.uniform(-0.06, 0.06), side, rng.uniform(300, 700), TRACK)
    return network.roads, [long[crossing], long[hamlet]]


def _road_mask(shape: Shape, roads: Sequence[Road], margin: int = 0) -> Mask:
    """Return the mask of roads, (H, W), each widened by `margin` px on both sides."""
    picture = Image.new("1", shape[::-1])
    draw = ImageDraw.Draw(picture)
    for road in roads:
        draw.line([(float(x), float(y)) for x, y in road.line], fill=1, width=road.width + 2 * margin)
        r = road.width / 2 + margin - 0.5
        for x, y in road.line:  # a thick line has gaps where it bends
            draw.ellipse((x - r, y - r, x + r, y + r), fill=1)
    return np.asarray(picture)


def _houses(
    taken: Mask, roads: Sequence[Road], villages: Sequence[Points], rng: np.random.Generator
) -> Iterator[House]:
    """Yield houses in rows along streets, and along the main roads near a village, outside the `taken` pixels."""
    height, width = taken.shape
    free = Image.fromarray(~taken)
    draw = ImageDraw.Draw(free)
    for road in [road for road in roads if road.width != TRACK]:
        for index in range(4, len(road.line) - 2):
            point = road.line[index]
            away = min(float(np.hypot(*(point - village))) for village in villages)
            if away > VILLAGE or rng.random() < 0.2 + away / 600:
                continue
            along = road.line[index + 1] - road.line[index - 1]
            along = along / np.hypot(*along)
            barn = away > 150 and rng.random() < 0.12
            half = rng.uniform((21, 11), (30, 14)) if barn else rng.uniform((10, 7), (14, 9))
            setback = road.width / 2 + half[1] + rng.uniform(8, 13)
            center = point + rng.choice([-1, 1]) * setback * perpendicular(along)
            gable_to_street = not barn and rng.random() < 0.25
            house = House(center, perpendicular(along) if gable_to_street else along, (float(half[0]), float(half[1])))
            spots = [*house.corners(5), *house.corners(), *house.corners(-5), tuple(center)]
            inside = all(0 <= x < width and 0 <= y < height for x, y in spots)
            if inside and all(free.getpixel((int(x), int(y))) for x, y in spots):
                draw.polygon(house.corners(5), fill=0)
                yield house


def _wood_mask(shape: Shape, villages: Sequence[Points], rng: np.random.Generator) -> Mask:
    """Return the mask of woods, (H, W): about a quarter of the area, with ragged edges, and none in a village."""
    density = noise(shape, 110, rng) + 0.45 * noise(shape, 40, rng) + 0.3 * noise(shape, 14, rng)
    down, across = np.indices(shape, np.float32)
    for x, y in villages:
        density = density - 3 * np.exp(-((across - x) ** 2 + (down - y) ** 2) / (2 * (0.6 * VILLAGE) ** 2))
    wood: Mask = density > np.quantile(density, 0.74)
    return wood


def _parcels(shape: Shape, rng: np.random.Generator) -> Parcels:
    """Return parallel strips, with another direction in each district."""
    count = max(4, shape[0] * shape[1] // 80_000)
    down, across = np.indices(shape, np.float32)
    centers = rng.uniform((0, 0), shape[::-1], (count, 2)).astype(np.float32)
    district, nearest = np.zeros(shape, np.int64), np.full(shape, np.inf, np.float32)
    for number, (x, y) in enumerate(centers):  # argmin over a stack of all distances takes ten times as long
        distance = (across - x) ** 2 + (down - y) ** 2
        district[distance < nearest] = number
        np.minimum(nearest, distance, out=nearest)
    angle = rng.uniform(0, np.pi, count).astype(np.float32)[district]
    along = across * np.cos(angle) + down * np.sin(angle)
    beside = down * np.cos(angle) - across * np.sin(angle)
    strip = (along // PARCEL[0]).astype(int) * 131 + (beside // PARCEL[1]).astype(int)
    return Parcels(district * 7919 + strip, along, beside)


def _hedge_mask(parcels: NDArray[np.int64], rng: np.random.Generator) -> Mask:
    """Return the mask of hedges, (H, W): along some of the borders between parcels, with gaps."""
    chosen = rng.random(4096) < 0.3
    border = np.zeros(parcels.shape, bool)
    for first, second in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        before, after = parcels[first], parcels[second]
        border[first] |= (before != after) & chosen[(before * 31 + after * 17) % 4096]
    rows: Mask = blurred(border, 3) + 0.03 * noise(parcels.shape, 14, rng) > 0.1
    return rows
