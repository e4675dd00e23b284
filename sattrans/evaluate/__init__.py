"""Score runs against real tiles. The names below are imported when they are first used."""

from __future__ import annotations

from sattrans.utils.lazy import lazy_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sattrans.evaluate.api import Evaluation, EvaluationPlan, evaluate, evaluate_pairs
    from sattrans.evaluate.options import EvaluateOptions

__all__ = ["EvaluateOptions", "Evaluation", "EvaluationPlan", "evaluate", "evaluate_pairs"]
__getattr__ = lazy_names(
    __name__,
    {"api": ("Evaluation", "EvaluationPlan", "evaluate", "evaluate_pairs"), "options": ("EvaluateOptions",)},
)
