"""Maps read as class indices, whether their pixels are class values, indices of a colour table, or colours."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sattrans.errors import ClassesError, RasterError
from sattrans.raster.open import Raster
from sattrans.raster.palette import UNKNOWN, Palette, pack_rgb
from sattrans.raster.window import Window

Coding = Literal["values", "table", "colors"]

TO_BYTE_COMMAND = "gdal_translate -ot Byte IN.tif OUT.tif"
"""Converts a mask of whole numbers that are stored as floats to integers."""

TO_THRESHOLD = "cut it at a grey level with sattrans tile --threshold 128"
"""What can be done with a smoothed mask of two classes."""

MAX_CLASSES = 64
"""The most values or colours that count as classes if no palette is given; a picture has more."""

MIN_SMOOTHED_VALUES = 8
"""From this many unexpected values on, smoothing is the likely cause: an edge antialiased with 4 × 4 samples a pixel
has up to 15."""


@dataclass(frozen=True)
class ClassMap:
    """A map whose pixels are classes of `palette`.

    Attributes:
        raster: The open map.
        palette: The classes.
        coding: `values`: pixels are the palette's values. `table`: the colour table has the palette's colours at other
            values. `colors`: red, green and blue are the palette's colours.
        lookup: The class index of each pixel value 0 to 255, `UNKNOWN` for a value without a class.
        notice: What the user should know about how the map is read, or empty.
        mappable: Whether the user can map a value to a class (`--map`); a message then says so.
    """

    raster: Raster
    palette: Palette
    coding: Coding
    lookup: NDArray[np.uint8]
    notice: str = ""
    mappable: bool = False

    @property
    def nodata(self) -> int | None:
        """The declared nodata value, unless it is the value of a class."""
        return None if self.coding == "colors" else _nodata_value(self.raster, self.lookup)

    @property
    def has_nodata(self) -> bool:
        """Whether pixels may be invalid: the map has a nodata value or an alpha band."""
        return self.nodata is not None or self.raster.alpha_band is not None

    def read(self, window: Window | None = None) -> NDArray[np.uint8]:
        """Return class indices, shape (H, W), with `UNKNOWN` for invalid pixels (`has_nodata`).

        Raises `ClassesError` for values or colours that are not in the palette.
        """
        if self.coding == "colors":
            rgb = self.raster.read(window, (1, 2, 3)).astype(np.uint8, copy=False)
            indices = self.palette.from_rgb(rgb)
            unexpected = (indices == UNKNOWN) & _opaque(self.raster, window)
            if unexpected.any():
                self._raise_for_colors(rgb, unexpected)
            return self._apply_alpha(indices, window)
        values = self.raster.read(window, (1,))[0]
        if values.dtype == np.uint8:
            indices = self.lookup.take(values)
        else:
            in_range = (values >= 0) & (values <= 255)
            indices = np.where(in_range, self.lookup[np.where(in_range, values, 0)], np.uint8(UNKNOWN))
        if indices.max(initial=0) == UNKNOWN:  # rare: what follows costs as much as reading
            unexpected = indices == UNKNOWN
            if self.nodata is not None:
                unexpected &= values != self.nodata
            unexpected &= _opaque(self.raster, window)
            if unexpected.any():
                self._raise_for_values(values, unexpected)
        return self._apply_alpha(indices, window)

    def read_with_mask(self, window: Window | None = None) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
        """Return what `read` does, and which pixels are valid, (H, W), or None if the map has no nodata."""
        indices = self.read(window)
        return indices, indices != UNKNOWN if self.has_nodata else None

    def valid(self, window: Window | None = None) -> NDArray[np.bool_]:
        """Return which pixels are valid, (H, W)."""
        valid: NDArray[np.bool_] = self.read(window) != UNKNOWN
        return valid

    def _apply_alpha(self, indices: NDArray[np.uint8], window: Window | None) -> NDArray[np.uint8]:
        if self.raster.alpha_band is None:
            return indices
        return np.where(_opaque(self.raster, window), indices, np.uint8(UNKNOWN))

    def check(self) -> None:
        """Read the complete map once, in strips; raise `ClassesError` or `RasterError` for any error in it."""
        for window in self.raster.strips():
            self.read(window)

    def count(self) -> NDArray[np.int64]:
        """Read the complete map as `check` does; return the pixels of each class and, last, of none: (classes + 1,)."""
        total = np.zeros(UNKNOWN + 1, np.int64)
        for window in self.raster.strips():
            for row in self.read(window):  # a whole strip would need eight bytes a pixel
                total += np.bincount(row, minlength=UNKNOWN + 1)
        return np.append(total[: len(self.palette)], total[UNKNOWN])

    def _raise_for_values(self, values: NDArray[np.generic], unexpected: NDArray[np.bool_]) -> None:
        extra = np.unique(values[unexpected])
        path, listed, plural = self.raster.path, _list_some(extra), "s" if len(extra) > 1 else ""
        expected = f"the {'colours' if self.coding == 'table' else 'classes'} {self.palette}"
        if self.raster.lossy:
            raise ClassesError(
                f"{path} is compressed with loss (JPEG), which added value{plural} {listed} to {expected}; create it "
                f"again without loss, or {TO_THRESHOLD}"
            )
        known = np.flatnonzero(self.lookup != UNKNOWN)
        between = extra[(extra > known[0]) & (extra < known[-1])]
        levels = int(known[-1] - known[0]) + 1 - len(known)
        if _looks_smoothed(len(extra), unexpected, levels / 2) and 2 * len(between) >= len(extra):
            raise ClassesError(
                f"{path} contains {len(between)} values between those of the classes ({_list_some(between)}): it was "
                "smoothed or compressed with loss (JPEG?); create it again by nearest neighbour, or "
                f"{TO_THRESHOLD}"
            )
        remedy = "use a map of these classes"
        if self.mappable and 0 <= extra[0] <= 255:
            remedy += f", or give the class of each value, such as --class-map {extra[0]}={self.palette.values[0]}"
        are = "which are not among" if plural else "which is not one of"
        raise ClassesError(f"{path} contains value{plural} {listed}, {are} {expected}; {remedy}")

    def _raise_for_colors(self, rgb: NDArray[np.uint8], unexpected: NDArray[np.bool_]) -> None:
        colors = np.unique(pack_rgb(rgb)[unexpected])
        path, expected = self.raster.path, self.palette.describe_colors()
        listed = _list_some([f"#{color:06x}" for color in colors.tolist()], most=4)
        if self.raster.lossy:
            raise ClassesError(
                f"{path} is compressed with loss (JPEG), which added colours {listed} to the expected {expected}; "
                "create it again without loss"
            )
        if _looks_smoothed(len(colors), unexpected, MAX_CLASSES):
            raise ClassesError(
                f"{path} contains {len(colors)} colours besides those of the classes ({listed}): it is a picture, or "
                f"was smoothed or compressed with loss (JPEG?); draw it without smoothing, in {expected}"
            )
        raise ClassesError(
            f"{path} contains colours {listed}, which are not among the expected {expected}; draw the map without "
            "smoothing, in these colours"
        )


def _looks_smoothed(count: int, unexpected: NDArray[np.bool_], most: float) -> bool:
    """Return whether unexpected values come from smoothing rather than from other classes.

    Smoothing adds several values. Either few pixels have them, those at edges, or there are more than `most` values.
    A map of other classes has few unexpected values, but in nearly all pixels.
    """
    return count >= MIN_SMOOTHED_VALUES and (bool(unexpected.mean() < 0.5) or count > most)


def class_map(
    raster: Raster, palette: Palette, coding: Coding | None = None, values: Mapping[int, int] | None = None
) -> ClassMap:
    """Return a map ready to be read, after finding out how it codes its classes.

    One band holds values, unless its colour table has the palette's colours at other values than the palette. Three
    or more bands hold colours, unless they are equal and hold only values of the palette.

    Args:
        raster: The open map.
        palette: The classes.
        coding: The coding, if it is known; finding it out may take reading the complete map.
        values: Class indices of further pixel values, or of other ones than the palette's. With these, the map holds
            values, not colours.

    Raises:
        RasterError: for two bands, and for pixels that are not integers.
    """
    if not np.issubdtype(np.dtype(raster.dtype), np.integer):
        raise RasterError(
            f"{raster.path} has {raster.dtype} pixels, but a map has integer classes, or colours; if its values are "
            f"whole numbers, convert them: {TO_BYTE_COMMAND}"
        )
    coding = coding or _detect_coding(raster, palette, values or {})
    if coding == "colors" and raster.dtype != "uint8":
        raise RasterError(f"{raster.path} has {raster.dtype} colours; convert them to 8 bits")
    lookup = _lookup_by_table(raster, palette) if coding == "table" else _lookup_by_value(palette)
    lookup[list(values or {})] = list((values or {}).values())
    notice = ""
    if coding == "table":
        notice = f"{raster.path}: classes are read from the colours of its colour table"
    elif coding == "values" and raster.bands >= 3:
        notice = f"{raster.path}: its three bands are equal, and are read as one band of class values"
    return ClassMap(raster, palette, coding, lookup, notice)


def by_threshold(raster: Raster, palette: Palette, threshold: int | None) -> dict[int, int]:
    """Return the class index of each grey level: that of the lower of two values below the threshold, else the other.

    Empty without a threshold. A declared nodata value stays one, unless it is the value of a class.
    """
    if threshold is None:
        return {}
    low, high = sorted(range(len(palette)), key=lambda index: palette.values[index])
    levels = (level for level in range(256) if level != raster.nodata or level in palette.values)
    return {level: high if level >= threshold else low for level in levels}


def _detect_coding(raster: Raster, palette: Palette, mapped: Mapping[int, int]) -> Coding:
    data_bands = raster.bands - (raster.alpha_band is not None)
    if data_bands >= 3:
        values = {*palette.values, *mapped, _nodata_value(raster, _lookup_by_value(palette))}
        return "values" if _contains_only(raster, values, (1, 2, 3)) else "colors"
    if data_bands != 1:
        raise RasterError(f"{raster.path} has {data_bands} bands, but a map has one (classes) or three (colours)")
    table = raster.colormap()
    if table and not mapped and not _table_agrees(table, palette):
        lookup = _lookup_by_table(raster, palette)
        drawn = {value for value in range(256) if lookup[value] != UNKNOWN}
        if _contains_only(raster, {*drawn, _nodata_value(raster, lookup)}, (1,)):
            return "table"
    return "values"


def _lookup_by_value(palette: Palette) -> NDArray[np.uint8]:
    """Return the class index of each pixel value."""
    return palette.from_values(np.arange(256, dtype=np.uint8))


def _lookup_by_table(raster: Raster, palette: Palette) -> NDArray[np.uint8]:
    """Return the class index of each pixel value by its colour in the raster's colour table."""
    by_color = {color: index for index, color in enumerate(palette.colors)}
    lookup = np.full(256, UNKNOWN, np.uint8)
    for value, color in (raster.colormap() or {}).items():
        # Nodata is not a class here: a TIFF without an entry for it has black there, and so may a class.
        if value < 256 and value != raster.nodata:
            lookup[value] = by_color.get(color, UNKNOWN)
    return lookup


