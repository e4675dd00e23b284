"""Small scenes beside each other are split by place: no two splits touch, and none is empty."""

from collections import Counter

import pytest
import shapely
from affine import Affine
from makers import HERE, make_indices, make_picture, write_raster

from sattrans.tile import TileOptions, tile
from sattrans.tile.places import adjoin, by_place
from sattrans.tile.splits import FRACTIONS


def chips(root, rows=8, cols=8, apart=0):
    """Write a mosaic of chips of 16 px, `apart` px between them."""
    for number in range(rows * cols):
        step = 16 + apart
        place = HERE @ Affine.translation(number % cols * step, number // cols * step)
        indices = make_indices(16, 16, 2, seed=number, patch=8)
        write_raster(root / "images" / f"{number}.tif", make_picture(indices), transform=place)
        write_raster(root / "masks" / f"{number}.tif", indices, transform=place)
    return root


@pytest.mark.slow
@pytest.mark.parametrize("split", [None, "block"])
def test_the_default_split_of_chips_does_not_leak_and_leaves_no_split_empty(split, tmp_path):
    result = tile(chips(tmp_path / "d"), tmp_path / "t", options=TileOptions(size=16, split=split))
    assert result.leakage.tiles == 0
    counts = Counter(t.split for t in result.tileset.tiles)
    assert counts["train"] > 20 and counts["val"] >= 2 and counts["test"] >= 2
    assert result.dropped["too near another split"] == 64 - counts.total()


def test_scenes_that_do_not_touch_are_split_by_scene_as_before(tmp_path):
    result = tile(chips(tmp_path / "d", 4, 4, apart=20), tmp_path / "t", options=TileOptions(size=16))
    assert len(result.tileset.tiles) == 16
    assert result.tileset.manifest["options"]["split"] == "scene"


def test_neighbours_share_a_block_whatever_the_shape_of_the_area():
    for wide, high in ((40, 1), (1, 40), (7, 7), (20, 3)):
        shapes = [shapely.box(x, y, x + 1, y + 1) for x in range(wide) for y in range(high)]
        assert adjoin(shapes)
        for seed in range(3):
            splits = by_place(shapes, seed, FRACTIONS)
            assert set(splits) == {"train", "val", "test"}
            tree = shapely.STRtree(shapes)
            pairs = tree.query(shapes, predicate="touches").T
            apart = sum(splits[a] != splits[b] for a, b in pairs) / max(1, len(pairs))
            assert apart < 0.5
    assert not adjoin([shapely.box(3 * x, 0, 3 * x + 1, 1) for x in range(10)])
