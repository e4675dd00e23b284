"""A map at a coarser resolution, of whole pixels of a finer one: what makes a coarse image that is then refined."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sattrans.maps.open import Map
from sattrans.raster.cells import coarsened
from sattrans.raster.window import Window


class CoarseMap:
    """A map whose pixels are squares of `scale` × `scale` pixels of another one. See `Map` for its methods.

    Squares start at multiples of `scale` pixels from the origin of the CRS, so a part of a map has those of the whole;
    those at the edge of the map extend beyond it, where its last pixels are repeated. The part holds all squares that
    lie within `margin` fine pixels of the part of the finer map, and all its pixels count as valid.

    Attributes:
        offset: The row and column of the part's corner, in pixels of the finer map's part; not above 0.
    """

    has_nodata = False
    enlarged = None

    def __init__(self, fine: Map, scale: int, margin: int) -> None:
        self._fine, self._scale = fine, scale
        whole = fine.whole
        first = fine.georeference.at(whole).first_pixel
        self._rows = _Squares(first[0], whole.height, -whole.row, fine.height, scale, margin)
        self._cols = _Squares(first[1], whole.width, -whole.col, fine.width, scale, margin)
        self.height, self.width = len(self._rows.part), len(self._cols.part)
        self.whole = Window(
            self._rows.whole.start - self._rows.part.start,
            self._cols.whole.start - self._cols.part.start,
            len(self._rows.whole),
            len(self._cols.whole),
        )
        self.offset = self._rows.offset, self._cols.offset
        self.georeference = fine.georeference
        if fine.georeference.known:
            corner = Window(*self.offset, self.height * scale, self.width * scale)
            self.georeference = fine.georeference.at(corner).scaled(scale, scale)
        self.identity: Mapping[str, Any] = {**fine.identity, "coarser": scale}

    @property
    def notices(self) -> Sequence[str]:
        """What the user should know about how the map is read."""
        return self._fine.notices

    def check(self) -> None:
        """See `Map`."""
        self._fine.check()

    def read(self, window: Window) -> NDArray[np.uint8]:
        """See `Map`."""
        scale, whole = self._scale, self._fine.whole
        top, left = self.offset[0] + window.row * scale, self.offset[1] + window.col * scale
        wanted = Window(top, left, window.height * scale, window.width * scale)
        found = wanted.intersection(whole)
        assert found is not None, "each square lies on the map"
        pixels = self._fine.read(found)
        beyond = [
            (found.row - wanted.row, wanted.bottom - found.bottom),
            (found.col - wanted.col, wanted.right - found.right),
        ]
        return coarsened(np.pad(pixels, [(0, 0)] * (pixels.ndim - 2) + beyond, mode="edge"), scale)

    def valid(self, window: Window) -> NDArray[np.bool_]:
        """See `Map`."""
        return np.ones((window.height, window.width), bool)


class _Squares:
    """The squares along one axis.

    Args:
        first: Where the finer map's first pixel lies, in pixels from the origin of the CRS.
        length: Its pixels.
        start: The first pixel of its part.
        count: The pixels of its part.
        scale: Pixels of a square.
        margin: How far beyond its part squares are part of the coarser map's.
    """

    def __init__(self, first: int, length: int, start: int, count: int, scale: int, margin: int) -> None:
        end = first + length
        begin, stop = max(first, first + start - margin), min(end, first + start + count + margin)
        self.whole = range(first // scale, -(-end // scale))
        self.part = range(begin // scale, -(-stop // scale))
        self.offset = self.part.start * scale - (first + start)
