"""Scoring: measures images and baselines against the real images, and caches what was measured."""

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

from sattrans.evaluate.base import Family, ImagePair, Metric, Statistics
from sattrans.evaluate.images import ImageSource, RealImage, RealImages
from sattrans.evaluate.training_tiles import ClassColorTable
from sattrans.metrics.baselines import evenly_spaced, paint
from sattrans.metrics.bootstrap import Interval, centred, difference_interval, excludes_zero, interval, resample_counts
from sattrans.utils.arrays import read_arrays
from sattrans.utils.atomic import write_bytes
from sattrans.utils.console import progress_bar
from sattrans.utils.hashing import hash_of


@dataclass(frozen=True, slots=True)
class Score:
    """The value of a metric on a set of images.

    Attributes:
        value: The value, or None if there is none.
        interval: The 95 % bootstrap interval of the value, or None.
        resampled: The resampled values that the interval was computed from.
    """

    value: float | None
    interval: Interval | None = None
    resampled: NDArray[np.float64] = field(default_factory=lambda: np.empty(0), repr=False)


@dataclass(frozen=True, slots=True)
class SetScores:
    """The scores of a set of images.

    Attributes:
        metrics: The score of each metric.
        shuffled: The scores when each image is compared with the real image and map of another one. Metrics that
            compare sets are missing here, because the pairing does not matter to them.
        images: The values of each image, by its id and metric.
        details: Further results of the metric families, by name.
    """

    metrics: Mapping[str, Score]
    shuffled: Mapping[str, Score] = field(default_factory=dict)
    images: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    def value(self, metric: str) -> float | None:
        """Return the value of a metric; None if it has none or was not computed."""
        score = self.metrics.get(metric)
        return score.value if score else None

    def distinguishes_pairs(self, metric: str) -> bool | None:
        """Return whether a metric distinguishes the pairs from shuffled ones; None if it compares sets."""
        if metric not in self.shuffled:
            return None
        return excludes_zero(difference_interval(self.metrics[metric].resampled, self.shuffled[metric].resampled))


class SetStatistics:
    """The statistics of a set of pairs, by metric family: one row per pair, in order."""

    def __init__(self, families: Sequence[Family]) -> None:
        self.families = list(families)
        self._rows: list[list[Statistics]] = [[] for _ in self.families]

    def measure(self, pair: ImagePair) -> list[Statistics]:
        """Return the statistics of a pair, by family, without adding them."""
        return [family.measure(pair) for family in self.families]

    def add(self, measured: Sequence[Statistics]) -> None:
        """Add the statistics of the next pair."""
        for rows, row in zip(self._rows, measured, strict=True):
            rows.append(row)

    def scores(self, seed: int = 0, intervals: bool = True) -> dict[str, Score]:
        """Return the score of each metric; the resamples depend only on `seed` and the number of pairs."""
        return {
            metric.name: _score(family, metric, np.stack(rows), seed, intervals)
            for family, rows in zip(self.families, self._rows, strict=True)
            for metric in family.selected
        }

    def image_scores(self, number: int) -> dict[str, float | None]:
        """Return the values of one pair, for the metrics that a single image has."""
        weight = np.ones((1, 1))
        return {
            metric.name: _finite(family.combine(metric.name, rows[number][np.newaxis], weight)[0])
            for family, rows in zip(self.families, self._rows, strict=True)
            for metric in family.selected
            if metric.per_image
        }

    def details(self) -> dict[str, Any]:
        """Return the further results of all families."""
        details: dict[str, Any] = {}
        for family, rows in zip(self.families, self._rows, strict=True):
            details.update(family.details(np.stack(rows)))
        return details


def _score(family: Family, metric: Metric, statistics: Statistics, seed: int, intervals: bool) -> Score:
    value = _finite(family.combine(metric.name, statistics, np.ones((1, len(statistics))))[0])
    if not intervals or not family.resamples or len(statistics) < 2:
        return Score(value)
    resampled = family.combine(metric.name, statistics, resample_counts(len(statistics), family.resamples, seed))
    if value is not None:
        resampled = centred(resampled, value).clip(*metric.range)
    return Score(value, interval(resampled), resampled)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


MeasuredRows = Mapping[str, NDArray[np.generic]]
"""Statistics of some images by name, one row per image."""


MAX_MEASURED = 1 << 28
"""Bytes that the statistics of a chunk of images may take."""


