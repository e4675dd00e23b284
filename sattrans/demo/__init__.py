"""Run the whole pipeline on a synthetic landscape. The names below are loaded when they are first used."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sattrans.demo.api import DemoOptions, Step, demo

__all__ = ["DemoOptions", "Step", "demo"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from sattrans.demo import api

        return getattr(api, name)
    raise AttributeError(f"module 'sattrans.demo' has no attribute {name!r}")
