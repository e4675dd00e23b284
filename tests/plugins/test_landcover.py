"""LandCover.ai: the published ids with their gaps, the lists, the classes."""

from itertools import product

import numpy as np
import pytest
from makers import make_indices, make_landcover, make_picture, write_raster

from sattrans.errors import DatasetNotFound
from sattrans.plugins import open_dataset
from sattrans.raster.open import open_raster
from sattrans.raster.window import tile_cells
from sattrans.tile import TileOptions, tile
from sattrans.tile.splits import by_publisher
from sattrans_landcover.dataset import LandCover


def published_ids(stem, height, width):
    """The ids as the archive's own script counts them, written out plainly."""
    ids, k = [], 0
    for top in range(0, height, 512):
        for left in range(0, width, 512):
            if top + 512 <= height and left + 512 <= width:
                ids.append(f"{stem}_{k}")
            k += 1
    return ids


def write_lists(root, train="", val="", test=""):
    for name, text in (("train", train), ("val", val), ("test", test)):
        (root / f"{name}.txt").write_text(text, encoding="utf-8")


@pytest.fixture
def root(tmp_path):
    return make_landcover(tmp_path / "landcover")


def only_scene(root):
    return next(LandCover(root).scenes())


def test_the_counter_runs_over_the_cells_the_edge_cuts(root):
    # 1100 rows × 1300 columns: 3 × 3 cells, of which 2 × 2 are whole; numbers 2 and 5 are cut and no id.
    whole = [cell.k for cell in tile_cells(1100, 1300, 512) if cell.whole]
    assert whole == [0, 1, 3, 4]
    assert [f"s_{k}" for k in whole] == published_ids("s", 1100, 1300)


