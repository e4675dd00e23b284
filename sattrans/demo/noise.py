"""Building blocks of a synthetic image: smooth noise, blurred and dilated masks, and layers of colour."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

FloatImage = NDArray[np.float32]
"""A float image, (H, W), or (3, H, W) with RGB from 0 to 255."""

Mask = NDArray[np.bool_]
Shape = tuple[int, int]
Color = tuple[int, int, int]


def noise(shape: Shape, cell: int, rng: np.random.Generator) -> FloatImage:
    """Return smooth noise (H, W) with mean 0 and a standard deviation near 1, in spots about `cell` px wide."""
    rows, cols = (side // cell + 4 for side in shape)
    grid = Image.fromarray(rng.standard_normal((rows, cols), np.float32))
    large = np.asarray(grid.resize((cols * cell, rows * cell), Image.Resampling.BICUBIC))
    return large[cell : cell + shape[0], cell : cell + shape[1]]


def blurred(mask: Mask, radius: float) -> FloatImage:
    """Return a mask (H, W) as values from 0 to 1, with edges blurred over about `radius` px."""
    picture = Image.fromarray(mask.astype(np.uint8) * np.uint8(255))
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(radius)), np.float32) / np.float32(255)


def nearness(mask: Mask, radius: float) -> FloatImage:
    """Return about `blurred(mask, radius)`, for radii from about 6 px: several times as fast, and less exact."""
    part = 4
    picture = Image.fromarray(mask.astype(np.uint8) * np.uint8(255)).reduce(part)
    small = picture.filter(ImageFilter.GaussianBlur(radius / part))
    large = small.resize((picture.width * part, picture.height * part), Image.Resampling.BICUBIC)
    return np.asarray(large, np.float32)[: mask.shape[0], : mask.shape[1]] / np.float32(255)


def dilated(mask: Mask, by: int) -> Mask:
    """Return a mask (H, W) that is about `by` px wider on all sides."""
    wider: Mask = blurred(mask, by) > 0.12
    return wider


def solid(shape: Shape, color: Color) -> FloatImage:
    """Return an image of one colour, (3, H, W)."""
    return np.broadcast_to(np.array(color, np.float32)[:, np.newaxis, np.newaxis], (3, *shape))


def blend(below: FloatImage, above: FloatImage | Color, share: FloatImage) -> FloatImage:
    """Return `above` blended over `below` (3, H, W) with opacity `share` (H, W), 0 to 1."""
    top = solid((below.shape[1], below.shape[2]), above) if isinstance(above, tuple) else above
    return below + (top - below) * share
