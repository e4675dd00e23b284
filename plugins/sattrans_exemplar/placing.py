"""Placing: puts the block of an image together from patches of the training tiles, coarse to fine."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from sattrans_exemplar.cuts import FREE, OLD, Pieces, continued, cut
from sattrans_exemplar.descriptors import REACH, SIDES, descriptors, integral_of, opened, shares_around
from sattrans_exemplar.lines import SIDE, WIDE, long_strips, softened
from sattrans_exemplar.patches import Patches
from sattrans_exemplar.sources import CELL, UNKNOWN, Index, blurred, labels_of

CANDIDATES = {48: 64, 24: 48, 12: 48}
"""How many of the nearest patches are looked at, by side."""

STEPS = {48: 32, 24: 16, 12: 8}
"""Pixels from one patch of a block to the next."""

HARD, SOFT = 14, 22
"""Grey levels that a pixel of another class costs, and of other class shares around it, for a class of weight 1 and
a `fidelity` of 1."""

ENOUGH = {48: -1.0, 24: 2.0, 12: 6.0}
"""Patches are left as they are if their pixels cost less than this in the mean."""

COLOR = 1.5
"""Weight of the difference of colours along the edge of a patch."""

SCENE = 1.2
"""Weight of the difference between the colours of the patch's scene and those of the style's."""

TONE = 2.0
"""Weight of the difference between the colours of the patch and those of the style's scene, beyond its spread there."""

THIN = 4.0
"""By how much more a pixel counts that belongs to a line, or to a strip of less than 5 px."""

BROKEN = 3
"""Pixels of lines that show another class, for a patch with a line to be looked for."""

LINES = 64
"""How many such patches are looked at."""

AGAIN = 12.0
"""Grey levels that a source pixel costs for each time that it is shown already."""

CHANCE = 0.5
"""The largest number that chance adds to the cost of a patch, in grey levels."""

NEAR = 200
"""The largest number that chance adds to the squared distance of a patch."""


@dataclass(frozen=True)
class Ground:
    """The map below a block.

    Attributes:
        labels: The label of each pixel, (L, L).
        shares: The class shares around it, (L, L, K).
        known: Which pixels have data, (L, L).
        factors: By how much more each counts, in 16ths, (L, L).
        strips: The class of each pixel of a line; others have the number of classes, (L, L).
        sums: `integral_of` the map with its surroundings.
        around: How far these reach.
    """

    labels: NDArray[np.uint8]
    shares: NDArray[np.uint8]
    known: NDArray[np.bool_]
    factors: NDArray[np.int32]
    strips: NDArray[np.uint8]
    sums: NDArray[np.int32]
    around: int

    @classmethod
    def of(cls, map_: NDArray[np.uint8], margin: int, classes: int) -> "Ground":
        """Return what is known of a map that extends `margin` pixels beyond a block; what has no data is filled in."""
        around = REACH * SIDES[0]
        filled = continued(map_, map_ == UNKNOWN)
        opened_map = opened(filled, classes)
        wide = slice(margin - around, map_.shape[0] - margin + around)
        inner = slice(margin, map_.shape[0] - margin)
        strips = long_strips(filled[wide, wide], classes)[around:-around, around:-around]
        return cls(
            labels_of(opened_map[inner, inner], classes),
            blurred(filled[margin - 8 : map_.shape[0] - margin + 8, margin - 8 : map_.shape[0] - margin + 8], classes)[
                8:-8, 8:-8
            ],
            map_[inner, inner] < classes,
            np.where(opened(filled, classes, WIDE)[inner, inner] < classes, round(16 * THIN), 16).astype(np.int32),
            strips,
            integral_of(opened_map[wide, wide], 2 * classes),
            around,
        )