@pytest.mark.parametrize(("height", "width", "whole"), [(9500, 9000, 306), (4700, 4200, 72)])
def test_the_cells_of_a_scene_of_true_size_are_those_of_the_archives_script(height, width, whole):
    cells = list(tile_cells(height, width, 512))
    assert [f"s_{cell.k}" for cell in cells if cell.whole] == published_ids("s", height, width)
    assert sum(cell.whole for cell in cells) == whole
    assert len(cells) == -(-height // 512) * -(-width // 512)


def test_scenes_of_true_sizes_have_the_published_number_of_tiles():
    large = sum(cell.whole for cell in tile_cells(9500, 9000, 512))
    small = sum(cell.whole for cell in tile_cells(4700, 4200, 512))
    assert 33 * large + 8 * small == 7470 + 1602 + 1602


def test_each_cell_is_in_the_split_whose_list_holds_its_id(root):
    scene = only_scene(root)
    write_lists(root, train=f"{scene.id}_0\n{scene.id}_4\n", val=f"{scene.id}_1\n", test=f"{scene.id}_3\n")
    dataset = LandCover(root)
    splits = {cell.k: dataset.published_split(scene, cell) for cell in tile_cells(1100, 1300, 512)}
    assert splits == {0: "train", 1: "val", 2: None, 3: "test", 4: "train", 5: None, 6: None, 7: None, 8: None}


def test_the_tileset_holds_every_listed_id_and_no_other(root, tmp_path):
    tileset = tile(root, tmp_path / "t", options=TileOptions(size=512)).tileset
    for split in ("train", "val", "test"):
        listed = (root / f"{split}.txt").read_text().split()
        assert sorted(t.id for t in tileset.split(split)) == sorted(listed)


def test_a_smaller_tile_inherits_the_split_of_the_published_cell_around_it(root):
    scene = only_scene(root)
    write_lists(root, train=f"{scene.id}_0", val=f"{scene.id}_1")
    cells = [cell for cell in tile_cells(1100, 1300, 256) if cell.whole]
    splits = by_publisher(LandCover(root), scene, cells, 1100, 1300)
    by_corner = {(cell.window.row, cell.window.col): split for cell, split in zip(cells, splits, strict=True)}
    for row, col in product((0, 256), (0, 256)):
        assert by_corner[row, col] == "train"
        assert by_corner[row, 512 + col] == "val"
    assert by_corner[512, 0] is None


def test_blank_lines_and_windows_line_ends_in_the_lists_are_ignored(root):
    scene = only_scene(root)
    write_lists(root, train=f"\n{scene.id}_0\r\n\n   \n{scene.id}_1\n\n")
    dataset = LandCover(root)
    splits = [dataset.published_split(scene, cell) for cell in tile_cells(1100, 1300, 512)]
    assert splits[:2] == ["train", "train"]
    assert set(splits[2:]) == {None}


def test_an_id_in_two_lists_is_refused_with_both_named(root):
    scene = only_scene(root)
    write_lists(root, train=f"{scene.id}_0", test=f"{scene.id}_0")
    with pytest.raises(DatasetNotFound, match=rf"test\.txt lists {scene.id}_0, which is in train\.txt, too"):
        LandCover(root).published_split(scene, next(tile_cells(1100, 1300, 512)))


def test_a_list_that_is_no_text_is_refused_by_name(root):
    scene = only_scene(root)
    (root / "val.txt").write_bytes(b"\xff\x00\xfe")
    with pytest.raises(DatasetNotFound, match=r"val\.txt is not a list"):
        LandCover(root).published_split(scene, next(tile_cells(1100, 1300, 512)))


def test_entries_that_name_no_tile_are_named_and_a_split_without_tiles_is_told(root, tmp_path):
    scene = only_scene(root)
    write_lists(root, train=f"{scene.id}_0\nX-9_99\n", val=f"{scene.id}_77\n", test=f"{scene.id}_1\n")
    notices = tile(root, tmp_path / "t").tileset.manifest["notices"]
    assert [n for n in notices if "train.txt has 1 entry that names no tile: X-9_99" in n]
    assert [n for n in notices if f"val.txt has 1 entry that names no tile: {scene.id}_77" in n]
    assert [n for n in notices if "no tiles in split val, because the published split has none here" in n]


def test_lists_of_whole_scenes_are_those_of_another_dataset(root):
    write_lists(root, train=f"{only_scene(root).id}\n")
    assert not LandCover.recognises(root)


def test_without_lists_nothing_is_published(root):
    for split in ("train", "val", "test"):
        (root / f"{split}.txt").unlink()
    (root / "split.py").write_text("# the archive's own")
    assert isinstance(open_dataset(root), LandCover)
    assert LandCover(root).published_split(only_scene(root), next(tile_cells(1100, 1300, 512))) is None


def test_zero_is_a_class_and_tiles_of_it_are_kept(tmp_path):
    background = np.zeros((512, 512), np.uint8)
    write_raster(tmp_path / "d" / "images" / "a.tif", make_picture(background))
    write_raster(tmp_path / "d" / "masks" / "a.tif", background)
    write_lists(tmp_path / "d", train="a_0")
    result = tile(tmp_path / "d", tmp_path / "t")
    assert [(t.id, dict(t.shares)) for t in result.tileset.tiles] == [("a_0", {"background": 1.0})]
    with open_raster(result.tileset.tiles[0].map_path(tmp_path / "t")) as map_:
        assert map_.nodata is None


def test_the_classes_are_the_published_codes_in_their_usual_colours(root):
    assert [(c.value, c.name, c.color) for c in LandCover(root).palette.classes] == [
        (0, "background", (0, 0, 0)),
        (1, "building", (97, 74, 74)),
        (2, "woodland", (38, 115, 0)),
        (3, "water", (0, 197, 255)),
        (4, "road", (207, 207, 207)),
    ]


def test_the_published_tile_size_is_the_default(root, tmp_path):
    assert LandCover.published_size == 512
    assert tile(root, tmp_path / "t").tileset.size == 512


def test_a_mask_of_three_equal_bands_without_a_crs_is_taken(root, tmp_path):
    # One of the archive's masks is so.
    scene = only_scene(root)
    indices = make_indices(1100, 1300, 5)
    write_raster(scene.map, np.stack([indices] * 3), crs=None, transform=None)
    tileset = tile(root, tmp_path / "t").tileset
    assert {t.id for t in tileset.tiles if t.scene == scene.id} == set(published_ids(scene.id, 1100, 1300))


@pytest.mark.parametrize("present", ["train.txt", "val.txt", "test.txt", "split.py"])
def test_one_of_the_archives_own_files_is_enough_to_recognise_it(present, tmp_path):
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    assert not LandCover.recognises(tmp_path)
    (tmp_path / present).touch()
    assert LandCover.recognises(tmp_path)
