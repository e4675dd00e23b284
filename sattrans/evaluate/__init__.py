"""Score runs against real tiles. The names below are loaded when they are first used."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sattrans.evaluate.api import EvaluateOptions, Evaluation, evaluate, evaluate_pairs

__all__ = ["EvaluateOptions", "Evaluation", "evaluate", "evaluate_pairs"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from sattrans.evaluate import api

        return getattr(api, name)
    raise AttributeError(f"module 'sattrans.evaluate' has no attribute {name!r}")
