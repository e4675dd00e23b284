"""Join georeferenced tiles into one GeoTIFF. The names below are loaded when they are first used."""

from __future__ import annotations

from sattrans.utils.lazy import lazy_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sattrans.mosaic.api import MosaicResult, mosaic
    from sattrans.mosaic.options import MosaicOptions

__all__ = ["MosaicOptions", "MosaicResult", "mosaic"]
__getattr__ = lazy_names(__name__, {"api": ["MosaicResult", "mosaic"], "options": ["MosaicOptions"]})
