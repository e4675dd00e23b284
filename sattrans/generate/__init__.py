"""Generate a georeferenced image from a map. The names below are loaded when they are first used."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sattrans.generate.api import GenerateOptions, GenerateResult, generate

__all__ = ["GenerateOptions", "GenerateResult", "generate"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from sattrans.generate import api

        return getattr(api, name)
    raise AttributeError(f"module 'sattrans.generate' has no attribute {name!r}")
