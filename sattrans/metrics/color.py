"""Colour: the spectral angle of two images, and the colours inside each land-cover class."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MOMENTS = 1 + 3 + 9
"""Sums per class: the number of pixels, the sum of each band, the sum of each product of two bands."""


def sam(fake: Tensor, real: Tensor) -> float | None:
    """Mean spectral angle in degrees, 0 to 90, of two images (3, H, W); None if no pixel has one.

    A pixel that is black in either image has no angle: it is left out, and `black_pixels` counts it. A naive
    arc cosine gives NaN for the whole image there, and an angle for equal colours by rounding; the arc tangent of
    cross and dot product gives 0 for any multiple of a colour.
    """
    x, y = fake.flatten(1).double(), real.flatten(1).double()
    colored = (x.any(0)) & (y.any(0))
    if not colored.any():
        return None
    x, y = x[:, colored], y[:, colored]
    angles = torch.atan2(torch.linalg.cross(x, y, dim=0).norm(dim=0), (x * y).sum(0))
    return float(torch.rad2deg(angles).mean())


def black_pixels(fake: Tensor, real: Tensor) -> int:
    """Return how many pixels are black in either image, and so have no spectral angle."""
    return int(((fake == 0).all(0) | (real == 0).all(0)).sum())


def class_moments(image: Tensor, indices: Tensor, classes: int) -> NDArray[np.float64]:
    """Return (classes, 13): pixels, sums of bands, sums of products, of an image (3, H, W) in each class.

    `indices` are class indices (H, W); pixels of no class (`UNKNOWN`) are not counted. The moments of several images
    can be added up, so a set of any size fits in memory and the result does not depend on the batches.
    """
    bands = image.flatten(1).double()
    products = (bands[:, None] * bands[None]).flatten(0, 1)
    rows = torch.cat([torch.ones_like(bands[:1]), bands, products])
    sums = torch.zeros(256, MOMENTS, dtype=torch.float64, device=image.device)
    sums.index_add_(0, indices.flatten().long(), rows.T)
    moments: NDArray[np.float64] = sums[:classes].cpu().numpy()
    return moments


def class_colors(moments: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean (…, classes, 3) and population covariance (…, classes, 3, 3) of moments (…, classes, 13).

    NaN for a class without pixels.
    """
    pixels = moments[..., :1]
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = moments[..., 1:4] / pixels
        square = (moments[..., 4:] / pixels).reshape(*moments.shape[:-1], 3, 3)
    return mean, square - mean[..., :, np.newaxis] * mean[..., np.newaxis, :]


def color_distances(
    fake: NDArray[np.float64], real: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how far apart the colours of each class are, (…, classes) in grey levels: by mean, by covariance.

    Both take moments (…, classes, 13). The first is the distance of the mean colours. The second compares the
    spread around them: √Tr(Σ₁ + Σ₂ − 2(Σ₁Σ₂)^½), which is |σ₁ − σ₂| where the spread is along one line. NaN for a
    class that is missing from either image.
    """
    (mean_fake, spread_fake), (mean_real, spread_real) = class_colors(fake), class_colors(real)
    means = np.linalg.norm(mean_fake - mean_real, axis=-1)
    spreads = np.full_like(means, np.nan)
    present = np.isfinite(means)
    if present.any():
        a, b = spread_fake[present], spread_real[present]
        root = _root(a)
        cross = np.linalg.eigvalsh(root @ b @ root).clip(min=0)
        squared = np.trace(a, axis1=-2, axis2=-1) + np.trace(b, axis1=-2, axis2=-1) - 2 * np.sqrt(cross).sum(-1)
        spreads[present] = np.sqrt(squared.clip(min=0))
    return means, spreads


def _root(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the square roots of symmetric matrices without negative eigenvalues."""
    values, vectors = np.linalg.eigh(matrices)
    scaled = vectors * np.sqrt(values.clip(min=0))[..., np.newaxis, :]
    root: NDArray[np.float64] = scaled @ vectors.swapaxes(-1, -2)
    return root
