"""Blocks: the parts that an image is made of, each by itself, and how they are joined.

A block depends on nothing but the map around it, its place on the ground, the seed and the style. So does the seam
between two blocks, of which each is computed from the blocks alone that meet there.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from hashlib import blake2b
from itertools import product
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from sattrans_exemplar.cuts import FREE, NEW, OLD, Pieces, continued, cut
from sattrans_exemplar.descriptors import OPENING, REACH, SIDES
from sattrans_exemplar.finish import finished
from sattrans_exemplar.placing import Ground, Placer
from sattrans_exemplar.sources import Index

LARGEST = 256
"""Side in pixels of a block, at most."""

LAP = 24
"""Pixels by which a block extends beyond its place on each side, into its neighbours."""

SEEN = REACH * SIDES[0] + 2 * OPENING
"""Pixels of map around an extended block on which it depends."""

RIM = 48
"""Pixels around a block that are finished with it."""

CONTEXT = LARGEST + LAP + SEEN
"""Pixels of map around a block on which its image depends."""

KEPT = 128 * (LARGEST + 2 * LAP) ** 2
"""Pixels of blocks that are kept for their neighbours."""

_UINT64 = 2**64 - 1


Result = TypeVar("Result")


class Cache(Generic[Result]):
    """Results that were used last.

    Args:
        most: The size of all that are kept, at most.
        size: Returns the size of a result.
    """

    def __init__(self, most: int, size: Callable[[Result], int]) -> None:
        self._results: OrderedDict[Hashable, Result] = OrderedDict()
        self._most, self._size, self._kept = most, size, 0

    def get(self, key: Hashable, make: Callable[[], Result]) -> Result:
        """Return the result of a key, made now if it is not there."""
        if key in self._results:
            self._results.move_to_end(key)
            return self._results[key]
        result = self._results[key] = make()
        self._kept += self._size(result)
        while self._kept > self._most and len(self._results) > 1:
            self._kept -= self._size(self._results.popitem(last=False)[1])
        return result


def cache_of_pieces() -> Cache[Pieces]:
    """Return a cache of blocks and of the seams between them."""
    return Cache(KEPT, lambda pieces: pieces.source.size)


@dataclass(frozen=True)
class Settings:
    """What decides an image beside its map.

    Attributes:
        seed: The seed of the image.
        style: The scene of the style; None for none.
        fidelity: How much the map counts, against the picture.
    """

    seed: int
    style: int | None
    fidelity: float


class Blocks:
    """The blocks of a part of a map.

    Args:
        index: The patches that images are put together from.
        cache: Keeps what neighbours share.
        settings: What else decides the image.
        map_: The map, class indices or 255, with `CONTEXT` pixels around the blocks that are asked for.
        at: Where its first pixel lies, in pixels from the origin of the CRS.
        side: Side of a block.
    """

    def __init__(
        self,
        index: Index,
        cache: Cache[Pieces],
        settings: Settings,
        map_: NDArray[np.uint8],
        at: tuple[int, int],
        side: int,
    ) -> None:
        self.index, self.cache, self.settings, self.map, self.at, self.side = index, cache, settings, map_, at, side
        self._keys: dict[tuple[int, int], Hashable] = {}

    def image(self, row: int, col: int) -> NDArray[np.float32]:
        """Return the image of the block whose first pixel is at (row, col) of the map: (3, side, side), grey levels."""
        shown, ground = self._filled(row, col), self._window(row, col, RIM)
        if (shown.source < 0).all():
            return np.full((3, self.side, self.side), 127.5, np.float32)
        image = finished(self.index.pixels, self.index.stride, shown, ground, self.index.even)
        return image[:, RIM:-RIM, RIM:-RIM]

    def pieces(self, row: int, col: int) -> Pieces:
        """Return what the image of a block is put together from, (side, side), before it is finished."""
        return self._composite(row, col)[RIM:-RIM, RIM:-RIM]

    def shown(self, row: int, col: int) -> Pieces:
        """Return the pieces that the image of a block shows, (side, side), also where the map has no data.

        A block whose map has no data at all shows nothing: its sources are -1.
        """
        return self._filled(row, col)[RIM:-RIM, RIM:-RIM]

    def _filled(self, row: int, col: int) -> Pieces:
        """Return a block and `RIM` pixels around it, in which pixels without a source show that of the nearest one."""
        composite = self._composite(row, col)
        return continued(composite, composite.source < 0)

    def _window(self, row: int, col: int, margin: int) -> NDArray[np.uint8]:
        """Return the map of a block and so many pixels around it."""
        side = self.side + margin
        return self.map[row - margin : row + side, col - margin : col + side]

    def _key(self, row: int, col: int) -> Hashable:
        """Return what decides a block."""
        if (row, col) not in self._keys:
            digest = blake2b(np.ascontiguousarray(self._window(row, col, LAP + SEEN)).data, digest_size=16).digest()
            self._keys[row, col] = (self.settings, self.side, row + self.at[0], col + self.at[1], digest)
        return self._keys[row, col]

    def block(self, row: int, col: int) -> Pieces:
        """Return a block with `LAP` pixels around it, by itself."""
        return self.cache.get(self._key(row, col), lambda: self._placed(row, col))

    def _placed(self, row: int, col: int) -> Pieces:
        if (self._window(row, col, 0) >= self.index.classes).all():  # its neighbours reach into it, and beyond the map
            return Pieces.none(self.side + 2 * LAP, self.side + 2 * LAP)
        ground = Ground.of(self._window(row, col, LAP + SEEN), SEEN, self.index.classes)
        place = (row + self.at[0]) & _UINT64, (col + self.at[1]) & _UINT64
        bits = np.random.Philox(key=[self.settings.seed, 2], counter=np.array([0, *place, 0], np.uint64))
        random = np.random.Generator(bits)
        return Placer(self.index, ground, self.settings.style, self.settings.fidelity, random).place()

    def _part(self, block: tuple[int, int], top: int, left: int, height: int, width: int) -> Pieces:
        """Return a block's pixels in a rectangle of the map."""
        row, col = top - block[0] + LAP, left - block[1] + LAP
        return self.block(*block)[row : row + height, col : col + width]

    def _seam(self, first: tuple[int, int], second: tuple[int, int]) -> Pieces:
        """Return the strip in which a block meets the next one to its right, or below, without its ends."""
        return self.cache.get(("seam", self._key(*first), self._key(*second)), lambda: self._cut_seam(first, second))

    def _cut_seam(self, first: tuple[int, int], second: tuple[int, int]) -> Pieces:
        (row, col), length = second, self.side - 2 * LAP
        below = row > first[0]
        place = (row - LAP, col + LAP, 2 * LAP, length) if below else (row + LAP, col - LAP, length, 2 * LAP)
        fixed = np.full(place[2:], FREE, np.uint8)
        ends = fixed if below else fixed.T
        ends[0], ends[-1] = OLD, NEW
        return self._cut(self._part(first, *place), self._part(second, *place), place, fixed)

    def _cut(self, old: Pieces, new: Pieces, place: tuple[int, int, int, int], fixed: NDArray[np.uint8]) -> Pieces:
        """Return the pieces of two images of a rectangle of the map, joined."""
        if (new.source < 0).all() or (old.source < 0).all():
            return old if (new.source < 0).all() else new
        top, left, height, width = place
        ground = self.map[top : top + height, left : left + width]
        excess = self._costs(new, ground) - self._costs(old, ground)
        taken = cut(self.index.pixels, self.index.stride, old[None], new[None], excess[None], fixed[None])[0]
        return new.where(taken, old)

    def _costs(self, shown: Pieces, ground: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Return what pieces cost that show another class than the map."""
        classes = self.index.classes
        costs = self.index.costs * round(42 * self.settings.fidelity) // 16
        labels = np.where(ground < classes, ground, 2 * classes)
        found = self.index.labels[np.maximum(0, shown.source)]
        same = found % classes == labels
        cost: NDArray[np.int32] = np.where(same & (found < 2 * classes), 0, costs[labels, found])
        return cost

    def _corner(self, row: int, col: int) -> Pieces:
        """Return the square in which four blocks meet, around the first pixel of one, with a pixel of edge."""
        blocks = [(row - self.side, col - self.side), (row - self.side, col), (row, col - self.side), (row, col)]
        key = ("corner", *(self._key(*block) for block in blocks))
        return self.cache.get(key, lambda: self._cut_corner(blocks))

    def _cut_corner(self, blocks: list[tuple[int, int]]) -> Pieces:
        (row, col), side = blocks[-1], 2 * LAP + 2
        top, left = row - LAP - 1, col - LAP - 1
        parts = [self._part_or_none(block, top, left, side, side) for block in blocks]
        shown = Pieces.none(side, side)
        halves = np.s_[: side // 2], np.s_[side // 2 :]
        for part, quarter in zip(parts, product(halves, halves), strict=True):
            shown[quarter] = part[quarter]
        self._frame(shown, blocks)
        fixed = np.full((side, side), OLD, np.uint8)
        fixed[1:-1, 1:-1] = FREE
        for part in parts:
            shown = self._cut(shown, part, (top, left, side, side), fixed)
        return shown

    def _part_or_none(self, block: tuple[int, int], top: int, left: int, height: int, width: int) -> Pieces:
        """Return a block's pixels in a rectangle, which may extend beyond the block, where there are none."""
        whole = self.block(*block)
        found = Pieces.none(height, width)
        row, col = top - block[0] + LAP, left - block[1] + LAP
        side = self.side + 2 * LAP
        rows, cols = slice(max(0, row), min(side, row + height)), slice(max(0, col), min(side, col + width))
        into = slice(rows.start - row, rows.stop - row), slice(cols.start - col, cols.stop - col)
        found[into] = whole[rows, cols]
        return found

    def _frame(self, shown: Pieces, blocks: list[tuple[int, int]]) -> None:
        """Show the ends of the four strips around a corner in its edge of one pixel."""
        above_left, above, beside, own = blocks
        side, last = 2 * LAP + 2, self.side - 2 * LAP - 1
        for target, strip, line in (
            (np.s_[0, 1:-1], self._seam(above_left, above), np.s_[last, :]),
            (np.s_[side - 1, 1:-1], self._seam(beside, own), np.s_[0, :]),
            (np.s_[1:-1, 0], self._seam(above_left, beside), np.s_[:, last]),
            (np.s_[1:-1, side - 1], self._seam(above, own), np.s_[:, 0]),
        ):
            shown[target] = strip[line]

    def _composite(self, row: int, col: int) -> Pieces:
        """Return a block and `RIM` pixels around it, joined with its neighbours."""
        side = self.side
        shown = Pieces.none(side + 2 * RIM, side + 2 * RIM)

        def show(top: int, left: int, part: Pieces) -> None:
            """Show a part that begins at a place of the map, as far as it lies inside."""
            down, across = top - row + RIM, left - col + RIM
            rows = slice(max(0, down), min(len(shown.source), down + len(part.source)))
            cols = slice(max(0, across), min(len(shown.source), across + part.source.shape[1]))
            own = slice(rows.start - down, rows.stop - down), slice(cols.start - across, cols.stop - across)
            shown[rows, cols] = part[own]

        places = [(row + r * side, col + c * side) for r in (-1, 0, 1) for c in (-1, 0, 1)]
        for place in places:
            show(*place, self._part(place, *place, side, side))
        for place in places:
            right, below = (place[0], place[1] + side), (place[0] + side, place[1])
            if place[1] <= col:
                show(place[0] + LAP, right[1] - LAP, self._seam(place, right))
            if place[0] <= row:
                show(below[0] - LAP, place[1] + LAP, self._seam(place, below))
        for place in places:
            if place[0] >= row and place[1] >= col:
                corner = self._corner(*place)
                show(place[0] - LAP, place[1] - LAP, corner[1:-1, 1:-1])
        return shown
