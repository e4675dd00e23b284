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
"""Distance, in pixels, at which tiles of two scenes still touch: reprojection rounds."""

DROP_ORDER: tuple[TileSplit, ...] = ("val", "train", "unpaired")
"""Which of two tiles is dropped if they are too close: first val tiles close to test tiles, then train tiles."""


ORDER: tuple[TileSplit, ...] = ("unpaired", "train", "val", "test")


class TileWindow(Protocol):
    """A window of a scene with a split: a tile, or a planned tile."""

    @property
    def scene(self) -> str:
        """The id of its scene."""

    @property
    def split(self) -> TileSplit:
        """Its split."""

    @property
    def window(self) -> Window:
        """Its pixels in the scene."""


class TilePair(NamedTuple):
    """Two tiles, by their indices in the sequence, and the pixels they share, counted in the scene of the first."""

    first: int
    second: int
    shared_pixels: float


@dataclass(frozen=True, slots=True)
class Leakage:
    """Numbers of pairs of tiles of different splits that touch or overlap, and of the tiles in these pairs."""

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
    def of(cls, tiles: Sequence[TileWindow], leaks: Sequence[TilePair]) -> "Leakage":
        """Sum up the leaks of a set of tiles."""
        overlapping = sum(leak.shared_pixels >= 1 for leak in leaks)
        kinds = Counter("–".join(sorted((tiles[a].split, tiles[b].split), key=ORDER.index)) for a, b, _ in leaks)
        return cls(
            touching=len(leaks) - overlapping,
            overlapping=overlapping,
            between_scenes=sum(tiles[a].scene != tiles[b].scene for a, b, _ in leaks),
            tiles=len({index for leak in leaks for index in leak[:2]}),
            by_splits=dict(sorted(kinds.items())),
        )


def find_leaks(tiles: Sequence[TileWindow], georeferences: Mapping[str, Georeference]) -> list[TilePair]:
    """Return the pairs of tiles of different splits that touch or overlap; `georeferences` are by scene id.

    Unpaired tiles close to val and test tiles are leaks, those close to train tiles are not.
    """
    return [pair for pair in close_pairs(tiles, georeferences, 0.0) if _may_leak(tiles[pair.first], tiles[pair.second])]


def tiles_to_drop(tiles: Sequence[TileWindow], georeferences: Mapping[str, Georeference], buffer: int) -> set[int]:
    """Return the indices of tiles to drop so that tiles of different splits are at least `buffer` pixels apart.

    Between scenes of different resolutions, the pixels are those of the coarser scene.
    """
    pairs = [
        pair
        for pair in close_pairs(tiles, georeferences, buffer - SLACK)
        if _may_leak(tiles[pair.first], tiles[pair.second])
    ]
    left_out: set[int] = set()
    for split in DROP_ORDER:
        # One split after the other: a val tile that is dropped does not cause a train tile to be dropped.
        going = set()
        for first, second, _ in pairs:
            if first in left_out or second in left_out:
                continue
            for own, its in ((first, second), (second, first)):
                if tiles[own].split == split and _stays(tiles[its].split, split):
                    going.add(own)
        left_out |= going
    return left_out


def _stays(other: TileSplit, split: TileSplit) -> bool:
    return other not in DROP_ORDER or DROP_ORDER.index(other) < DROP_ORDER.index(split)


def _may_leak(first: TileWindow, second: TileWindow) -> bool:
    return first.split != second.split and {first.split, second.split} != {"train", "unpaired"}


def close_pairs(
    tiles: Sequence[TileWindow], georeferences: Mapping[str, Georeference], distance: float
) -> Iterator[TilePair]:
    """Yield each two tiles at most `distance` pixels apart (0: they touch or overlap), once."""
    members: dict[str, list[int]] = defaultdict(list)
    for number, tile in enumerate(tiles):
        members[tile.scene].append(number)
    for scene, other in _close_scenes(tiles, members, georeferences, distance):
        own = members[scene]
        boxes = _boxes(window_corners([tiles[n].window for n in own]))
        if scene == other:
            yield from _pairs(own, boxes, own, boxes, distance)
            continue
        corners = georeferences[other].to_coordinates(window_corners([tiles[n].window for n in members[other]]))
        there = georeferences[scene].to_pixels(corners, georeferences[other].crs)
        if there is not None:
            first = tiles[members[other][0]].window
            larger = np.hypot(*(there[2] - there[0])) / np.hypot(first.height, first.width)  # its pixels than these
            reach = max(distance * max(1.0, float(larger)), SLACK)
            yield from _pairs(own, boxes, members[other], _boxes(there), reach)


def _pairs(
    own: Sequence[int], boxes: NDArray[Any], others: Sequence[int], other_boxes: NDArray[Any], distance: float
) -> Iterator[TilePair]:
    firsts, seconds = shapely.STRtree(other_boxes).query(boxes, predicate="dwithin", distance=distance)
    if own is others:
        once = firsts < seconds
        firsts, seconds = firsts[once], seconds[once]
    shared = shapely.area(shapely.intersection(boxes[firsts], other_boxes[seconds]))
    order = np.lexsort((seconds, firsts))
    for n in order:
        yield TilePair(own[firsts[n]], others[seconds[n]], float(shared[n]))


def _boxes(corners: NDArray[np.float64]) -> NDArray[Any]:
    return np.asarray(shapely.polygons(corners.reshape(-1, 4, 2)))


def _close_scenes(
    tiles: Sequence[TileWindow],
    members: Mapping[str, Sequence[int]],
    georeferences: Mapping[str, Georeference],
    distance: float,
) -> Iterator[tuple[str, str]]:
    """Yield the pairs of scenes whose tiles may be closer than `distance`, including each scene paired with itself."""
    scenes = list(members)
    outlines = np.array(
        [_outline([tiles[n].window for n in members[s]], georeferences[s], distance) for s in scenes], object
    )
    firsts, seconds = shapely.STRtree(outlines).query(outlines, predicate="intersects")
    near = {(a, b) for a, b in zip(firsts.tolist(), seconds.tolist(), strict=True) if a < b}
    for a, b in sorted(near | {(n, n) for n in range(len(scenes))}):
        yield scenes[a], scenes[b]


def _outline(windows: Sequence[Window], georeference: Georeference, distance: float) -> shapely.Geometry | None:
    """Return an outline around a scene's windows in WGS 84, with a margin; None if its location is unknown."""
    right, bottom = max(w.right for w in windows), max(w.bottom for w in windows)
    corners = georeference.to_coordinates(window_corners([Window(0, 0, bottom, right)]))
    ring = reproject(corners, georeference.crs, WGS84) if georeference.crs else None
    if ring is None:
        return None
    outline = shapely.Polygon(ring)
    degrees_a_pixel = outline.length / (2 * (right + bottom))
    return shapely.buffer(outline, 2 * degrees_a_pixel * (distance + 1))
