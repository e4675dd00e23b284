from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sattrans.data.dataset import SPLITS, Scene
from sattrans.raster.window import tile_cells
from sattrans.tile.splits import FRACTIONS, by_block, by_publisher, by_scene, deal, has_published
from sattrans_inria.dataset import Inria
from sattrans_landcover.dataset import LandCover

SCENE = Scene("M-33-20-D-c-4-2", Path("image.tif"), Path("mask.tif"))
HEIGHT, WIDTH = 2700, 3200
"""Five whole cells of 512 px down and a piece, six across and a piece."""


def whole_cells(height, width, size, overlap=0):
    return [cell for cell in tile_cells(height, width, size, overlap) if cell.whole]


def published_ids(height, width):
    """Name the cells as the publishers' split.py does: the counter moves on at cut cells too, which get no name."""
    k, ids = 0, {}
    for row in range(0, height, 512):
        for col in range(0, width, 512):
            if row + 512 <= height and col + 512 <= width:
                ids[row, col] = f"{SCENE.id}_{k}"
            k += 1
    return ids


@pytest.fixture
def landcover(tmp_path):
    """A dataset's lists, and the number of each pixel's split in them (0: in none)."""
    ids = published_ids(HEIGHT, WIDTH)
    rng = np.random.default_rng(5)
    drawn = dict(zip(ids, rng.choice(4, len(ids), p=[0.05, 0.75, 0.1, 0.1]), strict=True))
    drawn.update({place: 1 for place in drawn if max(place) <= 1024})  # so that large tiles find a home too
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8)
    for (row, col), number in drawn.items():
        pixels[row : row + 512, col : col + 512] = number
    for number, split in enumerate(SPLITS, 1):
        lines = [ids[place] for place, own in drawn.items() if own == number]
        (tmp_path / f"{split}.txt").write_text("\n".join([*lines, "", ""]))
    return LandCover(tmp_path), pixels


@given(st.integers(0, 400), st.integers(0, 5))
def test_deal_gives_each_split_its_quota(count, seed):
    numbers = Counter(deal(count, seed))
    assert sum(numbers.values()) == count
    for split, share in zip(SPLITS, FRACTIONS, strict=True):
        assert abs(numbers[split] - share * count) < (1 if count >= 10 else 1.5)
    if count >= 3:
        assert all(numbers[split] for split in SPLITS)


@pytest.mark.parametrize(
    ("count", "numbers"), [(1, (1, 0, 0)), (3, (1, 1, 1)), (10, (8, 1, 1)), (20, (16, 2, 2)), (1000, (800, 100, 100))]
)
def test_known_quotas(count, numbers):
    dealt = Counter(deal(count, 0))
    assert tuple(dealt[split] for split in SPLITS) == numbers


def test_a_seed_decides_the_deal_and_another_one_deals_otherwise():
    assert deal(50, 3) == deal(50, 3)
    assert deal(50, 3) != deal(50, 4)


def test_scenes_are_dealt_whole_and_by_their_ids():
    scenes = [Scene(f"s{n}", Path("a"), Path("b")) for n in range(20)]
    split_of = by_scene(scenes, 1)
    assert list(split_of) == [scene.id for scene in scenes]
    assert list(split_of.values()) == deal(20, 1)


@given(st.integers(64, 900), st.integers(64, 900), st.integers(0, 63), st.integers(0, 3))
def test_blocks_never_put_a_pixel_into_two_splits(height, width, overlap, seed):
    cells = whole_cells(height, width, 64, overlap)
    pixels = np.zeros((height, width), np.uint8)
    for cell, split in zip(cells, by_block(cells, seed), strict=True):
        if split is not None:
            place = pixels[cell.window.slices]
            number = SPLITS.index(split) + 1
            assert ((place == 0) | (place == number)).all()
            place[:] = number


