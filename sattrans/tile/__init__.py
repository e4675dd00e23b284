"""Cut a dataset into tiles. The names below are loaded when they are first used."""

from __future__ import annotations

from sattrans.utils.lazy import lazy_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sattrans.tile.api import DryRun, TileOptions, TileResult, dry_run, tile

__all__ = ["DryRun", "TileOptions", "TileResult", "dry_run", "tile"]
__getattr__ = lazy_names(__name__, {"api": __all__})
