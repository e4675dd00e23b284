"""Inria Aerial Image Labeling: buildings in ten cities, five of them with public masks.

Maggiori et al., "Can Semantic Labeling Methods Generalize to Any City? The Inria Aerial Image Labeling
Benchmark", IGARSS 2017. https://project.inria.fr/aerialimagelabeling/
"""

import re
from collections.abc import Iterator
from pathlib import Path

from sattrans import Cell, Dataset, DatasetNotFound, LandClass, Palette, Scene, Split, paired_scenes

STEM = re.compile(r"([a-z-]+?)(\d+)")
"""City and number; matched against the whole stem, never the path, which may hold digits of its own."""

VALIDATION_NUMBERS = range(1, 6)
"""Scenes 1 to 5 of each city validate, by the convention of the benchmark's paper."""


class Inria(Dataset):
    """`AerialImageDataset/train/images` and `train/gt`, named `<city><number>.tif`; masks of 0 and 255.

    The test cities have no public masks, so there is no test split here.
    """

    name = "inria"
    title = "Inria Aerial Image Labeling"
    layout = "AerialImageDataset/train/images/<city><number>.tif\nAerialImageDataset/train/gt/<city><number>.tif"
    licence = "free for research, terms at the home page"
    homepage = "https://project.inria.fr/aerialimagelabeling/"

    @classmethod
    def _train(cls, root: Path) -> Path:
        inner = root / "AerialImageDataset"
        return (inner if inner.is_dir() else root) / "train"

    @classmethod
    def recognises(cls, root: Path) -> bool:
        """Take a folder with `train/images` and `train/gt`, in `AerialImageDataset/` or right there."""
        train = cls._train(root)
        return (train / "images").is_dir() and (train / "gt").is_dir()

    @property
    def palette(self) -> Palette:
        """Not building black, building white: the colours of the published masks."""
        return Palette((LandClass(0, "not building", (0, 0, 0)), LandClass(255, "building", (255, 255, 255))))

    def scenes(self) -> Iterator[Scene]:
        """Yield the public training scenes; the region is the city."""
        train = self._train(self.root)
        for scene in paired_scenes(train / "images", train / "gt"):
            city, _ = self._city_and_number(scene)
            yield Scene(scene.id, scene.image, scene.map, city)

    def published_split(self, scene: Scene, cell: Cell) -> Split:
        """Scenes 1 to 5 of each city are val, the others train."""
        _, number = self._city_and_number(scene)
        return "val" if number in VALIDATION_NUMBERS else "train"

    def notices(self) -> Iterator[str]:
        """Say that there is no test split."""
        yield "the Inria test cities have no public masks: there is no test split, evaluate on val (--split val)"

    def _city_and_number(self, scene: Scene) -> tuple[str, int]:
        matched = STEM.fullmatch(scene.id)
        if matched is None:
            raise DatasetNotFound(f"{scene.image}: no Inria scene is named so, <city><number>.tif is expected")
        return matched[1], int(matched[2])
