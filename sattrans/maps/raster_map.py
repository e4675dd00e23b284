"""Raster maps as a run reads them: the selected part, on the grid that it is translated on."""

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
from sattrans.maps.class_mapping import indices_of_values
from sattrans.maps.crop import crop, recorded_area
from sattrans.maps.gsd import GsdRange, choose_grid
from sattrans.maps.options import MapOptions
from sattrans.raster.alignment import Grid, choose_resampling, warp_to_grid
from sattrans.raster.class_map import ClassMap, class_map
from sattrans.raster.open import Raster
from sattrans.raster.palette import Palette
from sattrans.raster.rgb_map import RGBMap, rgb_map
from sattrans.raster.sidecar import side_files
from sattrans.raster.window import Window
from sattrans.utils.hashing import fingerprint


class RasterMap:
    """A raster of classes of `palette`, or of colours if that is None. See `Map` for its methods.

    Its size and georeference are known at once. How it codes its classes is found out when it is checked or read, which
    may take reading the complete map. `stack` closes what is opened then.
    """

    def __init__(
        self, raster: Raster, palette: Palette | None, options: MapOptions, run: GsdRange | None, stack: ExitStack
    ) -> None:
        if options.rules:
            raise OptionError(
                f"--rules {options.rules} is for vector maps, and {raster.path} is a raster; leave it out"
            )
        if options.class_map and palette is None:
            raise OptionError("--map: the run was trained on maps that are pictures, which have no classes")
        self.raster, self.palette = raster, palette
        self.index_of_value = indices_of_values(options.class_map, palette) if palette else {}
        self._target = choose_grid(raster.path, Grid.of(raster), options.res, run)
        self._crop = crop(raster.path, self._target.grid, options, raster.georeference.crs)
        self._stack = stack
        self.height, self.width, self.whole = self._crop.window.height, self._crop.window.width, self._crop.whole
        self.enlarged = self._target.enlarged
        self.georeference = self._target.grid.georeference
        if self.georeference.known:
            self.georeference = self.georeference.at(self._crop.window)
        classes = {str(value): palette.values[index] for value, index in self.index_of_value.items()} if palette else {}
        self.identity: Mapping[str, Any] = {
            "map": _file_identity(raster),
            "res": self._target.metres,
            **recorded_area(options),
            "classes": classes,
        }

    @property
    def has_nodata(self) -> bool:
        """Whether pixels may be invalid."""
        return self._crop.outline is not None or self._map.has_nodata

    @property
    def notices(self) -> list[str]:
        """What the user should know about how the map is read."""
        notices = [*self.raster.notices, self._source.notice, self._target.notice, *self._crop.notices]
        if not self.georeference.known:
            notices.append(f"{self.raster.path} has no georeference, so the image has none")
        return [notice for notice in notices if notice]

    def read(self, window: Window) -> NDArray[np.uint8]:
        """See `Map`."""
        return self._map.read(self._crop.to_grid(window))

    def valid(self, window: Window) -> NDArray[np.bool_]:
        """See `Map`."""
        valid = self._map.valid(self._crop.to_grid(window))
        return valid if self._crop.outline is None else valid & self._crop.inside(window)

    def check(self) -> None:
        """Read the selected part once, in strips; raise `ClassesError` or `RasterError` for any error in it."""
        replace(self._source, raster=self._part).check()

    @cached_property
    def _part(self) -> Raster:
        """The selected part of the file, on its own grid."""
        window = self._source_window()
        return self.raster if window == self.raster.window else self.raster.crop(window)

    @cached_property
    def _source(self) -> ClassMap | RGBMap:
        """The whole map on the file's own grid; values that are no class are errors."""
        if self.palette is None:
            return rgb_map(self.raster)
        source = class_map(self.raster, self.palette, values=self.index_of_value, part=self._part)
        if self.index_of_value and source.coding != "values":
            raise ClassesError(
                f"{self.raster.path} contains colours, but --class-map gives the class of values; leave it out"
            )
        return replace(source, mappable=source.coding != "colors")

    @cached_property
    def _map(self) -> ClassMap | RGBMap:
        """The whole map on the grid that it is translated on.

        Only the part has to be right, which is checked. What lies around it, and is no class, is read as invalid.
        """
        source, target = self._source, self._target
        if isinstance(source, ClassMap):
            source = replace(source, lenient=True)
        if target.metres is None:
            return source
        is_map = self.palette is not None or self.raster.colormap() is not None
        method = choose_resampling(self.raster, target.grid, is_map)
        if method == "mode" and isinstance(source, ClassMap) and source.coding == "colors":
            method = "nearest"  # the modes of red, green and blue may combine to a colour without a class
        warped = self._stack.enter_context(warp_to_grid(self.raster, target.grid, method, source.nodata, within=True))
        return replace(source, raster=warped)

    def _source_window(self) -> Window:
        """Return the file's pixels that the crop is made from, with a margin of one pixel if it is resampled."""
        window, grid = self._crop.window, self._target.grid
        if self._target.metres is None:
            return window
        corners = ~self.raster.georeference.affine @ grid.georeference.affine
        ends = [corners @ (x, y) for x in (window.col, window.right) for y in (window.row, window.bottom)]
        (left, right), (top, bottom) = ((min(values), max(values)) for values in zip(*ends, strict=True))
        row, col = max(0, math.floor(top) - 1), max(0, math.floor(left) - 1)
        end_row, end_col = min(self.raster.height, math.ceil(bottom) + 1), min(self.raster.width, math.ceil(right) + 1)
        return Window(row, col, end_row - row, end_col - col)


def _file_identity(raster: Raster) -> list[Any]:
    path = Path(raster.path)
    stat = path.stat() if path.exists() else None
    beside = side_files([path]).get(path, ())
    return [
        path.name,
        raster.width,
        raster.height,
        *((stat.st_size, stat.st_mtime_ns) if stat else ()),
        *([fingerprint(beside)] if beside else []),
    ]