@given(st.integers(64, 2000), st.integers(64, 2000), st.integers(0, 3))
def test_blocks_without_overlap_leave_no_tile_out_and_no_split_empty_from_three_tiles_on(height, width, seed):
    cells = whole_cells(height, width, 64)
    splits = by_block(cells, seed)
    assert None not in splits
    if len(cells) >= 3:
        assert set(splits) == set(SPLITS)


@pytest.mark.parametrize("overlap", [32, 64, 100, 128, 200])
def test_blocks_with_overlap_leave_no_split_empty_in_a_scene_of_common_size(overlap):
    cells = whole_cells(4701, 4136, 512, overlap)
    for seed in range(5):
        numbers = Counter(by_block(cells, seed))
        assert all(numbers[split] for split in SPLITS), numbers


def test_blocks_are_about_25_squares_of_whole_tiles():
    cells = whole_cells(64 * 20, 64 * 20, 64)
    rows = np.array(by_block(cells, 0)).reshape(20, 20)
    squares = rows.reshape(5, 4, 5, 4).swapaxes(1, 2).reshape(25, 16)
    assert all(len(set(square)) == 1 for square in squares)
    assert Counter(square[0] for square in squares) == {"train": 20, "val": 3, "test": 2}


def test_blocks_are_dealt_by_the_seed():
    cells = whole_cells(1000, 1000, 64)
    assert by_block(cells, 7) == by_block(cells, 7)
    assert by_block(cells, 7) != by_block(cells, 8)


@pytest.mark.parametrize("size", [128, 256, 512, 1024])
@pytest.mark.parametrize("overlap", [0, 64])
def test_a_tile_inherits_the_published_split_that_holds_all_of_it(landcover, size, overlap):
    dataset, pixels = landcover
    cells = whole_cells(HEIGHT, WIDTH, size, overlap)
    splits = by_publisher(dataset, SCENE, cells, HEIGHT, WIDTH)
    expected = []
    for cell in cells:
        found = np.unique(pixels[cell.window.slices])
        expected.append(SPLITS[found[0] - 1] if len(found) == 1 and found[0] else None)
    assert splits == expected
    assert None in splits and "train" in splits


def test_the_published_counter_moves_on_over_the_cut_cells(landcover):
    dataset, _ = landcover
    ids = published_ids(HEIGHT, WIDTH)
    assert ids[512, 0] == f"{SCENE.id}_7"  # not 6: the piece at the end of the first row counts
    (dataset.root / "val.txt").write_text(f"{SCENE.id}_7\n")
    (dataset.root / "train.txt").write_text("")
    (dataset.root / "test.txt").write_text("")
    cells = whole_cells(HEIGHT, WIDTH, 256)
    splits = by_publisher(dataset, SCENE, cells, HEIGHT, WIDTH)
    listed = [(cell.window.row, cell.window.col) for cell, split in zip(cells, splits, strict=True) if split == "val"]
    assert listed == [(512, 0), (512, 256), (768, 0), (768, 256)]


def test_a_published_split_of_whole_scenes_holds_for_all_their_cells(tmp_path):
    dataset = Inria(tmp_path)
    cells = whole_cells(1000, 1000, 256, 32)
    for name, split in (("austin5", "val"), ("austin6", "train"), ("tyrol-w36", "train"), ("tyrol-w1", "val")):
        scene = Scene(name, Path("a"), Path("b"))
        assert set(by_publisher(dataset, scene, cells, 1000, 1000)) == {split}


def test_has_published_tells_lists_that_name_these_scenes_from_those_that_do_not(landcover, tmp_path):
    dataset, _ = landcover
    other = Scene("N-34-1-A-a-1-1", Path("a"), Path("b"))
    assert has_published(dataset, [other, SCENE], [HEIGHT] * 2, [WIDTH] * 2)
    assert not has_published(dataset, [other], [HEIGHT], [WIDTH])
    assert not has_published(LandCover(tmp_path / "nowhere"), [SCENE], [HEIGHT], [WIDTH])
