"""tile: the right cells, splits, places and values; resumable, refused in words."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from makers import HERE, make_folder, make_inria, make_landcover, write_raster

from sattrans.colorize import ColorizeOptions, colorize
from sattrans.data.tileset import Tileset
from sattrans.errors import (
    AlignmentError,
    ClassesError,
    DatasetNotFound,
    OptionError,
    OutputExists,
    RasterError,
    UsageError,
)
from sattrans.tile import TileOptions, tile
from sattrans.utils.hashing import sha256


@pytest.fixture(scope="module")
def landcover(tmp_path_factory):
    return make_landcover(tmp_path_factory.mktemp("landcover") / "landcover")


def test_landcover_at_its_published_size_has_the_published_ids_and_splits(landcover, tmp_path):
    tileset = tile(landcover, tmp_path / "t").tileset
    assert tileset.size == 512
    for split in ("train", "val", "test"):
        assert {t.id for t in tileset.split(split)} == set((landcover / f"{split}.txt").read_text().split())


@pytest.mark.slow
def test_tiles_hold_the_scene_pixels_at_the_scene_place(landcover, tmp_path):
    tileset = tile(landcover, tmp_path / "t").tileset
    for item in tileset.tiles:
        rows, cols = item.window.slices
        with (
            rasterio.open(landcover / "images" / f"{item.scene}.tif") as scene,
            rasterio.open(item.image_path(tileset.folder)) as cut,
        ):
            assert np.array_equal(cut.read(), scene.read()[:, rows, cols])
            assert cut.crs == scene.crs
            assert cut.transform @ (0, 0) == pytest.approx(scene.transform @ (item.window.col, item.window.row))
        with (
            rasterio.open(landcover / "masks" / f"{item.scene}.tif") as scene,
            rasterio.open(item.map_path(tileset.folder)) as cut,
        ):
            values = cut.read(1)
            assert np.array_equal(values, scene.read(1)[rows, cols])
            assert cut.nodata is None
            assert cut.colormap(1)[3][:3] == (0, 197, 255)
        names = ("background", "building", "woodland", "water", "road")
        for value, name in enumerate(names):
            assert item.shares.get(name, 0) == pytest.approx((values == value).mean(), abs=1e-6)
        assert item.image_sha256 == sha256(item.image_path(tileset.folder))


def test_the_index_is_geojson_that_a_gis_reads_at_the_right_place(landcover, tmp_path):
    tileset = tile(landcover, tmp_path / "t").tileset
    index = json.loads((tileset.folder / "tiles.geojson").read_text())
    assert index["type"] == "FeatureCollection"
    ring = np.array(index["features"][0]["geometry"]["coordinates"][0])
    assert np.array_equal(ring[0], ring[-1])
    # Made in EPSG:2180 around x 500000 (the central meridian, 19°E) and y 600000 (about 53°N).
    assert np.all((ring[:, 0] > 18.9) & (ring[:, 0] < 19.1))
    assert np.all((ring[:, 1] > 53.0) & (ring[:, 1] < 54.0))


@pytest.mark.slow
def test_a_smaller_tile_inherits_the_split_of_the_published_cell_around_it(landcover, tmp_path):
    published = {t.id: t for t in tile(landcover, tmp_path / "a").tileset.tiles}
    small = tile(landcover, tmp_path / "b", options=TileOptions(size=256)).tileset
    for item in small.tiles:
        around = [p for p in published.values() if p.scene == item.scene and p.window.contains(item.window)]
        assert [p.split for p in around] == [item.split]
    assert len(small.tiles) == 4 * len(published)


@pytest.mark.slow
def test_workers_and_a_repeat_change_no_byte(landcover, tmp_path):
    one = tile(landcover, tmp_path / "one", options=TileOptions(size=256)).tileset
    two = tile(landcover, tmp_path / "two", options=TileOptions(size=256, workers=2)).tileset
    assert (one.folder / "tiles.geojson").read_bytes() == (two.folder / "tiles.geojson").read_bytes()
    again = tile(landcover, tmp_path / "one", options=TileOptions(size=256))
    assert not again.made
    assert again.tileset.manifest == one.manifest


@pytest.mark.slow
def test_other_options_are_refused_and_overwrite_replaces(landcover, tmp_path):
    first = tile(landcover, tmp_path / "t", options=TileOptions(size=256)).tileset
    before = (first.folder / "tileset.json").read_bytes()
    with pytest.raises(OutputExists, match="size: 256 before, 128 now"):
        tile(landcover, tmp_path / "t", options=TileOptions(size=128))
    assert (first.folder / "tileset.json").read_bytes() == before
    assert tile(landcover, tmp_path / "t", options=TileOptions(size=128), overwrite=True).tileset.size == 128


def test_a_changed_input_is_another_tileset(tmp_path):
    root = make_folder(tmp_path / "f")
    tile(root, tmp_path / "t", options=TileOptions(size=64))
    mask = next((root / "masks").glob("*.tif"))
    write_raster(mask, np.full((256, 256), 10, np.uint8), "EPSG:32652", rasterio.open(mask).transform)
    with pytest.raises(OutputExists, match="inputs"):
        tile(root, tmp_path / "t", options=TileOptions(size=64))


def test_a_folder_of_other_things_is_not_touched(landcover, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="holds files that sattrans did not make"):
        tile(landcover, tmp_path / "mine")
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


@pytest.mark.slow
def test_the_dataset_is_never_the_output_nor_lost(tmp_path):
    root = make_folder(tmp_path / "f", size=128)
    before = {path: path.read_bytes() for path in root.rglob("*.tif")}
    for output in (root, tmp_path, root / "images", root / "masks" / "t"):
        for overwrite in (False, True):
            with pytest.raises(UsageError, match="the command reads|mix tiles and the dataset"):
                tile(root, output, options=TileOptions(size=64), overwrite=overwrite)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert tile(root, root / "tiles" / "t", options=TileOptions(size=64)).made


def test_images_may_be_links_and_one_to_nothing_is_named(tmp_path):
    root = make_folder(tmp_path / "f", scenes=1, size=64)
    image = root / "images" / "place0.tif"
    image.rename(tmp_path / "elsewhere.tif")
    image.symlink_to("../../elsewhere.tif")
    assert tile(root, tmp_path / "tiles" / "t", options=TileOptions(size=64)).made
    (tmp_path / "elsewhere.tif").unlink()
    with pytest.raises(RasterError, match=r"images/place0\.tif is a link to .*elsewhere\.tif, which does not exist"):
        tile(root, tmp_path / "tiles" / "u", options=TileOptions(size=64))


def test_overwrite_replaces_tilesets_only(landcover, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="holds files that sattrans did not make"):
        tile(landcover, tmp_path / "mine", overwrite=True)
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_scenes_of_one_block_are_split_by_scene_and_an_empty_split_is_told(tmp_path):
    root = make_folder(tmp_path / "f", scenes=3, size=64)
    result = tile(root, tmp_path / "t", options=TileOptions(size=64))
    assert [len(result.tileset.split(split)) for split in ("train", "val", "test")] == [1, 1, 1]
    lone = tile(make_folder(tmp_path / "g", scenes=1, size=64), tmp_path / "u", options=TileOptions(size=64))
    assert any("no tiles in split val and test" in notice for notice in lone.notices)


@pytest.mark.slow
def test_drop_empty_leaves_out_only_tiles_of_pure_background(tmp_path):
    root = make_inria(tmp_path / "i", numbers=(1, 6), size=128)
    gt = root / "AerialImageDataset/train/gt/austin6.tif"
    with rasterio.open(gt) as src:
        mask, profile = src.read(1), src.profile
    mask[:64, :64] = 0
    with rasterio.open(gt, "w", **profile) as dst:
        dst.write(mask, 1)
    everything = tile(root, tmp_path / "a", options=TileOptions(size=64))
    filtered = tile(root, tmp_path / "b", options=TileOptions(size=64, drop_empty=True))
    dropped = {t.id for t in everything.tileset.tiles} - {t.id for t in filtered.tileset.tiles}
    assert "austin6_0" in dropped
    assert filtered.dropped["empty"] == len(dropped)
    assert all(t.shares.get("building", 0) == 0 for t in everything.tileset.tiles if t.id in dropped)


def test_bands_are_taken_in_the_order_told(tmp_path):
    root = make_folder(tmp_path / "f", scenes=1)
    straight = tile(root, tmp_path / "a", options=TileOptions(size=256, split="random")).tileset
    turned = tile(root, tmp_path / "b", options=TileOptions(size=256, split="random", bidx=(3, 2, 1))).tileset
    with (
        rasterio.open(straight.tiles[0].image_path(straight.folder)) as a,
        rasterio.open(turned.tiles[0].image_path(turned.folder)) as b,
    ):
        assert np.array_equal(a.read()[::-1], b.read())
    with pytest.raises(OptionError, match="bands 1 to 3"):
        tile(root, tmp_path / "c", options=TileOptions(bidx=(1, 2, 4)))


def test_tiles_with_transparent_or_nodata_pixels_are_left_out(tmp_path):
    root = make_folder(tmp_path / "f", scenes=1, size=128)
    image = next((root / "images").glob("*.tif"))
    with rasterio.open(image) as src:
        rgb, place = src.read(), src.transform
    alpha = np.full((1, 128, 128), 255, np.uint8)
    alpha[0, 0, 0] = 0
    write_raster(image, np.concatenate([rgb, alpha]), "EPSG:32652", place, photometric="RGB", ALPHA="YES")
    result = tile(root, tmp_path / "t", options=TileOptions(size=64, split="random"))
    assert result.dropped == {"nodata": 1}
    assert {t.id.rsplit("_", 1)[1] for t in result.tileset.tiles} == {"1", "2", "3"}


def test_overlapping_tiles_share_pixels(tmp_path):
    root = make_folder(tmp_path / "f", scenes=1, size=256)
    tileset = tile(root, tmp_path / "t", options=TileOptions(size=128, overlap=64, split="random")).tileset
    assert sorted({t.window.col for t in tileset.tiles}) == [0, 64, 128]


def test_the_leakage_report_counts_the_tiles_next_to_another_split(landcover, tmp_path):
    result = tile(landcover, tmp_path / "t")
    tiles = result.tileset.tiles
    by_hand = sum(
        any(
            a.scene == b.scene
            and a.split != b.split
            and abs(a.window.row - b.window.row) <= 512
            and abs(a.window.col - b.window.col) <= 512
            for b in tiles
        )
        for a in tiles
    )
    assert result.leakage.tiles == by_hand > 0


def test_copies_and_legends_of_colorize_among_the_masks_are_no_masks(tmp_path):
    root = make_folder(tmp_path / "f", classes_toml=True)
    colorize(root / "masks" / "place0.tif", options=ColorizeOptions(legend=True))
    assert len(list((root / "masks").iterdir())) == 5
    assert len(tile(root, tmp_path / "t", options=TileOptions(size=64)).tileset.scenes) == 3


@pytest.mark.slow
def test_a_tileset_that_lost_a_tile_is_not_taken_for_whole(tmp_path):
    root = make_folder(tmp_path / "f")
    tileset = tile(root, tmp_path / "t", options=TileOptions(size=64)).tileset
    lost = tileset.tiles[3]
    lost.map_path(tileset.folder).unlink()
    with pytest.raises(OutputExists, match=rf"is incomplete: {lost.map} is missing; make it again"):
        tile(root, tmp_path / "t", options=TileOptions(size=64))
    assert tile(root, tmp_path / "t", options=TileOptions(size=64), overwrite=True).made


@pytest.mark.slow
def test_shares_far_from_what_was_asked_are_said(tmp_path):
    root = make_folder(tmp_path / "f", scenes=2, size=128)
    few = tile(root, tmp_path / "t", options=TileOptions(size=64, split="block"))
    assert "the tiles are split 50/25/25 (train/val/test) instead of 80/10/10" in " ".join(few.notices)
    many = tile(root, tmp_path / "u", options=TileOptions(size=16, split="block"))
    assert not any("(train/val/test) instead of" in notice for notice in many.notices)


@pytest.mark.slow
def test_a_scene_outside_the_area_is_not_dealt_out(tmp_path):
    root = make_folder(tmp_path / "f", scenes=12, size=256)
    with rasterio.open(root / "images" / "place4.tif") as src:
        bounds = ",".join(map(str, src.bounds))
    result = tile(root, tmp_path / "t", options=TileOptions(size=32, bounds=bounds))
    assert result.tileset.manifest["options"]["split"] == "block"
    assert all(result.tileset.split(split) for split in ("train", "val", "test"))


def test_drop_empty_says_which_class_it_took_where_it_found_nothing(tmp_path):
    root = make_folder(tmp_path / "f", classes_toml=True)
    notices = tile(root, tmp_path / "t", options=TileOptions(size=64, drop_empty=True)).notices
    assert "--drop-empty dropped no tile: no tile has only class10, the first class" in notices


# Bad input: one line that says what and where, nothing left behind, nothing lost.


def test_no_such_folder(tmp_path):
    with pytest.raises(DatasetNotFound, match="no such folder"):
        tile(tmp_path / "nowhere")


def test_a_folder_that_no_dataset_recognises_tells_what_each_expects(tmp_path):
    with pytest.raises(DatasetNotFound) as error:
        tile(tmp_path)
    for dataset in ("folder", "inria", "landcover"):
        assert any(line.startswith(f"looked for {dataset}: ") for line in error.value.details)


@pytest.mark.parametrize(("lone", "other"), [("images", "masks"), ("masks", "images")])
def test_an_image_without_mask_and_the_reverse_are_named(tmp_path, lone, other):
    root = make_folder(tmp_path / "f")
    (root / other / "place1.tif").unlink()
    with pytest.raises(DatasetNotFound, match=rf"{lone[:-1]} .*{lone}/place1.tif has no partner"):
        tile(root, tmp_path / "t")
    assert not (tmp_path / "t").exists()


def _spoil_mask(root: Path, stem: str = "place1", **changes) -> None:
    mask = root / "masks" / f"{stem}.tif"
    with rasterio.open(mask) as src:
        values, place = src.read(1), src.transform
    array = changes.get("array", values)
    transform = changes["move"](place) if "move" in changes else place
    write_raster(mask, array, changes.get("crs", "EPSG:32652"), transform)


@pytest.mark.parametrize("by", [1, 0.5])
def test_a_mask_shifted_by_a_pixel_or_half_of_one_is_refused(tmp_path, by):
    root = make_folder(tmp_path / "f")
    _spoil_mask(root, move=lambda place: place @ rasterio.Affine.translation(by, 0))
    with pytest.raises(AlignmentError, match=rf"place1.tif.*{by:.2f} columns"):
        tile(root, tmp_path / "t")
    assert not (tmp_path / "t").exists()


def test_a_mask_of_another_size_is_refused(tmp_path):
    root = make_folder(tmp_path / "f")
    _spoil_mask(root, array=np.full((255, 256), 10, np.uint8))
    with pytest.raises(AlignmentError, match="differ in size"):
        tile(root, tmp_path / "t")


def test_a_mask_in_another_crs_is_refused(tmp_path):
    root = make_folder(tmp_path / "f")
    _spoil_mask(root, crs="EPSG:32651")
    with pytest.raises(AlignmentError, match="coordinate reference"):
        tile(root, tmp_path / "t")


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_unknown_classes_are_listed_and_what_was_made_is_kept_for_the_mended_mask(landcover, tmp_path, workers):
    root = tmp_path / "landcover"
    shutil.copytree(landcover, root)
    mask = sorted((root / "masks").glob("*.tif"))[1]
    with rasterio.open(mask) as src:
        values = src.read(1)
    right = values.copy()
    values[900, 900] = 77
    place = rasterio.open(sorted((root / "images").glob("*.tif"))[1]).transform
    write_raster(mask, values, transform=place)
    with pytest.raises(ClassesError, match=r"77.*0 background, 1 building"):
        tile(root, tmp_path / "t", options=TileOptions(size=256, workers=workers))
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "t" / "images").iterdir()}
    assert made and not (tmp_path / "t" / "tileset.json").exists()
    write_raster(mask, right, transform=place)
    result = tile(root, tmp_path / "t", options=TileOptions(size=256, workers=workers))
    assert any("1 scene has changed and is cut again" in notice for notice in result.notices)
    kept = [path for path in made if not path.name.startswith(mask.stem)]
    assert kept and all(path.stat().st_mtime_ns == made[path] for path in kept)
    assert len(result.tileset.tiles) == 4 * 4 * 2


def test_a_mask_that_is_wrong_at_once_leaves_nothing_behind(tmp_path):
    root = make_folder(tmp_path / "f", classes_toml=True)
    _spoil_mask(root, stem="place0", array=np.full((256, 256), 9, np.uint8))
    with pytest.raises(ClassesError, match="9"):
        tile(root, tmp_path / "t", options=TileOptions(size=64))
    assert not (tmp_path / "t").exists()


@pytest.mark.slow
def test_a_truncated_image_is_named_and_the_other_scenes_are_kept(tmp_path):
    root = make_folder(tmp_path / "f", size=512)
    image = root / "images" / "place2.tif"
    data = image.read_bytes()
    image.write_bytes(data[: len(data) // 2])
    with pytest.raises(RasterError, match="place2.tif"):
        tile(root, tmp_path / "t", options=TileOptions(size=64, workers=1))
    assert not (tmp_path / "t" / "tileset.json").exists()
    image.write_bytes(data)
    assert len(tile(root, tmp_path / "t", options=TileOptions(size=64)).tileset.tiles) == 3 * 64


def test_a_tile_larger_than_every_scene_is_refused(tmp_path):
    with pytest.raises(OptionError, match="larger than every scene"):
        tile(make_folder(tmp_path / "f"), tmp_path / "t", options=TileOptions(size=300))


def test_sixteen_bit_images_are_refused_in_words(tmp_path):
    root = make_folder(tmp_path / "f", scenes=1)
    write_raster(root / "images" / "place0.tif", np.zeros((3, 256, 256), np.uint16), "EPSG:32652", HERE)
    write_raster(root / "masks" / "place0.tif", np.full((256, 256), 10, np.uint8), "EPSG:32652", HERE)
    with pytest.raises(RasterError, match="uint16.*8-bit"):
        tile(root, tmp_path / "t", options=TileOptions(size=64))


def test_a_missing_published_split_is_said(tmp_path):
    root = make_folder(tmp_path / "f")
    result = tile(root, tmp_path / "t", options=TileOptions(size=64))
    assert any("no published split" in notice for notice in result.notices)
    assert result.tileset.manifest["options"]["split"] == "block"
    with pytest.raises(OptionError, match="no published split"):
        tile(root, tmp_path / "u", options=TileOptions(size=64, split="published"))


def test_newest_is_by_the_time_in_the_manifest(tmp_path):
    root = make_folder(tmp_path / "f")
    for name in ("b", "a"):
        tile(root, tmp_path / "tiles" / name, options=TileOptions(size=64))
    (tmp_path / "tiles" / "b" / "tileset.json").touch()
    assert Tileset.newest(tmp_path / "tiles").name == "a"
    tile(root, tmp_path / "tiles" / "c", options=TileOptions(size=64, layout="pairs"))
    assert Tileset.newest(tmp_path / "tiles").name == "a"
