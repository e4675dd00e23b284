"""Open a map, raster or vector, for a run to translate."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sattrans.maps.gsd import Metres
from sattrans.maps.ogr import vector_files
from sattrans.maps.options import MapOptions
from sattrans.maps.raster_map import PixelMap
from sattrans.maps.vector_map import VectorMap
from sattrans.raster.georeference import Georeference
from sattrans.raster.open import open_raster
from sattrans.raster.palette import Palette
from sattrans.raster.window import Window


class Map(Protocol):
    """A map on the grid that it is translated on.

    `identity` is what decides its pixels: file, size, time, and every option. `partial` says whether pixels may hold
    nothing. `check` is called first; it raises `ClassesError` or `RasterError` for what is wrong anywhere.
    """

    height: int
    width: int
    georeference: Georeference
    identity: Mapping[str, Any]

    @property
    def partial(self) -> bool:
        """Whether pixels may hold nothing."""

    @property
    def notices(self) -> Sequence[str]:
        """What a user should know about how the map was taken."""

    def check(self) -> None:
        """Read all of it once."""

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Return class indices (H, W), `UNKNOWN` where nothing is, or colours (3, H, W), black where nothing is."""

    def valid(self, window: Window) -> NDArray[np.bool_]:
        """Return which pixels hold anything, (H, W)."""


@contextmanager
def open_map(
    path: str | Path, options: MapOptions, palette: Palette | None, resolution: Metres | None
) -> Iterator[Map]:
    """Open a map for a run of this palette (None where its maps are pictures), trained at this ground resolution.

    `resolution` is the shortest and the longest side of a pixel in metres, None where the run does not know it.
    Raises `UsageError` for options that do not fit the map, `RasterError` for what is no map.
    """
    files = vector_files(Path(path))
    if files:
        yield VectorMap(Path(path), files, palette, options, resolution)
        return
    with ExitStack() as stack:
        raster = stack.enter_context(open_raster(path))
        yield PixelMap(raster, palette, options, resolution, stack)
