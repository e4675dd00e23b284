"""Finishing: hides the seams of an image of pieces in the gradient domain."""

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn, idctn
from scipy.ndimage import uniform_filter1d

from sattrans_exemplar.cuts import Pieces

SCREENING = 0.02
"""Weight of the difference from the pieces' colours: a pixel then influences others some 50 px away at most."""

JUMP = 40
"""Grey levels by which two pieces differ at most for their seam to be hidden: beyond, it would become a smear."""


AROUND = 25
"""Side in pixels of the windows, of two passes, over which colours are averaged."""

Floats = NDArray[np.float32]


def averaged(colors: NDArray[np.uint8], where: NDArray[np.bool_]) -> Floats:
    """Return the mean colours (…, H, W, 3) around pixels, of the pixels that a mask (…, H, W) holds."""
    planes = [np.where(where, colors[..., band], 0).astype(np.float32) for band in range(3)]
    planes.append(where.astype(np.float32))
    for plane in planes:
        for axis in (-2, -1, -2, -1):
            uniform_filter1d(plane, AROUND, axis=axis, output=plane, mode="constant")
    means = np.stack(planes[:3], -1) / np.maximum(planes[3], np.float32(1e-3))[..., None]
    return means.astype(np.float32, copy=False)


def finished(
    pixels: NDArray[np.uint8],
    stride: int,
    shown: Pieces,
    labels: NDArray[np.uint8],
    even: tuple[NDArray[np.bool_], NDArray[np.uint8]] | None = None,
) -> Floats:
    """Return the image of pieces whose gradients are those inside the pieces, (3, H, W), in grey levels, not rounded.

    It solves a screened Poisson equation (Bhat, Curless, Cohen, Zitnick: Fourier Analysis of the 2D Screened Poisson
    Equation for Gradient Domain Problems, ECCV 2008) by a discrete cosine transform. Across a seam the gradient is the
    mean of those that both pieces have there; where the class changes, too, colours keep their difference.

    Args:
        pixels: The colours of all source pixels, (N, 3).
        stride: What a pixel further down adds to the number of a source pixel.
        shown: The pieces, (H, W), all with sources.
        labels: The map's labels, (H, W).
        even: Which source pixels belong to surfaces without detail, (N,), and the `averaged` colours there, (N, 3).
            Their colours are blended over some 50 px, so that it is not seen that they are of several dates.
    """
    colors = pixels[shown.source].astype(np.float64)
    target = SCREENING * colors
    flat = np.zeros(shown.source.shape, bool) if even is None else even[0][shown.source]
    if even is not None and flat.any():
        blended = averaged(pixels[shown.source], flat)[flat]
        target[flat] += SCREENING * (blended - even[1][shown.source[flat]])
    for axis, step in ((1, shown.turn.astype(np.int32)), (0, np.full(shown.source.shape, stride, np.int32))):
        first, second = ((slice(None),) * axis + (part,) for part in (slice(None, -1), slice(1, None)))
        gradient = np.diff(colors, axis=axis)
        seam = (shown.source[first] + step[first] != shown.source[second]) & (labels[first] == labels[second])
        ahead = pixels[np.minimum(shown.source[first] + step[first], len(pixels) - 1)][seam]
        behind = pixels[np.maximum(shown.source[second] - step[second], 0)][seam]
        hidden = (ahead - colors[first][seam] + colors[second][seam] - behind) / 2
        plain = np.abs(hidden - gradient[seam]).mean(-1, keepdims=True) > JUMP
        plain &= ~(flat[first] & flat[second])[seam][:, None]
        gradient[seam] = np.where(plain, gradient[seam], hidden)
        target[first] -= gradient
        target[second] += gradient
    transformed = dctn(target, axes=(0, 1))
    down, across = (2 - 2 * np.cos(np.pi * np.arange(length) / length) for length in labels.shape)
    image = idctn(transformed / (SCREENING + down[:, None] + across)[..., None], axes=(0, 1))
    bands: NDArray[np.float32] = np.moveaxis(image, -1, 0).astype(np.float32)
    return bands
