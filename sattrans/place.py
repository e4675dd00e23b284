"""A small synthetic place: a land-cover map, and the orthophoto that belongs to it.

A river and a lake, woods, two main roads that cross in a village, streets and field tracks that branch off
them, and houses along the streets. All lengths are pixels, half a metre each; points are (x, y), arrays
(height, width). Whoever looks at the photo sees little that the map does not tell: a small network learns it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from sattrans.palette import LandClass, Palette

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

PIXEL = 0.5
"""Side of a pixel in metres."""

MAIN, STREET, TRACK = 12, 8, 5
"""Widths of roads."""

SHADOW = 7
"""How far a roof's shadow reaches: straight north, for training flips tiles left to right and the sun stays."""

Points = NDArray[np.float64]
Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Place:
    """`map` holds class values, (H, W); `photo` red, green, blue, (3, H, W)."""

    map: NDArray[np.uint8]
    photo: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class _Road:
    line: Points
    width: int


@dataclass(frozen=True, slots=True)
class _House:
    """A rectangle: its centre, the unit vector along its ridge, half its length and half its depth."""

    center: Points
    along: Points
    half: tuple[float, float]

    def corners(self, grown: float = 0.0, sides: tuple[float, float] = (-1.0, 1.0)) -> list[tuple[float, float]]:
        """Return the four corners; `sides` (-1, 0) and (0, 1) are the two halves of the roof."""
        across = np.array([-self.along[1], self.along[0]])
        length, depth = self.half[0] + grown, self.half[1] + grown
        ends = ((-1, sides[0]), (1, sides[0]), (1, sides[1]), (-1, sides[1]))
        corners = (self.center + a * length * self.along + b * depth * across for a, b in ends)
        return [(float(x), float(y)) for x, y in corners]

    @property
    def large(self) -> bool:
        """Whether it is a hall and no dwelling."""
        return self.half[0] > 18


def make_place(height: int, width: int, seed: int) -> Place:
    """Return the place of that seed; from about 500 px a side on it holds every class."""
    rng = np.random.default_rng(seed)
    water = _waters(height, width, rng)
    roads, villages = _roads(water, rng)
    paved = _paint(water.shape, roads)
    houses = list(_houses(water, roads, villages, rng))
    built = Image.new("1", (width, height))
    for house in houses:
        ImageDraw.Draw(built).polygon(house.corners(), fill=1)
    building = np.asarray(built)
    wood = _woods(water, roads, villages, rng) & ~building
    classes = np.select([building, paved, water, wood], [BUILDING, ROAD, WATER, WOODLAND], BACKGROUND)
    map_ = classes.astype(np.uint8)
    return Place(map_, _photograph(map_, houses, rng))


# The map


def _curve(
    start: tuple[float, float], end: tuple[float, float], sway: float, bends: int, rng: np.random.Generator
) -> Points:
    """Return a smooth line, a point about every four pixels; `sway` is how far it leaves the straight one."""
    first, last = np.array(start, float), np.array(end, float)
    length = float(np.hypot(*(last - first)))
    t = np.linspace(0, 1, max(2, int(length / 4)))[:, np.newaxis]
    across = np.array([first[1] - last[1], last[0] - first[0]]) / length
    phases, weights = rng.uniform(0, 2 * np.pi, 2), rng.uniform(0.6, 1.0, 2) / (1, 2)
    offset = sum(
        w * np.sin(2 * np.pi * bends * k * t + p) for k, (w, p) in enumerate(zip(weights, phases, strict=True), 1)
    )
    line: Points = first + t * (last - first) + sway * offset * across
    return line


