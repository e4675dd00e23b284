"""Maps that are pictures: read as colours, which stand for no classes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sattrans.errors import RasterError
from sattrans.raster.open import Raster
from sattrans.raster.window import Window
from sattrans.utils.console import counted


@dataclass(frozen=True)
class PictureMap:
    """A map whose pixels are colours. It is asked for the same as a `ClassMap`.

    `table` holds red, green, blue and alpha of each pixel value of a paletted map, (256, 4), and is None where the
    bands are the colours. `notice` is what a user should know about how the map was taken, or empty.
    """

    raster: Raster
    table: NDArray[np.uint8] | None = None
    notice: str = ""

    @property
    def empty(self) -> float | None:
        """The value that stands for "nothing here" where every band has it: the declared nodata."""
        return self.raster.nodata

    @property
    def partial(self) -> bool:
        """Whether pixels may hold nothing: there is a nodata value, an alpha band, or a transparent colour."""
        clear = self.table is not None and bool((self.table[:, 3] == 0).any())
        return clear or self.raster.nodata is not None or self.raster.alpha_band is not None

    def read(self, window: Window | None = None) -> NDArray[np.uint8]:
        """Return red, green, blue, shape (3, H, W), black where the map holds nothing (`partial`)."""
        return self._read(window)[0]

    def read_with_valid(self, window: Window | None = None) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
        """Return what `read` does, and which pixels hold anything, (H, W), None where all do."""
        colors, valid = self._read(window)
        return colors, valid if self.partial else None

    def _read(self, window: Window | None) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        bands = self._bands(window)
        colors = bands if self.table is None else np.moveaxis(self.table[bands[0], :3], -1, 0)
        valid = self._valid(bands, window)
        return np.where(valid, colors, np.uint8(0)), valid

    def valid(self, window: Window | None = None) -> NDArray[np.bool_]:
        """Return which pixels hold anything, (H, W): not transparent, and not nodata in every band."""
        return self._valid(self._bands(window), window)

    def check(self) -> None:
        """Read all of the map once, in bands of rows; raise `RasterError` for what is wrong."""
        for window in self.raster.bands_of_rows():
            self.raster.read(window)

    def _bands(self, window: Window | None) -> NDArray[np.uint8]:
        return self.raster.read(window, (1, 2, 3) if self.table is None else (1,)).astype(np.uint8, copy=False)

    def _valid(self, bands: NDArray[np.uint8], window: Window | None) -> NDArray[np.bool_]:
        valid = np.ones(bands.shape[1:], bool) if self.table is None else self.table[bands[0], 3] != 0
        if self.raster.nodata is not None:
            valid &= (bands != self.raster.nodata).any(axis=0)
        if self.raster.alpha_band is not None:
            valid &= self.raster.read(window, (self.raster.alpha_band,))[0] != 0
        return valid


def picture_map(raster: Raster) -> PictureMap:
    """Return a map that is a picture, ready to read: three 8-bit bands or more, or one with a colour table.

    Raises `RasterError` for other bands and depths; grey levels of one band may be anything, so they are refused.
    """
    if raster.dtype != "uint8":
        raise RasterError(f"{raster.path} holds {raster.dtype} pixels, 8-bit colours are needed: scale it first")
    bands = raster.bands - (raster.alpha_band is not None)
    if bands >= 3:
        return PictureMap(raster)
    colors = raster.color_table() if bands == 1 else None
    if not colors:
        raise RasterError(
            f"{raster.path} has {counted(bands, 'band')} and no colour table: where maps are pictures, not "
            "classes, one has three bands, red, green and blue; draw it in colours first"
        )
    table = np.full((256, 4), (0, 0, 0, 255), np.uint8)
    for value, color in colors.items():
        table[value] = color
    return PictureMap(raster, table, f"{raster.path}: drawn in the colours of its colour table")
