"""Planes a place is made of: smooth noise, masks with soft or wider edges, shadows, layers of colour."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Plane = NDArray[np.float32]
"""(H, W), or (3, H, W) for colours from 0 to 255."""

Mask = NDArray[np.bool_]
Shape = tuple[int, int]
Color = tuple[int, int, int]


def noise(shape: Shape, cell: int, rng: np.random.Generator) -> Plane:
    """Return smooth noise (H, W) of mean 0 and a deviation near 1, in spots about `cell` px wide."""
    rows, cols = (side // cell + 4 for side in shape)
    grid = Image.fromarray(rng.standard_normal((rows, cols), np.float32))
    large = np.asarray(grid.resize((cols * cell, rows * cell), Image.Resampling.BICUBIC))
    return large[cell : cell + shape[0], cell : cell + shape[1]]


def soft(mask: Mask, radius: float) -> Plane:
    """Return a mask (H, W) as 0 to 1, its edges blurred over about `radius` px."""
    picture = Image.fromarray(mask.astype(np.uint8) * np.uint8(255))
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(radius)), np.float32) / np.float32(255)


def grown(mask: Mask, by: int) -> Mask:
    """Return a mask (H, W) that reaches about `by` px farther."""
    wider: Mask = soft(mask, by) > 0.12
    return wider


def cast(mask: Mask, reach: int) -> Mask:
    """Return a mask (H, W) together with the shadow it casts `reach` px to the north."""
    shadow = mask.copy()
    for step in range(1, reach + 1):
        shadow[:-step] |= mask[step:]
    return shadow


def flat(shape: Shape, color: Color) -> Plane:
    """Return one colour everywhere, (3, H, W)."""
    return np.broadcast_to(np.array(color, np.float32)[:, np.newaxis, np.newaxis], (3, *shape))


def mix(below: Plane, above: Plane | Color, share: Plane) -> Plane:
    """Return `above` laid over `below` (3, H, W) by its share (H, W), 0 to 1."""
    top = flat((below.shape[1], below.shape[2]), above) if isinstance(above, tuple) else above
    return below + (top - below) * share
