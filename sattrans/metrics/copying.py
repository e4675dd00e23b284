"""Copying: which parts of an image are pieces of training tiles, pixel for pixel, whatever their brightness.

A window of 7×7 px is a copy if its difference from a training tile is nearly constant: the variance of the difference
is at most a tenth of that of the tile's window, plus `ROUNDING`. A *piece* is what connected windows cover that are
copies at the same displacement from the same tile, or from its mirror image.

To find displacements, blocks of 8×8 px at every place of the image are looked up among those of the tiles on a grid of
4 px, by the signs of random projections of their low frequencies, which brightness and contrast leave as they are
(Charikar: Similarity Estimation Techniques from Rounding Algorithms, STOC 2002).
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, label
from torch import Tensor
from torch.nn import functional as F

Ints = NDArray[np.int32]
Floats = NDArray[np.float32]

BLOCK = 8
"""Side in pixels of the blocks that are looked up."""

GRIDS = (4, 8)
"""Pixels from one block of a training tile to the next: the first of which all tiles' blocks can be kept."""

MOST_BLOCKS = 1 << 23
"""Blocks that are kept, at most: those of 2,048 tiles of 512 px on a grid of 8 px."""

FREQUENCIES = tuple((v, u) for v in range(BLOCK) for u in range(BLOCK) if 0 < u + v <= 4)
"""The vertical and horizontal frequencies of a block's discrete cosine transform by which it is looked up."""

TABLES, MOST_BITS = 2, 30
"""Keys of a block, and the bits of a key at most."""

CANDIDATES = 32
"""Blocks of one key that are compared, at most."""

KEPT = 8
"""Blocks of tiles that are compared pixel by pixel with one of the image, at most: those whose displacement is most
frequent. A repeated texture is like hundreds of places."""

AT_ONCE = 1 << 15
"""Blocks that are looked up at once."""

HITS_AT_ONCE = 1 << 12
"""Pairs of blocks whose pixels are compared at once: they stay in the processor's cache, and there may be millions."""

LEAST_DEVIATION = 1.0
"""Standard deviation in grey levels of a block that is looked up, at least: a flat one could be from anywhere."""

ALIKE = 0.97
"""Least cosine of the frequencies of two blocks that are compared pixel by pixel."""

WINDOW = 7
"""Side in pixels of the windows that are compared."""

TOLERANCE, ROUNDING = 0.1, 0.5
"""Variance of the difference of two windows that are copies, at most: in parts of the tile's, and in grey levels²."""

REACH = 32
"""Pixels around the blocks that were found in which a piece may extend."""


@dataclass(frozen=True, slots=True)
class Copies:
    """What of an image is copied.

    Attributes:
        area: The size in pixels of the piece that each pixel belongs to, the largest of several, (H, W); 0 for none.
        tile: The training tile of that piece, (H, W); -1 for none.
        row: The row of the pixel in that tile, (H, W).
        col: The column of the pixel in that tile, (H, W).
    """

    area: Ints
    tile: Ints
    row: Ints
    col: Ints

    @classmethod
    def none(cls, height: int, width: int) -> "Copies":
        """Return those of an image of which nothing is copied."""
        nowhere = np.full((3, height, width), -1, np.int32)
        return cls(np.zeros((height, width), np.int32), *nowhere)


@dataclass(frozen=True, slots=True)
class Blocks:
    """Blocks of training tiles that are not flat.

    Attributes:
        tile: The number of each one's tile, (N,) int32.
        place: Its row and column in that tile, (N, 2) int16.
        vector: Its frequencies, as a unit vector in 127ths, (N, K) int8.
    """

    tile: Ints
    place: NDArray[np.int16]
    vector: NDArray[np.int8]

    @classmethod
    def of(cls, image: Tensor, number: int, grid: int) -> "Blocks":
        """Return the blocks of a tile (3, S, S) at every `grid` pixels."""
        vectors, textured = _frequencies(image, grid)
        place = (torch.nonzero(textured) * grid).to(torch.int16).cpu().numpy()
        vector = (vectors[textured] * 127).round().to(torch.int8).cpu().numpy()
        return cls(np.full(len(place), number, np.int32), place, vector)

    @classmethod
    def joined(cls, parts: Sequence["Blocks"]) -> "Blocks":
        """Return the blocks of several tiles."""
        named = ([getattr(part, name) for part in parts] for name in ("tile", "place", "vector"))
        return cls(*(np.concatenate(each) for each in named))


