"""Raster maps as a run reads them: the part that was asked for, on the grid it is translated on."""

import math
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sattrans.errors import ClassesError, OptionError
from sattrans.maps.class_mapping import value_classes
from sattrans.maps.crop import cut, told_area
from sattrans.maps.gsd import Metres, resolve
from sattrans.maps.options import MapOptions
from sattrans.raster.alignment import Grid, kernel_of, on_grid
from sattrans.raster.class_map import ClassMap, class_map
from sattrans.raster.open import Raster
from sattrans.raster.palette import UNKNOWN, Palette
from sattrans.raster.rgb_map import PictureMap, picture_map
from sattrans.raster.window import Window


class PixelMap:
    """A raster that holds classes of `palette`, or colours where that is None. See `Map` for what it offers.

    Where it lies and how large it is, is known at once. How it codes its classes is found out when it is checked or
    read, which may take reading all of it. `stack` closes what that opens.
    """

    def __init__(
        self, raster: Raster, palette: Palette | None, options: MapOptions, run: Metres | None, stack: ExitStack
    ) -> None:
        if options.rules:
            raise OptionError(f"--rules {options.rules}: {raster.path} is no vector map, it needs no rules")
        if options.classes and palette is None:
            raise OptionError("--map: the run was trained on maps that are pictures, they have no classes")
        self.raster, self.palette = raster, palette
        self.values = value_classes(options.classes, palette) if palette else {}
        self._resolved = resolve(raster.path, Grid.of(raster), options.res, run)
        self._cut = cut(raster.path, self._resolved.grid, options, raster.georeference.crs)
        self._stack = stack
        self.height, self.width = self._cut.window.height, self._cut.window.width
        self.georeference = self._resolved.grid.georeference
        if self.georeference.known:
            self.georeference = self.georeference.at(self._cut.window)
        self.identity: Mapping[str, Any] = {
            "map": _file(raster),
            "res": self._resolved.metres,
            **told_area(options),
            "classes": {str(value): palette.values[index] for value, index in self.values.items()} if palette else {},
        }

    @property
    def partial(self) -> bool:
        """Whether pixels may hold nothing."""
        return self._cut.outline is not None or self._map.partial

    @property
    def notices(self) -> list[str]:
        """What a user should know about how the map was taken."""
        told = [self._found.notice, self._resolved.notice, *self._cut.notices]
        if not self.georeference.known:
            told.append(f"{self.raster.path} has no georeference: the image has none either")
        return [notice for notice in told if notice]

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Return class indices (H, W), `UNKNOWN` where nothing is, or colours (3, H, W), black where nothing is."""
        pixels = self._map.read(window)
        if self._cut.outline is None:
            return pixels
        return np.where(self._cut.inside(window), pixels, np.uint8(UNKNOWN if self.palette else 0))

    def valid(self, window: Window) -> NDArray[np.bool_]:
        """Return which pixels hold anything, (H, W)."""
        valid = self._map.valid(window)
        return valid if self._cut.outline is None else valid & self._cut.inside(window)

    def check(self) -> None:
        """Read all that is asked for once, band by band; raise `ClassesError` or `RasterError` for what is wrong."""
        self._found.check()

    @cached_property
    def _found(self) -> ClassMap | PictureMap:
        """The part of the map that is needed, as it stands in the file."""
        part = self._source_window()
        raster = self.raster if part == self.raster.window else self.raster.cropped(part)
        if self.palette is None:
            return picture_map(raster)
        found = class_map(raster, self.palette, values=self.values)
        if self.values and found.coding != "values":
            raise ClassesError(f"{raster.path} holds colours: --map says which class a value is, and there are none")
        return replace(found, mappable=found.coding != "colors")

    @cached_property
    def _map(self) -> ClassMap | PictureMap:
        """The part of the map that is needed, on its grid."""
        found, whole = self._found, self._resolved
        if whole.metres is None:
            return found
        kernel = kernel_of(self.raster, whole.grid, self.palette is not None or self.raster.colormap() is not None)
        if kernel == "mode" and isinstance(found, ClassMap) and found.coding == "colors":
            kernel = "nearest"  # the commonest red, green and blue together may be no class's colour
        grid = Grid(self.height, self.width, self.georeference)
        warped = self._stack.enter_context(on_grid(self.raster, grid, kernel, found.empty, within=True))
        return replace(found, raster=warped)

    def _source_window(self) -> Window:
        """Return the pixels of the file that the cut is made from, with one around them where it is resampled."""
        window, grid = self._cut.window, self._resolved.grid
        if self._resolved.metres is None:
            return window
        (wide, high), (own_wide, own_high) = grid.georeference.resolution, self.raster.georeference.resolution
        across, down = wide / own_wide, high / own_high
        row, col = max(0, math.floor(window.row * down) - 1), max(0, math.floor(window.col * across) - 1)
        bottom = min(self.raster.height, math.ceil(window.bottom * down) + 1)
        right = min(self.raster.width, math.ceil(window.right * across) + 1)
        return Window(row, col, bottom - row, right - col)


def _file(raster: Raster) -> list[Any]:
    path = Path(raster.path)
    stat = path.stat() if path.exists() else None
    return [path.name, raster.width, raster.height, *((stat.st_size, stat.st_mtime_ns) if stat else ())]
