"""Power spectra: the amount of detail at each scale, and the peaks of checkerboard artefacts."""

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

QUANTISATION = 1 / 12
"""Power of rounding to whole grey levels, added to every power so that flat images have a finite logarithm."""

PERIODS = (2, 4, 8)
"""Periods of checkerboard artefacts in pixels: of one, two and three layers that double the size."""

RING = (3, 4)
"""Distances in bins from a peak to its surroundings: more than the width of a peak under a Hann window."""


def power(image: Tensor) -> Tensor:
    """Return the power (H, W) of an image (3, H, W) at each frequency: the mean of its channels, in grey levels².

    The mean of each channel is subtracted and a Hann window applied: without it, the jump from one edge of the image
    to the opposite one would draw a cross that hides everything else. White noise of variance v has power v everywhere.
    """
    pixels = image.double()
    height, width = image.shape[-2:]
    window = torch.hann_window(height, dtype=torch.float64)[:, None] * torch.hann_window(width, dtype=torch.float64)
    window = window.to(image.device)
    pixels = pixels - (pixels * window).sum((-2, -1), keepdim=True) / window.sum()
    spectrum = torch.fft.fft2(pixels * window)
    plane: Tensor = (spectrum.real.square() + spectrum.imag.square()).mean(0) / window.square().sum()
    return plane


def radial_power(image: Tensor) -> NDArray[np.float64]:
    """Return the mean power of an image (3, H, W) on rings around frequency 0: (min(H, W) // 2,), grey levels².

    Ring k holds the frequencies nearest to k waves across the shorter side; ring 0 is left out. Radial means show a
    loss of sharpness, but average away the few peaks of a checkerboard: `peaks` measures those.
    """
    rings, count = _rings(*image.shape[-2:])
    sums = torch.zeros(count + 2, dtype=torch.float64)
    sums.index_add_(0, rings, power(image).cpu().flatten())
    sizes = torch.bincount(rings, minlength=count + 2)
    radial: NDArray[np.float64] = (sums / sizes.clamp(min=1))[1 : count + 1].numpy()
    return radial


@cache
def _rings(height: int, width: int) -> tuple[Tensor, int]:
    """Return the ring of each frequency, and the number of complete rings; the corners beyond form one more ring."""
    side = min(height, width)
    down, across = torch.fft.fftfreq(height)[:, None] * side, torch.fft.fftfreq(width)[None] * side
    rings = torch.hypot(down, across).round().long().clamp(max=side // 2 + 1)
    return rings.flatten(), side // 2


def spectrum_distance(fake: NDArray[np.float64], real: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distance (…) in dB of mean radial powers (…, rings): the mean of |10·log₁₀(fake/real)| over rings.

    0 dB if both have the same power at each scale, 3 dB if one has twice the power of the other. It compares sets:
    average the powers over all images first.
    """
    ratio = 10 * np.log10((fake + QUANTISATION) / (real + QUANTISATION))
    distance: NDArray[np.float64] = np.abs(ratio).mean(-1)
    return distance


def peaks(image: Tensor) -> NDArray[np.float64]:
    """Return the power of an image (3, H, W) at the frequencies of checkerboards, and around them, (2, points).

    A pattern with a period of 2, 4 or 8 px has its power at the frequencies (i/8, j/8), which are single points of the
    plane. The bins three and four away from each estimate the power without the pattern. The image is cropped to a
    multiple of 8 px, so that the points fall on bins; it needs 64 px.
    """
    height, width = (side - side % PERIODS[-1] for side in image.shape[-2:])
    plane = power(image[..., :height, :width])
    rows, cols = (torch.tensor(eighths) for eighths in zip(*_points(), strict=True))
    rows, cols = rows * height // PERIODS[-1], cols * width // PERIODS[-1]
    around = [
        plane[(rows + down) % height, (cols + across) % width]
        for down in range(-RING[1], RING[1] + 1)
        for across in range(-RING[1], RING[1] + 1)
        if max(abs(down), abs(across)) >= RING[0]
    ]
    both: NDArray[np.float64] = torch.stack([plane[rows, cols], torch.stack(around).mean(0)]).cpu().numpy()
    return both


PEAKS_SIZE = 64
"""Shortest side, in pixels, of an image for `peaks`."""


def _points() -> list[tuple[int, int]]:
    """Return the frequencies of all periods, in eighths, without 0."""
    last = PERIODS[-1]
    return [(i, j) for i in range(last) for j in range(last) if (i, j) != (0, 0)]


@cache
def _of_period(period: int) -> tuple[int, ...]:
    """Return the indices in `_points` of the frequencies that belong to this period and to no shorter one."""
    step, coarser = PERIODS[-1] // period, PERIODS[-1] * 2 // period
    return tuple(
        index
        for index, (i, j) in enumerate(_points())
        if i % step == j % step == 0 and not (period > PERIODS[0] and i % coarser == j % coarser == 0)
    )


def checkerboard(peaks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the height of peaks (…) in dB above their surroundings, of mean `peaks` (…, 2, points).

    It is the largest, over the periods, of the mean of 10·log₁₀(peak/around) over the period's frequencies: near 0
    without a checkerboard. It needs a set of images: the peaks of a single image are noise of a few dB.
    """
    ratio = 10 * np.log10((peaks[..., 0, :] + QUANTISATION) / (peaks[..., 1, :] + QUANTISATION))
    highest: NDArray[np.float64] = np.max([ratio[..., _of_period(period)].mean(-1) for period in PERIODS], axis=0)
    return highest
