"""Cut a dataset into tiles. The names below are loaded when they are first used."""

from __future__ import annotations

from sattrans.utils.lazy import lazy_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sattrans.tile.api import TilePlan, TileResult, tile
    from sattrans.tile.options import TileOptions

__all__ = ["TileOptions", "TilePlan", "TileResult", "tile"]
__getattr__ = lazy_names(__name__, {"api": ["TilePlan", "TileResult", "tile"], "options": ["TileOptions"]})
