"""Lines: patches across which a road or a river runs, found by where exactly it runs.

The shares of cells that describe other patches tell that there is a road, not where to the pixel.
"""

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.ndimage import correlate1d, find_objects, label

from sattrans_exemplar.descriptors import integral_of, opened
from sattrans_exemplar.patches import Patches

WIDE = 2
"""Strips of a class are thin that hold no square of 2 * `WIDE` + 1 px."""

SIDE = 12
"""Side in pixels of these patches."""

FEWEST = 6
"""Pixels of a line that a patch shows, at least."""

LONG = 16
"""Pixels that a line is long, at least, along one side of the map."""

PLACES = 15_000
"""The most places of these patches in the index, for each class; each also has its mirror image."""


def long_strips(map_: NDArray[np.uint8], classes: int) -> NDArray[np.uint8]:
    """Return the classes of the long thin strips of a map (H, W), and `classes` elsewhere."""
    strips = opened(map_, classes, WIDE)
    found = np.full_like(map_, classes)
    for number in range(classes):
        parts, _ = label(strips == number, np.ones((3, 3), bool))
        long = [max(side.stop - side.start for side in box) >= LONG for box in find_objects(parts)]
        found[np.array([False, *long])[parts]] = number
    return found


def softened(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return a mask (…, H, W) blurred a little, whole numbers from 0 to 16: lines may be off by a pixel."""
    found = mask.astype(np.float32)
    for axis in (-2, -1):
        found = correlate1d(found, [1, 2, 1], axis=axis, mode="nearest")
    return found


def line_patches(
    strips: NDArray[np.uint8], pixels: NDArray[np.uint8], scenes: NDArray[np.int64], number: int
) -> Patches | None:
    """Return the patches that show lines of a class, described by them; None if there are none.

    Of those of a tile, that half is left out in which the line differs least from what is around it: maps have lines
    that cannot be seen, or lie beside what is seen.

    Args:
        strips: The `long_strips` of the tiles, (T, S, S).
        pixels: The colours of all source pixels, (N, 3).
        scenes: Their scenes, (T,).
        number: The class.
    """
    most = -(-PLACES // len(strips))
    stride = strips.shape[-1] + 2
    shapes, corners, turns, owners = [], [], [], []
    for tile, classes in enumerate(strips):
        mask = classes == number
        if not mask.any():
            continue
        sums = integral_of((~mask).astype(np.uint8), 1)[..., 0]
        counts = sums[SIDE:, SIDE:] - sums[:-SIDE, SIDE:] - sums[SIDE:, :-SIDE] + sums[:-SIDE, :-SIDE]
        rows, cols = np.nonzero(counts >= FEWEST)
        keep = np.sort(np.random.default_rng([tile, number]).permutation(len(rows))[: 2 * most])
        rows, cols = rows[keep], cols[keep]
        contrast = _contrasts(pixels.reshape(-1, stride, stride, 3)[tile, 1:-1, 1:-1], mask, rows, cols)
        seen = contrast >= np.median(contrast)
        rows, cols = rows[seen], cols[seen]
        windows = sliding_window_view(softened(mask), (SIDE, SIDE))[rows, cols]
        first = tile * stride**2 + (rows + 1) * stride + cols + 1
        for turn in (1, -1):
            shapes.append(windows[..., ::turn].reshape(len(rows), SIDE**2))
            corners.append((first if turn == 1 else first + SIDE - 1).astype(np.int32))
            turns.append(np.full(len(rows), turn, np.int8))
            owners.append(np.full(len(rows), scenes[tile]))
    if not shapes:
        return None
    own = torch.from_numpy(np.concatenate(shapes))
    return Patches(own, own.square().sum(1), *(np.concatenate(each) for each in (corners, turns, owners)))


def _contrasts(
    image: NDArray[np.uint8], mask: NDArray[np.bool_], rows: NDArray[np.int64], cols: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return by how many grey levels a line differs from what is around it in patches, (n,)."""
    inside = sliding_window_view(mask, (SIDE, SIDE))[rows, cols].reshape(len(rows), -1)
    colors = sliding_window_view(image, (SIDE, SIDE), (0, 1))[rows, cols].reshape(len(rows), 3, -1).astype(np.int64)
    share = inside.sum(1)[:, None]
    own, around = (
        (colors * part[:, None]).sum(-1) / np.maximum(1, number)
        for part, number in ((inside, share), (~inside, SIDE**2 - share))
    )
    found: NDArray[np.float64] = np.abs(own - around).mean(-1)
    return found
