"""Scoring: the images of what is scored, and those of the floors, measured beside the real ones."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from sattrans.evaluating.family import Family, Pair, Statistics
from sattrans.evaluating.gather import Gathered, Score
from sattrans.evaluating.kept import Kept
from sattrans.evaluating.reference import Real, Reference
from sattrans.evaluating.subject import Subject
from sattrans.evaluating.training_tiles import Colors
from sattrans.files import hash_of
from sattrans.metrics.bootstrap import difference, tells_apart
from sattrans.metrics.floors import evenly, paint, partners
from sattrans.progress import bar

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
        return tells_apart(difference(self.scores[metric].redrawn, self.shuffled[metric].redrawn))


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
        places = evenly(len(train), len(self.reference)) if train else []

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
