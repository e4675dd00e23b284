"""Which pixels of a raster are valid: the one room that reads alpha bands, masks, nodata values and NaN.

If a raster has an alpha band or a mask (inside the file, or beside it as `.msk`), a pixel is valid if it is opaque;
else, if it is not nodata in every band. A pixel with a band that is NaN or infinite is never valid. Neither is one that
is transparent in part, whose colour is meant for a mixture: only a mosaic, which mixes tiles, uses the opacity itself.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sattrans.raster.open import Raster
from sattrans.raster.window import Window

OPAQUE = 250
"""Least opacity, of 255, that counts as opaque: compression with loss and resampling leave a few levels."""

HALF = 127
"""Least opacity of a pixel that was resampled: there, it is the part of the pixel that valid pixels cover."""


def has_transparency(raster: Raster) -> bool:
    """Return whether pixels may be transparent: there is an alpha band, or a mask in the file or beside it."""
    return raster.alpha_band is not None or raster.has_mask


def may_be_invalid(raster: Raster, nodata: float | None) -> bool:
    """Return whether pixels may be invalid, if `nodata` is the value that counts as nodata."""
    return has_transparency(raster) or nodata is not None or np.dtype(raster.dtype).kind == "f"


def effective_nodata(raster: Raster) -> float | None:
    """Return the nodata value of an image; None if it has none, or alpha or a mask, which decide then."""
    return None if has_transparency(raster) else raster.nodata


def read_opacity(raster: Raster, window: Window | None = None) -> NDArray[np.uint8] | None:
    """Return how opaque each pixel is by alpha band and mask, (H, W), 0 to 255; None if all are opaque."""
    opacity: NDArray[np.uint8] | None = None
    if raster.alpha_band is not None:
        opacity = _as_bytes(raster.read(window, (raster.alpha_band,))[0])
    if raster.has_mask:
        mask = raster.read_mask(window)
        opacity = mask if opacity is None else np.minimum(opacity, mask)
    return None if opacity is None or opacity.min(initial=255) == 255 else opacity


def read_with_alpha(raster: Raster, window: Window, bands: Sequence[int]) -> NDArray[np.uint8]:
    """Return 8-bit bands and, if the raster has alpha or a mask, their opacity as one more, (bands, H, W)."""
    pixels = raster.read(window, bands).astype(np.uint8, copy=False)
    if not has_transparency(raster):
        return pixels
    opacity = read_opacity(raster, window)
    alpha = np.full(pixels.shape[1:], 255, np.uint8) if opacity is None else opacity
    return np.concatenate([pixels, alpha[np.newaxis]])


def is_opaque(raster: Raster, opacity: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which pixels count as opaque, (H, W)."""
    opaque: NDArray[np.bool_] = opacity >= (HALF if raster.resampled else OPAQUE)
    return opaque


def read_opaque(raster: Raster, window: Window | None = None) -> NDArray[np.bool_] | None:
    """Return which pixels are opaque, (H, W); None if all are."""
    opacity = read_opacity(raster, window)
    return None if opacity is None else is_opaque(raster, opacity)


def holds_data(pixels: NDArray[np.generic], nodata: float | None) -> NDArray[np.bool_] | None:
    """Return which pixels (bands, H, W) hold data, (H, W): not nodata in every band, finite in each; None if all do."""
    data: NDArray[np.bool_] | None = None
    if nodata is not None and not np.isnan(nodata):
        data = (pixels != nodata).any(axis=0)
    if pixels.dtype.kind == "f":
        finite = np.isfinite(pixels).all(axis=0)
        data = finite if data is None else data & finite
    return data


def read_valid(
    raster: Raster, window: Window | None, pixels: NDArray[np.generic], nodata: float | None
) -> NDArray[np.bool_] | None:
    """Return which pixels of a window are valid, (H, W), or None if the raster declares nothing about it.

    Args:
        raster: The open raster.
        window: The window; None for all of it.
        pixels: The pixels that were read there, (bands, H, W).
        nodata: The value that counts as nodata, if the raster has neither alpha nor a mask; None for none.
    """
    opaque = read_opaque(raster, window)
    data = holds_data(pixels, None if has_transparency(raster) else nodata)
    if opaque is None or data is None:
        return data if opaque is None else opaque
    return opaque & data


def describe(raster: Raster, nodata: float | None) -> str:
    """Return what a raster declares about invalid pixels, such as "nodata value 0"; empty if it declares nothing."""
    return " and ".join(_declarations(raster, nodata))


def _declarations(raster: Raster, nodata: float | None) -> Iterator[str]:
    if raster.alpha_band is not None:
        yield f"alpha band {raster.alpha_band}"
    if raster.has_mask:
        yield f"mask file {raster.side_mask.path.name}" if raster.side_mask else "internal mask"
    if nodata is not None:
        yield f"nodata value {nodata:g}"


def _as_bytes(alpha: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Return an alpha band as opacity, 0 to 255."""
    if alpha.dtype == np.uint8:
        return alpha.astype(np.uint8, copy=False)
    if alpha.dtype == np.uint16:  # 65535 is opaque, but 255 is in many files
        deep = alpha.astype(np.uint16, copy=False)
        return np.where(deep == 255, 255, deep >> 8).astype(np.uint8)
    return np.where(alpha != 0, 255, 0).astype(np.uint8)