class Placer:
    """Puts one block together.

    Args:
        index: The patches.
        ground: The map below the block.
        style: The scene of the style; None for none.
        fidelity: How much the map counts, against the picture; 1 is balanced.
        random: Random numbers of the block.
    """

    def __init__(
        self, index: Index, ground: Ground, style: int | None, fidelity: float, random: np.random.Generator
    ) -> None:
        self.index, self.ground, self.style, self.random = index, ground, style, random
        # Within a single scene, what is unusual belongs to it, too, such as a blue roof.
        self.tone = None if style is None or index.scene_count == 1 else index.tones.of(style)
        self.side = len(ground.labels)
        self.hard = np.rint(index.costs * (HARD * fidelity * 3 / 16)).astype(np.int32)
        self.soft = np.rint(index.weights * (SOFT * fidelity * 3 * 128 / 255)).astype(np.int32)
        self.shown = Pieces.none(self.side, self.side)

    def place(self) -> Pieces:
        """Return the block; it has no sources where none of the map below is known."""
        if self.ground.known.any():
            for side in SIDES:
                self._level(side)
            self._lines()
        return self.shown

    def costs(self, source: NDArray[np.int32], where: tuple[NDArray[np.int64], NDArray[np.int64]]) -> NDArray[np.int32]:
        """Return what source pixels cost at places of the block, in grey levels of the three channels."""
        index, ground = self.index, self.ground
        hard = self.hard[ground.labels[where], index.labels[source]]
        differences = np.abs(index.shares[source].astype(np.int16) - ground.shares[where])
        soft: NDArray[np.int32] = (differences.astype(np.int32) @ self.soft) // 256
        cost: NDArray[np.int32] = (hard + soft) * ground.factors[where] // 16
        return cost

    def _level(self, side: int) -> None:
        places = self._places(side)
        if not len(places):
            return
        patches = self.index.patches(side)
        self._mend(side, places, patches, self._candidates(side, places))

    def _lines(self) -> None:
        """Mend lines that are broken, by patches in which lines run likewise."""
        ground, side = self.ground, SIDE
        found = self.index.labels[np.maximum(0, self.shown.source)] % self.index.classes
        broken = ground.known & (ground.strips < self.index.classes) & (found != ground.strips)
        starts = np.minimum(np.arange(0, self.side - side + STEPS[side], STEPS[side]), self.side - side)
        for number, patches in enumerate(self.index.lines):
            if patches is None:
                continue
            counts = sliding_window_view(broken & (ground.strips == number), (side, side))[starts][:, starts]
            places = starts[np.argwhere(counts.sum((-2, -1)) >= BROKEN)]
            if not len(places):
                continue
            windows = sliding_window_view(softened(ground.strips == number), (side, side))
            asked = windows[tuple(places.T)].reshape(len(places), side**2)
            self._mend(side, places, patches, self._nearest(patches, asked, LINES))

    def _mend(self, side: int, places: NDArray[np.int64], patches: Patches, found: NDArray[np.int64]) -> None:
        """Cut the best of the patches found for each place into the block."""
        used = self._used()
        for group in _apart(places, STEPS[side]):
            rows, cols = places[group].T
            chosen = self._choose(side, rows, cols, patches, found[group], used)
            self._put(side, rows, cols, patches.corner[chosen], patches.turn[chosen])

    def _places(self, side: int) -> NDArray[np.int64]:
        """Return the places (n, 2) of the patches that are to be placed."""
        starts = np.minimum(np.arange(0, self.side - side + STEPS[side], STEPS[side]), self.side - side)
        grids = np.meshgrid(starts, starts, indexing="ij")
        places: NDArray[np.int64] = np.stack([grid.ravel() for grid in grids], -1)
        known = np.array([self.ground.known[r : r + side, c : c + side].any() for r, c in places])
        places = places[known]
        if ENOUGH[side] < 0 or not len(places):
            return places
        cost = np.zeros((self.side + 1, self.side + 1))
        rows, cols = np.indices((self.side, self.side))
        own = np.where(self.ground.known, self.costs(np.maximum(0, self.shown.source), (rows, cols)), 0)
        cost[1:, 1:] = own.cumsum(0).cumsum(1)
        top, left = places.T
        sums = cost[top + side, left + side] - cost[top, left + side] - cost[top + side, left] + cost[top, left]
        poor: NDArray[np.int64] = places[sums / (3 * side**2) >= ENOUGH[side]]
        return poor

    def _candidates(self, side: int, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the numbers of the patches that are most like the map at places: half of them of the style's scene."""
        patches, ground = self.index.patches(side), self.ground
        shares = shares_around(ground.sums, places[:, 0] + ground.around, places[:, 1] + ground.around, side)
        asked = descriptors(shares, self.index.bases[SIDES.index(side)])
        return self._nearest(patches, asked, CANDIDATES[side])

    def _nearest(self, patches: Patches, asked: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        """Return the patches that are most like others, half of them of the style's scene."""
        chance = self.random.integers(0, NEAR, len(patches.corner)).astype(np.float32)
        all_of_them = np.arange(len(patches.corner))
        own = np.flatnonzero(patches.scene == self.style)
        if not len(own) or len(own) == len(all_of_them):
            return patches.nearest(asked, count, chance, all_of_them)
        halves = [patches.nearest(asked, count // 2, chance, some) for some in (own, all_of_them)]
        return np.concatenate(halves, axis=1)

    def _used(self) -> NDArray[np.int32]:
        """Return how often each pixel of a cell of the sources is shown, in the mean, in 16ths."""
        shown = self.shown.source[self.shown.source >= 0]
        cells = np.bincount(self.index.cell_of(shown), minlength=self.index.cell_count).astype(np.int32)
        counts: NDArray[np.int32] = cells * 16 // CELL**2
        return counts

    def _choose(
        self,
        side: int,
        rows: NDArray[np.int64],
        cols: NDArray[np.int64],
        patches: Patches,
        found: NDArray[np.int64],
        used: NDArray[np.int32],
    ) -> NDArray[np.int64]:
        """Return the best of the patches found for each place."""
        index = self.index
        corner, turn = patches.corner[found], patches.turn[found].astype(np.int32)
        fine = np.arange(side // 2) * 2
        down, across = (grid.ravel() for grid in np.meshgrid(fine, fine, indexing="ij"))
        source = corner[..., None] + down * index.stride + turn[..., None] * across
        where = (rows[:, None] + down)[:, None], (cols[:, None] + across)[:, None]
        cost = self.costs(source, where).mean(-1) / 3
        cost += COLOR * self._edge_difference(side, rows, cols, corner, turn)
        cost += self._strangeness(source, where, patches.scene[found])
        cost += self.random.random(cost.shape) * CHANCE
        coarse = np.arange(CELL // 2, side, CELL)
        down, across = (grid.ravel() for grid in np.meshgrid(coarse, coarse, indexing="ij"))
        cells = self.index.cell_of(corner[..., None] + down * index.stride + turn[..., None] * across)
        chosen = np.empty(len(rows), np.int64)
        for number in range(len(rows)):
            best = int((cost[number] + AGAIN / 16 * used[cells[number]].mean(-1)).argmin())
            chosen[number] = found[number, best]
            used[cells[number, best]] += 16
        return chosen

    def _strangeness(
        self,
        source: NDArray[np.int32],
        where: tuple[NDArray[np.int64], NDArray[np.int64]],
        scene: NDArray[np.int64],
    ) -> NDArray[np.float64] | float:
        """Return how much patches differ from the style, (n, candidates), weighted, in grey levels."""
        if self.tone is None:
            return 0.0
        labels = np.arange(len(self.tone.spread))
        masks = (self.ground.labels[where][:, 0, :, None] == labels).astype(np.float32)
        counts = masks.sum(1)[:, None]
        # Whole numbers below 2**24, so that their sums are exact.
        sums = self.index.pixels[source].astype(np.float32).swapaxes(-1, -2) @ masks[:, None]
        colors = sums.swapaxes(-1, -2) / np.maximum(1, counts)[..., None]
        beyond = np.maximum(0, np.abs(colors - self.tone.colors).mean(-1) - self.tone.spread)
        each = TONE * beyond + SCENE * self.tone.foreign[scene]
        strangeness: NDArray[np.float64] = (each * counts).sum(-1) / source.shape[-1]
        return strangeness

    def _edge_difference(
        self,
        side: int,
        rows: NDArray[np.int64],
        cols: NDArray[np.int64],
        corner: NDArray[np.int32],
        turn: NDArray[np.int32],
    ) -> NDArray[np.float64]:
        """Return the mean difference of colours from what is shown along the edges of patches, (n, candidates)."""
        index, width = self.index, side // 6
        fine = np.arange(0, side, 2)
        down, across = (grid.ravel() for grid in np.meshgrid(fine, fine, indexing="ij"))
        edge = (np.minimum(down, across) < width) | (np.maximum(down, across) >= side - width)
        down, across = down[edge], across[edge]
        shown = self.shown.source[rows[:, None] + down, cols[:, None] + across][:, None]
        source = corner[..., None] + down * index.stride + turn[..., None] * across
        colors = index.pixels[source].astype(np.int16) - index.pixels[np.maximum(0, shown)]
        difference = np.where(shown >= 0, np.abs(colors).sum(-1, dtype=np.int32), 0).sum(-1)
        mean: NDArray[np.float64] = difference / (3 * np.maximum(1, (shown >= 0).sum(-1)))
        return mean

    def _put(
        self,
        side: int,
        rows: NDArray[np.int64],
        cols: NDArray[np.int64],
        corner: NDArray[np.int32],
        turn: NDArray[np.int8],
    ) -> None:
        """Cut patches into the block, where they mend it."""
        index, last = self.index, self.side - 1
        reach = np.arange(-1, side + 1)
        down, across = np.meshgrid(reach, reach, indexing="ij")
        top, left = rows[:, None, None] + down, cols[:, None, None] + across
        inside = (down >= 0) & (down < side) & (across >= 0) & (across < side)
        where = np.clip(top, 0, last), np.clip(left, 0, last)
        turns = np.broadcast_to(turn[:, None, None], top.shape)
        source = corner[:, None, None] + down * index.stride + turns.astype(np.int32) * across
        new = Pieces(np.clip(source, 0, len(index.pixels) - 1).astype(np.int32), turns)
        beyond = (top != where[0]) | (left != where[1])
        old = Pieces(np.where(beyond, -1, self.shown.source[where]), self.shown.turn[where])
        excess = self.costs(new.source, where) - self.costs(np.maximum(0, old.source), where)
        excess = np.where(self.ground.known[where], excess, 0)
        taken = cut(index.pixels, index.stride, old, new, excess, np.where(inside, FREE, OLD).astype(np.uint8)) & inside
        into = where[0][taken], where[1][taken]
        self.shown[into] = new[taken]


def _apart(places: NDArray[np.int64], step: int) -> Iterator[NDArray[np.int64]]:
    """Yield the numbers of places in four groups, in each of which patches do not touch."""
    row, col = (-(-places // step) % 2).T
    for group in range(4):
        numbers = np.flatnonzero(row * 2 + col == group)
        if len(numbers):
            yield numbers


def unlike(index: Index, map_: NDArray[np.uint8]) -> float:
    """Return the mean squared distance of a map's coarsest patches from the nearest ones of the index."""
    side, around = SIDES[0], REACH * SIDES[0]
    padded = np.pad(map_, around, mode="edge")
    sums = integral_of(opened(continued(padded, padded == UNKNOWN), index.classes), 2 * index.classes)
    starts = np.arange(0, len(map_) - side + 1, STEPS[side]) + around
    rows, cols = (grid.ravel() for grid in np.meshgrid(starts, starts, indexing="ij"))
    asked = descriptors(shares_around(sums, rows, cols, side), index.bases[0])
    patches = index.patches(side)
    every = np.arange(len(patches.corner))
    nearest = patches.nearest(asked, 1, np.zeros(len(every), np.float32), every)[:, 0]
    return float(np.square(asked - patches.descriptors.numpy()[nearest]).sum(1).mean())
