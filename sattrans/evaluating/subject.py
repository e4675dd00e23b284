"""Subject: what is scored - something that gives an image for each real one. The first kind is a run."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sattrans.blend import to_uint8
from sattrans.errors import UsageError
from sattrans.evaluating.reference import TileReference
from sattrans.files import hash_of, sha256
from sattrans.run import Run
from sattrans.translator import Translator


class Subject(ABC):
    """Gives images. `name` is its own among those scored together; `about` what `scores.json` says of it.

    Subjects with one `recipe` differ by their seed alone, and are shown as one; None is a recipe of its own. `key`
    says which images these are, `folder` where they come from.
    """

    name: str
    folder: Path
    about: Mapping[str, Any]
    recipe: str | None = None
    key: str

    @abstractmethod
    def images(self, numbers: Sequence[int]) -> Iterator[Tensor]:
        """Yield the image (3, H, W) uint8 for each of some real ones."""


SEEDS = frozenset({"seed"})
"""The settings of a run that make it another run of the same recipe."""


class RunSubject(Subject):
    """A run's generator, given the maps of tiles."""

    def __init__(self, run: Run, reference: TileReference, device: torch.device, seed: int, batch_size: int) -> None:
        self.run, self.name, self.folder = run, run.name, run.folder
        self._reference, self._device, self._seed, self._batch = reference, device, seed, batch_size
        best = run.checkpoint("best")
        if not best.is_file():
            raise UsageError(f"{best} is not there: the run was stopped early; sattrans train --resume {run.folder}")
        weights = sha256(best)
        self.key = hash_of(weights, str(seed))
        settings = {key: value for key, value in run.manifest["settings"].items() if key not in SEEDS}
        self.recipe = hash_of(
            run.model_name, repr(sorted(run.manifest["options"].items())), repr(sorted(settings.items()))
        )
        self.about = {"model": run.model_name, "weights": weights, "seed": run.manifest["settings"]["seed"]}

    @cached_property
    def _translator(self) -> Translator:
        return Translator(self.run, self._device, self._seed)

    def images(self, numbers: Sequence[int]) -> Iterator[Tensor]:
        """Yield a generated image for each tile."""
        tiles = self._reference.tiles
        for start in range(0, len(numbers), self._batch):
            batch = numbers[start : start + self._batch]
            _, maps = self._reference.store.stack(batch)
            origins = [(tiles[number].window.row, tiles[number].window.col) for number in batch]
            yield from torch.from_numpy(to_uint8(self._translator(maps.numpy(), origins)))


def each_once(subjects: Sequence[Subject]) -> tuple[list[Subject], list[str]]:
    """Return the subjects without those that were given before, and a sentence about each that is left out.

    The same weights again, in a copy of a run, are no other seed either.
    """
    kept: list[Subject] = []
    told = []
    for subject in subjects:
        before = next((one for one in kept if _same(one, subject)), None)
        if before is None:
            kept.append(subject)
        elif before.folder.resolve() == subject.folder.resolve():
            told.append(f"{subject.folder} was given more than once: it counts once")
        else:
            told.append(f"{subject.folder} has the weights of {before.folder}: they count once, as one seed")
    return kept, list(dict.fromkeys(told))


def _same(one: Subject, other: Subject) -> bool:
    if one.folder.resolve() == other.folder.resolve():
        return True
    return one.recipe is not None and (one.recipe, one.key) == (other.recipe, other.key)
