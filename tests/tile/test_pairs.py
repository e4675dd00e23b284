"""Tiles side by side, for other tools and for our own `pairs` dataset; and images without a map."""

import numpy as np
import pytest
import rasterio
from makers import make_indices, make_inria, make_picture, write_raster
from makers_pictures import make_pairs
from makers_scenes import cut, make_scene, write_classes
from PIL import Image

from sattrans.errors import OptionError, RasterError
from sattrans.tile import TileOptions, tile

SIZE, TILE = 96, 32


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A scene, and its pixels; the map as it is drawn, too."""
    root = tmp_path_factory.mktemp("pairs") / "f"
    write_classes(root)
    image, map_ = make_scene(root, size=SIZE)
    drawn = np.stack([np.zeros_like(map_), map_, 2 * map_])
    return root, image, drawn


def options(**more):
    return TileOptions(**{"size": TILE, "split": "random", "layout": "pairs", **more})


@pytest.mark.parametrize("kind", ["png", "jpg", None])
def test_the_left_half_is_the_map_in_its_colours_and_the_right_half_the_image(scene, tmp_path, kind):
    root, image, drawn = scene
    tileset = tile(root, tmp_path / "t", options=options(format=kind)).tileset
    folders = {path.name for path in (tmp_path / "t").iterdir() if path.is_dir()}
    assert folders == {"train", "val", "test"}
    for item in tileset.tiles:
        assert item.image == item.map == f"{item.split}/{item.id}.{kind or 'png'}"
        assert item.image_sha256 == item.map_sha256
        both = np.moveaxis(np.array(Image.open(item.image_path(tileset.folder))), -1, 0).astype(int)
        place = item.window.slices
        expected = np.concatenate([drawn[:, *place], image[:, *place]], axis=2)
        off = np.abs(both - expected)
        assert off.max() == 0 if kind != "jpg" else off.mean() < 6


def test_the_pairs_dataset_reads_them_back_and_the_other_direction_swaps_them(scene, tmp_path):
    root, image, drawn = scene
    first = tile(root, tmp_path / "t", options=options()).tileset
    window = {f"{t.split}_{t.id}": t for t in first.tiles}
    for direction in ("AtoB", "BtoA"):
        again = tile(tmp_path / "t", tmp_path / direction, options=TileOptions(size=TILE, direction=direction)).tileset
        assert again.palette is None and len(again.tiles) == 9
        for (item, pixels, _), (_, map_, _) in zip(cut(again), cut(again, "map"), strict=True):
            assert item.split == window[item.scene].split
            place = window[item.scene].window.slices
            halves = (drawn[:, *place], image[:, *place])
            assert np.array_equal(map_, halves[direction == "BtoA"])
            assert np.array_equal(pixels, halves[direction == "AtoB"])


def test_pairs_of_a_picture_map_keep_its_colours(tmp_path):
    root = make_pairs(tmp_path / "maps")
    tileset = tile(root, tmp_path / "t", options=TileOptions(size=32, layout="pairs", direction="BtoA")).tileset
    for item in tileset.tiles:
        split, number = item.scene.split("_")
        with rasterio.open(root / split / f"{number}.jpg") as src:
            photo, map_ = np.split(src.read(), 2, axis=2)
        with rasterio.open(item.image_path(tileset.folder)) as src:
            left, right = np.split(src.read(), 2, axis=2)
        assert np.array_equal(left, map_[:, *item.window.slices])
        assert np.array_equal(right, photo[:, *item.window.slices])


def test_holes_of_a_pair_are_black_on_both_sides(tmp_path):
    root = tmp_path / "f"
    write_classes(root)
    image, map_ = make_scene(root, size=64)
    image[:, 5:9, 5:9] = 0
    make_scene(root, size=64, image=image, map_=map_, nodata=0)
    tileset = tile(root, tmp_path / "t", options=options(min_valid=0.5)).tileset
    (item,) = (t for t in tileset.tiles if t.id == "place_0")
    left, right = np.split(np.array(Image.open(item.image_path(tileset.folder))), 2, axis=1)
    black = np.zeros((TILE, TILE), bool)
    black[5:9, 5:9] = True
    assert np.array_equal((left == 0).all(axis=2), black) and np.array_equal((right == 0).all(axis=2), black)


def test_a_pair_is_a_picture_and_no_geotiff(scene, tmp_path):
    with pytest.raises(OptionError, match="--format png or jpg"):
        tile(scene[0], tmp_path / "t", options=options(format="tif"))


def test_a_picture_of_odd_width_is_no_pair(tmp_path):
    root = make_pairs(tmp_path / "maps")
    write_raster(root / "val" / "2.png", np.zeros((3, 64, 127), np.uint8), None, None, driver="PNG")
    (root / "val" / "2.jpg").unlink()
    with pytest.raises(RasterError, match=r"val/2\.png is 127 px wide"):
        tile(root, tmp_path / "t", options=TileOptions(size=64))


def test_pairs_have_no_ground_resolution_and_no_place(tmp_path):
    root = make_pairs(tmp_path / "maps")
    with pytest.raises(OptionError, match="--res: .*side by side"):
        tile(root, tmp_path / "t", options=TileOptions(size=64, res=2.0))
    for more in ({"drop_empty": True}, {"min_share": {"water": 0.1}}):
        with pytest.raises(OptionError, match="need classes"):
            tile(root, tmp_path / "t", options=TileOptions(size=64, **more))


# Images without a map: those of Inria's test cities.


@pytest.fixture
def inria(tmp_path):
    """A training scene and a test image, and the latter's pixels."""
    root = make_inria(tmp_path / "inria", cities=("austin",), numbers=(6,), size=64)
    image = make_picture(make_indices(64, 64, 2))
    write_raster(root / "AerialImageDataset" / "test" / "images" / "sfo1.tif", image)
    return root, image


@pytest.mark.parametrize("kind", ["tif", "png", "jpg"])
def test_an_image_without_a_map_becomes_tiles_of_a_kind_of_their_own(inria, tmp_path, kind):
    root, image = inria
    more = {"layout": "tiles", "format": kind, "drop_empty": True, "min_share": {"building": 0.01}}
    tileset = tile(root, tmp_path / "t", options=options(**more)).tileset
    lone = [(item, pixels) for item, pixels, _ in cut(tileset) if item.scene == "sfo1"]
    assert len(lone) == 4 and {item.split for item, _ in lone} == {"unpaired"}
    for item, pixels in lone:
        assert (item.map, item.map_sha256, item.shares) == (None, None, {})
        assert np.array_equal(pixels, image[:, *item.window.slices]) or kind == "jpg"
    maps = {path.stem for path in (tmp_path / "t" / "maps").iterdir()}
    assert maps == {t.id for t in tileset.tiles if t.scene == "austin6"}
    assert tileset.manifest["tiles"]["unpaired"] == 4


@pytest.mark.parametrize("more", [{"layout": "tiles", "unpaired": False}, {"layout": "pairs"}])
def test_they_are_left_out_where_told_and_where_there_is_no_other_half(inria, tmp_path, more):
    tileset = tile(inria[0], tmp_path / "t", options=options(**more)).tileset
    assert {t.scene for t in tileset.tiles} == {"austin6"}