def room_for(tiles: int, size: int) -> tuple[int, int]:
    """Return of how many tiles of `size` pixels all blocks can be kept, at most `tiles`, and on which of `GRIDS`."""
    for grid in GRIDS:
        each = ((size - BLOCK) // grid + 1) ** 2
        if tiles * each <= MOST_BLOCKS:
            return tiles, grid
    return MOST_BLOCKS // each, grid


def _waves() -> tuple[Tensor, Tensor, Tensor]:
    """Return the waves of the frequencies (K, 1, 8, 8), their gains (K,), and what mirroring multiplies them by."""
    angle = (np.arange(BLOCK) + 0.5) * np.pi / BLOCK
    v, u = np.array(FREQUENCIES, np.float64).T
    waves = np.cos(v[:, None] * angle)[:, :, None] * np.cos(u[:, None] * angle)[:, None, :]
    waves /= np.sqrt((waves**2).sum((1, 2), keepdims=True))
    gains = np.hypot(u, v)  # with them, natural images have about as much of each frequency
    of_each = (torch.from_numpy(each.astype(np.float32)) for each in (waves[:, None], gains, (-1.0) ** u))
    shapes, gain, mirror = of_each
    return shapes, gain, mirror


_WAVES, _GAINS, _MIRROR = _waves()
_PROJECTIONS = torch.randn(TABLES, len(FREQUENCIES), MOST_BITS, generator=torch.Generator().manual_seed(0))


def _frequencies(image: Tensor, step: int = 1) -> tuple[Tensor, Tensor]:
    """Return the frequencies of the blocks of an image (3, H, W) at every `step` pixels.

    Returns:
        Unit vectors (h, w, K), and which blocks are not flat, (h, w).
    """
    grey = image.float().mean(0) - 127.5
    found = F.conv2d(grey[None, None], _WAVES.to(grey.device), stride=step)[0]
    textured = found.square().sum(0).sqrt() >= BLOCK * LEAST_DEVIATION
    scaled = found * _GAINS.to(grey.device)[:, None, None]
    return F.normalize(scaled.permute(1, 2, 0), dim=-1), textured


class CopyFinder:
    """Finds pieces of training tiles in images.

    Args:
        blocks: The tiles' blocks.
        read: Reads a tile by its number, (3, S, S) uint8.
        shape: The number of tiles, and S.
    """

    def __init__(self, blocks: Blocks, read: Callable[[int], Tensor], shape: tuple[int, int]) -> None:
        self._blocks, self._read, self.shape = blocks, read, shape
        self._bits = min(MOST_BITS, math.ceil(math.log2(len(blocks.tile) + 1)) + 6)
        self._tables: list[tuple[Ints, Ints]] = []
        for table in range(TABLES):
            parts = torch.from_numpy(blocks.vector).split(AT_ONCE)
            keys = np.concatenate([self._keys(part.float(), table) for part in parts])
            order = np.argsort(keys, kind="stable").astype(np.int32)
            self._tables.append((keys[order], order))

    def _keys(self, vectors: Tensor, table: int) -> Ints:
        """Return the keys of unit vectors (N, K)."""
        signs = vectors @ _PROJECTIONS[table, :, : self._bits] > 0
        keys: Ints = (signs.double() @ 2.0 ** torch.arange(self._bits, dtype=torch.float64)).int().numpy()
        return keys

    def __call__(self, image: Tensor) -> Copies:
        """Return what of an image (3, H, W) uint8 is copied."""
        copies = Copies.none(*image.shape[-2:])
        if not len(self._blocks.tile) or min(image.shape[-2:]) < BLOCK:
            return copies
        image = image.cpu()
        shown = image.numpy().astype(np.float32)
        hits = self._hits(image)
        hits = hits[_same_blocks(shown, hits, self._read)]
        for displacement, rows, cols in _by_displacement(hits):
            # Displacements with more hits came first: what they explain needs no other.
            unknown = copies.area[rows + BLOCK // 2, cols + BLOCK // 2] == 0
            if unknown.any():
                tile = self._read(displacement.tile).cpu().numpy()
                _grow(copies, shown, tile, displacement, rows[unknown], cols[unknown])
        return copies

    def _hits(self, image: Tensor) -> Ints:
        """Return blocks of the image that are like blocks of tiles: rows of displacement (4), row and column, in order.

        Of each block, the `KEPT` whose displacement is most frequent.
        """
        vectors, textured = _frequencies(image)
        places, own = torch.nonzero(textured).int().numpy(), vectors[textured]
        found = [np.empty((0, 6), np.int32)]
        for start in range(0, len(own), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            for mirrored in (False, True):
                asked = own[part] * _MIRROR if mirrored else own[part]
                for table in range(TABLES):
                    query, block = self._alike(asked, table)
                    found.append(self._displaced(places[part][query], block, mirrored))
        return _most_frequent(np.concatenate(found))

    def _alike(self, asked: Tensor, table: int) -> tuple[NDArray[np.int64], Ints]:
        """Return pairs of the blocks that are asked for and the tiles' blocks like them, by number."""
        keys, order = self._tables[table]
        own = self._keys(asked, table)
        first = np.searchsorted(keys, own)
        count = np.minimum(np.searchsorted(keys, own, side="right") - first, CANDIDATES)
        query = np.repeat(np.arange(len(own)), count)
        block = order[np.repeat(first - np.cumsum(count) + count, count) + np.arange(len(query))]
        both = asked.numpy()[query], self._blocks.vector[block].astype(np.float32)
        alike = (both[0] * both[1]).sum(1) >= 127 * ALIKE
        return query[alike], block[alike]

    def _displaced(self, places: Ints, block: Ints, mirrored: bool) -> Ints:
        """Return the hits of blocks at places (N, 2) and of the tiles' blocks that are like them."""
        rows, cols = places.T
        row, col = self._blocks.place[block].T.astype(np.int32)
        across = col + BLOCK - 1 + cols if mirrored else col - cols
        return np.stack([self._blocks.tile[block], np.full_like(rows, mirrored), row - rows, across, rows, cols], 1)


def _most_frequent(hits: Ints) -> Ints:
    """Return for each block of the image the `KEPT` hits whose displacement most hits have; sorted, each once."""
    hits = hits[np.lexsort(hits.T[::-1])]
    changes = np.diff(hits, axis=0, prepend=-1) != 0
    once = changes.any(1)
    hits, starts = hits[once], np.cumsum(changes[:, :4].any(1))[once]
    frequency = np.bincount(starts)[starts]
    by_place = np.lexsort((-frequency, *hits.T[:3:-1]))
    place = hits[by_place, 4:]
    first = np.flatnonzero((np.diff(place, axis=0, prepend=-1) != 0).any(1))
    rank = np.arange(len(hits)) - np.repeat(first, np.diff(first, append=len(hits)))
    return hits[np.sort(by_place[rank < KEPT])]


@dataclass(frozen=True, slots=True)
class _Displacement:
    """Pixel (y, x) of an image is (y + down, x + across) of a tile; (y + down, across - x) if that is mirrored."""

    tile: int
    mirrored: bool
    down: int
    across: int


def _by_displacement(hits: Ints) -> Iterator[tuple[_Displacement, Ints, Ints]]:
    """Yield displacements with the rows and columns of the blocks that have them; those of most blocks first."""
    if not len(hits):
        return
    changes = np.flatnonzero((np.diff(hits[:, :4], axis=0) != 0).any(1)) + 1
    groups = np.split(hits, changes)
    for group in sorted(groups, key=len, reverse=True):
        tile, mirrored, down, across = group[0, :4].tolist()
        yield _Displacement(tile, bool(mirrored), down, across), group[:, 4], group[:, 5]


def _same_blocks(shown: Floats, hits: Ints, read: Callable[[int], Tensor]) -> NDArray[np.bool_]:
    """Return which hits are blocks whose difference is nearly constant, (N,)."""
    same = np.zeros(len(hits), bool)
    steps = np.arange(BLOCK)
    bounds = np.flatnonzero(np.diff(hits[:, 0], prepend=-1, append=-1))  # where another tile begins
    for first, last in itertools.pairwise(bounds):
        tile = read(int(hits[first, 0])).cpu().numpy()
        for start in range(first, last, HITS_AT_ONCE):
            part = slice(start, min(last, start + HITS_AT_ONCE))
            _, mirrored, down, across, row, col = hits[part].T[..., np.newaxis]
            rows, cols = row + steps, col + steps
            own = shown[:, rows[:, :, None], cols[:, None, :]]
            source_cols = np.where(mirrored, across - cols, cols + across)
            source = tile[:, (rows + down)[:, :, None], source_cols[:, None, :]].astype(np.float32)
            differs, varies = (each.var((-2, -1)).mean(0) for each in (own - source, source))
            same[part] = differs <= TOLERANCE * varies + ROUNDING
    return same


def _grow(copies: Copies, shown: Floats, tile: NDArray[np.uint8], by: _Displacement, rows: Ints, cols: Ints) -> None:
    """Add the pieces at a displacement that contain some blocks, where no larger piece is known.

    Args:
        copies: What is known.
        shown: The image, (3, H, W).
        tile: The tile, (3, S, S).
        by: The displacement.
        rows: The first row of each block.
        cols: The first column of each block.
    """
    height, width = shown.shape[-2:]
    side = tile.shape[-1]
    first, last = (by.across - side + 1, by.across + 1) if by.mirrored else (-by.across, side - by.across)
    top, bottom = max(0, -by.down, rows.min() - REACH), min(height, side - by.down, rows.max() + BLOCK + REACH)
    left, right = max(0, first, cols.min() - REACH), min(width, last, cols.max() + BLOCK + REACH)
    source_cols = by.across - np.arange(left, right) if by.mirrored else np.arange(left, right) + by.across
    source = tile[:, top + by.down : bottom + by.down, source_cols]
    labels, _ = label(_same_windows(shown[:, top:bottom, left:right], source.astype(np.float32)))
    margin = WINDOW // 2
    centres = ((each + BLOCK // 2 - start - margin) for each, start in ((rows, top), (cols, left)))
    inside = tuple(each.clip(0, most - 1) for each, most in zip(centres, labels.shape, strict=True))
    for number in np.unique(labels[inside]):
        if number:
            piece = binary_dilation(np.pad(labels == number, margin), np.ones((WINDOW, WINDOW), bool))
            y, x = np.nonzero(piece)
            area, y, x = len(y), y + top, x + left
            larger = area > copies.area[y, x]
            y, x = y[larger], x[larger]
            copies.area[y, x], copies.tile[y, x] = area, by.tile
            copies.row[y, x], copies.col[y, x] = y + by.down, by.across - x if by.mirrored else x + by.across


def _same_windows(shown: Floats, source: Floats) -> NDArray[np.bool_]:
    """Return which windows of images (3, H, W) differ by nearly a constant, by their first pixel, (H - 6, W - 6)."""
    differs, varies = (_variances(each) for each in (shown - source, source))
    same: NDArray[np.bool_] = differs <= TOLERANCE * varies + ROUNDING
    return same


def _variances(image: Floats) -> NDArray[np.float64]:
    """Return the variance of each window of an image (3, H, W), mean of the channels, (H - 6, W - 6)."""
    means = []
    for power in (image, image**2):
        sums = np.pad(power.cumsum(-1, np.float64).cumsum(-2), [(0, 0), (1, 0), (1, 0)])
        below, above = sums[:, WINDOW:], sums[:, :-WINDOW]
        means.append(below[..., WINDOW:] - below[..., :-WINDOW] - above[..., WINDOW:] + above[..., :-WINDOW])
    count = WINDOW**2
    variance: NDArray[np.float64] = (means[1] / count - (means[0] / count) ** 2).mean(0)
    return variance
