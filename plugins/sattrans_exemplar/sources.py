"""Sources: the training tiles that images are put together from, and an index of the patches in them."""

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from torch import Tensor, nn

from sattrans.model import Batch, TileSpec
from sattrans_exemplar.descriptors import (
    NUMBERS,
    REACH,
    SIDES,
    basis_of,
    box_counts,
    descriptors,
    integral_of,
    mirrored_cells,
    opened,
    shares_around,
)
from sattrans_exemplar.finish import averaged
from sattrans_exemplar.lines import line_patches, long_strips
from sattrans_exemplar.patches import Patches
from sattrans_exemplar.tones import Tones

PIXELS = 2**23
"""Pixels of training tiles that are kept, at most; more are sampled evenly."""

UNKNOWN = 255
"""The class of a pixel without data."""

GRID = {48: 4, 24: 4, 12: 2}
"""Patches begin at multiples of so many pixels of their tile, by side."""

PLACES = {48: 50_000, 24: 75_000, 12: 100_000}
"""The most places of patches in the index, by side; each also has its mirror image."""

PLAIN = 0.15
"""The part that is kept of patches of a single class: they are many, and alike."""

EXAMPLES = 20_000
"""Patches from which the axes of the descriptors are computed, at most."""

BLUR = 2.5
"""Standard deviation in pixels of the blur that turns classes into class shares."""

MOST_WEIGHT = 6.0
"""Largest weight of a class, relative to that of the commonest one: rare classes count more."""

CELL = 12
"""Side in pixels of the cells of source pixels in which it is counted what is shown."""

EVEN = 10.0
"""Grey levels by which the pixels of an area without detail differ from the mean around them, at most."""

THING = 40.0
"""Grey levels by which a pixel in such an area differs at least from the mean around it to be a thing of its own.
Things give repeated patches away."""

EDGE = [(0, 0), (1, 1), (1, 1)]
"""The pixels around each tile, in the axes of tiles, rows and columns."""

SAME_CLASS = 0.4
"""Weight of the difference between a class and its open land, in the weight of the class."""


