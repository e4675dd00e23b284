"""The conformance suite over every registered plugin, and over plugins that each break one promise."""

import random
from dataclasses import replace

import numpy as np
import pytest
from makers import make_folder, make_indices, make_inria, make_landcover, write_raster
from makers_pictures import make_pairs

from sattrans import Dataset, LandClass, Palette, Scene, paired_scenes
from sattrans.errors import DatasetNotFound
from sattrans.plugins import dataset_class, manager
from sattrans.testing import check_dataset

MAKERS = {"folder": make_folder, "inria": make_inria, "landcover": make_landcover, "pairs": make_pairs}


def test_every_registered_dataset_has_a_maker():
    assert set(manager().names("dataset")) == set(MAKERS)


@pytest.mark.parametrize("name", manager().names("dataset"))
def test_dataset_keeps_its_promises(name, tmp_path):
    check_dataset(dataset_class(name), MAKERS[name](tmp_path))


# Datasets that break one promise each.


class Good(Dataset):
    name = "good"
    layout = "images/* masks/*"

    @classmethod
    def recognises(cls, root):
        return (root / "images").is_dir() and (root / "masks").is_dir()

    def scenes(self):
        yield from paired_scenes(self.root / "images", self.root / "masks")

    @property
    def palette(self):
        return Palette(tuple(LandClass(value, f"class {value}", (value, 0, 0)) for value in (10, 30, 50)))


class BadName(Good):
    name = "Bad name"


class NoLayout(Good):
    layout = ""


class RecognisesAll(Good):
    @classmethod
    def recognises(cls, root):
        return True


class RecognisesNothing(Good):
    @classmethod
    def recognises(cls, root):
        return False


class RecognisesOrRaises(Good):
    @classmethod
    def recognises(cls, root):
        return any(path.name == "images" for path in root.iterdir())


class SilentWhenMissing(Good):
    def scenes(self):
        if (self.root / "images").is_dir():
            yield from super().scenes()


class ForeignErrorWhenMissing(Good):
    def scenes(self):
        if not (self.root / "images").is_dir():
            raise FileNotFoundError(self.root)
        yield from super().scenes()


class VagueWhenMissing(Good):
    def scenes(self):
        if not (self.root / "images").is_dir():
            raise DatasetNotFound("nothing there")
        yield from super().scenes()


class OtherOrder(Good):
    turn = 0

    def scenes(self):
        self.turn += 1
        yield from list(super().scenes())[:: -1 if self.turn == 2 else 1]


class OtherOrderNextTime(Good):
    instances = 0

    def __init__(self, root):
        super().__init__(root)
        type(self).instances += 1

    def scenes(self):
        yield from list(super().scenes())[:: -1 if self.instances % 2 else 1]


class YieldsNothing(Good):
    def scenes(self):
        yield from list(super().scenes())[:0]


class EmptyNotice(Good):
    def notices(self):
        yield ""


class EqualIds(Good):
    def scenes(self):
        yield from (replace(scene, id="same") for scene in super().scenes())


class IdWithSlash(Good):
    def scenes(self):
        yield from (replace(scene, id=f"a/{scene.id}") for scene in super().scenes())


class LostFile(Good):
    def scenes(self):
        yield from (replace(scene, map=self.root / "masks" / "gone.tif") for scene in super().scenes())


class Neither(Good):
    def scenes(self):
        yield from (Scene(scene.id, None, None) for scene in super().scenes())


class DictPalette(Good):
    @property
    def palette(self):
        return {10: "water"}


class OtherPaletteNextTime(Good):
    turns = 0

    @property
    def palette(self):
        type(self).turns += 1
        return Palette((*super().palette.classes, LandClass(100 + self.turns, "more", (0, 0, 0))))


class TooFewClasses(Good):
    @property
    def palette(self):
        return Palette((LandClass(10, "a", (0, 0, 0)), LandClass(30, "b", (1, 1, 1))))


class TwoFilesSideBySide(Good):
    def scenes(self):
        yield from (replace(scene, side_by_side=True) for scene in super().scenes())


class PicturesOfOneBand(Good):
    @property
    def palette(self):
        return None


class NoSize(Good):
    published_size = 0


class OtherSplit(Good):
    def published_split(self, scene, cell):
        return "validation"


class RandomSplit(Good):
    published_size = 64

    def published_split(self, scene, cell):
        return random.choice(["train", "val"])


class SplitByCellUntold(Good):
    def published_split(self, scene, cell):
        return "train" if cell.k else "val"


def test_a_good_dataset_passes(tmp_path):
    check_dataset(Good, make_folder(tmp_path))


class ClassesSideBySide(Good):
    published_size = 128

    @classmethod
    def recognises(cls, root):
        return (root / "pairs").is_dir()

    def scenes(self):
        if not (self.root / "pairs").is_dir():
            raise DatasetNotFound(f"no pairs in {self.root}")
        yield from (Scene(p.stem, p, p, side_by_side=True) for p in sorted((self.root / "pairs").iterdir()))

    def published_split(self, scene, cell):
        assert cell.k == 0  # half of the file is one cell
        return "train"


def test_a_pair_of_photo_and_classes_in_one_file_passes(tmp_path):
    pair = np.stack([make_indices(128, 256, 200, patch=4)] * 3)
    write_raster(tmp_path / "pairs" / "a.tif", pair)
    check_dataset(ClassesSideBySide, tmp_path)


@pytest.mark.parametrize(
    ("flawed", "message"),
    [
        (BadName, "lower-case"),
        (NoLayout, "layout is empty"),
        (RecognisesAll, "returns True for an empty folder"),
        (RecognisesNothing, "returns False for its example"),
        (RecognisesOrRaises, "raises on a file"),
        (SilentWhenMissing, "yields 0 scenes"),
        (ForeignErrorWhenMissing, "instead of DatasetNotFound"),
        (VagueWhenMissing, "does not contain the path"),
        (OtherOrder, "the second time"),
        (OtherOrderNextTime, r"scenes\(\) of a second instance differs"),
        (YieldsNothing, "yields no scene"),
        (EmptyNotice, "a notice must be one line"),
        (EqualIds, "with the same id"),
        (IdWithSlash, "cannot be the beginning of a file name"),
        (LostFile, "is not a file"),
        (Neither, "neither image nor map"),
        (DictPalette, "must be a Palette, or None"),
        (OtherPaletteNextTime, "palette of a second instance"),
        (TooFewClasses, "cannot be tiled: .* contains value 50"),
        (TwoFilesSideBySide, "is side_by_side, but its image .* are two files"),
        (PicturesOfOneBand, "cannot be tiled: .* has 1 band and no colour table"),
        (NoSize, "published_size must be .*, got 0"),
        (OtherSplit, "'validation'"),
        (RandomSplit, "published_split of a second instance differs"),
        (SplitByCellUntold, "published_size does not give"),
    ],
)
def test_a_dataset_that_breaks_a_promise_is_told_which(flawed, message, tmp_path):
    with pytest.raises(AssertionError, match=message):
        check_dataset(flawed, make_folder(tmp_path))


# Models that break one promise each.
