"""Patches: where they lie on a map and which pixels each covers, by position in the map alone.

So every window of a map has the same patches, on every machine.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

DOT = 2
"""Side in pixels of a dot of a sketch."""

CELL = 4
"""Side in pixels of the cells by which maps are compared and patches are laid out."""

PATCH = 9
"""Cells from one patch to the next, in the mean."""

BLOCK = 5
"""Patches from one block to the next: those of a block come from the same tile, if its places are alike enough."""

FADE = 2
"""Dots on either side of where two patches meet, in which one gives way to the other."""

FAR = PATCH * BLOCK * 2**24
"""Added to the rows and columns of cells, so that none is negative left of and above the origin of the CRS."""

_FACTORS = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D)


class Patches(NamedTuple):
    """The patches of a window: one at a random place in each square of a fixed grid.

    Attributes:
        numbers: The numbers of each dot's nearest two patches (2, h * CELL / DOT, w * CELL / DOT).
        nearer: The share of the nearest one in each dot, 0.5 to 1.
        points: The cells in the window where the patches have their points (P, 2).
        keys: Random keys of the patches (P,).
        blocks: Random keys of their blocks (P,).
        within: The points' cells in their blocks (P, 2).
    """

    numbers: Tensor
    nearer: Tensor
    points: Tensor
    keys: Tensor
    blocks: Tensor
    within: Tensor


def patches_of(seed: int, row: int, col: int, side: Sequence[int], device: torch.device) -> Patches:
    """Place the patches on a window of `side` cells whose first one lies at (row, col)."""
    start = (row + FAR, col + FAR)
    first = [at // PATCH - 1 for at in start]
    last = [(at + length - 1) // PATCH + 1 for at, length in zip(start, side, strict=True)]
    squares = [torch.arange(a, b + 1, device=device) for a, b in zip(first, last, strict=True)]
    rows, cols = (grid.flatten() for grid in torch.meshgrid(*squares, indexing="ij"))
    keys = mix(seed, rows, cols)
    blocks = mix(seed + 1, rows // BLOCK, cols // BLOCK)
    points = [
        at * PATCH + (unit(keys, salt) * PATCH).long() - begin
        for at, salt, begin in ((rows, 1, start[0]), (cols, 2, start[1]))
    ]
    corner = [at // BLOCK * BLOCK * PATCH for at in (rows, cols)]
    ratio = CELL // DOT
    dots = [torch.arange(length * ratio, device=device) for length in side]
    own = [(dot // ratio + begin) // PATCH - square for dot, begin, square in zip(dots, start, first, strict=True)]
    distances, numbers = (torch.full((2, *(len(dot) for dot in dots)), of, device=device) for of in (1 << 30, 0))
    for down in (-1, 0, 1):
        for across in (-1, 0, 1):
            there = (own[0] + down)[:, None] * len(squares[1]) + (own[1] + across)[None, :]
            down_to, across_to = (at[there] * ratio for at in points)
            distance = (down_to - dots[0][:, None]).square() + (across_to - dots[1]).square()
            first_one, second = distance < distances[0], distance < distances[1]
            numbers[1] = torch.where(first_one, numbers[0], torch.where(second, there, numbers[1]))
            distances[1] = torch.where(first_one, distances[0], torch.where(second, distance, distances[1]))
            numbers[0] = torch.where(first_one, there, numbers[0])
            distances[0] = torch.where(first_one, distance, distances[0])
    apart = torch.stack([at[numbers[1]] - at[numbers[0]] for at in points]).float().norm(dim=0) * ratio
    # How far a dot lies from the line where the two patches meet.
    depth = (distances[1] - distances[0]).float() / (2 * apart).clamp(min=1)
    share = (0.5 + depth / (2 * FADE)).clamp(max=1)
    within = [at + begin - edge for at, begin, edge in zip(points, start, corner, strict=True)]
    return Patches(numbers, share, torch.stack(points, 1), keys, blocks, torch.stack(within, 1))


def taken(numbers: Tensor, points: Tensor, tile: Tensor, place: Tensor, side: Sequence[int]) -> Tensor:
    """Return which cell or dot of the kept tiles each one of the map is taken from, counted through all tiles.

    Args:
        numbers: The number of each one's patch (h, w).
        points: Where each patch has its point in the map (P, 2).
        tile: The tile of each patch (P,).
        place: Where in that tile the point lies (P, 2).
        side: Rows and columns of a tile.
    """
    offset = place - points
    at = [torch.arange(length, device=numbers.device) for length in numbers.shape]
    row = _mirrored(at[0][:, None] + offset[:, 0][numbers], side[0])
    col = _mirrored(at[1][None, :] + offset[:, 1][numbers], side[1])
    return (tile[numbers] * side[0] + row) * side[1] + col


def _mirrored(cells: Tensor, side: int) -> Tensor:
    """Return cells beyond a tile's edge mirrored into it."""
    cells = cells.abs()
    return torch.where(cells >= side, 2 * side - 2 - cells, cells).clamp(0, side - 1)


def mix(seed: int, one: Tensor, two: Tensor) -> Tensor:
    """Mix a seed and two integers into 32 bits, as int64."""
    mixed = (one * _FACTORS[0] + two * _FACTORS[1] + (seed * _FACTORS[2] & 0xFFFFFFFF)) & 0xFFFFFFFF
    for factor in (0x7FEB352D, 0x045D9F3B):
        mixed = ((mixed ^ (mixed >> 15)) * factor) & 0xFFFFFFFF
    return mixed ^ (mixed >> 16)


def unit(key: Tensor, salt: int) -> Tensor:
    """Return a number in [0, 1) for each key, float32."""
    return mix(salt, key, key >> 7).float() / 2**32
