"""Lines: whether thin structures of a map, such as roads and rivers, are seen in an image."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_opening, find_objects, label, uniform_filter
from torch import Tensor

from sattrans.metrics.color import MOMENTS, class_colors

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

WIDEST = 5
"""Width in pixels of a line, at most."""

SHORTEST = 16
"""Length in pixels of a line, at least: of the longer side of a box around it."""

OWN, AROUND = 5, 15
"""Sides in pixels of the windows over which the colours of a line and of its surroundings are averaged."""

ASIDE = 12
"""By how many pixels a line is moved to learn what its surroundings look like without it."""

FEWEST = 200
"""Pixels of lines of a class that training tiles need for its look to be known."""

NOISE = 4.0
"""Variance in grey levels² that is added to that of contrasts."""


def lines_of(mask: Mask) -> Mask:
    """Return which pixels of a class (H, W) belong to lines.

    They are gone when the class is opened by a square of 6 px, and are connected, over corners too, over 16 px or more.
    """
    thin = mask & ~binary_opening(mask, np.ones((WIDEST + 1, WIDEST + 1), bool))
    labels, _ = label(thin, np.ones((3, 3), bool))
    long = [
        number
        for number, box in enumerate(find_objects(labels), 1)
        if max(side.stop - side.start for side in box) >= SHORTEST
    ]
    found: Mask = np.isin(labels, long)
    return found


def _mean(image: Floats, where: Mask, side: int) -> tuple[Floats, Floats]:
    """Return the mean of an image (3, H, W) over the pixels of a window that a mask holds, and their share of it."""
    share = uniform_filter(where.astype(np.float64), side, mode="constant")
    sums = np.stack([uniform_filter(np.where(where, band, 0), side, mode="constant") for band in image])
    return sums / np.maximum(share, 1e-9), share


def contrasts(image: Floats, line: Mask, mask: Mask, known: Mask) -> Floats:
    """Return the colour of a line less that of what is around it, at each of its pixels, (n, 3), in grey levels.

    Args:
        image: The image, (3, H, W).
        line: The pixels of the line, (H, W).
        mask: The pixels of its class, which are not around it.
        known: The pixels with data.
    """
    own, _ = _mean(image, line, OWN)
    around, share = _mean(image, known & ~mask & ~line, AROUND)
    return (own - around)[:, line & (share > 0)].T


def line_moments(image: Tensor, map_: Tensor, classes: int) -> Floats:
    """Return (classes, 2, 13): pixels, sums and sums of products of the contrasts of lines, and of lines moved aside.

    `image` is (3, H, W), `map_` has class indices (H, W). Moments of several images can be added up. Lines are moved by
    12 px down, and to the right; pixels that come within 2 px of their class are left out.
    """
    pixels, indices = image.cpu().numpy().astype(np.float64), map_.cpu().numpy()
    known = indices < classes
    found = np.zeros((classes, 2, MOMENTS))
    for number in range(classes):
        mask = indices == number
        line = lines_of(mask)
        if line.any():
            found[number, 0] = _moments(contrasts(pixels, line, mask, known))
            near = uniform_filter(mask.astype(np.float64), OWN, mode="constant") > 1e-9
            for axis in (0, 1):
                moved = _aside(line, axis) & known & ~near
                found[number, 1] += _moments(contrasts(pixels, moved, mask, known))
    return found


def _aside(line: Mask, axis: int) -> Mask:
    moved = np.roll(line, ASIDE, axis)
    np.moveaxis(moved, axis, 0)[:ASIDE] = False
    return moved


def _moments(values: Floats) -> Floats:
    return np.concatenate([[len(values)], values.sum(0), (values.T @ values).ravel()])


class LineLooks:
    """What lines of each class, and their surroundings, look like in real images.

    Args:
        moments: The sum of the `line_moments` of training tiles, (classes, 2, 13).
    """

    def __init__(self, moments: Floats) -> None:
        self.known: Mask = moments[..., 0].min(1) >= FEWEST
        means, covariances = class_colors(moments)
        self._axes = np.linalg.solve(covariances.mean(1) + NOISE * np.eye(3), (means[:, 0] - means[:, 1])[..., None])
        self._middles = means.mean(1)

    def seen(self, image: Tensor, map_: Tensor) -> Floats:
        """Return (classes, 2): how many pixels of lines are seen, and of how many.

        A pixel is seen if its contrast is nearer to that of lines of its class than to that of their surroundings, in
        deviations: on the former's side of the plane by which linear discriminant analysis (Fisher 1936) divides them.
        A class whose look is not known has no lines.
        """
        pixels, indices = image.cpu().numpy().astype(np.float64), map_.cpu().numpy()
        found = np.zeros((len(self.known), 2))
        for number in np.flatnonzero(self.known).tolist():
            mask = indices == number
            line = lines_of(mask)
            if line.any():
                values = contrasts(pixels, line, mask, indices < len(self.known))
                nearer = (values - self._middles[number]) @ self._axes[number] > 0
                found[number] = nearer.sum(), len(values)
        return found
