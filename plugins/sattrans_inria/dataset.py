"""Inria Aerial Image Labeling: buildings in ten cities, five of them with public masks.

Maggiori et al., "Can Semantic Labeling Methods Generalize to Any City? The Inria Aerial Image Labeling
Benchmark", IGARSS 2017. https://project.inria.fr/aerialimagelabeling/
"""

import re
from collections.abc import Iterator
from pathlib import Path

from sattrans import Cell, Dataset, DatasetNotFound, LandClass, Palette, Scene, Split, paired_scenes, rasters_by_stem

STEM = re.compile(r"([a-z-]+?)(\d+)")
"""City and number. The pattern is matched against the stem, not the path, because folders may have digits, too."""

SUFFIXES = (".tif", ".tiff")

VALIDATION_NUMBERS = range(1, 6)
"""Scenes 1 to 5 of each city are for validation, as in the benchmark's paper."""


class Inria(Dataset):
    """`AerialImageDataset/train/images` and `train/gt`, named `<city><number>.tif`; masks of 0 and 255.

    The test cities, `test/images`, have no public masks, so their images are unpaired and there is no test split.
    """

    name = "inria"
    title = "Inria Aerial Image Labeling"
    layout = (
        "AerialImageDataset/train/images/<city><number>.tif\n"
        "AerialImageDataset/train/gt/<city><number>.tif\n"
        "AerialImageDataset/test/images/<city><number>.tif (optional)"
    )
    licence = "free for research, terms at the home page"
    homepage = "https://project.inria.fr/aerialimagelabeling/"
    published_splits = ("train", "val")

    @classmethod
    def _train(cls, root: Path) -> Path:
        inner = root / "AerialImageDataset"
        return (inner if inner.is_dir() else root) / "train"

    @classmethod
    def recognises(cls, root: Path) -> bool:
        """Return whether there are `train/images` and `train/gt` with names of cities, or without any rasters."""
        train = cls._train(root)
        if not ((train / "images").is_dir() and (train / "gt").is_dir()):
            return False
        stems = [path.stem for path in (train / "gt").iterdir() if path.suffix.lower() in SUFFIXES]
        return not stems or any(STEM.fullmatch(stem) for stem in stems)

    @property
    def palette(self) -> Palette:
        """The classes in the colours of the published masks: building white, not building black."""
        return Palette((LandClass(0, "not building", (0, 0, 0)), LandClass(255, "building", (255, 255, 255))))

    def scenes(self) -> Iterator[Scene]:
        """Yield the public training scenes, then the test images, without a map; the region is the city."""
        train = self._train(self.root)
        seen = {}
        for scene in paired_scenes(train / "images", train / "gt"):
            city, _ = self._city_and_number(scene)
            seen[scene.id] = scene.image
            yield Scene(scene.id, scene.image, scene.map, city)
        for stem, image in self._test_images().items():
            if stem in seen:
                raise DatasetNotFound(f"{image} has the same name as {seen[stem]}; rename it after its city")
            city, _ = self._city_and_number(Scene(stem, image, None))
            yield Scene(stem, image, None, city)

    def published_split(self, scene: Scene, cell: Cell) -> Split:
        """Return val for scenes 1 to 5 of each city, train for the others."""
        _, number = self._city_and_number(scene)
        return "val" if number in VALIDATION_NUMBERS else "train"

    def notices(self) -> Iterator[str]:
        """Yield that there is no test split, and how the test images are used."""
        yield "the Inria test cities have no public masks, so there is no test split; evaluate on val (--split val)"
        if count := len(self._test_images()):
            yield f"the images of the Inria test cities ({count}) are used unpaired; --no-unpaired leaves them out"

    def _test_images(self) -> dict[str, Path]:
        return rasters_by_stem(self._train(self.root).with_name("test") / "images")

    def _city_and_number(self, scene: Scene) -> tuple[str, int]:
        matched = STEM.fullmatch(scene.id)
        if matched is None:
            raise DatasetNotFound(f"{scene.image}: an Inria scene must be named <city><number>.tif")
        return matched[1], int(matched[2])
