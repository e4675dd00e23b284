"""Inria: splits by scene number, cities from the stem, masks of 0 and 255."""

import numpy as np
import pytest
from makers import make_folder, make_indices, make_inria, make_picture, write_raster

from sattrans.errors import ClassesError, DatasetNotFound
from sattrans.plugins import open_dataset
from sattrans.raster.class_map import class_map
from sattrans.raster.open import open_raster
from sattrans.raster.window import tile_cells
from sattrans.testing import check_dataset
from sattrans.tile import TileOptions, tile
from sattrans_inria.dataset import Inria

CITIES = ("austin", "chicago", "kitsap", "tyrol-w", "vienna")


@pytest.fixture
def root(tmp_path):
    return make_inria(tmp_path / "inria")


def splits_of(dataset):
    cell = next(tile_cells(256, 256, 256))
    return {scene.id: dataset.published_split(scene, cell) for scene in dataset.scenes()}


@pytest.mark.slow
def test_scenes_one_to_five_of_each_city_validate_and_the_rest_train(tmp_path):
    dataset = Inria(make_inria(tmp_path, CITIES, range(1, 37), size=16))
    splits = splits_of(dataset)
    assert len(splits) == 5 * 36
    assert {scene for scene, split in splits.items() if split == "val"} == {
        f"{c}{n}" for c in CITIES for n in range(1, 6)
    }
    assert sorted(set(splits.values())) == ["train", "val"]


def test_the_region_is_the_city_though_the_path_has_digits(tmp_path):
    dataset = Inria(make_inria(tmp_path / "data2" / "v36", ("austin", "tyrol-w"), (1, 36), size=16))
    assert {scene.id: scene.region for scene in dataset.scenes()} == {
        "austin1": "austin",
        "austin36": "austin",
        "tyrol-w1": "tyrol-w",
        "tyrol-w36": "tyrol-w",
    }
    assert splits_of(dataset) == {"austin1": "val", "austin36": "train", "tyrol-w1": "val", "tyrol-w36": "train"}


@pytest.mark.parametrize("below", ["", "AerialImageDataset"])
def test_the_folder_is_recognised_from_above_and_from_within(root, below):
    assert isinstance(open_dataset(root / below), Inria)
    assert len(list(Inria(root / below).scenes())) == 8


def test_a_folder_of_another_layout_is_not_recognised(tmp_path):
    assert not Inria.recognises(make_folder(tmp_path))


def test_a_scene_named_otherwise_is_refused_by_its_path(root):
    train = root / "AerialImageDataset" / "train"
    for folder in ("images", "gt"):
        (train / folder / "austin1.tif").rename(train / folder / "Austin_one.tif")
    with pytest.raises(DatasetNotFound, match=r"Austin_one\.tif: an Inria scene must be named"):
        list(Inria(root).scenes())


def test_the_masks_are_two_classes_of_values_0_and_255(root):
    assert [(c.value, c.name) for c in Inria(root).palette.classes] == [(0, "not building"), (255, "building")]
    scene = next(Inria(root).scenes())
    with open_raster(scene.map) as map_:
        indices = class_map(map_, Inria(root).palette).read()
        assert np.array_equal(indices, (map_.read()[0] == 255).astype(np.uint8))
    assert set(np.unique(indices)) == {0, 1}


def test_a_mask_of_three_bands_of_0_and_255_is_taken(tmp_path):
    indices = make_indices(64, 64, 2)
    path = write_raster(tmp_path / "m.tif", np.stack([indices * np.uint8(255)] * 3))
    with open_raster(path) as map_:
        assert np.array_equal(class_map(map_, Inria(tmp_path).palette).read(), indices)


def test_a_mask_that_was_smoothed_is_refused_with_the_values_found(tmp_path):
    mask = make_indices(64, 64, 2) * np.uint8(255)
    mask[3, 3] = 128
    with open_raster(write_raster(tmp_path / "m.tif", mask)) as map_, pytest.raises(ClassesError, match="value 128"):
        class_map(map_, Inria(tmp_path).palette).read()


