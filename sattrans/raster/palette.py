"""The land-cover classes of a map, converted between pixel values, class indices and colours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sattrans.errors import ClassesError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RGB = tuple[int, int, int]
"""A colour: red, green, blue, each 0 to 255."""

UNKNOWN = 255
"""The class index of pixels without a class; a palette has at most 255 classes."""


@dataclass(frozen=True, slots=True)
class LandClass:
    """A land-cover class.

    Attributes:
        value: The pixel value in masks, 0 to 255.
        name: The name in messages and reports.
        color: Red, green, blue, each 0 to 255, of maps in colour.

    Raises:
        ClassesError: if a value is out of range.
    """

    value: int
    name: str
    color: RGB

    def __post_init__(self) -> None:
        if not 0 <= self.value <= 255:
            raise ClassesError(f"class {self.name!r} has value {self.value}, but a mask has values 0 to 255")
        if len(self.color) != 3 or not all(0 <= band <= 255 for band in self.color):
            raise ClassesError(f"class {self.name!r} has colour {self.color}; give three numbers 0 to 255")


@dataclass(frozen=True)
class Palette:
    """An ordered set of classes; the index of a class is its position.

    Attributes:
        classes: 1 to 255 classes with unique values, names and colours.

    Raises:
        ClassesError: if two classes share a value, a name or a colour, or if there are too few or too many.
    """

    classes: tuple[LandClass, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.classes) <= UNKNOWN:
            raise ClassesError(f"a palette must have 1 to {UNKNOWN} classes, got {len(self.classes)}")
        for attribute in ("value", "name", "color"):
            name_of: dict[Any, str] = {}
            for item in self.classes:
                key = getattr(item, attribute)
                if key in name_of:
                    raise ClassesError(f"classes {name_of[key]!r} and {item.name!r} share the {attribute} {key}")
                name_of[key] = item.name

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def values(self) -> tuple[int, ...]:
        """The pixel values, in class order."""
        return tuple(item.value for item in self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """The class names, in class order."""
        return tuple(item.name for item in self.classes)

    @property
    def colors(self) -> tuple[RGB, ...]:
        """The colours, in class order."""
        return tuple(item.color for item in self.classes)

    @property
    def colormap(self) -> dict[int, RGB]:
        """Pixel value to colour: the colour table of a GeoTIFF."""
        return {item.value: item.color for item in self.classes}

    @property
    def nodata(self) -> int:
        """The nodata value of maps that sattrans writes: the highest value that no class has."""
        return max(set(range(256)) - set(self.values))

    @cached_property
    def _index_of_value(self) -> NDArray[np.uint8]:
        import numpy as np

        table = np.full(256, UNKNOWN, np.uint8)
        table[list(self.values)] = np.arange(len(self))
        return table

    def from_values(self, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return class indices, same shape; a value without a class becomes `UNKNOWN`."""
        return self._index_of_value[values]

    def to_values(self, indices: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return pixel values, same shape; the inverse of `from_values`. `UNKNOWN` becomes `nodata`."""
        if self.values == tuple(range(len(self))) and indices.max(initial=0) < len(self):
            return indices
        return self._value_of_index.take(indices)

    @cached_property
    def _value_of_index(self) -> NDArray[np.uint8]:
        import numpy as np

        table = np.full(256, self.nodata, np.uint8)
        table[: len(self)] = self.values
        return table

    def to_rgb(self, indices: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return colours, shape (3, H, W), for class indices (H, W). `UNKNOWN` becomes black."""
        import numpy as np

        table = np.zeros((256, 3), np.uint8)
        table[: len(self)] = self.colors
        return np.moveaxis(table[indices], -1, 0)

    def from_rgb(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return class indices (H, W) for colours (3, H, W), matched exactly; another colour becomes `UNKNOWN`."""
        import numpy as np

        packed = pack_rgb(rgb)
        indices = np.full(packed.shape, UNKNOWN, np.uint8)
        for index, color in enumerate(self.colors):
            indices[packed == _pack(color)] = index
        return indices

    def to_json(self) -> list[dict[str, Any]]:
        """Return what a manifest records."""
        return [{"value": c.value, "name": c.name, "color": list(c.color)} for c in self.classes]

    @classmethod
    def from_json(cls, classes: Iterable[dict[str, Any]]) -> Palette:
        """Return the palette that `to_json` wrote."""
        return cls(tuple(LandClass(c["value"], c["name"], tuple(c["color"])) for c in classes))

    def describe_colors(self) -> str:
        """Return the classes with their colours, such as "#614a4a building"."""
        return ", ".join(f"#{_pack(c.color):06x} {c.name}" for c in self.classes)

    def __str__(self) -> str:
        return ", ".join(f"{c.value} {c.name}" for c in self.classes)


def _pack(color: Sequence[int]) -> int:
    return color[0] << 16 | color[1] << 8 | color[2]


def pack_rgb(rgb: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Return a number 0xRRGGBB for each pixel, shape (H, W), for colours (3, H, W)."""
    import numpy as np

    red, green, blue = rgb.astype(np.int32)
    packed: NDArray[np.int32] = red << 16 | green << 8 | blue
    return packed


def distinct_colors(count: int) -> list[RGB]:
    """Return `count` different colours, up to 255: hues follow the golden ratio, with three alternating lightnesses."""
    import colorsys

    colors: list[RGB] = []
    step = 0
    while len(colors) < count:
        hue, lightness = step * 0.618034 % 1.0, (0.55, 0.4, 0.7)[step // 2 % 3]
        red, green, blue = (round(255 * band) for band in colorsys.hls_to_rgb(hue, lightness, 0.6))
        if (red, green, blue) not in colors:
            colors.append((red, green, blue))
        step += 1
    return colors
