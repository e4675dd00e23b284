"""Cut a dataset into tiles. The names below are loaded when they are first used."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sattrans.tile.api import DryRun, TileOptions, TileResult, dry_run, tile

__all__ = ["DryRun", "TileOptions", "TileResult", "dry_run", "tile"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from sattrans.tile import api

        return getattr(api, name)
    raise AttributeError(f"module 'sattrans.tile' has no attribute {name!r}")
