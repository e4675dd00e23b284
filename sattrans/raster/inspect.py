"""The values and the colour table of a mask of unknown coding, found by reading it strip by strip."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sattrans.errors import ClassesError, RasterError
from sattrans.raster.class_map import MAX_CLASSES, NOTHING, TO_THRESHOLD, transparent_values, whole_numbers
from sattrans.raster.open import open_raster
from sattrans.raster.palette import RGB, LandClass, Palette, distinct_colors
from sattrans.raster.validity import read_opaque


@dataclass(frozen=True)
class MaskFacts:
    """What a mask contains.

    Attributes:
        values: The values of its valid pixels in its first band, in ascending order.
        colormap: Its colour table, value to red, green, blue, if it has one.
    """

    values: tuple[int, ...]
    colormap: dict[int, RGB] | None

    @classmethod
    def merged(cls, path: Path, facts: Iterable["MaskFacts"]) -> "MaskFacts":
        """Return what several masks of one coding contain; `path` is their folder.

        A value has its colour in the first mask that contains it and has a colour for it.

        Raises:
            ClassesError: if the masks contain no value, or too many to be classes.
        """
        values: set[int] = set()
        table: dict[int, RGB] = {}
        for mask in facts:
            values.update(mask.values)
            for value in mask.values:
                if mask.colormap and value in mask.colormap:
                    table.setdefault(value, mask.colormap[value])
        if len(values) > MAX_CLASSES:
            raise ClassesError(_too_many_values(path, len(values)))
        if not values:
            raise ClassesError(f"{path} contains only nodata, so there are no classes")
        return cls(tuple(sorted(values)), table or None)

    @property
    def table_fits(self) -> bool:
        """Whether the colour table gives each value a different colour."""
        table = self.colormap or {}
        return all(v in table for v in self.values) and len({table[v] for v in self.values}) == len(self.values)

    def palette(self) -> Palette:
        """Return classes named after the values, in the colour table's colours if it fits, else in generated ones."""
        if self.colormap and self.table_fits:
            colors = [self.colormap[value] for value in self.values]
        else:
            colors = distinct_colors(len(self.values))
        pairs = zip(self.values, colors, strict=True)
        return Palette(tuple(LandClass(value, f"class_{value}", color) for value, color in pairs))


def inspect_mask(path: Path | str) -> MaskFacts:
    """Read a complete mask, strip by strip, and return the values and the colour table that it contains.

    Args:
        path: A `Path` or a `str`, with the meaning that they have for `open_raster`.

    Raises:
        RasterError: for pixels that are not whole numbers, or outside 0 to 255.
        ClassesError: for a mask of colours, for more values than classes can have, and for values that JPEG added.
    """
    has_value = np.zeros(256, bool)
    with open_raster(path) as raster:
        data_bands = [number for number, color in enumerate(raster.band_colors, 1) if color != "alpha"]
        bands = data_bands[: 3 if len(data_bands) >= 3 else 1]
        nothing = [raster.nodata, NOTHING, *transparent_values(raster)]
        for window in raster.strips():
            pixels, opaque = raster.read(window, bands), read_opaque(raster, window)
            pixels = pixels.reshape(len(bands), -1) if opaque is None else pixels[:, opaque]
            if len(bands) > 1 and (pixels != pixels[:1]).any():
                raise ClassesError(
                    f"{path} contains colours, not class values; give the class of each colour in a classes.toml "
                    "beside images/ and masks/"
                )
            first = pixels[0]
            values = np.unique(whole_numbers(first, str(path), raster.nodata) if first.dtype.kind == "f" else first)
            values = values[~np.isin(values, [value for value in nothing if value is not None])]
            if not len(values):
                continue
            if values[0] < 0 or values[-1] > 255:
                raise RasterError(
                    f"{path} contains values {values[0]} to {values[-1]}, but a mask has 0 to 255; "
                    "give its classes other values, such as with QGIS's raster calculator or rio calc"
                )
            has_value[values] = True
        found = np.flatnonzero(has_value)
        # JPEG adds values next to the original ones; values that are not neighbours can only be the mask's own.
        if raster.lossy and (np.diff(found) == 1).any():
            raise ClassesError(
                f"{path} is compressed with loss ({raster.codec}), and some of its {len(found)} values are so close "
                f"that {raster.codec} must have added them; create it again without loss, or {TO_THRESHOLD}"
            )
        if len(found) > MAX_CLASSES:
            raise ClassesError(_too_many_values(path, len(found)))
        return MaskFacts(tuple(found.tolist()), raster.colormap())


def _too_many_values(path: Path | str, count: int) -> str:
    return (
        f"{path} contains {count} different values, too many to be classes: it is a picture, or was smoothed; create "
        f"it again by nearest neighbour, {TO_THRESHOLD}, or define the classes in a classes.toml"
    )
