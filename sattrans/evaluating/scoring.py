"""Scoring: the images of a run, and those of the floors, measured beside the real ones."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sattrans.batches import TileStore, to_picture
from sattrans.blend import to_uint8
from sattrans.evaluating.family import Family, Pair
from sattrans.evaluating.gather import Gathered, Score
from sattrans.evaluating.training_tiles import TrainingTiles
from sattrans.metrics.bootstrap import difference, tells_apart
from sattrans.metrics.floors import evenly, paint, partners
from sattrans.progress import bar
from sattrans.tileset import Tile, Tileset
from sattrans.translator import Translator


class Real(NamedTuple):
    """A real tile: its image (3, S, S), its class indices (S, S) or None where its map is a picture."""

    image: Tensor
    map: Tensor | None


@dataclass(frozen=True, slots=True)
class Scored:
    """A set's scores by metric: its own, those with its pairs shuffled, each image's by tile id, and details.

    `shuffled` lacks metrics that compare sets: they see no pairs.
    """

    scores: Mapping[str, Score]
    shuffled: Mapping[str, Score] = field(default_factory=dict)
    images: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    def tells_pairs(self, metric: str) -> bool | None:
        """Whether a metric tells pairs from shuffled pairs on these images; None where it compares sets."""
        if metric not in self.shuffled:
            return None
        return tells_apart(difference(self.scores[metric].redrawn, self.shuffled[metric].redrawn))


class Scoring:
    """The tiles of a split, ready to be scored against; families measure, `seed` draws partners and intervals."""

    def __init__(self, tileset: Tileset, tiles: Sequence[Tile], families: Sequence[Family], seed: int) -> None:
        self.tiles, self.families, self.seed = list(tiles), list(families), seed
        self.store = TileStore(tileset, tiles)
        self._partners = partners(len(tiles), seed)

    def real(self, number: int) -> Real:
        """Return a tile."""
        return _real(self.store, number)

    def run(self, translator: Translator, batch_size: int, pictures: Mapping[int, list[Any]]) -> Scored:
        """Score a run. The images of the tiles that `pictures` has are put there: map, generated…, real."""
        own = Gathered(self.families)
        shuffled = Gathered([family for family in self.families if not family.sets])
        palette = self.store.tileset.palette
        for number, fake in self._translated(translator, batch_size):
            image, map_ = self.real(number)
            own.add(Pair(fake, image, number, map_, map_))
            other, other_map = self.real(int(self._partners[number]))
            shuffled.add(Pair(fake, other, number, other_map, other_map))
            if number in pictures:
                row = pictures[number]
                row[:] = row or [to_picture(self.store[number][1], palette), image.numpy()]
                row.insert(-1, fake.numpy())
        images = {tile.id: own.each(number) for number, tile in enumerate(self.tiles)}
        return Scored(own.scores(self.seed), shuffled.scores(self.seed), images, own.details())

    def _translated(self, translator: Translator, batch_size: int) -> Iterator[tuple[int, Tensor]]:
        with bar(len(self.tiles), f"evaluate {translator.run.name}", "image") as progress:
            for start in range(0, len(self.tiles), batch_size):
                numbers = range(start, min(start + batch_size, len(self.tiles)))
                _, maps = self.store.stack(numbers)
                origins = [(self.tiles[n].window.row, self.tiles[n].window.col) for n in numbers]
                fakes = torch.from_numpy(to_uint8(translator(maps.numpy(), origins)))
                for number, fake in zip(numbers, fakes, strict=True):
                    yield number, fake
                    progress.update()

    def real_floor(self, train: Sequence[Tile]) -> Scored:
        """Score real images: of other places, for families that compare with those; else each beside itself."""
        beside = Gathered([family for family in self.families if not family.others])
        others = Gathered([family for family in self.families if family.others and train])
        store = TileStore(self.store.tileset, train)
        with bar(len(self.tiles), "real against real", "image") as progress:
            for number, place in enumerate(evenly(len(train), len(self.tiles)) if train else [0] * len(self.tiles)):
                image, map_ = self.real(number)
                beside.add(Pair(image, image, number, map_, map_))
                if train:
                    other, other_map = _real(store, place)
                    others.add(Pair(other, image, number, other_map, map_))
                progress.update()
        scores = {**beside.scores(intervals=False), **(others.scores(intervals=False) if train else {})}
        return Scored(scores, details=beside.details())

    def color_floor(self, train: TrainingTiles) -> Scored:
        """Score maps painted with each class's mean colour."""
        assert train.colors is not None
        gathered = Gathered(self.families)
        with bar(len(self.tiles), "class colours", "image") as progress:
            for number in range(len(self.tiles)):
                image, map_ = self.real(number)
                assert map_ is not None
                gathered.add(Pair(paint(map_, train.colors), image, number, map_, map_))
                progress.update()
        return Scored(gathered.scores(intervals=False))


def _real(store: TileStore, number: int) -> Real:
    image, map_ = store[number]
    return Real(image, map_ if store.tileset.palette else None)