class Sources(nn.Module):
    """Training tiles, as buffers, and what is derived from them when it is first used.

    Args:
        spec: The tiles that the model is built for.
    """

    images: Tensor
    maps: Tensor
    scenes: Tensor
    bases: Tensor
    units: Tensor
    kept: Tensor

    def __init__(self, spec: TileSpec) -> None:
        super().__init__()
        self.classes, self.size, self.scene_count = spec.classes, spec.size, max(1, len(spec.scenes))
        self.given = spec.tiles
        tiles = max(1, min(spec.tiles, PIXELS // spec.size**2))
        numbers = len(mirrored_cells()) * 2 * spec.classes + 1
        self.register_buffer("images", torch.zeros(tiles, spec.size, spec.size, 3, dtype=torch.uint8))
        self.register_buffer("maps", torch.full((tiles, spec.size, spec.size), UNKNOWN, dtype=torch.uint8))
        self.register_buffer("scenes", torch.zeros(tiles, dtype=torch.long))
        self.register_buffer("bases", torch.zeros(len(SIDES), numbers, NUMBERS, dtype=torch.int32))
        self.register_buffer("units", torch.ones(len(SIDES)))
        self.register_buffer("kept", torch.zeros((), dtype=torch.long))
        self._index: Index | None = None

    def keep(self, tiles: Sequence[Batch]) -> None:
        """Keep training tiles, given as batches of one: as many as there is room for, evenly chosen."""
        count = min(len(tiles), len(self.images))
        for slot in range(count):
            tile = tiles[slot * len(tiles) // count]
            self.images[slot] = ((tile.target[0] + 1) * 127.5).round().clamp(0, 255).byte().permute(1, 2, 0)
            self.maps[slot] = torch.from_numpy(classes_of(tile.source)[0])
            self.scenes[slot] = 0 if tile.scene is None else int(tile.scene[0])
        self.kept.fill_(count)
        self._index = None
        for number, side in enumerate(SIDES):
            basis, unit = basis_of(*self.index.examples(side))
            self.bases[number] = torch.from_numpy(basis)
            self.units[number] = unit
        self._index = None

    def tile_of(self, source: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return the training tile, of all that were given, of source pixels (…); -1 for none."""
        slot = source // (self.size + 2) ** 2
        tile: NDArray[np.int32] = np.where(
            source < 0, -1, slot * (self.given or int(self.kept)) // max(1, int(self.kept))
        ).astype(np.int32)
        return tile

    def _load_from_state_dict(self, *args: object, **options: object) -> None:
        self._index = None
        super()._load_from_state_dict(*args, **options)

    @property
    def index(self) -> "Index":
        """What is derived from the tiles; one for each process."""
        if self._index is None:
            count = max(1, int(self.kept))
            images, maps, scenes = (
                np.ascontiguousarray(each[:count].cpu().numpy()) for each in (self.images, self.maps, self.scenes)
            )
            self._index = Index(images, maps, scenes, self.bases.cpu().numpy(), self.classes, self.scene_count)
        return self._index


def classes_of(source: Tensor) -> NDArray[np.uint8]:
    """Return the classes (N, H, W) of maps with one channel a class; `UNKNOWN` where all channels are 0."""
    known, classes = source.max(dim=1)
    found: NDArray[np.uint8] = torch.where(known > 0.5, classes, UNKNOWN).byte().cpu().numpy()
    return found


class Index:
    """Patches of tiles, and what is needed to choose among them. Source pixels are numbered tile by tile.

    Each tile has an edge of one pixel, which repeats its outermost pixels.

    Args:
        images: The tiles' images, (T, S, S, 3).
        maps: Their maps, (T, S, S): class indices, or `UNKNOWN`.
        scenes: Their scenes, (T,).
        bases: The basis of the descriptors of each side.
        classes: Number of classes.
        scene_count: Number of scenes.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        maps: NDArray[np.uint8],
        scenes: NDArray[np.int64],
        bases: NDArray[np.int32],
        classes: int,
        scene_count: int,
    ) -> None:
        self.maps, self.scenes, self.bases, self.classes, self.scene_count = maps, scenes, bases, classes, scene_count
        self.size: int = maps.shape[-1]
        self.stride: int = self.size + 2
        self.pixels = np.pad(images, [*EDGE, (0, 0)], mode="edge").reshape(-1, 3)
        self.opened = opened(maps, classes)
        self.shares = np.pad(blurred(maps, classes), [*EDGE, (0, 0)], mode="edge").reshape(len(self.pixels), classes)
        self._patches: dict[int, Patches] = {}

    def __deepcopy__(self, memo: object) -> "Index":
        return self  # fixed: a copy of the generator shares it

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """The weight of each class, 1 to `MOST_WEIGHT`, (K,)."""
        counts = np.bincount(self.maps.ravel(), minlength=256)[: self.classes]
        shares = counts / max(1, counts.sum())
        raw = 1 / np.sqrt(shares + 1e-4)
        clipped: NDArray[np.float64] = np.clip(raw / raw[shares.argmax()], 1, MOST_WEIGHT)
        return clipped

    @cached_property
    def costs(self) -> NDArray[np.int32]:
        """What a source pixel of one label costs for another, in 16ths of a weight, (2K + 1, 2K + 1).

        The last label is that of pixels without data, which any pixel may take, but which none should be.
        """
        weights = np.tile(self.weights, 2)
        costs = np.zeros((2 * self.classes + 1, 2 * self.classes + 1))
        costs[:-1, :-1] = (weights[:, None] + weights) / 2
        number = np.arange(self.classes)
        costs[number, number + self.classes] = costs[number + self.classes, number] = SAME_CLASS * self.weights
        np.fill_diagonal(costs, 0)
        costs[:-1, -1] = 2 * MOST_WEIGHT
        return np.rint(costs * 16).astype(np.int32)

    @cached_property
    def tones(self) -> Tones:
        """The colours of each label in each scene."""
        return Tones(self.pixels, self.labels, self.scenes, self.scene_count, 2 * self.classes)

    @property
    def cell_count(self) -> int:
        """Number of cells of source pixels."""
        return math.ceil(len(self.labels) / (self.stride * CELL)) * math.ceil(self.stride / CELL)

    def cell_of(self, source: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return the number of the cell of source pixels."""
        row, col = np.divmod(source.astype(np.int64), self.stride)
        cell: NDArray[np.int64] = row // CELL * -(-self.stride // CELL) + col // CELL
        return cell

    @property
    def labels(self) -> NDArray[np.uint8]:
        """The label of each source pixel, (N,); things in areas without detail, such as ships, have that of no data."""
        return self._areas[0]

    @property
    def even(self) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
        """Which source pixels belong to wide areas without detail, such as water, and the `averaged` colours there."""
        return self._areas[1:]

    @cached_property
    def _areas(self) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.uint8]]:
        labels = labels_of(np.pad(self.opened, EDGE, mode="edge"), self.classes)
        pixels = self.pixels.reshape(*labels.shape, 3)
        even, means = np.zeros(labels.shape, bool), np.zeros_like(pixels)
        for number in range(self.classes, 2 * self.classes):
            mask = labels == number
            if not mask.any():
                continue
            found = averaged(pixels, mask)[mask]
            difference = np.abs(pixels[mask] - found).mean(-1)
            if difference.mean() < EVEN:
                even |= mask
                means[mask] = np.rint(found)
                labels[mask] = np.where(difference > THING, np.uint8(2 * self.classes), labels[mask])
        return labels.ravel(), even.ravel(), means.reshape(-1, 3)

    @cached_property
    def lines(self) -> list[Patches | None]:
        """The patches of each class that show its lines."""
        strips = np.stack([long_strips(map_, self.classes) for map_ in self.maps])
        return [line_patches(strips, self.pixels, self.scenes, number) for number in range(self.classes)]

    def patches(self, side: int) -> Patches:
        """Return the patches of a side."""
        if side not in self._patches:
            self._patches[side] = self._find(side)
        return self._patches[side]

    def examples(self, side: int) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """Return cell shares of some patches of a side, and the weights of the classes."""
        most = -(-EXAMPLES // len(self.maps))
        found = [self._shares(number, side, most)[0] for number in range(len(self.maps))]
        return np.concatenate(found), np.tile(self.weights, 2)

    def _find(self, side: int) -> Patches:
        basis = self.bases[SIDES.index(side)]
        most = -(-PLACES[side] // len(self.maps))
        numbers, corners, turns, scenes = [], [], [], []
        for tile in range(len(self.maps)):
            shares, rows, cols = self._shares(tile, side, most)
            first = tile * self.stride**2 + (rows + 1) * self.stride + cols + 1
            for turn in (1, -1):
                numbers.append(descriptors(shares if turn == 1 else shares[:, mirrored_cells()], basis))
                corners.append((first if turn == 1 else first + side - 1).astype(np.int32))
                turns.append(np.full(len(rows), turn, np.int8))
                scenes.append(np.full(len(rows), self.scenes[tile]))
        own = torch.from_numpy(np.concatenate(numbers))
        return Patches(own, own.square().sum(1), *(np.concatenate(each) for each in (corners, turns, scenes)))

    def _shares(
        self, tile: int, side: int, most: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
        """Return the cell shares of at most so many patches of a tile, and their rows and columns."""
        around = REACH * side
        padded = np.pad(self.opened[tile], around, mode="edge")
        sums = integral_of(padded, 2 * self.classes)
        starts = np.arange(0, self.size - side + 1, GRID[side])
        rows, cols = (grid.ravel() for grid in np.meshgrid(starts, starts, indexing="ij"))
        top, left = rows + around, cols + around
        plain = box_counts(sums, top, left, top + side, left + side).max(1) == side**2
        random = np.random.default_rng([tile, side])
        keep = np.flatnonzero(~plain | (random.random(len(rows)) < PLAIN))
        if not len(keep):
            keep = np.arange(len(rows))
        keep = np.sort(random.permutation(keep)[:most])
        rows, cols = rows[keep], cols[keep]
        return shares_around(sums, rows + around, cols + around, side), rows, cols


def labels_of(maps: NDArray[np.uint8], classes: int) -> NDArray[np.uint8]:
    """Return opened maps with the label 2K for pixels without data."""
    return np.minimum(maps, np.uint8(2 * classes))


def blurred(maps: NDArray[np.uint8], classes: int) -> NDArray[np.uint8]:
    """Return the share of each class around each pixel of maps (…, H, W), in 255ths: (…, H, W, K)."""
    found = np.empty((*maps.shape, classes), np.uint8)
    for number in range(classes):
        mask = (maps == number).astype(np.float32)
        for axis in (-2, -1):
            mask = gaussian_filter1d(mask, BLUR, axis=axis, mode="nearest", truncate=3)
        found[..., number] = np.rint(mask * 255)
    return found
