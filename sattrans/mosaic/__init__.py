"""Join georeferenced tiles into one GeoTIFF. The names below are loaded when they are first used."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sattrans.mosaic.api import MosaicOptions, MosaicResult, mosaic

__all__ = ["MosaicOptions", "MosaicResult", "mosaic"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from sattrans.mosaic import api

        return getattr(api, name)
    raise AttributeError(f"module 'sattrans.mosaic' has no attribute {name!r}")
