"""Power spectra: how much detail there is at each scale, and the peaks that a checkerboard leaves."""

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

QUANTISATION = 1 / 12
"""Power of rounding to whole grey levels: no power counts as less, so that flat images have a logarithm."""

PERIODS = (2, 4, 8)
"""Pixels after which a checkerboard repeats: those of one, two, three layers that double the size."""

RING = (3, 4)
"""Bins from a peak to what it is compared with: beyond the width of a peak under a Hann window."""


def power(image: Tensor) -> Tensor:
    """Return the power (H, W) of an image (3, H, W) at each frequency: the mean of its channels, in grey levels².

    Each channel's mean is taken off, and a Hann window put over it: without one the jump from an edge of the
    image to the opposite one draws a cross that hides all else. White noise of variance v has power v everywhere.
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

    Ring k holds the frequencies that are nearest to k waves across the shorter side; ring 0 is left out. Radial
    means see a loss of sharpness; a checkerboard's few peaks drown in them: `peaks` looks for those.
    """
    rings, count = _rings(*image.shape[-2:])
    sums = torch.zeros(count + 2, dtype=torch.float64)
    sums.index_add_(0, rings, power(image).cpu().flatten())
    sizes = torch.bincount(rings, minlength=count + 2)
    radial: NDArray[np.float64] = (sums / sizes.clamp(min=1))[1 : count + 1].numpy()
    return radial


@cache
def _rings(height: int, width: int) -> tuple[Tensor, int]:
    """Return for each frequency its ring, and how many rings are whole; the corners beyond are one more."""
    side = min(height, width)
    down, across = torch.fft.fftfreq(height)[:, None] * side, torch.fft.fftfreq(width)[None] * side
    rings = torch.hypot(down, across).round().long().clamp(max=side // 2 + 1)
    return rings.flatten(), side // 2


def spectrum_distance(fake: NDArray[np.float64], real: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distance (…) in dB of mean radial powers (…, rings): the mean of |10·log₁₀(fake/real)| over rings.

    0 dB where both have the same power at each scale; 3 dB where one has twice the other's. It compares sets: take
    the means over all images first.
    """
    ratio = 10 * np.log10((fake + QUANTISATION) / (real + QUANTISATION))
    distance: NDArray[np.float64] = np.abs(ratio).mean(-1)
    return distance


def peaks(image: Tensor) -> NDArray[np.float64]:
    """Return (2, points): the power of an image (3, H, W) where checkerboards have theirs, and the power around.

    A pattern that repeats after 2, 4 or 8 px has its power at the frequencies (i/8, j/8), which are single points
    of the plane. Around each, bins three and four away tell what would be there without it. The image is cut to a
    multiple of 8 px, so that the points fall on bins; it needs 64 px.
    """
    height, width = (side - side % PERIODS[-1] for side in image.shape[-2:])
    plane = power(image[..., :height, :width])
    rows, cols = (torch.tensor(places) for places in zip(*_points(), strict=True))
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
"""Pixels that the shorter side needs for `peaks`."""


def _points() -> list[tuple[int, int]]:
    """Return the frequencies, in eighths, that the periods have beside 0."""
    last = PERIODS[-1]
    return [(i, j) for i in range(last) for j in range(last) if (i, j) != (0, 0)]


@cache
def _of_period(period: int) -> tuple[int, ...]:
    """Return the places in `_points` that this period has, and no shorter one."""
    step, coarser = PERIODS[-1] // period, PERIODS[-1] * 2 // period
    return tuple(
        place
        for place, (i, j) in enumerate(_points())
        if i % step == j % step == 0 and not (period > PERIODS[0] and i % coarser == j % coarser == 0)
    )


def checkerboard(peaks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far peaks stand out (…) in dB, of mean `peaks` (…, 2, points): near 0 without a checkerboard.

    For each period the mean over its frequencies of 10·log₁₀(peak/around), and the largest of the periods.
    Peaks belong to a set of images: a single image's are noise of some dB.
    """
    ratio = 10 * np.log10((peaks[..., 0, :] + QUANTISATION) / (peaks[..., 1, :] + QUANTISATION))
    highest: NDArray[np.float64] = np.max([ratio[..., _of_period(period)].mean(-1) for period in PERIODS], axis=0)
    return highest
