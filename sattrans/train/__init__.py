"""Train a model on a tileset. The names below are loaded when they are first used."""

from __future__ import annotations

from sattrans.utils.lazy import lazy_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sattrans.train.api import TrainPlan, TrainResult, resume, train
    from sattrans.train.options import TrainOptions

__all__ = ["TrainOptions", "TrainPlan", "TrainResult", "resume", "train"]
__getattr__ = lazy_names(
    __name__, {"api": ("TrainPlan", "TrainResult", "resume", "train"), "options": ("TrainOptions",)}
)