def _contains_only(raster: Raster, values: set[int | None], bands: tuple[int, ...]) -> bool:
    """Return whether these bands are equal everywhere and contain only these values."""
    for window in raster.strips():
        pixels = raster.read(window, bands)[:, _opaque(raster, window)]
        if (pixels != pixels[:1]).any() or not values.issuperset(np.unique(pixels[0]).tolist()):
            return False
    return True


def _opaque(raster: Raster, window: Window | None) -> NDArray[np.bool_]:
    """Return which pixels of a map are not transparent, (H, W)."""
    window = window or raster.window
    if raster.alpha_band is None:
        return np.ones((window.height, window.width), bool)
    opaque: NDArray[np.bool_] = raster.read(window, (raster.alpha_band,))[0] != 0
    return opaque


def _nodata_value(raster: Raster, lookup: NDArray[np.uint8]) -> int | None:
    """Return the declared nodata value as a whole number, unless it is the value of a class."""
    nodata = raster.nodata
    if nodata is None or not nodata.is_integer():
        return None
    return None if 0 <= nodata <= 255 and lookup[int(nodata)] != UNKNOWN else int(nodata)


def _table_agrees(table: dict[int, tuple[int, int, int]], palette: Palette) -> bool:
    """Return whether a colour table has no colour of the palette at another value than the palette."""
    classes = set(palette.classes)
    value_of_color = {c.color: c.value for c in classes}
    misplaced = {c.color for c in classes if table.get(c.value) != c.color}
    return not any(color in misplaced and value_of_color[color] != value for value, color in table.items())


def _list_some(items: "NDArray[np.generic] | list[str]", most: int = 12) -> str:
    texts = [str(item) for item in items[:most]]
    return ", ".join(texts) + (f" and {len(items) - most} more" if len(items) > most else "")
