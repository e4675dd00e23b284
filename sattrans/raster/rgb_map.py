"""Maps that are pictures: read as colours, without classes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sattrans.errors import RasterError
from sattrans.raster.bands import choose_bands
from sattrans.raster.open import Raster
from sattrans.raster.validity import OPAQUE, may_be_invalid, read_valid
from sattrans.raster.window import Window
from sattrans.utils.console import pluralize


@dataclass(frozen=True)
class RGBMap:
    """A map whose pixels are colours, with the same methods as a `ClassMap`.

    Attributes:
        raster: The open map.
        bands: The bands that are red, green and blue, or the one that holds indices of the table.
        table: Red, green, blue and alpha of each pixel value of a map with a colour table, (256, 4); None if the bands
            are the colours.
        notice: What the user should know about how the map is read, or empty.
    """

    raster: Raster
    bands: Sequence[int] = (1, 2, 3)
    table: NDArray[np.uint8] | None = None
    notice: str = ""

    @property
    def nodata(self) -> float | None:
        """The declared nodata value; a pixel is invalid if every band has it."""
        return self.raster.nodata

    @property
    def has_nodata(self) -> bool:
        """Whether pixels may be invalid: nodata, alpha, a mask, or a transparent colour of the table."""
        transparent = self.table is not None and bool((self.table[:, 3] < OPAQUE).any())
        return transparent or may_be_invalid(self.raster, self.raster.nodata)

    def read(self, window: Window | None = None) -> NDArray[np.uint8]:
        """Return red, green, blue, shape (3, H, W), with black for invalid pixels (`has_nodata`)."""
        return self._read(window)[0]

    def read_with_mask(self, window: Window | None = None) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
        """Return what `read` does, and which pixels are valid, (H, W), or None if the map has no nodata."""
        colors, valid = self._read(window)
        return colors, valid if self.has_nodata else None

    def _read(self, window: Window | None) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        bands = self._bands(window)
        colors = bands if self.table is None else np.moveaxis(self.table[bands[0], :3], -1, 0)
        valid = self._valid(bands, window)
        return np.where(valid, colors, np.uint8(0)), valid

    def valid(self, window: Window | None = None) -> NDArray[np.bool_]:
        """Return which pixels are valid, (H, W): not transparent, and not nodata in every band."""
        return self._valid(self._bands(window), window)

    def check(self) -> None:
        """Read the complete map once, in strips; raise `RasterError` for any error in it."""
        for window in self.raster.strips():
            self.raster.read(window)

    def _bands(self, window: Window | None) -> NDArray[np.uint8]:
        return self.raster.read(window, self.bands).astype(np.uint8, copy=False)

    def _valid(self, bands: NDArray[np.uint8], window: Window | None) -> NDArray[np.bool_]:
        valid = np.ones(bands.shape[1:], bool) if self.table is None else self.table[bands[0], 3] >= OPAQUE
        declared = read_valid(self.raster, window, bands, self.raster.nodata)
        return valid if declared is None else valid & declared


def rgb_map(raster: Raster) -> RGBMap:
    """Return a map that is a picture, ready to be read.

    Args:
        raster: The open map: three or more 8-bit bands, or one with a colour table.

    Raises:
        RasterError: for other bands or depths. One band without a colour table is refused, since nothing says that it
            holds grey levels.
    """
    if raster.dtype != "uint8":
        raise RasterError(f"{raster.path} has {raster.dtype} pixels, not 8-bit colours; scale it first")
    bands = raster.bands - (raster.alpha_band is not None)
    if bands >= 3:
        choice = choose_bands(raster)
        return RGBMap(raster, choice.bands, notice=choice.notice)
    table = raster.table if bands == 1 else None
    if table is None:
        raise RasterError(
            f"{raster.path} has {pluralize(bands, 'band')} and no colour table, but a map that is a picture has three "
            "bands, red, green and blue; draw it in colours first"
        )
    return RGBMap(raster, (1,), table, f"{raster.path}: drawn in the colours of its colour table")
