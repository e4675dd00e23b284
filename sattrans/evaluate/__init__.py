"""Score runs against real tiles. The names below are imported when they are first used."""

from __future__ import annotations

from sattrans.utils.lazy import lazy_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sattrans.evaluate.api import evaluate, evaluate_pairs
    from sattrans.evaluate.options import EvaluateOptions
    from sattrans.evaluate.result import Evaluation, EvaluationPlan

__all__ = ["EvaluateOptions", "Evaluation", "EvaluationPlan", "evaluate", "evaluate_pairs"]
__getattr__ = lazy_names(
    __name__,
    {
        "api": ("evaluate", "evaluate_pairs"),
        "options": ("EvaluateOptions",),
        "result": ("Evaluation", "EvaluationPlan"),
    },
)