def _waters(height: int, width: int, rng: np.random.Generator) -> Mask:
    """Return where water is: a river from left to right, and a lake on its way."""
    picture = Image.new("1", (width, height))
    draw = ImageDraw.Draw(picture)
    level = height * rng.uniform(0.24, 0.34)
    river = _curve((-40, level), (width + 40, level + rng.uniform(-40, 40)), 42, max(1, width // 420), rng)
    for number, (x, y) in enumerate(river):
        r = 13 + 4 * np.sin(number / 19)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=1)
    x, y = river[int(len(river) * rng.choice([0.22, 0.8]))]
    angles = np.linspace(0, 2 * np.pi, 90)
    phase = rng.uniform(0, 2 * np.pi, 3)
    radius = (
        62 + 14 * np.sin(2 * angles + phase[0]) + 9 * np.sin(3 * angles + phase[1]) + 4 * np.sin(7 * angles + phase[2])
    )
    shore = np.stack([x + 1.3 * radius * np.cos(angles), y + radius * np.sin(angles)], axis=1)
    draw.polygon([tuple(point) for point in shore], fill=1)
    return np.asarray(picture)


def _roads(water: Mask, rng: np.random.Generator) -> tuple[list[_Road], list[Points]]:
    """Return the roads, each beginning on one before it, and the centres of the villages."""
    height, width = water.shape
    level, x = height * rng.uniform(0.6, 0.68), width * rng.uniform(0.4, 0.6)
    long = _curve((-20, level), (width + 20, level + rng.uniform(-60, 60)), 26, 1, rng)
    cross = _curve((x + rng.uniform(-60, 60), -20), (x, height + 20), 20, 1, rng)
    roads = [_Road(long, MAIN), _Road(cross, MAIN)]
    nearest = np.hypot(*(long[:, np.newaxis] - cross[np.newaxis]).transpose(2, 0, 1)).min(axis=1).argmin()
    away = 0.86 if long[nearest][0] < width / 2 else 0.14
    villages = [long[nearest], long[int(len(long) * away)]]

    def branch(line: Points, index: int, side: int, length: float, width: int) -> None:
        roads.extend(_branch(roads, water, line, min(max(index, 1), len(line) - 2), side, length, width, rng))

    for village, streets in zip(villages, (5, 3), strict=True):
        at = int(np.hypot(*(long - village).T).argmin())
        for number in range(-(streets // 2), streets // 2 + 1):
            for side in (-1, 1):
                branch(long, at + int(number * 34 + rng.integers(-5, 6)), side, rng.uniform(130, 250), STREET)
    for street in [road for road in roads if road.width == STREET]:  # lanes that join neighbouring streets
        branch(street.line, len(street.line) * 2 // 3, 1, 150, STREET)
    for line, part in ((long, 0.3), (long, 0.68), (cross, 0.12), (cross, 0.82), (cross, 0.93)):
        for side in (-1, 1):
            branch(line, int(len(line) * (part + rng.uniform(-0.05, 0.05))), side, rng.uniform(300, 700), TRACK)
    return roads, villages


def _branch(
    roads: Sequence[_Road],
    water: Mask,
    line: Points,
    index: int,
    side: int,
    length: float,
    width: int,
    rng: np.random.Generator,
) -> list[_Road]:
    """Let a road grow sideways out of a line until it meets another, the water, or its length.

    Nothing is returned where it would be short, or run beside another road.
    """
    taken, close = _paint(water.shape, roads), _paint(water.shape, roads, 16)
    wet = _grown(water, 12)
    along = line[index + 1] - line[index - 1]
    heading = float(np.arctan2(along[1], along[0])) + side * np.pi / 2 + rng.uniform(-0.15, 0.15)
    bend = rng.uniform(-0.01, 0.01)
    points, beside = [line[index]], 0
    while len(points) * 4 < length:
        heading += bend
        points.append(points[-1] + 4 * np.array([np.cos(heading), np.sin(heading)]))
        col, row = (int(v) for v in points[-1])
        if not (0 <= row < water.shape[0] and 0 <= col < water.shape[1]) or wet[row, col]:
            break
        if len(points) > 8:
            beside += bool(close[row, col])
            if taken[row, col]:
                break
    return [_Road(np.array(points), width)] if len(points) > 16 and beside < 9 else []


def _paint(shape: tuple[int, int], roads: Sequence[_Road], grown: int = 0) -> Mask:
    """Return where the roads are, (H, W), each `grown` pixels wider on both sides."""
    picture = Image.new("1", shape[::-1])
    draw = ImageDraw.Draw(picture)
    for road in roads:
        r = road.width / 2 + grown
        for x, y in road.line:  # discs, for a thick line has gaps where it bends
            draw.ellipse((x - r, y - r, x + r, y + r), fill=1)
    return np.asarray(picture)


def _houses(
    water: Mask, roads: Sequence[_Road], villages: Sequence[Points], rng: np.random.Generator
) -> Iterator[_House]:
    """Yield houses in rows along the streets, and along the main roads where they pass a village."""
    height, width = water.shape
    taken = Image.fromarray(_grown(water, 10) | _paint(water.shape, roads, 4))
    draw = ImageDraw.Draw(taken)
    for road in roads:
        for index in range(4, len(road.line) - 2):
            point = road.line[index]
            near = min(float(np.hypot(*(point - village))) for village in villages)
            if road.width == TRACK or near > 330 or rng.random() < 0.2 + near / 700:
                continue
            along = road.line[index + 1] - road.line[index - 1]
            along = along / np.hypot(*along)
            hall = near > 180 and rng.random() < 0.12
            half = rng.uniform((21, 11), (30, 14)) if hall else rng.uniform((10, 7), (14, 9))
            side = rng.choice([-1, 1])
            setback = road.width / 2 + half[1] + rng.uniform(8, 13)
            center = point + side * setback * np.array([-along[1], along[0]])
            if not hall and rng.random() < 0.25:  # gable to the street
                along = np.array([-along[1], along[0]])
            house = _House(center, along, (float(half[0]), float(half[1])))
            spots = [*house.corners(5), *house.corners(0), *house.corners(-5), tuple(center)]
            inside = all(0 <= x < width and 0 <= y < height for x, y in spots)
            if inside and not any(taken.getpixel((int(x), int(y))) for x, y in spots):
                draw.polygon(house.corners(5), fill=1)
                yield house


def _woods(water: Mask, roads: Sequence[_Road], villages: Sequence[Points], rng: np.random.Generator) -> Mask:
    """Return where woods are: about a quarter of the land, away from villages, with ragged edges."""
    shape = water.shape
    density = _noise(shape, 150, rng) + 0.35 * _noise(shape, 40, rng) + 0.16 * _noise(shape, 12, rng)
    down, across = np.indices(shape, np.float32)
    for x, y in villages:
        density -= 3.5 * np.exp(-((across - x) ** 2 + (down - y) ** 2) / (2 * 190**2))
    verges = _paint(shape, [road for road in roads if road.width != TRACK], 7)
    wood: Mask = (density > np.quantile(density, 0.74)) & ~_grown(water, 4) & ~verges
    return wood


# The photo


def _photograph(map_: NDArray[np.uint8], houses: Sequence[_House], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the map's place as it looks from above, (3, H, W)."""
    shape = (map_.shape[0], map_.shape[1])
    is_ = {value: map_ == value for value in PALETTE.values}
    photo = _fields(shape, rng)
    photo = _mix(photo, (96, 124, 66), 0.9 * np.clip(3 * _near(is_[WATER], 14), 0, 1))  # wet meadows
    photo = _mix(photo, (104, 134, 72), np.clip(2.2 * _near(is_[BUILDING], 14), 0, 0.9))  # gardens
    photo *= 1 + 0.05 * _noise(shape, 7, rng) + 0.035 * _noise(shape, 2, rng)
    asphalt = _mix(_flat(shape, (172, 160, 132)), (184, 183, 180), np.clip(3 * _near(is_[ROAD], 6) - 1, 0, 1))
    photo = _mix(photo, asphalt * (1 + 0.02 * _noise(shape, 3, rng)), _near(is_[ROAD], 1.2))
    deep = np.clip(2 * _near(is_[WATER], 9) - 0.9, 0, 1)
    lake = _mix(_flat(shape, (66, 98, 112)), (36, 74, 116), deep) * (1 + 0.02 * _noise(shape, 20, rng))
    photo = _mix(photo, lake, _near(is_[WATER] & ~is_[ROAD], 1.2))
    photo *= 1 - 0.45 * _near(_cast(is_[WOODLAND], 6) & ~is_[ROAD], 1)
    photo = _mix(photo, _crowns(is_[WOODLAND], rng), _near(is_[WOODLAND], 1.0))
    photo *= 1 - 0.5 * _near(_cast(is_[BUILDING], SHADOW), 0.8)
    photo = _mix(photo, _roofs(shape, houses, rng), _near(is_[BUILDING], 0.7))
    photo += rng.normal(0, 2.0, shape).astype(np.float32)
    return np.clip(np.rint(photo), 0, 255).astype(np.uint8)


def _fields(shape: tuple[int, int], rng: np.random.Generator) -> Plane:
    """Return parcels in strips, (3, H, W): each district has its own direction, each parcel its own tone."""
    count = max(4, shape[0] * shape[1] // 60_000)
    down, across = np.indices(shape, np.float32)
    seeds = rng.uniform((0, 0), shape[::-1], (count, 2))
    districts = np.argmin([(across - x) ** 2 + (down - y) ** 2 for x, y in seeds], axis=0)
    angle = rng.uniform(0, np.pi, count)[districts]
    u = across * np.cos(angle) + down * np.sin(angle)
    v = down * np.cos(angle) - across * np.sin(angle)
    parcel = districts * 7919 + np.floor(u / 210).astype(int) * 131 + np.floor(v / 52).astype(int)
    tones = np.array([(134, 143, 88), (144, 147, 96), (126, 140, 84), (149, 146, 101), (131, 137, 86)], np.float32)
    fields = tones[rng.integers(0, len(tones), 4096)[parcel % 4096]]
    return np.moveaxis(fields, -1, 0) * (1 + 0.015 * np.sin(v * np.float32(1.3)))


def _crowns(wood: Mask, rng: np.random.Generator) -> Plane:
    """Return trees from above, (3, H, W): each a dark disc, and lighter ones towards the sun."""
    height, width = wood.shape
    picture = Image.new("RGB", (width, height), (34, 54, 30))
    draw = ImageDraw.Draw(picture)
    grid = np.stack(np.meshgrid(np.arange(0, width, 8), np.arange(0, height, 8)), axis=-1).reshape(-1, 2)
    spots = rng.permutation(grid + rng.uniform(-3, 3, grid.shape))
    spots = np.clip(spots, 0, (width - 1, height - 1))
    for x, y in spots[wood[spots[:, 1].astype(int), spots[:, 0].astype(int)]]:
        r, light = rng.uniform(4, 6.5), rng.uniform(0.85, 1.15)
        for shift, size, color in ((0, 1.0, (44, 70, 36)), (1, 0.75, (62, 92, 46)), (1.8, 0.4, (78, 108, 56))):
            box = (x - r * size, y + shift - r * size, x + r * size, y + shift + r * size)
            draw.ellipse(box, fill=tuple(int(c * light) for c in color))
    return np.moveaxis(np.asarray(picture.filter(ImageFilter.GaussianBlur(0.8)), np.float32), -1, 0)


def _roofs(shape: tuple[int, int], houses: Sequence[_House], rng: np.random.Generator) -> Plane:
    """Return roofs, (3, H, W): dwellings red-brown, halls grey, the slope that faces the sun lighter."""
    picture = Image.new("RGB", shape[::-1], (140, 90, 75))
    draw = ImageDraw.Draw(picture)
    for house in houses:
        color = np.array((150, 150, 152) if house.large else (150, 88, 70)) * rng.uniform(0.92, 1.08)
        south = house.along[0]  # how much the roof's second half looks south
        for side in (-1, 1):
            lit = 1 + 0.27 * south * side
            half = house.corners(2, (-1.0, 0.0) if side < 0 else (0.0, 1.0))
            draw.polygon(half, fill=tuple(int(c) for c in color * lit))
    return np.moveaxis(np.asarray(picture, np.float32), -1, 0)


# Planes


def _noise(shape: tuple[int, int], cell: int, rng: np.random.Generator) -> Plane:
    """Return smooth noise of mean 0 and deviation of about 1, (H, W), whose spots are about `cell` wide."""
    rows, cols = (side // cell + 4 for side in shape)
    grid = rng.standard_normal((rows, cols)).astype(np.float32)
    large = Image.fromarray(grid).resize((cols * cell, rows * cell), Image.Resampling.BICUBIC)
    return np.asarray(large)[cell : cell + shape[0], cell : cell + shape[1]]


def _near(mask: Mask, radius: float) -> Plane:
    """Return a mask with blurred edges, (H, W) from 0 to 1."""
    picture = Image.fromarray(mask.astype(np.uint8) * np.uint8(255))
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(radius)), np.float32) / 255


def _grown(mask: Mask, by: int) -> Mask:
    """Return a mask that reaches about `by` pixels farther."""
    grown: Mask = _near(mask, by) > 0.12
    return grown


def _cast(mask: Mask, reach: int) -> Mask:
    """Return a mask and the shadow it casts `reach` pixels to the north."""
    shadow = mask.copy()
    for step in range(1, reach + 1):
        shadow[:-step] |= mask[step:]
    return shadow


def _flat(shape: tuple[int, int], color: tuple[int, int, int]) -> Plane:
    """Return one colour everywhere, (3, H, W)."""
    return np.broadcast_to(np.array(color, np.float32)[:, np.newaxis, np.newaxis], (3, *shape))


def _mix(below: Plane, above: Plane | tuple[int, int, int], share: Plane) -> Plane:
    """Return `above` laid over `below` (3, H, W) by its share (H, W)."""
    top = _flat((below.shape[1], below.shape[2]), above) if isinstance(above, tuple) else above
    return below + (top - below) * share
