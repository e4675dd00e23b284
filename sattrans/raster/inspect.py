"""What a mask of unknown coding holds: its values and its colours, found without reading it whole at once."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sattrans.errors import ClassesError, RasterError
from sattrans.palette import RGB, LandClass, Palette, distinct_colors
from sattrans.raster.gate import open_raster


@dataclass(frozen=True)
class MaskFacts:
    """The values in a mask's first band, in order, and its colour table if it has one."""

    values: tuple[int, ...]
    colormap: dict[int, RGB] | None

    @property
    def table_fits(self) -> bool:
        """Whether the colour table gives each value a colour of its own."""
        table = self.colormap or {}
        return all(v in table for v in self.values) and len({table[v] for v in self.values}) == len(self.values)

    def palette(self) -> Palette:
        """Return classes named after the values, in the table's colours where it fits, else in unlike ones."""
        if self.colormap and self.table_fits:
            colors = [self.colormap[value] for value in self.values]
        else:
            colors = distinct_colors(len(self.values))
        named = zip(self.values, colors, strict=True)
        return Palette(tuple(LandClass(value, f"class_{value}", color) for value, color in named))


def inspect_mask(path: Path) -> MaskFacts:
    """Read a mask through, in bands of rows; its nodata value is none of the values.

    Raises `RasterError` for pixels outside 0 to 255, `ClassesError` for a mask drawn in colours.
    """
    seen = np.zeros(256, bool)
    with open_raster(path) as raster:
        if not np.issubdtype(np.dtype(raster.dtype), np.integer):
            raise RasterError(f"{path} holds {raster.dtype} pixels: a mask holds integer classes")
        data_bands = raster.bands - (raster.alpha_band is not None)
        bands = (1, 2, 3) if data_bands >= 3 else (1,)
        for window in raster.bands_of_rows():
            pixels = raster.read(window, bands)
            if (pixels != pixels[:1]).any():
                raise ClassesError(
                    f"{path} holds colours, not class values: tell which colour is which class in a classes.toml "
                    "beside images/ and masks/"
                )
            values = np.unique(pixels[0])
            values = values[values != raster.nodata] if raster.nodata is not None else values
            if not len(values):
                continue
            if values[0] < 0 or values[-1] > 255:
                raise RasterError(f"{path} holds values {values[0]} to {values[-1]}: a mask holds 0 to 255")
            seen[values] = True
        return MaskFacts(tuple(int(value) for value in np.flatnonzero(seen)), raster.colormap())
