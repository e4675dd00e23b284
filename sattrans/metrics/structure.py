"""Structural similarity: SSIM, and MS-SSIM over five scales."""

from collections.abc import Iterator
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from sattrans.errors import UsageError

WINDOW = 11
SIGMA = 1.5
K1, K2, RANGE = 0.01, 0.03, 255.0
C1, C2 = (K1 * RANGE) ** 2, (K2 * RANGE) ** 2

BAND = 2**15
"""Pixels of a channel that are processed at once."""

SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Weights of the five scales, the finest first (Wang et al. 2003, section 3.2)."""

MS_SSIM_SIZE = WINDOW * 2 ** (len(SCALES) - 1)
"""Shortest side in pixels: the window must lie inside the image at the coarsest scale."""


def ssim(fake: Tensor, real: Tensor, valid: Tensor | None = None) -> float:
    """Mean structural similarity, -1 to 1, over the three channels (Wang et al. 2004, equation 13).

    Gaussian window 11×11 with σ 1.5, K 0.01 and 0.03, population covariance, and only where the window lies
    wholly inside: as scikit-image with `gaussian_weights=True, use_sample_covariance=False`. Libraries that average
    a padded border, too, or scikit-image's own default window, give other numbers for the same images.

    Args:
        fake: An image (3, H, W).
        real: The image to compare it with, of the same shape.
        valid: Which pixels hold data, (H, W): only windows of such pixels count, and NaN is the value if there is none.
    """
    if min(fake.shape[-2:]) < WINDOW:
        raise UsageError(f"SSIM needs images of at least {WINDOW} px, not {fake.shape[-1]} × {fake.shape[-2]}")
    channels, height, width = fake.shape
    if valid is not None:
        return float(torch.stack([_mean_of_valid(*_terms(x, y), valid) for x, y in _channels(fake, real)]).mean())
    total = 0.0
    for x, y in _bands(fake, real):
        luminance, contrast = _terms(x, y)
        total += float((luminance * contrast).sum())
    return total / (channels * (height - WINDOW + 1) * (width - WINDOW + 1))


def ms_ssim(fake: Tensor, real: Tensor, valid: Tensor | None = None) -> float:
    """Mean structural similarity over five scales, 0 to 1 (Wang, Simoncelli and Bovik 2003, equation 7).

    Each scale is the one before averaged over 2×2 pixels; an odd last row or column is left out. Contrast and
    structure enter at every scale, luminance at the coarsest; negative terms count as 0; the mean of the channels.
    `valid` is as for `ssim`. Raises `UsageError` for an image with a side under 176 px.
    """
    if min(fake.shape[-2:]) < MS_SSIM_SIZE:
        raise UsageError(f"MS-SSIM needs images of at least {MS_SSIM_SIZE} px, not {fake.shape[-1]} × {fake.shape[-2]}")
    x, y = fake.double(), real.double()
    product = torch.ones(x.shape[0], dtype=torch.float64)
    for scale, weight in enumerate(SCALES):
        if scale:
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
            valid = None if valid is None else F.avg_pool2d(valid[None].float(), 2)[0] == 1
        if valid is not None:
            terms = [_terms(a, b) for a, b in _channels(x, y)]
            last = scale == len(SCALES) - 1
            means = [_mean_of_valid(lum if last else torch.ones_like(lum), con, valid) for lum, con in terms]
            product *= torch.stack(means).cpu().clamp(min=0) ** weight
            continue
        sums = torch.zeros_like(product)
        for number, (band_x, band_y) in enumerate(_bands(x, y)):
            luminance, contrast = _terms(band_x, band_y)
            sums[number % len(sums)] += (contrast * luminance if scale == len(SCALES) - 1 else contrast).sum().cpu()
        pixels = (x.shape[1] - WINDOW + 1) * (x.shape[2] - WINDOW + 1)
        product *= (sums / pixels).clamp(min=0) ** weight
    return float(product.mean())


def _channels(x: Tensor, y: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    for channel in range(len(x)):
        yield x[channel : channel + 1].double(), y[channel : channel + 1].double()


def _mean_of_valid(luminance: Tensor, contrast: Tensor, valid: Tensor) -> Tensor:
    """Return the mean of the product over windows that hold valid pixels alone; NaN if there is none."""
    whole = F.max_pool2d((~valid)[None].float(), WINDOW, stride=1) == 0
    return (luminance * contrast)[whole].mean()


def _bands(x: Tensor, y: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield two images (C, H, W) as bands of rows in double, channel after channel, that overlap by a window less one.

    A band stays in a core's cache, and is too small for PyTorch to split over threads: splitting costs more than it
    saves, especially if another process uses the other cores.
    """
    channels, height, width = x.shape
    rows = max(WINDOW, BAND // width - WINDOW + 1)
    for top in range(0, height - WINDOW + 1, rows):
        part = slice(top, top + rows + WINDOW - 1)
        for channel in range(channels):
            yield x[channel : channel + 1, part].double(), y[channel : channel + 1, part].double()


def _terms(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the luminance term, and contrast times structure, of (C, H, W) in double: (C, H - 10, W - 10) each."""
    # x·y and x² + y² are all that the formula needs of the second moments: four smoothings instead of five.
    mx, my, xy, squares = (_smooth(plane) for plane in (x, y, x * y, (x * x).addcmul_(y, y)))
    product = mx * my
    means = (mx * mx).addcmul_(my, my)
    contrast = xy.sub_(product).mul_(2).add_(C2).div_(squares.sub_(means).add_(C2))
    return product.mul_(2).add_(C1).div_(means.add_(C1)), contrast


def _smooth(planes: Tensor) -> Tensor:
    """Return the Gaussian mean of (C, H, W) at the positions where the window lies inside, (C, H - 10, W - 10)."""
    height, width = planes.shape[-2:]
    rows = _weighted(planes, -2, height - WINDOW + 1)
    return _weighted(rows, -1, width - WINDOW + 1)


def _weighted(planes: Tensor, dim: int, size: int) -> Tensor:
    # The window is symmetric, so two slices share a weight and need one multiplication.
    half, weights = WINDOW // 2, _gaussian()
    total = planes.narrow(dim, half, size) * weights[half]
    for offset in range(half):
        both = planes.narrow(dim, offset, size) + planes.narrow(dim, WINDOW - 1 - offset, size)
        total.add_(both, alpha=weights[offset])
    return total


@cache
def _gaussian() -> tuple[float, ...]:
    offsets = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    weights = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    return tuple((weights / weights.sum()).tolist())
