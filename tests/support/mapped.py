"""Maps opened as `generate` opens them, for a run of LandCover.ai's classes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sattrans.maps.open import Map, open_map
from sattrans.maps.options import MapOptions
from sattrans.raster.georeference import Georeference
from sattrans.raster.palette import UNKNOWN, LandClass, Palette
from sattrans.raster.window import Window

PALETTE = Palette(
    (
        LandClass(0, "background", (60, 70, 50)),
        LandClass(1, "building", (97, 74, 74)),
        LandClass(2, "woodland", (38, 115, 0)),
        LandClass(3, "water", (0, 197, 255)),
        LandClass(4, "road", (207, 207, 207)),
    )
)
HALF_METRE = (0.5, 0.5)


def whole(map_: Map) -> NDArray[np.uint8]:
    """Return the selected part of a map, and nothing outside of a polygon."""
    window = Window(0, 0, map_.height, map_.width)
    pixels = map_.read(window)
    return np.where(map_.valid(window), pixels, np.uint8(UNKNOWN if pixels.ndim == 2 else 0))


@dataclass(frozen=True)
class Seen:
    """What a map told while it was open."""

    height: int
    width: int
    georeference: Georeference
    identity: Mapping[str, Any]
    has_nodata: bool
    notices: list[str]
    valid: NDArray[np.bool_]


def opened(
    path: Path, run: Any = None, palette: Palette | None = PALETTE, **options: Any
) -> tuple[NDArray[np.uint8], Seen]:
    """Check a map and read all of it; return its pixels and what it told."""
    with open_map(path, MapOptions(**options), palette, run) as map_:
        map_.check()
        pixels = whole(map_)
        valid = map_.valid(Window(0, 0, map_.height, map_.width))
        assert valid.shape == pixels.shape[-2:] == (map_.height, map_.width)
        assert map_.has_nodata or valid.all()
        told = map_.height, map_.width, map_.georeference, map_.identity, map_.has_nodata, list(map_.notices)
        return pixels, Seen(*told, valid)
