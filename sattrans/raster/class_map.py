"""Maps read as class indices, whichever way their classes are coded."""

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

AS_BYTES = "gdal_translate -ot Byte IN.tif OUT.tif"
"""How a mask of whole numbers that are stored with fractions becomes one of integers."""

MOST_CLASSES = 64
"""The most different values or colours that are taken for classes where nobody told them; a picture has more."""

SEVERAL = 8
"""Values that no class has, from which on they are taken for the work of smoothing: an edge of four times four
samples a pixel has up to 15."""


@dataclass(frozen=True)
class ClassMap:
    """A map whose pixels are classes of `palette`.

    `coding` tells how: `values`, the pixel values are the classes'; `table`, a colour table has the classes'
    colours at values of its own; `colors`, red, green and blue are the classes' colours. `notice` is what a
    user should know about how the map was taken, or empty. `mappable` is whether whoever asked can say which class a
    value is (`--map`).
    """

    raster: Raster
    palette: Palette
    coding: Coding
    lookup: NDArray[np.uint8]
    notice: str = ""
    mappable: bool = False

    @property
    def empty(self) -> int | None:
        """The value that stands for "nothing here": the declared nodata, unless it is a class's."""
        return None if self.coding == "colors" else _empty(self.raster, self.lookup)

    @property
    def partial(self) -> bool:
        """Whether pixels may hold nothing: there is a value that says so, or an alpha band."""
        return self.empty is not None or self.raster.alpha_band is not None

    def read(self, window: Window | None = None) -> NDArray[np.uint8]:
        """Return class indices, shape (H, W), `UNKNOWN` where the map holds nothing (`partial`).

        Raises `ClassesError` with what was found and what is expected.
        """
        if self.coding == "colors":
            rgb = self.raster.read(window, (1, 2, 3)).astype(np.uint8, copy=False)
            indices = self.palette.from_rgb(rgb)
            strange = (indices == UNKNOWN) & _opaque(self.raster, window)
            if strange.any():
                self._refuse_colors(rgb, strange)
            return self._cut_out(indices, window)
        values = self.raster.read(window, (1,))[0]
        if values.dtype == np.uint8:
            indices = self.lookup.take(values)
        else:
            inside = (values >= 0) & (values <= 255)
            indices = np.where(inside, self.lookup[np.where(inside, values, 0)], np.uint8(UNKNOWN))
        if indices.max(initial=0) == UNKNOWN:  # seldom: what follows costs as much as reading
            strange = indices == UNKNOWN
            if self.empty is not None:
                strange &= values != self.empty
            strange &= _opaque(self.raster, window)
            if strange.any():
                self._refuse_values(values, strange)
        return self._cut_out(indices, window)

    def read_with_valid(self, window: Window | None = None) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
        """Return what `read` does, and which pixels hold anything, (H, W), None where all do."""
        indices = self.read(window)
        return indices, indices != UNKNOWN if self.partial else None

    def valid(self, window: Window | None = None) -> NDArray[np.bool_]:
        """Return which pixels hold anything, (H, W)."""
        valid: NDArray[np.bool_] = self.read(window) != UNKNOWN
        return valid

    def _cut_out(self, indices: NDArray[np.uint8], window: Window | None) -> NDArray[np.uint8]:
        if self.raster.alpha_band is None:
            return indices
        return np.where(_opaque(self.raster, window), indices, np.uint8(UNKNOWN))

    def check(self) -> None:
        """Read all of the map once, in bands of rows; raise `ClassesError` or `RasterError` for what is wrong."""
        for window in self.raster.bands_of_rows():
            self.read(window)

    def count(self) -> NDArray[np.int64]:
        """Read all of the map as `check` does; return the pixels of each class, and last those that hold nothing.

        Shape (classes + 1,).
        """
        total = np.zeros(UNKNOWN + 1, np.int64)
        for window in self.raster.bands_of_rows():
            for row in self.read(window):  # all at once would need eight bytes a pixel
                total += np.bincount(row, minlength=UNKNOWN + 1)
        return np.append(total[: len(self.palette)], total[UNKNOWN])

    def _refuse_values(self, values: NDArray[np.generic], strange: NDArray[np.bool_]) -> None:
        found = np.unique(values[strange])
        expected = f"that are none of the {'colours' if self.coding == 'table' else 'classes'} expected: {self.palette}"
        if self.raster.lossy:
            raise ClassesError(
                f"{self.raster.path} is compressed with loss (JPEG), which made values {_listed(found)} {expected}; "
                "make it again without loss, or threshold it first"
            )
        known = np.flatnonzero(self.lookup != UNKNOWN)
        between = found[(found > known[0]) & (found < known[-1])]
        levels = int(known[-1] - known[0]) + 1 - len(known)
        if _many(len(found), strange, levels / 2) and 2 * len(between) >= len(found):
            raise ClassesError(
                f"{self.raster.path} holds {len(between)} values between the classes' ({_listed(between)}): it was "
                "smoothed or compressed with loss (JPEG?); make it again by nearest neighbour, or threshold it first"
            )
        remedy = "give a map of these classes"
        if self.mappable and 0 <= found[0] <= 255:
            remedy += f", or say which class each value is, such as --map {found[0]}={self.palette.values[0]}"
        raise ClassesError(f"{self.raster.path} holds values {_listed(found)} {expected}; {remedy}")

    def _refuse_colors(self, rgb: NDArray[np.uint8], strange: NDArray[np.bool_]) -> None:
        colors = np.unique(pack_rgb(rgb)[strange])
        found = _listed([f"#{color:06x}" for color in colors.tolist()], most=4)
        expected = self.palette.describe_colors()
        if self.raster.lossy:
            raise ClassesError(
                f"{self.raster.path} is compressed with loss (JPEG), which made colours {found} that are none of those "
                f"expected: {expected}; make it again without loss"
            )
        if _many(len(colors), strange, MOST_CLASSES):
            raise ClassesError(
                f"{self.raster.path} holds {len(colors)} colours beside the classes' ({found}): it is a picture, or "
                f"was smoothed or compressed with loss (JPEG?); draw it without smoothing, in {expected}"
            )
        raise ClassesError(
            f"{self.raster.path} holds colours {found} that are none of those expected: {expected}; "
            "a map must be drawn without smoothing"
        )


