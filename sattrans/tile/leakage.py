"""Leakage: tiles of different splits that touch or overlap, in one scene or in scenes that overlap each other."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import shapely
from numpy.typing import NDArray

from sattrans.data.dataset import TileSplit
from sattrans.raster.georeference import WGS84, Georeference, reproject, window_corners
from sattrans.raster.window import Window

SLACK = 0.01
"""What counts as touching between scenes, in pixels: a reprojection rounds."""

GIVES_WAY: tuple[TileSplit, ...] = ("val", "train", "unpaired")
"""Which tile is left out where two are too near: a val tile for a test tile, then a train tile for either."""


ORDER: tuple[TileSplit, ...] = ("unpaired", "train", "val", "test")


class Placed(Protocol):
    """What has a place: a tile, or one that is planned."""

    @property
    def scene(self) -> str:
        """The id of its scene."""

    @property
    def split(self) -> TileSplit:
        """Its split."""

    @property
    def window(self) -> Window:
        """Its pixels in the scene."""


class Near(NamedTuple):
    """Two tiles, by their places in the sequence, and the pixels they share (of the first's scene)."""

    one: int
    other: int
    shared: float


@dataclass(frozen=True, slots=True)
class Leakage:
    """What the pairs of tiles of different splits come to: how many touch, how many overlap, how many tiles."""

    touching: int
    overlapping: int
    between_scenes: int
    tiles: int
    by_splits: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return what a manifest keeps."""
        return {
            "touching": self.touching,
            "overlapping": self.overlapping,
            "between_scenes": self.between_scenes,
            "tiles": self.tiles,
            "by_splits": dict(self.by_splits),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Leakage":
        """Read back what `to_json` wrote."""
        return cls(**value)

    @classmethod
    def of(cls, tiles: Sequence[Placed], leaks: Sequence[Near]) -> "Leakage":
        """Sum up the leaks of a set of tiles."""
        overlapping = sum(leak.shared >= 1 for leak in leaks)
        kinds = Counter("–".join(sorted((tiles[a].split, tiles[b].split), key=ORDER.index)) for a, b, _ in leaks)
        return cls(
            touching=len(leaks) - overlapping,
            overlapping=overlapping,
            between_scenes=sum(tiles[a].scene != tiles[b].scene for a, b, _ in leaks),
            tiles=len({place for leak in leaks for place in leak[:2]}),
            by_splits=dict(sorted(kinds.items())),
        )


def find_leaks(tiles: Sequence[Placed], places: Mapping[str, Georeference]) -> list[Near]:
    """Return the pairs of tiles of different splits that touch or overlap; `places` are the scenes' by id.

    Images without maps leak into val and test, not into train.
    """
    return [near for near in neighbours(tiles, places, 0.0) if _unlike(tiles[near.one], tiles[near.other])]


def keep_apart(tiles: Sequence[Placed], places: Mapping[str, Georeference], buffer: int) -> set[int]:
    """Return which tiles to leave out so that `buffer` pixels lie between any two of different splits.

    Between scenes of unlike resolution these are pixels of the coarser one.
    """
    pairs = [near for near in neighbours(tiles, places, buffer - SLACK) if _unlike(tiles[near.one], tiles[near.other])]
    left_out: set[int] = set()
    for split in GIVES_WAY:
        # One split after the other: a train tile has nothing to fear from a val tile that is gone.
        going = set()
        for one, other, _ in pairs:
            if one in left_out or other in left_out:
                continue
            for own, its in ((one, other), (other, one)):
                if tiles[own].split == split and _stays(tiles[its].split, split):
                    going.add(own)
        left_out |= going
    return left_out


def _stays(other: TileSplit, split: TileSplit) -> bool:
    return other not in GIVES_WAY or GIVES_WAY.index(other) < GIVES_WAY.index(split)


def _unlike(one: Placed, other: Placed) -> bool:
    return one.split != other.split and {one.split, other.split} != {"train", "unpaired"}


def neighbours(tiles: Sequence[Placed], places: Mapping[str, Georeference], distance: float) -> Iterator[Near]:
    """Yield each two tiles at most `distance` pixels apart (0: they touch or overlap), once."""
    members: dict[str, list[int]] = defaultdict(list)
    for number, tile in enumerate(tiles):
        members[tile.scene].append(number)
    for scene, other in _near_scenes(tiles, members, places, distance):
        own = members[scene]
        boxes = _boxes(window_corners([tiles[n].window for n in own]))
        if scene == other:
            yield from _pairs(own, boxes, own, boxes, distance)
            continue
        corners = places[other].to_coordinates(window_corners([tiles[n].window for n in members[other]]))
        there = places[scene].to_pixels(corners, places[other].crs)
        if there is not None:
            first = tiles[members[other][0]].window
            larger = np.hypot(*(there[2] - there[0])) / np.hypot(first.height, first.width)  # its pixels than these
            reach = max(distance * max(1.0, float(larger)), SLACK)
            yield from _pairs(own, boxes, members[other], _boxes(there), reach)


def _pairs(
    own: Sequence[int], boxes: NDArray[Any], others: Sequence[int], other_boxes: NDArray[Any], distance: float
) -> Iterator[Near]:
    ones, twos = shapely.STRtree(other_boxes).query(boxes, predicate="dwithin", distance=distance)
    if own is others:
        once = ones < twos
        ones, twos = ones[once], twos[once]
    shared = shapely.area(shapely.intersection(boxes[ones], other_boxes[twos]))
    order = np.lexsort((twos, ones))
    for place in order:
        yield Near(own[ones[place]], others[twos[place]], float(shared[place]))


def _boxes(corners: NDArray[np.float64]) -> NDArray[Any]:
    return np.asarray(shapely.polygons(corners.reshape(-1, 4, 2)))


def _near_scenes(
    tiles: Sequence[Placed],
    members: Mapping[str, Sequence[int]],
    places: Mapping[str, Georeference],
    distance: float,
) -> Iterator[tuple[str, str]]:
    """Yield the pairs of scenes, each with itself too, whose tiles may lie so near to each other."""
    scenes = list(members)
    outlines = np.array([_outline([tiles[n].window for n in members[s]], places[s], distance) for s in scenes], object)
    ones, twos = shapely.STRtree(outlines).query(outlines, predicate="intersects")
    near = {(one, other) for one, other in zip(ones.tolist(), twos.tolist(), strict=True) if one < other}
    for one, other in sorted(near | {(n, n) for n in range(len(scenes))}):
        yield scenes[one], scenes[other]


def _outline(windows: Sequence[Window], place: Georeference, distance: float) -> shapely.Geometry | None:
    """Return what lies around a scene's windows in WGS 84, with room to spare; None where nobody knows."""
    right, bottom = max(w.right for w in windows), max(w.bottom for w in windows)
    corners = place.to_coordinates(window_corners([Window(0, 0, bottom, right)]))
    ring = reproject(corners, place.crs, WGS84) if place.crs else None
    if ring is None:
        return None
    outline = shapely.Polygon(ring)
    degrees_a_pixel = outline.length / (2 * (right + bottom))
    return shapely.buffer(outline, 2 * degrees_a_pixel * (distance + 1))
