"""pairs: the pix2pix layout, a scene a file, split by folder, recognised by pictures right in train/."""

import numpy as np
import pytest
from makers import make_folder, make_indices, make_inria, make_picture, write_raster
from makers_pictures import make_pairs
from typer.testing import CliRunner

from sattrans.cli import app
from sattrans.errors import DatasetNotFound
from sattrans.plugins import open_dataset
from sattrans.raster.open import open_raster
from sattrans.raster.window import tile_cells
from sattrans.testing import check_dataset
from sattrans.tile import TileOptions, tile
from sattrans_pairs.dataset import Pairs


@pytest.fixture
def root(tmp_path):
    return make_pairs(tmp_path / "maps")


def picture(path, driver="PNG"):
    return write_raster(path, make_picture(make_indices(32, 64, 3)), None, None, driver=driver)


def test_a_scene_is_a_file_and_its_folder_is_its_split(root):
    dataset = open_dataset(root)
    assert isinstance(dataset, Pairs)
    scenes = list(dataset.scenes())
    assert [scene.id for scene in scenes] == ["train_1", "train_2", "train_3", "val_1", "val_2"]
    cell = next(tile_cells(64, 64, 64))
    for scene in scenes:
        split, number = scene.id.split("_")
        assert scene.image == scene.map == root / split / f"{number}.jpg"
        assert scene.side_by_side
        assert scene.region == split
        assert dataset.published_split(scene, cell) == split


def test_maps_are_pictures_and_nothing_is_to_be_said(root):
    assert Pairs(root).palette is None
    assert list(Pairs(root).notices()) == []


def test_both_halves_are_there(root):
    with open_raster(next(Pairs(root).scenes()).map) as raster:
        left, right = np.split(raster.read(), 2, axis=2)
    assert left.shape == right.shape == (3, 64, 64)
    assert left.mean() + 50 < right.mean()  # a photo, and a map on light paper


def test_pictures_in_any_format_and_a_test_folder_are_taken(tmp_path):
    root = make_pairs(tmp_path, counts={"train": 1, "test": 2})
    picture(root / "train" / "facade.png")
    picture(root / "train" / "shoe.JPEG", "JPEG")
    (root / "train" / ".1.jpg.swp").write_bytes(b"")
    (root / "train" / "readme.txt").write_text("1096 pairs")
    assert [scene.id for scene in Pairs(root).scenes()] == [
        "train_1",
        "train_facade",
        "train_shoe",
        "test_1",
        "test_2",
    ]


def test_white_space_in_a_name_is_no_white_space_in_an_id(root):
    picture(root / "train" / "1 (2).png")
    assert "train_1_(2)" in [scene.id for scene in Pairs(root).scenes()]
    check_dataset(Pairs, root)
    picture(root / "train" / "1_(2).png")
    with pytest.raises(DatasetNotFound, match=r"1 \(2\)\.png and .*1_\(2\)\.png differ only in white space"):
        list(Pairs(root).scenes())


def test_other_layouts_are_not_recognised(tmp_path):
    assert not Pairs.recognises(make_inria(tmp_path / "inria"))
    assert not Pairs.recognises(tmp_path / "inria" / "AerialImageDataset")
    assert not Pairs.recognises(make_folder(tmp_path / "folder"))
    (tmp_path / "empty" / "train").mkdir(parents=True)
    (tmp_path / "empty" / "train" / ".thumbs.jpg").write_bytes(b"")
    assert not Pairs.recognises(tmp_path / "empty")
    with pytest.raises(
        DatasetNotFound, match=r"no pictures in .*empty/train; each picture there must have map and image"
    ):
        list(Pairs(tmp_path / "empty").scenes())


def test_pictures_that_are_not_two_squares_or_have_masks_beside_them_are_no_pairs(tmp_path):
    write_raster(tmp_path / "wide" / "train" / "1.png", make_picture(make_indices(48, 64, 3)), None, None, driver="PNG")
    picture(tmp_path / "mass" / "train" / "1.png")
    picture(tmp_path / "mass" / "train_labels" / "1.png")
    picture(tmp_path / "globe" / "train" / "1_sat.png")
    picture(tmp_path / "globe" / "train" / "1_mask.png")
    for name in ("wide", "mass", "globe"):
        assert not Pairs.recognises(tmp_path / name)
    assert open_dataset(tmp_path / "mass").name == open_dataset(tmp_path / "globe").name == "folder"


def test_which_half_is_the_map_is_told(root, tmp_path):
    for direction, half in (("AtoB", "map"), ("BtoA", "image")):
        options = TileOptions(size=64, direction=direction)
        notices = tile(root, tmp_path / direction, options=options).notices
        assert any(f"5 pictures are cut into halves: the left half is the {half}, " in notice for notice in notices)
        swapped = [notice for notice in notices if "have larger flat areas than the maps" in notice]
        assert len(swapped) == (direction == "AtoB")  # the made photos are on the left
        assert all(notice.endswith("if the halves are swapped, use --direction BtoA") for notice in swapped)


def test_show_says_that_there_are_no_classes():
    shown = CliRunner().invoke(app, ["datasets", "show", "pairs"]).output
    assert "train/*.jpg" in shown
    assert "none: its maps are pictures" in " ".join(shown.split())
