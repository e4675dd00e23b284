"""The result of an evaluation, and the plan of a dry run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sattrans.evaluate.aggregate import Column
from sattrans.evaluate.downstream_results import Downstream
from sattrans.evaluate.scoring import SetScores
from sattrans.evaluate.table import TableRow, plain_table
from sattrans.utils.console import pluralize


@dataclass(frozen=True, slots=True)
class EvaluationPlan:
    """What a dry run found that `evaluate` would do.

    Attributes:
        folder: Where the files would be written.
        split: The split that would be scored, or `pairs`.
        images: Number of images.
        names: Names of the runs or folders that would be scored.
    """

    folder: Path
    split: str
    images: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The result of an evaluation.

    Attributes:
        folder: Where its files are.
        split: The split that was scored, or `pairs`.
        images: Number of images.
        columns: The scored runs or folders; runs that differ in their seed only share a column.
        baselines: The scores of real images, `real`, of maps in the mean colours of their classes, `class_colors`, and
            of each floor, by the name of its model or run.
        rows: The rows of the table.
        verdict: What the scores mean, in a sentence; empty if they do not say it.
        notes: Remarks about the scores.
        plan: Of a dry run, what would be scored; then there are no scores.
        downstream: Whether the images help to train a segmenter, if that was asked.
    """

    folder: Path
    split: str
    images: int
    columns: Sequence[Column]
    baselines: Mapping[str, SetScores]
    rows: Sequence[TableRow]
    verdict: str
    notes: Sequence[str]
    plan: EvaluationPlan | None = None
    downstream: Downstream | None = None

    def __repr__(self) -> str:
        names = [column.name for column in self.columns] or list(self.plan.names if self.plan else ())
        images = f"{pluralize(self.images, 'image')} of {self.split}"
        return f"<Evaluation {str(self.folder)!r}: {', '.join(names)} on {images}>"

    def table(self, separator: str = " ") -> tuple[list[str], list[list[str]]]:
        """Return the headings and the rows of the table; `separator` joins a score, its interval and its spread."""
        return plain_table(self.rows, self.columns, self.baselines, separator)
