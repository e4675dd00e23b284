"""Opening a map, raster or vector, that a run translates."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sattrans.data.dataset import VECTOR_SUFFIXES
from sattrans.errors import RasterError
from sattrans.maps.gsd import GsdRange
from sattrans.maps.ogr import FORMATS, other_format, vector_files, with_companions
from sattrans.maps.options import MapOptions
from sattrans.maps.raster_map import RasterMap
from sattrans.maps.vector_map import VectorMap
from sattrans.raster.georeference import Georeference
from sattrans.raster.open import open_raster
from sattrans.raster.palette import Palette
from sattrans.raster.sidecar import with_side_files
from sattrans.raster.window import Window
from sattrans.utils.addresses import address_of
from sattrans.utils.copies import copied
from sattrans.utils.hashing import fingerprint


class Map(Protocol):
    """The selected part of a map, on the grid that it is translated on. Pixels are counted from the part's corner.

    Attributes:
        height: Rows of the part.
        width: Columns of the part.
        georeference: Where the part lies.
        whole: The whole map, of which more than the part can be read: a model looks beyond the edge of the part.
        identity: All that decides the pixels, as JSON: file, size, time and options.
    """

    height: int
    width: int
    georeference: Georeference
    whole: Window
    identity: Mapping[str, Any]

    @property
    def has_nodata(self) -> bool:
        """Whether pixels may be invalid."""

    @property
    def enlarged(self) -> tuple[float, float] | None:
        """If the file's own pixels are larger: the longer side of those, and of these, in metres; else None."""

    @property
    def notices(self) -> Sequence[str]:
        """What the user should know about how the map is read."""

    def check(self) -> None:
        """Read the part once, before anything else; raise `ClassesError` or `RasterError` for any error in it."""

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Return class indices (H, W), `UNKNOWN` if invalid, or colours (3, H, W), black if invalid.

        The window may reach beyond the part, and a polygon, as far as the whole map.
        """

    def valid(self, window: Window) -> NDArray[np.bool_]:
        """Return which pixels are valid and selected, (H, W)."""


@contextmanager
def open_map(
    path: str | Path, options: MapOptions, palette: Palette | None, resolution: GsdRange | None
) -> Iterator[Map]:
    """Open a map for a run.

    Args:
        path: A raster or vector file, or a folder of shapefiles.
        options: How the map is read.
        palette: The run's classes; None if its maps are pictures.
        resolution: The shortest and the longest side, in metres, of the pixels that the run was trained on; None if
            they are unknown.

    Raises:
        UsageError: for options that do not fit the map.
        RasterError: if the path is not a map.
    """
    address = address_of(path)
    if address and Path(address).suffix.lower() in VECTOR_SUFFIXES:
        path = copied(address)
    files = vector_files(Path(path))
    if files:
        yield VectorMap(Path(path), files, palette, options, resolution)
        return
    if problem := other_format(Path(path)):
        raise RasterError(problem)
    with ExitStack() as stack:
        try:
            raster = stack.enter_context(open_raster(path))
        except RasterError as error:
            formats = f"; --rules are for vector maps: {FORMATS}" if options.rules else ""
            raise RasterError(f"{error}{formats}") from error
        yield RasterMap(raster, palette, options, resolution, stack)


def files_of(source: str | Path) -> dict[Path, str]:
    """Return the fingerprints of the files of a map that exist: its own, and those that are read with them."""
    path = Path(source)
    state = {}
    for file in with_companions(vector_files(path)) or with_side_files([path]):
        with suppress(OSError):  # it was removed, or the map is an address
            state[file] = fingerprint([file])
    return state
