"""Train a model on a tileset. The names below are loaded when they are first used."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sattrans.train.api import TrainOptions, TrainResult, resume, train

__all__ = ["TrainOptions", "TrainResult", "resume", "train"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from sattrans.train import api

        return getattr(api, name)
    raise AttributeError(f"module 'sattrans.train' has no attribute {name!r}")
