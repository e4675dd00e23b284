"""The values and the colour table of a mask of unknown coding, found by reading it strip by strip."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sattrans.errors import ClassesError, RasterError
from sattrans.raster.class_map import MAX_CLASSES, NOTHING, TO_THRESHOLD, transparent_values, whole_numbers
from sattrans.raster.open import Raster, open_raster
from sattrans.raster.palette import RGB, LandClass, Palette, distinct_colors, pack_rgb
from sattrans.raster.validity import read_opaque


@dataclass(frozen=True)
class MaskFacts:
    """What a mask contains.

    Attributes:
        values: The values of its valid pixels in its first band, in ascending order.
        colormap: Its colour table, value to red, green, blue, if it has one.
        solid: The values that fill a square of 3 × 3 px somewhere, as those of classes do; None for all.
    """

    values: tuple[int, ...]
    colormap: dict[int, RGB] | None
    solid: frozenset[int] | None = field(default=None, compare=False)

    @classmethod
    def merged(cls, path: Path, facts: Iterable["MaskFacts"]) -> "MaskFacts":
        """Return what several masks of one coding contain; `path` is their folder.

        A value has its colour in the first mask that contains it and has a colour for it.

        Raises:
            ClassesError: if the masks contain no value, or too many to be classes, or were antialiased.
        """
        values: set[int] = set()
        solid: set[int] = set()
        table: dict[int, RGB] = {}
        for mask in facts:
            values.update(mask.values)
            solid.update(mask.values if mask.solid is None else mask.solid)
            for value in mask.values:
                if mask.colormap and value in mask.colormap:
                    table.setdefault(value, mask.colormap[value])
        if len(values) > MAX_CLASSES:
            raise ClassesError(_too_many_values(path, len(values)))
        if not values:
            raise ClassesError(f"{path} contains only nodata, so there are no classes")
        if smoothed := _smoothed(values, solid):
            levels, between = (", ".join(map(str, some[:8])) + (" …" if len(some) > 8 else "") for some in smoothed)
            raise ClassesError(
                f"{path}: the masks were smoothed: beside areas of {levels} they contain {between} at edges alone; "
                f"create them again by nearest neighbour, or {TO_THRESHOLD}"
            )
        return cls(tuple(sorted(values)), table or None, frozenset(solid))

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
    has_value, is_solid = np.zeros(256, bool), np.zeros(256, bool)
    with open_raster(path) as raster:
        data_bands = [number for number, color in enumerate(raster.band_colors, 1) if color != "alpha"]
        bands = data_bands[: 3 if len(data_bands) >= 3 else 1]
        nothing = [raster.nodata, NOTHING, *transparent_values(raster)]
        for window in raster.strips():
            pixels, opaque = raster.read(window, bands), read_opaque(raster, window)
            if pixels.dtype == np.uint8:
                is_solid[_solid(pixels[0])] = True
            pixels = pixels.reshape(len(bands), -1) if opaque is None else pixels[:, opaque]
            if len(bands) > 1 and (pixels != pixels[:1]).any():
                raise _colors_found(raster, bands)
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
        solid = frozenset(np.flatnonzero(is_solid & has_value).tolist()) if raster.dtype == "uint8" else None
        return MaskFacts(tuple(found.tolist()), raster.colormap(), solid)


def _solid(values: NDArray[Any]) -> NDArray[Any]:
    """Return the values (H, W) that fill a square of 3 × 3 px, some of them repeatedly."""
    same = (values[:, :-2] == values[:, 1:-1]) & (values[:, :-2] == values[:, 2:])
    same = same[:-2] & same[1:-1] & same[2:]
    same &= (values[:-2, :-2] == values[1:-1, :-2]) & (values[:-2, :-2] == values[2:, :-2])
    solid: NDArray[Any] = values[:-2, :-2][same]
    return solid


def _smoothed(values: Collection[int], solid: Collection[int]) -> tuple[list[int], list[int]] | None:
    """Return the levels of classes and those between them, if these are so many that edges must be antialiased."""
    between = sorted(value for value in values if value not in solid)
    if not _has_soft_edges(len(solid), len(between)):
        return None
    levels = sorted(solid)
    return (levels, between) if levels[0] < between[0] and between[-1] < levels[-1] else None


MAX_THIN = 3
"""The most classes of thin lines or single pixels that a mask may have beside those of areas."""


def _has_soft_edges(solid: int, thin: int) -> bool:
    """Return whether so few values fill areas, and so many none, that the latter must be antialiased edges."""
    return solid >= 2 and thin > max(MAX_THIN, solid)


def _colors_found(raster: Raster, bands: Sequence[int]) -> ClassesError:
    """Return the error for a mask of colours, with a classes.toml to start from if these may be classes."""
    counts: Counter[int] = Counter()
    solid: set[int] = set()
    for window in raster.strips():
        pixels, opaque = raster.read(window, bands), read_opaque(raster, window)
        packed = pack_rgb(pixels.astype(np.uint8, copy=False))
        colors, numbers = np.unique(packed if opaque is None else packed[opaque], return_counts=True)
        counts.update(dict(zip(colors.tolist(), numbers.tolist(), strict=True)))
        solid.update(np.unique(_solid(packed)).tolist())
        if len(counts) > MAX_CLASSES:
            return ClassesError(
                f"{raster.path} contains more than {MAX_CLASSES} colours, too many to be classes: it is a picture, or "
                "was smoothed or compressed with loss; create it again by nearest neighbour as PNG or GeoTIFF"
            )
    thin = len(counts.keys() - solid)
    if _has_soft_edges(len(solid), thin):
        return ClassesError(
            f"{raster.path} was smoothed: beside areas of {len(solid)} colours it contains {thin} at edges alone; "
            "create it again by nearest neighbour"
        )
    error = ClassesError(
        f"{raster.path} contains {len(counts)} colours, not class values; give the class of each colour in a "
        "classes.toml beside images/ and masks/, such as this one, in which the names are yours to choose:"
    )
    total = sum(counts.values())
    error.details = tuple(
        line
        for value, (color, count) in enumerate(counts.most_common())
        for line in (
            f"[class_{value}]",
            f"value = {value}",
            f'color = "#{color:06x}"  # {count / total:.2%} of the pixels',
        )
    )
    return error


def _too_many_values(path: Path | str, count: int) -> str:
    return (
        f"{path} contains {count} different values, too many to be classes: it is a picture, or was smoothed; create "
        f"it again by nearest neighbour, {TO_THRESHOLD}, or define the classes in a classes.toml"
    )
