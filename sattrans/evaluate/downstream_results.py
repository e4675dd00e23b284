"""What segmenters that were trained on real and on generated images found: their scores, and whether it helped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sattrans.evaluate.scoring import Score
from sattrans.metrics.bootstrap import Interval, interval
from sattrans.utils.console import pluralize

Finding = Literal["helps", "makes it worse", "does not help", "cannot be told"]
"""What the generated images do beside some real tiles."""

LEAST_GAIN = 0.01
"""A gain of mIoU that is surely smaller than this is none."""


@dataclass(frozen=True, slots=True)
class RepeatedScore:
    """The mean mIoU, 0 to 1, of segmenters that differ in their seed and in the real tiles that were drawn.

    Attributes:
        value: The mean; None if the tested tiles have no classes.
        interval: Its 95 % interval over the tested tiles and over segmenters.
        values: The mIoU of each segmenter.
        resampled: The mIoU of each segmenter on each resample of the tested tiles, (segmenters, resamples).
    """

    value: float | None
    interval: Interval | None = None
    values: Sequence[float | None] = ()
    resampled: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0)), repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        low, high = self.interval or (None, None)
        return {"value": self.value, "low": low, "high": high, "values": list(self.values)}


def mean_of_repeats(scores: Sequence[Score], seed: int) -> RepeatedScore:
    """Return the mean of several segmenters' scores, whose resamples draw the same tiles."""
    return _mean([score.value for score in scores], np.stack([score.resampled for score in scores]), (0, 1), seed)


def paired_gain(both: RepeatedScore, real: RepeatedScore, seed: int) -> RepeatedScore:
    """Return the mean difference of segmenters of the same seeds and real tiles, on the same resamples of tiles."""
    pairs = zip(both.values, real.values, strict=True)
    each = [a - b if a is not None and b is not None else None for a, b in pairs]
    return _mean(each, both.resampled - real.resampled, (-1, 1), seed)


def _mean(
    values: Sequence[float | None], resampled: NDArray[np.float64], ends: tuple[float, float], seed: int
) -> RepeatedScore:
    """Return the mean of values, with an interval that holds two kinds of chance: other tiles, and other segmenters.

    The first is that of the resampled means. The second is the error of a mean of few values: Student's t times their
    standard deviation over the root of their number. Without it, a lucky seed would count as help.
    """
    known = np.array([value for value in values if value is not None])
    if len(known) < len(values) or not resampled.size:
        return RepeatedScore(None, values=values)
    mixed = resampled.mean(0)
    if len(known) > 1:
        t = np.random.default_rng(seed).standard_t(len(known) - 1, len(mixed))
        mixed = mixed + t * known.std(ddof=1) / np.sqrt(len(known))
    return RepeatedScore(float(known.mean()), interval(mixed.clip(*ends)), values, resampled)


def finding(gain: RepeatedScore) -> Finding:
    """Return what a gain means: it helps if its interval is above 0, and not if it is surely below `LEAST_GAIN`."""
    if gain.interval is None:
        return "cannot be told"
    if gain.interval.low > 0:
        return "helps"
    if gain.interval.high < 0:
        return "makes it worse"
    return "does not help" if gain.interval.high < LEAST_GAIN else "cannot be told"


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A point of the learning curve: some real tiles, alone and together with the generated ones.

    Attributes:
        real_tiles: Their number.
        real: The mIoU of segmenters that learned from them alone.
        both: The mIoU of segmenters that learned from them and from the generated images of all training maps.
        gain: The paired difference, `both` less `real`.
    """

    real_tiles: int
    real: RepeatedScore
    both: RepeatedScore
    gain: RepeatedScore


@dataclass(frozen=True, slots=True)
class DownstreamColumn:
    """The images of a run as training data: alone, and beside more and more real tiles."""

    name: str
    generated: RepeatedScore
    points: Sequence[CurvePoint]

    @property
    def verdict(self) -> str:
        """Whether the images help, in a sentence."""
        clauses = [_clause(point) for point in self.points]
        return f"As training data for a segmenter, the images of {self.name}: {'; '.join(clauses)}."


WORDS: Mapping[Finding, str] = {
    "helps": "they help",
    "makes it worse": "they make it worse",
    "does not help": "they do not help",
    "cannot be told": "it cannot be told whether they help",
}


def _clause(point: CurvePoint) -> str:
    gain = point.gain
    ends = f", {_range(gain.interval, sign=True)}" if gain.interval else ""
    beside = f"beside {pluralize(point.real_tiles, 'real tile')} {WORDS[finding(gain)]}"
    if gain.value is None:
        return beside
    return f"{beside} (mIoU {_text(point.real.value)} → {_text(point.both.value)}, {gain.value:+.3f}{ends})"


@dataclass(frozen=True, slots=True)
class Downstream:
    """Whether generated images help to train a segmenter that is tested on real tiles.

    Attributes:
        columns: What was found, by run.
        generated_tiles: Number of generated images: one for each map of the train split.
        steps: Training steps of each segmenter.
        repeats: Number of segmenters behind each score.
    """

    columns: Sequence[DownstreamColumn]
    generated_tiles: int
    steps: int
    repeats: int

    @property
    def verdict(self) -> str:
        """Whether the images help, in a sentence for each run."""
        return " ".join(column.verdict for column in self.columns)

    @property
    def notes(self) -> list[str]:
        """What to keep in mind."""
        notes = []
        tiles = pluralize(self.generated_tiles, "real training tile")
        if any(point.real_tiles < self.generated_tiles for column in self.columns for point in column.points):
            notes.append(
                f"downstream: the run learned from all {tiles}, so beside fewer of them its images also bring what it "
                "saw of the others"
            )
        return notes

    def table(self, separator: str = " ") -> tuple[list[str], list[list[str]]]:
        """Return the headings and the rows of a table; `separator` joins a score and its interval."""
        heads = ["run", "real tiles", "mIoU, real ↑", "with generated ↑", "difference", "generated images"]
        rows = []
        for column in self.columns:
            rows.append([column.name, "0", "–", _cell(column.generated, separator), "–", ""])
            for point in column.points:
                cells = [_cell(point.real, separator), _cell(point.both, separator), _cell(point.gain, separator, True)]
                rows.append([column.name, str(point.real_tiles), *cells, finding(point.gain)])
        return heads, rows

    def to_json(self) -> dict[str, Any]:
        """Return it as `scores.json` and `--json` have it."""
        return {
            "steps": self.steps,
            "repeats": self.repeats,
            "generated_tiles": self.generated_tiles,
            "runs": [
                {
                    "name": column.name,
                    "verdict": column.verdict,
                    "generated": column.generated.to_json(),
                    "points": [
                        {
                            "real_tiles": point.real_tiles,
                            "real": point.real.to_json(),
                            "both": point.both.to_json(),
                            "difference": point.gain.to_json(),
                            "finding": finding(point.gain),
                        }
                        for point in column.points
                    ],
                }
                for column in self.columns
            ],
        }


def _text(value: float | None, sign: bool = False) -> str:
    return "–" if value is None else f"{value:{'+' if sign else ''}.3f}"


def _range(ends: Interval | None, sign: bool = False) -> str:
    return f"{_text(ends.low, sign)} to {_text(ends.high, sign)}" if ends else ""


def _cell(score: RepeatedScore, separator: str, sign: bool = False) -> str:
    ends = f"({_range(score.interval, sign)})" if score.interval else ""
    return separator.join(filter(None, (_text(score.value, sign), ends)))
