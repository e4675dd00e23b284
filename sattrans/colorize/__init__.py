"""Turn masks into maps a person can read. The names below are loaded when they are first used."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sattrans.colorize.api import ColorizeResult, colorize

__all__ = ["ColorizeResult", "colorize"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from sattrans.colorize import api

        return getattr(api, name)
    raise AttributeError(f"module 'sattrans.colorize' has no attribute {name!r}")
