"""Maps read as class indices, whether their pixels are class values, indices of a colour table, or colours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sattrans.errors import ClassesError, RasterError
from sattrans.raster.bands import choose_bands
from sattrans.raster.open import Raster
from sattrans.raster.palette import UNKNOWN, Palette, pack_rgb
from sattrans.raster.validity import describe, may_be_invalid, read_opaque
from sattrans.raster.window import Window

Coding = Literal["values", "table", "colors"]

NOTHING = int(np.iinfo(np.int64).min)
"""What stands for NaN and nodata in whole numbers that were stored as floats."""

TO_THRESHOLD = "cut it at a grey level with sattrans tile --threshold 128"
"""What can be done with a smoothed mask of two classes."""

MAX_VALUE = 65535
"""The largest value of a map that can be mapped to a class, as some legends have codes over 255."""

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
        lookup: The class index of each pixel value from 0, `UNKNOWN` for a value without a class.
        bands: The bands that are read: the one of values, or those of red, green and blue.
        transparent: The values that the colour table shows as transparent, which are no class.
        notice: What the user should know about how the map is read, or empty.
        mappable: Whether the user can map a value to a class (`--class-map`); a message then says so.
        lenient: Whether values and colours that are no class are read as invalid, instead of being an error.
    """

    raster: Raster
    palette: Palette
    coding: Coding
    lookup: NDArray[np.uint8]
    bands: Sequence[int] = (1,)
    transparent: frozenset[int] = frozenset()
    notice: str = ""
    mappable: bool = False
    lenient: bool = False

    @property
    def nodata(self) -> int | None:
        """The declared nodata value, unless it is that of a class; of colours, the one that all bands have."""
        if self.coding != "colors":
            return _nodata_value(self.raster, self.lookup)
        nodata = self.raster.nodata
        return None if nodata is None or (nodata,) * 3 in self.palette.colors else int(nodata)

    @property
    def has_nodata(self) -> bool:
        """Whether pixels may be invalid: by nodata, alpha, a mask, NaN, or a transparent colour of the table."""
        return bool(self.transparent) or may_be_invalid(self.raster, self.nodata)

    @property
    def invalid_by(self) -> str:
        """What the map declares about invalid pixels, such as "nodata value 0"; empty if it declares nothing."""
        values = ", ".join(map(str, sorted(self.transparent)))
        declared = [describe(self.raster, self.nodata), f"transparent colour of value {values}" if values else ""]
        return " and ".join(filter(None, declared))

    def read(self, window: Window | None = None) -> NDArray[np.uint8]:
        """Return class indices, shape (H, W), with `UNKNOWN` for invalid pixels (`has_nodata`).

        Raises `ClassesError` for values or colours that are not in the palette, unless it is `lenient`.
        """
        opaque = read_opaque(self.raster, window)
        if self.coding == "colors":
            rgb = self.raster.read(window, self.bands).astype(np.uint8, copy=False)
            indices = self.palette.from_rgb(rgb)
            if not self.lenient:
                self._check_colors(rgb, indices, opaque)
        else:
            values: NDArray[Any] = self.raster.read(window, self.bands)[0]
            if values.dtype.kind == "f":
                values = whole_numbers(values, self.raster.path, self.nodata)
            indices = self._look_up(values)
            if not self.lenient and indices.max(initial=0) == UNKNOWN:  # rare: what follows costs as much as reading
                self._check_values(values, indices, opaque)
        return indices if opaque is None else np.where(opaque, indices, np.uint8(UNKNOWN))

    def _check_colors(
        self, rgb: NDArray[np.uint8], indices: NDArray[np.uint8], opaque: NDArray[np.bool_] | None
    ) -> None:
        unexpected = indices == UNKNOWN
        if opaque is not None:
            unexpected &= opaque
        if self.nodata is not None and unexpected.any():
            unexpected &= (rgb != self.nodata).any(axis=0)
        if unexpected.any():
            self._raise_for_colors(rgb, unexpected)

    def _check_values(self, values: NDArray[Any], indices: NDArray[np.uint8], opaque: NDArray[np.bool_] | None) -> None:
        unexpected = indices == UNKNOWN
        if opaque is not None:
            unexpected &= opaque
        for value in (self.nodata, NOTHING, *self.transparent):
            if value is not None:
                unexpected &= values != value
        if unexpected.any():
            self._raise_for_values(values, unexpected)

    def _look_up(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        if values.dtype == np.uint8:
            return self.lookup.take(values)
        in_range = (values >= 0) & (values < len(self.lookup))
        indices: NDArray[np.uint8] = np.where(in_range, self.lookup[np.where(in_range, values, 0)], np.uint8(UNKNOWN))
        return indices

    def read_with_mask(self, window: Window | None = None) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
        """Return what `read` does, and which pixels are valid, (H, W), or None if the map has no nodata."""
        indices = self.read(window)
        return indices, indices != UNKNOWN if self.has_nodata else None

    def valid(self, window: Window | None = None) -> NDArray[np.bool_]:
        """Return which pixels are valid, (H, W)."""
        valid: NDArray[np.bool_] = self.read(window) != UNKNOWN
        return valid

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
                f"{path} is compressed with loss ({self.raster.codec}), which added value{plural} {listed} to "
                f"{expected}; create it again without loss, or {TO_THRESHOLD}"
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
        if self.mappable and 0 <= extra[0] <= MAX_VALUE:
            remedy += f", or give the class of each value, such as --class-map {extra[0]}={self.palette.values[0]}"
        are = "which are not among" if plural else "which is not one of"
        raise ClassesError(f"{path} contains value{plural} {listed}, {are} {expected}; {remedy}")

    def _raise_for_colors(self, rgb: NDArray[np.uint8], unexpected: NDArray[np.bool_]) -> None:
        colors = np.unique(pack_rgb(rgb)[unexpected])
        path, expected = self.raster.path, self.palette.describe_colors()
        listed = _list_some([f"#{color:06x}" for color in colors.tolist()], most=4)
        if self.raster.lossy:
            raise ClassesError(
                f"{path} is compressed with loss ({self.raster.codec}), which added colours {listed} to the expected "
                f"{expected}; create it again without loss"
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
    raster: Raster,
    palette: Palette,
    coding: Coding | None = None,
    values: Mapping[int, int] | None = None,
    part: Raster | None = None,
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
        part: The part that is needed. It alone is read to find out the coding, if that is then sure for all of it.

    Raises:
        RasterError: for two bands.
    """
    coding = coding or _coding_by_part(raster, part, palette, values or {})
    if coding == "colors" and raster.dtype != "uint8":
        raise RasterError(f"{raster.path} has {raster.dtype} colours; convert them to 8 bits")
    lookup = _lookup_by_table(raster, palette) if coding == "table" else _lookup_by_value(palette)
    if values:
        lookup = np.pad(lookup, (0, max(0, max(values) + 1 - len(lookup))), constant_values=UNKNOWN)
        lookup[list(values)] = list(values.values())
    transparent = frozenset(value for value in transparent_values(raster) if lookup[value] == UNKNOWN)
    if coding == "colors":
        choice = choose_bands(raster)
        return ClassMap(raster, palette, coding, lookup, choice.bands, notice=choice.notice)
    notice = ""
    if coding == "table":
        notice = f"{raster.path}: classes are read from the colours of its colour table"
    elif raster.bands >= 3:
        notice = f"{raster.path}: its three bands are equal, and are read as one band of class values"
    return ClassMap(raster, palette, coding, lookup, _data_bands(raster)[:1], transparent, notice)


def transparent_values(raster: Raster) -> list[int]:
    """Return the values that a raster's colour table shows as transparent, up to 255."""
    table = raster.color_table() or {}
    return [value for value, (*_, alpha) in table.items() if alpha == 0 and value <= 255]


def whole_numbers(values: NDArray[np.generic], path: str, nodata: float | None) -> NDArray[np.int64]:
    """Return whole numbers that are stored as floats, same shape; `NOTHING` for NaN and nodata.

    Raises `RasterError` if other numbers are among them.
    """
    floats = values.astype(np.float64)
    holds = np.isfinite(floats)
    if nodata is not None:
        holds &= values != nodata
    whole = holds & (floats == np.rint(floats)) & (np.abs(floats) < float(2**53))
    if (whole != holds).any():
        wrong = floats[holds & ~whole][0]
        raise RasterError(
            f"{path} has {values.dtype} pixels such as {wrong:g}, but the classes of a map are whole numbers; create "
            "it again with whole numbers, and with nodata where it has holes"
        )
    return np.where(whole, floats, NOTHING).astype(np.int64)


def by_threshold(raster: Raster, palette: Palette, threshold: int | None) -> dict[int, int]:
    """Return the class index of each grey level: that of the lower of two values below the threshold, else the other.

    Empty without a threshold. A declared nodata value stays one, unless it is the value of a class.
    """
    if threshold is None:
        return {}
    low, high = sorted(range(len(palette)), key=lambda index: palette.values[index])
    levels = (level for level in range(256) if level != raster.nodata or level in palette.values)
    return {level: high if level >= threshold else low for level in levels}


def _coding_by_part(raster: Raster, part: Raster | None, palette: Palette, values: Mapping[int, int]) -> Coding:
    """Return the coding of a raster. Of a part, nothing is concluded that the rest might contradict."""
    found = _detect_coding(part or raster, palette, values)
    if part is None or part is raster or found == "colors":
        return found
    if found == "table":
        return _detect_coding(raster, palette, values)
    # Three equal bands hold values, or grey colours; a grey of one class may be the value of another.
    is_doubtful = len(_data_bands(raster)) >= 3 and any(
        len(set(color)) == 1 and (color[0] in values or color[0] in set(palette.values) - {value})
        for value, color in palette.colormap.items()
    )
    return _detect_coding(raster, palette, values) if is_doubtful else found


def _detect_coding(raster: Raster, palette: Palette, mapped: Mapping[int, int]) -> Coding:
    data_bands = _data_bands(raster)
    if len(data_bands) >= 3:
        values = {*palette.values, *mapped, _nodata_value(raster, _lookup_by_value(palette))}
        return "values" if _contains_only(raster, values, data_bands[:3]) else "colors"
    if len(data_bands) != 1:
        raise RasterError(f"{raster.path} has {len(data_bands)} bands, but a map has one (classes) or three (colours)")
    table = raster.colormap()
    if table and not mapped and not _table_agrees(table, palette):
        lookup = _lookup_by_table(raster, palette)
        drawn = {value for value in range(256) if lookup[value] != UNKNOWN}
        if _contains_only(raster, {*drawn, *transparent_values(raster), _nodata_value(raster, lookup)}, data_bands):
            return "table"
    return "values"


def _data_bands(raster: Raster) -> list[int]:
    """Return the numbers of the bands other than alpha."""
    return [number for number, color in enumerate(raster.band_colors, 1) if color != "alpha"]


def _lookup_by_value(palette: Palette) -> NDArray[np.uint8]:
    """Return the class index of each pixel value."""
    return palette.from_values(np.arange(256, dtype=np.uint8))


def _lookup_by_table(raster: Raster, palette: Palette) -> NDArray[np.uint8]:
    """Return the class index of each pixel value by its colour in the raster's colour table."""
    by_color = {color: index for index, color in enumerate(palette.colors)}
    lookup = np.full(256, UNKNOWN, np.uint8)
    for value, (*color, alpha) in (raster.color_table() or {}).items():
        # Nodata is not a class here: a TIFF without an entry for it has black there, and so may a class.
        if value < 256 and value != raster.nodata and alpha:
            lookup[value] = by_color.get((color[0], color[1], color[2]), UNKNOWN)
    return lookup


def _contains_only(raster: Raster, values: set[int | None], bands: Sequence[int]) -> bool:
    """Return whether these bands are equal everywhere and contain only these values."""
    for window in raster.strips():
        pixels, opaque = raster.read(window, bands), read_opaque(raster, window)
        pixels = pixels.reshape(len(bands), -1) if opaque is None else pixels[:, opaque]
        if (pixels != pixels[:1]).any() or not values.issuperset(np.unique(pixels[0]).tolist()):
            return False
    return True


def _nodata_value(raster: Raster, lookup: NDArray[np.uint8]) -> int | None:
    """Return the declared nodata value as a whole number, unless it is the value of a class."""
    nodata = raster.nodata
    if nodata is None or not nodata.is_integer():
        return None
    return None if 0 <= nodata < len(lookup) and lookup[int(nodata)] != UNKNOWN else int(nodata)


def _table_agrees(table: dict[int, tuple[int, int, int]], palette: Palette) -> bool:
    """Return whether a colour table has no colour of the palette at another value than the palette."""
    classes = set(palette.classes)
    value_of_color = {c.color: c.value for c in classes}
    misplaced = {c.color for c in classes if table.get(c.value) != c.color}
    return not any(color in misplaced and value_of_color[color] != value for value, color in table.items())


def _list_some(items: "NDArray[np.generic] | list[str]", most: int = 12) -> str:
    texts = [str(item) for item in items[:most]]
    return ", ".join(texts) + (f" and {len(items) - most} more" if len(items) > most else "")
