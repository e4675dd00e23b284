"""Scoring: the images of what is scored, and those of the floors, measured beside the real ones."""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sattrans.evaluate.base import Family, Metric, Pair, Statistics
from sattrans.evaluate.images import Real, Reference, Subject
from sattrans.evaluate.training_tiles import Colors
from sattrans.metrics.baselines import evenly_spaced, paint, partners
from sattrans.metrics.bootstrap import Interval, centred, difference_interval, excludes_zero, interval, resample_counts
from sattrans.utils.atomic import write_bytes
from sattrans.utils.console import bar
from sattrans.utils.hashing import hash_of

Rows = Mapping[str, NDArray[np.generic]]
"""Statistics of some images by name, a row an image."""


class Kept:
    """A folder of measured rows: `<key>/<first>-<last>.npz`. A file is whole or not there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def rows(self, key: str, numbers: Sequence[int]) -> Rows | None:
        """Return what was measured of these images, None where nothing was."""
        path = self._path(key, numbers)
        if not path.is_file():
            return None
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}

    def keep(self, key: str, numbers: Sequence[int], rows: Rows) -> None:
        """Put down what was measured of these images."""
        data = io.BytesIO()
        np.savez(data, allow_pickle=False, **rows)
        write_bytes(self._path(key, numbers), data.getvalue())

    def _path(self, key: str, numbers: Sequence[int]) -> Path:
        return self.folder / key / f"{numbers[0]}-{numbers[-1]}.npz"


@dataclass(frozen=True, slots=True)
class Score:
    """A metric of a set: its value, None where it has none, the interval, and the redrawn values it comes from."""

    value: float | None
    interval: Interval | None = None
    resampled: NDArray[np.float64] = field(default_factory=lambda: np.empty(0), repr=False)


class Gathered:
    """The statistics of a set of pairs, a row a pair, in their order."""

    def __init__(self, families: Sequence[Family]) -> None:
        self.families = list(families)
        self._rows: list[list[Statistics]] = [[] for _ in self.families]

    def measure(self, pair: Pair) -> list[Statistics]:
        """Return what is kept of a pair, by family."""
        return [family.measure(pair) for family in self.families]

    def add(self, measured: Sequence[Statistics]) -> None:
        """Take in what was measured of the next pair."""
        for rows, row in zip(self._rows, measured, strict=True):
            rows.append(row)

    def scores(self, seed: int = 0, intervals: bool = True) -> dict[str, Score]:
        """Return each metric's score; the draws depend on `seed` and the number of pairs alone."""
        return {
            metric.name: _score(family, metric, np.stack(rows), seed, intervals)
            for family, rows in zip(self.families, self._rows, strict=True)
            for metric in family.wanted
        }

    def each(self, place: int) -> dict[str, float | None]:
        """Return the scores of one pair, by metric: those that a single image has."""
        one = np.ones((1, 1))
        return {
            metric.name: _number(family.combine(metric.name, rows[place][np.newaxis], one)[0])
            for family, rows in zip(self.families, self._rows, strict=True)
            for metric in family.wanted
            if metric.each
        }

    def details(self) -> dict[str, Any]:
        """Return what else the families say."""
        found: dict[str, Any] = {}
        for family, rows in zip(self.families, self._rows, strict=True):
            found.update(family.details(np.stack(rows)))
        return found


def _score(family: Family, metric: Metric, statistics: Statistics, seed: int, intervals: bool) -> Score:
    value = _number(family.combine(metric.name, statistics, np.ones((1, len(statistics))))[0])
    if not intervals or not family.resamples or len(statistics) < 2:
        return Score(value)
    resampled = family.combine(metric.name, statistics, resample_counts(len(statistics), family.resamples, seed))
    if value is not None:
        resampled = centred(resampled, value)
    return Score(value, interval(resampled), resampled)


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


CHUNK = 32
"""Images after which what was measured is put down."""

Pairs = Callable[[Sequence[int]], Iterator[tuple[Pair, ...]]]
"""Gives for each of some real images one pair for each set that is gathered."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A set's scores by metric: its own, those with its pairs shuffled, each image's by id, and details.

    `shuffled` lacks metrics that compare sets: they see no pairs.
    """

    scores: Mapping[str, Score]
    shuffled: Mapping[str, Score] = field(default_factory=dict)
    images: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    def value(self, metric: str) -> float | None:
        """Return a score; None where the set has none, or was not measured by it."""
        score = self.scores.get(metric)
        return score.value if score else None

    def tells_pairs(self, metric: str) -> bool | None:
        """Whether a metric tells pairs from shuffled pairs on these images; None where it compares sets."""
        if metric not in self.shuffled:
            return None
        return excludes_zero(difference_interval(self.scores[metric].resampled, self.shuffled[metric].resampled))


