"""What a mask of unknown coding holds: its values and its colours, found without reading it whole at once."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sattrans.errors import ClassesError, RasterError
from sattrans.raster.class_map import AS_BYTES, MOST_CLASSES
from sattrans.raster.open import open_raster
from sattrans.raster.palette import RGB, LandClass, Palette, distinct_colors


@dataclass(frozen=True)
class MaskFacts:
    """The values in a mask's first band, in order, and its colour table if it has one."""

    values: tuple[int, ...]
    colormap: dict[int, RGB] | None

    @classmethod
    def merged(cls, where: Path, facts: Iterable["MaskFacts"]) -> "MaskFacts":
        """Return what masks of one coding, found in `where`, hold together.

        A value's colour is that of the first mask that holds it and draws it. Raises `ClassesError` where all
        together hold no value, or too many to be classes.
        """
        values: set[int] = set()
        table: dict[int, RGB] = {}
        for fact in facts:
            values.update(fact.values)
            for value in fact.values:
                if fact.colormap and value in fact.colormap:
                    table.setdefault(value, fact.colormap[value])
        if len(values) > MOST_CLASSES:
            raise ClassesError(_too_many(where, len(values)))
        if not values:
            raise ClassesError(f"{where} holds nothing but nodata: there are no classes")
        return cls(tuple(sorted(values)), table or None)

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


def inspect_mask(path: Path | str) -> MaskFacts:
    """Read a mask through, in bands of rows; its nodata value is none of the values.

    A `Path` and a `str` are what they are to `open_raster`: found somewhere, or typed by a user.

    Raises `RasterError` for pixels that are not integers, or outside 0 to 255; `ClassesError` for a mask drawn in
    colours, for more values than classes would have, and for what JPEG left of a mask.
    """
    seen = np.zeros(256, bool)
    with open_raster(path) as raster:
        if not np.issubdtype(np.dtype(raster.dtype), np.integer):
            raise RasterError(
                f"{path} holds {raster.dtype} pixels: a mask holds integer classes; where its values are whole "
                f"numbers, write them as such: {AS_BYTES}"
            )
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
        found = np.flatnonzero(seen)
        # What JPEG made of one value lies around it; values apart from each other are still the mask's own.
        if raster.lossy and (np.diff(found) == 1).any():
            raise ClassesError(
                f"{path} is compressed with loss (JPEG), and its {len(found)} values lie so close together that some "
                "are of that: make it again without loss, or threshold it first"
            )
        if len(found) > MOST_CLASSES:
            raise ClassesError(_too_many(path, len(found)))
        return MaskFacts(tuple(found.tolist()), raster.colormap())


def _too_many(where: Path | str, count: int) -> str:
    return (
        f"{where} holds {count} different values, too many to be classes: it is a picture, or was smoothed; make it "
        "again by nearest neighbour, or tell the classes in a classes.toml"
    )