class MeasurementCache:
    """A folder of statistics that were already measured: `<key>/<first>-<last>.npz`, each written atomically."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, key: str, numbers: Sequence[int]) -> MeasuredRows | None:
        """Return the statistics of these images, or None if they were not measured yet."""
        path = self._path(key, numbers)
        if not path.is_file():
            return None
        try:
            rows = read_arrays(path, MAX_MEASURED, nan=True)
        except ValueError:
            return None  # it is damaged, and measured again
        return rows if all(row.shape[:1] == (len(numbers),) for row in rows.values()) else None

    def store(self, key: str, numbers: Sequence[int], rows: MeasuredRows) -> None:
        """Write the statistics of these images."""
        data = io.BytesIO()
        np.savez(data, allow_pickle=False, **rows)
        write_bytes(self._path(key, numbers), data.getvalue())

    def _path(self, key: str, numbers: Sequence[int]) -> Path:
        return self.folder / key / f"{numbers[0]}-{numbers[-1]}.npz"


CACHE_CHUNK = 32
"""Number of images that are cached in one file."""

PIXELS_AT_ONCE = 1 << 24
"""The most pixels of images that are read before they are measured, which takes about 20 bytes a pixel."""

PairReader = Callable[[Sequence[int]], Iterator[tuple[ImagePair, ...]]]
"""Yields, for each of some numbers, one pair for each set of statistics."""


@dataclass(frozen=True)
class PairSet:
    """Pairs of images to measure.

    Attributes:
        title: What the progress bar calls them.
        key: Identifies the images: another key means others.
        read: Reads them.
        sets: What becomes of the pairs that it yields for a number, one each.
    """

    title: str
    key: str
    read: PairReader
    sets: tuple[SetStatistics, ...]


Elsewhere = Callable[[PairSet, str, Sequence[range]], Iterator[range]]
"""Has other processes measure chunks of a set of pairs into the cache, under a key, and yields those that are done."""


def hashes_of_tools(tools: Mapping[str, Any]) -> list[str]:
    """Return what identifies the networks among the tools of an evaluation."""
    return [f"{name} {tool.hash}" for name, tool in sorted(tools.items()) if hasattr(tool, "hash")]


class Scorer:
    """Scores image sources and baselines against the same real images.

    Args:
        real_images: The real images.
        families: The metric families to measure with.
        seed: Determines shuffled pairs and bootstrap resamples.
        cache: Where measured statistics are stored.
        tools: Identify the families' tools: cached statistics of other tools are not used.
        elsewhere: Has other processes measure; None to measure here.
    """

    def __init__(
        self,
        real_images: RealImages,
        families: Sequence[Family],
        seed: int,
        cache: MeasurementCache,
        tools: Sequence[str] = (),
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self.real_images, self.families, self.seed, self.cache = real_images, list(families), seed, cache
        self._key = (real_images.key, str(seed), *tools, *(type(family).__name__ for family in families))
        self._partners = real_images.partners(seed)
        self._elsewhere = elsewhere

    def score(self, source: ImageSource) -> SetScores:
        """Score the images of a source."""
        pairs = self.generated(source)
        self._measure(pairs)
        matching, shuffled = pairs.sets
        images = {name: matching.image_scores(number) for number, name in enumerate(self.real_images.ids)}
        return SetScores(matching.scores(self.seed), shuffled.scores(self.seed), images, matching.details())

    def real_baseline(self, train: RealImages | None) -> SetScores:
        """Score real images: training tiles for families that ask for them, else each image against itself."""
        pairs = self.real(train)
        self._measure(pairs)
        with_itself, with_training = pairs.sets
        scores = {**with_itself.scores(intervals=False), **with_training.scores(intervals=False)}
        return SetScores(scores, details={**with_itself.details(), **with_training.details()})

    def score_real(self) -> SetScores:
        """Score each real image against itself, with intervals: what a segmenter finds in it, for example."""
        pairs = self.real(None)
        self._measure(pairs)
        return SetScores(pairs.sets[0].scores(self.seed), details=pairs.sets[0].details())

    def class_color_baseline(self, colors: ClassColorTable) -> SetScores:
        """Score maps that are painted with the mean colour of each class."""
        pairs = self.painted(colors)
        self._measure(pairs)
        (statistics,) = pairs.sets
        return SetScores(statistics.scores(intervals=False), details=statistics.details())

    def generated(self, source: ImageSource) -> PairSet:
        """Return the images of a source, each with its real image, and with that of another one."""

        def read(numbers: Sequence[int]) -> Iterator[tuple[ImagePair, ...]]:
            for number, fake in zip(numbers, source.images(numbers), strict=True):
                image, map_ = self.real_images.read(number)
                valid = self.real_images.valid(number)
                other = int(self._partners[number])
                other_image, other_map = self.real_images.read(other)
                there, other_valid = source.valid(number), self.real_images.valid(other)
                yield (
                    ImagePair(fake, image, number, map_, map_).where_valid(there, valid),
                    ImagePair(fake, other_image, number, other_map, other_map).where_valid(there, other_valid),
                )

        # A single image cannot be paired with another one.
        paired = [family for family in self.families if not family.compares_sets and len(self.real_images) > 1]
        return PairSet(
            f"evaluate {source.name}", source.key, read, (SetStatistics(self.families), SetStatistics(paired))
        )

    def real(self, train: RealImages | None) -> PairSet:
        """Return the real images, each with itself and with a training tile."""
        chosen = evenly_spaced(len(train), len(self.real_images)) if train else []

        def read(numbers: Sequence[int]) -> Iterator[tuple[ImagePair, ...]]:
            for number in numbers:
                image, map_ = self.real_images.read(number)
                valid = self.real_images.valid(number)
                other_image, other_map = train.read(chosen[number]) if train else RealImage(image, map_)
                yield (
                    ImagePair(image, image, number, map_, map_).where_valid(valid),
                    ImagePair(other_image, image, number, other_map, map_),
                )

        with_itself = SetStatistics([family for family in self.families if not family.real_from_training])
        with_training = SetStatistics([family for family in self.families if family.real_from_training and train])
        return PairSet("real against real", f"real {train.key if train else ''}", read, (with_itself, with_training))

    def painted(self, colors: ClassColorTable) -> PairSet:
        """Return the maps in the mean colour of each class, each with its real image."""

        def read(numbers: Sequence[int]) -> Iterator[tuple[ImagePair, ...]]:
            for number in numbers:
                image, map_ = self.real_images.read(number)
                valid = self.real_images.valid(number)
                assert map_ is not None
                yield (ImagePair(paint(map_, colors), image, number, map_, map_).where_valid(valid),)

        key = f"class colours {colors.tobytes().hex()}"
        return PairSet("class colours", key, read, (SetStatistics(self.families),))

    def key_of(self, pairs: PairSet) -> str:
        """Return what the statistics of a set of pairs are cached under."""
        return hash_of(pairs.key, *self._key)

    def _measure(self, pairs: PairSet) -> None:
        """Measure all pairs in chunks, or load chunks that were measured before an interruption or elsewhere."""
        key, count = self.key_of(pairs), len(self.real_images)
        chunks = [range(start, min(start + CACHE_CHUNK, count)) for start in range(0, count, CACHE_CHUNK)]
        with progress_bar(count, pairs.title, "image") as progress:
            told = set()
            if self._elsewhere:
                missing = [numbers for numbers in chunks if self.cache.load(key, numbers) is None]
                for numbers in self._elsewhere(pairs, key, missing):
                    told.add(numbers)
                    progress.update(len(numbers))
            for numbers in chunks:
                rows = self.cache.load(key, numbers)
                if rows is None:
                    rows = self.measure_chunk(pairs, numbers, progress.update)
                elif numbers not in told:
                    progress.update(len(numbers))
                for set_, statistics in enumerate(pairs.sets):
                    by_family = [rows[f"{set_} {family}"] for family in range(len(statistics.families))]
                    for image in range(len(numbers)):
                        statistics.add([family_rows[image] for family_rows in by_family])

    def measure_chunk(
        self, pairs: PairSet, numbers: Sequence[int], done: Callable[[], object] = lambda: None
    ) -> MeasuredRows:
        """Measure some pairs, a call of `done` for each, store their statistics in the cache, and return them."""
        sets = pairs.sets

        def measure(pair_by_set: tuple[ImagePair, ...]) -> list[list[Statistics]]:
            measured = [statistics.measure(pair) for statistics, pair in zip(sets, pair_by_set, strict=True)]
            done()
            return measured

        at_once = max(1, PIXELS_AT_ONCE // self.real_images.pixels)
        parts = [numbers[first : first + at_once] for first in range(0, len(numbers), at_once)]
        with single_threaded_workers() as pool:
            measured = [row for part in parts for row in pool.map(measure, list(pairs.read(part)))]
        rows = {
            f"{set_} {family}": np.stack([image[set_][family] for image in measured])
            for set_, statistics in enumerate(sets)
            for family in range(len(statistics.families))
        }
        self.cache.store(self.key_of(pairs), numbers, rows)
        return rows


@contextmanager
def single_threaded_workers() -> Iterator[ThreadPoolExecutor]:
    """Give one worker per processor, each with a single PyTorch thread: the images are too small for more."""
    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, "measure", torch.set_num_threads, (1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(threads)