class Scoring:
    """Real images, ready to be scored against; families measure, `seed` draws partners and intervals.

    `tools` says what the families' tools are: another one measures something else.
    """

    def __init__(
        self, reference: Reference, families: Sequence[Family], seed: int, kept: Kept, tools: Sequence[str] = ()
    ) -> None:
        self.reference, self.families, self.seed, self.kept = reference, list(families), seed, kept
        self._key = (reference.key, str(seed), *tools, *(type(family).__name__ for family in families))
        self._partners = partners(len(reference), seed)

    def subject(self, subject: Subject) -> Scored:
        """Score what gives an image for each real one."""

        def pairs(numbers: Sequence[int]) -> Iterator[tuple[Pair, ...]]:
            for number, fake in zip(numbers, subject.images(numbers), strict=True):
                image, map_ = self.reference.real(number)
                other, other_map = self.reference.real(int(self._partners[number]))
                yield Pair(fake, image, number, map_, map_), Pair(fake, other, number, other_map, other_map)

        # A single image has no other one to be beside.
        paired = [family for family in self.families if not family.sets and len(self.reference) > 1]
        own, shuffled = Gathered(self.families), Gathered(paired)
        self._gather(f"evaluate {subject.name}", subject.key, pairs, own, shuffled)
        images = {name: own.each(number) for number, name in enumerate(self.reference.ids)}
        return Scored(own.scores(self.seed), shuffled.scores(self.seed), images, own.details())

    def real_floor(self, train: Reference | None) -> Scored:
        """Score real images: of other places, for families that compare with those; else each beside itself."""
        places = evenly_spaced(len(train), len(self.reference)) if train else []

        def pairs(numbers: Sequence[int]) -> Iterator[tuple[Pair, ...]]:
            for number in numbers:
                image, map_ = self.reference.real(number)
                other, other_map = train.real(places[number]) if train else Real(image, map_)
                yield Pair(image, image, number, map_, map_), Pair(other, image, number, other_map, map_)

        beside = Gathered([family for family in self.families if not family.others])
        others = Gathered([family for family in self.families if family.others and train])
        self._gather("real against real", f"real {train.key if train else ''}", pairs, beside, others)
        scores = {**beside.scores(intervals=False), **others.scores(intervals=False)}
        return Scored(scores, details={**beside.details(), **others.details()})

    def color_floor(self, colors: Colors) -> Scored:
        """Score maps painted with each class's mean colour."""

        def pairs(numbers: Sequence[int]) -> Iterator[tuple[Pair, ...]]:
            for number in numbers:
                image, map_ = self.reference.real(number)
                assert map_ is not None
                yield (Pair(paint(map_, colors), image, number, map_, map_),)

        gathered = Gathered(self.families)
        self._gather("class colours", f"class colours {colors.tobytes().hex()}", pairs, gathered)
        return Scored(gathered.scores(intervals=False), details=gathered.details())

    def _gather(self, title: str, key: str, pairs: Pairs, *sets: Gathered) -> None:
        """Measure all pairs, or take what was measured before; so that nothing depends on where work was stopped."""
        key = hash_of(key, *self._key)
        count = len(self.reference)
        with bar(count, title, "image") as progress, one_thread_each() as pool:

            def measure(of_sets: tuple[Pair, ...]) -> list[list[Statistics]]:
                measured = [one.measure(pair) for one, pair in zip(sets, of_sets, strict=True)]
                progress.update()
                return measured

            for start in range(0, count, CHUNK):
                numbers = range(start, min(start + CHUNK, count))
                rows = self.kept.rows(key, numbers)
                if rows is None:
                    measured = list(pool.map(measure, list(pairs(numbers))))
                    rows = {
                        f"{which} {place}": np.stack([image[which][place] for image in measured])
                        for which, one in enumerate(sets)
                        for place in range(len(one.families))
                    }
                    self.kept.keep(key, numbers, rows)
                else:
                    progress.update(len(numbers))
                for which, one in enumerate(sets):
                    columns = [rows[f"{which} {place}"] for place in range(len(one.families))]
                    for image in range(len(numbers)):
                        one.add([column[image] for column in columns])


@contextmanager
def one_thread_each() -> Iterator[ThreadPoolExecutor]:
    """Give a thread for each processor, in each of which PyTorch has but that one: what is measured is small."""
    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, "measure", torch.set_num_threads, (1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(threads)