def _many(found: int, strange: NDArray[np.bool_], most: float) -> bool:
    """Say whether so many strange values are rather of smoothing than of other classes.

    Smoothing makes several, and either few pixels have them, those at the edges, or there are more than `most`.
    Another land cover's map has few, but nearly everywhere.
    """
    return found >= SEVERAL and (bool(strange.mean() < 0.5) or found > most)


def class_map(
    raster: Raster, palette: Palette, coding: Coding | None = None, values: Mapping[int, int] | None = None
) -> ClassMap:
    """Find out how a map codes its classes, and return it ready to read.

    One band holds values, unless its colour table has the palette's colours elsewhere than at the palette's
    values. Three bands or more hold colours, unless they are all equal and hold the palette's values.
    To find out may take reading all of it; who has done so before tells the `coding`. `values` are values beside
    the palette's, or instead of them, with the indices of their classes: then the map holds values, not colours.
    Raises `RasterError` for two bands and for pixels that are not integers.
    """
    if not np.issubdtype(np.dtype(raster.dtype), np.integer):
        raise RasterError(
            f"{raster.path} holds {raster.dtype} pixels: a map holds integer classes, or colours; where its values are "
            f"whole numbers, write them as such: {AS_BYTES}"
        )
    told = coding or _coding(raster, palette, values or {})
    if told == "colors" and raster.dtype != "uint8":
        raise RasterError(f"{raster.path} holds {raster.dtype} colours, 8-bit ones are needed")
    lookup = _by_table(raster, palette) if told == "table" else _by_value(palette)
    lookup[list(values or {})] = list((values or {}).values())
    notice = ""
    if told == "table":
        notice = f"{raster.path}: classes taken by the colours of its colour table"
    elif told == "values" and raster.bands >= 3:
        notice = f"{raster.path}: three equal bands, taken as one band of class values"
    return ClassMap(raster, palette, told, lookup, notice)


def _coding(raster: Raster, palette: Palette, told: Mapping[int, int]) -> Coding:
    data_bands = raster.bands - (raster.alpha_band is not None)
    if data_bands >= 3:
        values = {*palette.values, *told, _empty(raster, _by_value(palette))}
        return "values" if _holds_only(raster, values, (1, 2, 3)) else "colors"
    if data_bands != 1:
        raise RasterError(f"{raster.path} has {data_bands} bands: a map has one (classes) or three (colours)")
    table = raster.colormap()
    if table and not told and not _agrees(table, palette):
        lookup = _by_table(raster, palette)
        drawn = {value for value in range(256) if lookup[value] != UNKNOWN}
        if _holds_only(raster, {*drawn, _empty(raster, lookup)}, (1,)):
            return "table"
    return "values"


def _by_value(palette: Palette) -> NDArray[np.uint8]:
    """Return the class index of each pixel value."""
    return palette.from_values(np.arange(256, dtype=np.uint8))


def _by_table(raster: Raster, palette: Palette) -> NDArray[np.uint8]:
    """Return the class index of each pixel value by the colour that the raster's colour table gives it."""
    by_color = {color: index for index, color in enumerate(palette.colors)}
    lookup = np.full(256, UNKNOWN, np.uint8)
    for value, color in (raster.colormap() or {}).items():
        # Nodata is no class here: in a TIFF its entry, not filled in, is black, as a class may be.
        if value < 256 and value != raster.nodata:
            lookup[value] = by_color.get(color, UNKNOWN)
    return lookup


def _holds_only(raster: Raster, values: set[int | None], bands: tuple[int, ...]) -> bool:
    """Say whether these bands are equal everywhere, and hold nothing but these values."""
    for window in raster.bands_of_rows():
        pixels = raster.read(window, bands)[:, _opaque(raster, window)]
        if (pixels != pixels[:1]).any() or not values.issuperset(np.unique(pixels[0]).tolist()):
            return False
    return True


def _opaque(raster: Raster, window: Window | None) -> NDArray[np.bool_]:
    """Return where a map is not transparent, (H, W)."""
    window = window or raster.window
    if raster.alpha_band is None:
        return np.ones((window.height, window.width), bool)
    opaque: NDArray[np.bool_] = raster.read(window, (raster.alpha_band,))[0] != 0
    return opaque


def _empty(raster: Raster, lookup: NDArray[np.uint8]) -> int | None:
    """Return the declared nodata value as a whole number, unless it is a class's."""
    nodata = raster.nodata
    if nodata is None or not nodata.is_integer():
        return None
    return None if 0 <= nodata <= 255 and lookup[int(nodata)] != UNKNOWN else int(nodata)


def _agrees(table: dict[int, tuple[int, int, int]], palette: Palette) -> bool:
    """Say whether a colour table has no colour of the palette elsewhere than the palette has it."""
    own = set(palette.classes)
    wanted = {c.color: c.value for c in own}
    misplaced = {c.color for c in own if table.get(c.value) != c.color}
    return not any(color in misplaced and wanted[color] != value for value, color in table.items())


def _listed(found: "NDArray[np.generic] | list[str]", most: int = 12) -> str:
    texts = [str(item) for item in found[:most]]
    return ", ".join(texts) + (f" and {len(found) - most} more" if len(found) > most else "")