def test_a_scene_of_true_size_has_361_tiles_of_256_px():
    assert sum(cell.whole for cell in tile_cells(5000, 5000, 256)) == 361


def test_each_city_keeps_its_own_crs(root, tmp_path):
    tileset = tile(root, tmp_path / "t").tileset
    crs = {scene.id: scene.georeference.rasterio_crs.to_epsg() for scene in tileset.scenes.values()}
    assert crs["austin1"] == 26914
    assert crs["vienna36"] == 31256


def test_tiles_without_a_building_can_be_left_out(root, tmp_path):
    train = root / "AerialImageDataset" / "train"
    with open_raster(train / "gt" / "austin6.tif") as map_:
        bare = np.zeros((map_.height, map_.width), np.uint8)
    write_raster(train / "gt" / "austin6.tif", bare, crs="EPSG:26914", transform=None)
    result = tile(root, tmp_path / "t", options=TileOptions(drop_empty=True))
    assert result.dropped == {"empty": 1}
    assert "austin6" not in {t.scene for t in result.tileset.tiles}


def test_the_missing_test_split_is_said(root, tmp_path):
    result = tile(root, tmp_path / "t")
    assert any("no test split" in notice for notice in result.notices)
    assert result.tileset.split("test") == []


@pytest.fixture
def with_test_images(root):
    """Two images of test cities beside the training scenes, as the archive has them."""
    for n, city in enumerate(("bellingham1", "tyrol-e36")):
        path = root / "AerialImageDataset" / "test" / "images" / f"{city}.tif"
        write_raster(path, make_picture(make_indices(256, 256, 2, seed=n)), "EPSG:32610")
    return root


@pytest.mark.parametrize("below", ["", "AerialImageDataset"])
def test_images_of_the_test_cities_are_scenes_without_a_map(with_test_images, below):
    scenes = list(Inria(with_test_images / below).scenes())
    assert len({scene.id for scene in scenes}) == len(scenes) == 10
    assert [(s.id, s.map, s.region) for s in scenes if s.map is None] == [
        ("bellingham1", None, "bellingham"),
        ("tyrol-e36", None, "tyrol-e"),
    ]
    check_dataset(Inria, with_test_images / below)


@pytest.mark.slow
def test_they_become_unpaired_tiles_unless_they_are_left_out(with_test_images, tmp_path):
    result = tile(with_test_images, tmp_path / "t", options=TileOptions(size=128))
    unpaired = result.tileset.split("unpaired")
    assert {t.id for t in unpaired} == {f"{city}_{k}" for city in ("bellingham1", "tyrol-e36") for k in range(4)}
    assert all(t.map is None and not t.shares for t in unpaired)
    expected = "the images of the Inria test cities (2) are used unpaired; --no-unpaired leaves them out"
    assert expected in result.notices
    without = tile(with_test_images, tmp_path / "u", options=TileOptions(size=128, unpaired=False)).tileset
    assert {t.id for t in without.tiles} == {t.id for t in result.tileset.tiles} - {t.id for t in unpaired}


def test_a_test_image_that_is_named_as_a_training_scene_is_refused(with_test_images):
    test = with_test_images / "AerialImageDataset" / "test" / "images"
    (test / "bellingham1.tif").rename(test / "austin1.tif")
    with pytest.raises(
        DatasetNotFound, match=r"test/images/austin1\.tif has the same name as .*train/images/austin1\.tif"
    ):
        list(Inria(with_test_images).scenes())


def test_train_images_and_gt_without_names_of_cities_are_another_dataset(tmp_path):
    for folder in ("images", "gt"):
        (tmp_path / "train" / folder).mkdir(parents=True)
        (tmp_path / "train" / folder / "tile_0001.tif").touch()
    assert not Inria.recognises(tmp_path)
    (tmp_path / "train" / "gt" / "vienna3.tif").touch()
    assert Inria.recognises(tmp_path)
