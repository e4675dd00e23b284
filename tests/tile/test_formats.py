"""Tiles as PNG, JPEG and pairs side by side; at the edges; and which are left out."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from makers import HERE, make_landcover, write_raster
from makers_scenes import VALUES, cut, make_scene, write_classes

from sattrans.errors import OptionError, UsageError
from sattrans.raster.class_map import class_map
from sattrans.raster.open import open_raster
from sattrans.raster.palette import UNKNOWN
from sattrans.raster.window import apply_edge_rule, tile_cells
from sattrans.tile import TileOptions, tile
from sattrans.tile.options import parse_fractions

SIZE, TILE = 96, 32


def options(**more):
    return TileOptions(**{"size": TILE, "split": "random", **more})


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A scene, and its pixels."""
    root = tmp_path_factory.mktemp("formats") / "f"
    write_classes(root)
    return root, *make_scene(root, size=SIZE)


@pytest.fixture(scope="module")
def holed(tmp_path_factory):
    """A scene with a hole in its image and another one in its map; its pixels, and where it holds anything."""
    root = tmp_path_factory.mktemp("holed") / "f"
    write_classes(root)
    image, map_ = make_scene(root, size=SIZE)
    image[:, 10:20, 10:50] = 0
    map_[60:70, 5:15] = 200
    valid = (image != 0).any(axis=0) & (map_ != 200)
    make_scene(root, size=SIZE, image=image, map_=map_, nodata=0)
    write_raster(root / "masks" / "place.tif", map_, nodata=200)
    return root, image, map_, valid


@pytest.mark.parametrize("kind", ["tif", "png", "jpg"])
def test_images_and_maps_keep_their_values_in_every_format(scene, tmp_path, kind):
    root, image, map_ = scene
    tileset = tile(root, tmp_path / "t", options=options(format=kind)).tileset
    suffixes = {"tif": (".tif", ".tif"), "png": (".png", ".png"), "jpg": (".jpg", ".png")}[kind]
    assert len(tileset.tiles) == 9
    for (item, pixels, _), (_, values, _) in zip(cut(tileset), cut(tileset, "map"), strict=True):
        assert (item.image_path(tmp_path).suffix, item.map_path(tmp_path).suffix) == suffixes
        expected = image[:, *item.window.slices].astype(int)
        off = np.abs(pixels.astype(int) - expected)
        assert off.max() == 0 if kind != "jpg" else np.median(off) <= 4
        assert np.array_equal(values[0], map_[item.window.slices])
        with rasterio.open(item.map_path(tileset.folder)) as src:
            assert src.nodata is None
            table = src.colormap(1)
            assert [table[v][:3] for v in VALUES] == [(0, v, 2 * v) for v in VALUES]


@pytest.mark.parametrize("kind", ["tif", "png", "jpg"])
def test_holes_are_black_declared_in_the_map_and_come_back_as_unknown(holed, tmp_path, kind):
    root, image, map_, valid = holed
    tileset = tile(root, tmp_path / "t", options=options(format=kind, min_valid=0.2)).tileset
    assert len(tileset.tiles) == 9
    for item, pixels, _ in cut(tileset):
        here = valid[item.window.slices]
        assert item.valid == pytest.approx(here.mean(), abs=1e-6)
        assert sum(item.shares.values()) == pytest.approx(item.valid, abs=1e-5)
        if kind != "jpg":
            assert np.array_equal(pixels, np.where(here, image[:, *item.window.slices], 0))
        with open_raster(item.map_path(tileset.folder)) as raster:
            indices = class_map(raster, tileset.palette).read()
            assert (raster.nodata is None) == bool(here.all())
        assert np.array_equal(indices == UNKNOWN, ~here)
        assert np.array_equal(VALUES[indices[here]], map_[item.window.slices][here])
    assert any(item.valid < 1 for item in tileset.tiles)


@pytest.mark.parametrize("least", [1.0, 0.9, 0.875, 0.5, 0.0])
def test_min_valid_is_the_least_part_of_a_tile_that_holds_something(holed, tmp_path, least):
    root, _, _, valid = holed
    result = tile(root, tmp_path / "t", options=options(min_valid=least))
    parts = valid.reshape(3, TILE, 3, TILE).mean(axis=(1, 3)).ravel()
    kept = {f"place_{k}" for k in range(9) if parts[k] >= least}
    assert {t.id for t in result.tileset.tiles} == kept
    assert result.dropped == ({"nodata": 9 - len(kept)} if len(kept) < 9 else {})


def test_a_tile_that_holds_nothing_at_all_is_never_one(tmp_path):
    image, _ = make_scene(tmp_path / "f", size=64)
    image[:, :32, :32] = 0
    make_scene(tmp_path / "f", size=64, image=image, nodata=0)
    assert tile(tmp_path / "f", tmp_path / "t", options=options(min_valid=0.0)).dropped == {"nodata": 1}


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_a_part_that_is_none_is_refused(scene, tmp_path, value):
    with pytest.raises(OptionError, match=f"--min-valid must be at least 0 and at most 1, got {value:g}"):
        tile(scene[0], tmp_path / "t", options=options(min_valid=value))
    with pytest.raises(OptionError, match=f"--min-share must be at least 0 and at most 1, got class_10={value:g}"):
        tile(scene[0], tmp_path / "t", options=options(min_share={"class_10": value}))


def test_min_share_leaves_out_tiles_with_less_of_a_class_and_says_which(scene, tmp_path):
    root, _, map_ = scene
    blocks = map_.reshape(3, TILE, 3, TILE)
    shares = {v: (blocks == v).mean(axis=(1, 3)).ravel() for v in (10, 50)}
    least = {v: float(np.sort(shares[v])[3]) for v in shares}
    told = {f"class_{v}": part for v, part in least.items()}
    result = tile(root, tmp_path / "t", options=options(min_share=told))
    kept = {f"place_{k}" for k in range(9) if all(shares[v][k] >= least[v] for v in shares)}
    assert {t.id for t in result.tileset.tiles} == kept != set()
    assert sum(result.dropped.values()) == 9 - len(kept)
    assert set(result.dropped) <= {"with too little class_10", "with too little class_50"}
    with pytest.raises(OptionError, match=r"unknown class 'class_11'.*class_10"):
        tile(root, tmp_path / "u", options=options(min_share={"class_11": 0.1}))
    with pytest.raises(UsageError, match=r"no tile of .* is left \(9 with too little class_10\)"):
        tile(root, tmp_path / "u", options=options(min_share={"class_10": 1.0}))
    assert not (tmp_path / "u").exists()


# Edges.


@st.composite
def tilings(draw):
    size = draw(st.integers(1, 40))
    return draw(st.integers(1, 120)), draw(st.integers(1, 120)), size, draw(st.integers(0, size - 1))


@pytest.mark.slow
@given(tilings())
def test_padded_and_shifted_tiles_hold_every_pixel_and_none_twice_for_nothing(tiling):
    height, width, size, overlap = tiling
    grid = list(tile_cells(height, width, size, overlap))
    whole = [cell for cell in grid if cell.whole]
    assert list(apply_edge_rule(iter(grid), height, width, "drop", overlap)) == whole
    for edge in ("pad", "shift"):
        cells = list(apply_edge_rule(iter(grid), height, width, edge, overlap))
        assert [cell for cell in cells if cell.whole] == whole
        covered = np.zeros((height, width), int)
        for cell in cells:
            w = cell.window
            assert (w.height, w.width) == (size, size)
            covered[w.row : min(w.bottom, height), w.col : min(w.right, width)] += 1
            if edge == "shift":
                assert w.row >= 0 and w.col >= 0 and w.bottom <= height and w.right <= width
            else:
                assert w == grid[cell.k].window
        if edge == "pad" or (height >= size and width >= size):
            assert covered.all()
            assert len({cell.k for cell in cells}) == len({cell.window for cell in cells}) == len(cells)
        else:
            assert not cells
        for cell in cells:  # without it a pixel would be in no tile
            w = cell.window
            assert edge == "shift" or (covered[w.row : w.bottom, w.col : w.right] == 1).any() or overlap * 2 >= size


@pytest.mark.parametrize("kind", ["tif", "png"])
@pytest.mark.parametrize("edge", ["pad", "shift"])
def test_tiles_at_the_edge_are_filled_up_or_moved_back_and_keep_their_counter(tmp_path, edge, kind):
    root = tmp_path / "f"
    write_classes(root)
    image, map_ = make_scene(root, size=(70, 90))
    whole = {t.id for t in tile(root, tmp_path / "a", options=options()).tileset.tiles}
    tileset = tile(root, tmp_path / "t", options=options(edge=edge, format=kind)).tileset
    assert whole == {"place_0", "place_1", "place_3", "place_4"}
    assert {t.id for t in tileset.tiles} == {f"place_{k}" for k in range(9)}
    padded = np.zeros((3, 96, 96), np.uint8)
    padded[:, :70, :90] = image
    values = np.full((96, 96), 255, np.uint8)
    values[:70, :90] = map_
    for (item, pixels, place), (_, got, _) in zip(cut(tileset), cut(tileset, "map"), strict=True):
        row, col = divmod(int(item.id.removeprefix("place_")), 3)
        top, left = row * TILE, col * TILE
        if edge == "shift":
            top, left = min(top, 70 - TILE), min(left, 90 - TILE)
        assert (item.window.row, item.window.col, item.window.height, item.window.width) == (top, left, TILE, TILE)
        assert np.array_equal(pixels, padded[:, top : top + TILE, left : left + TILE])
        assert np.array_equal(got[0], values[top : top + TILE, left : left + TILE])
        if kind == "tif":
            assert place == HERE @ Affine.translation(left, top)
        with rasterio.open(item.map_path(tileset.folder)) as src:
            assert src.nodata == (255 if (got == 255).any() else None)


def test_a_scene_smaller_than_a_tile_gives_one_only_when_padded(tmp_path):
    root = tmp_path / "f"
    make_scene(root, "big", size=64)
    image, _ = make_scene(root, "small", size=(20, 40), place=HERE @ Affine.translation(500, 0))
    for edge in ("drop", "shift"):
        result = tile(root, tmp_path / edge, options=options(edge=edge))
        assert {t.scene for t in result.tileset.tiles} == {"big"}
        assert any("1 scene is smaller than a tile and gives none: small" in notice for notice in result.notices)
    result = tile(root, tmp_path / "pad", options=options(edge="pad"))
    small = [(t, pixels) for t, pixels, _ in cut(result.tileset) if t.scene == "small"]
    assert [t.id for t, _ in small] == ["small_0", "small_1"]
    assert np.array_equal(small[1][1][:, :20, :8], image[:, :, 32:])
    assert (small[1][1][:, 20:] == 0).all() and (small[1][1][:, :, 8:] == 0).all()
    assert small[1][0].valid == pytest.approx(20 * 8 / TILE**2)
    alone = tmp_path / "g"
    make_scene(alone, "small", size=20)
    assert len(tile(alone, tmp_path / "h", options=options(edge="pad", size=64)).tileset.tiles) == 1


@pytest.mark.slow
def test_padded_tiles_of_a_published_split_stay_out_and_shifted_ones_inherit(tmp_path):
    root = make_landcover(tmp_path / "landcover", scenes=1)
    own = {(t.window.row, t.window.col): t.split for t in tile(root, tmp_path / "a").tileset.tiles}
    padded = tile(root, tmp_path / "b", options=TileOptions(edge="pad")).tileset
    assert {(t.window.row, t.window.col): t.split for t in padded.tiles} == own
    shifted = tile(root, tmp_path / "c", options=TileOptions(size=256, edge="shift")).tileset
    for item in shifted.tiles:
        w = item.window
        cells = {(r // 512 * 512, c // 512 * 512) for r in (w.row, w.bottom - 1) for c in (w.col, w.right - 1)}
        assert {own.get(cell) for cell in cells} == {item.split}


# Shares of splits.


@pytest.mark.slow
@pytest.mark.parametrize("split", ["random", "block", "scene"])
@pytest.mark.parametrize("text", ["0.8,0,0.2", "0.5,0.5,0", "1,0,0"])
def test_a_split_without_a_share_gets_nothing_and_is_not_missed(tmp_path, split, text):
    for n in range(4):
        make_scene(tmp_path / "f", "s" * (n + 1), size=64, place=HERE @ Affine.translation(500 * n, 0))
    fractions = parse_fractions(text)
    planned = options(split=split, fractions=fractions, size=8)
    result = tile(tmp_path / "f", tmp_path / "t", options=planned, dry_run=True)
    counts = result.plan.splits
    for name, share in zip(("train", "val", "test"), fractions, strict=True):
        assert bool(counts[name]) == bool(share)
        if split == "random":
            assert counts[name] == pytest.approx(256 * share, abs=4)
    assert not any("no tiles in split" in notice for notice in result.notices)


@pytest.mark.parametrize("text", ["0.8,0.2", "1,1,1", "-0.1,0.6,0.5", "0,0.5,0.5", "a,b,c", "nan,0.5,0.5", ""])
def test_fractions_that_are_none_are_refused(text):
    with pytest.raises(OptionError, match=f"--fractions must be .*shares.*, got {text}$") as refused:
        TileOptions(fractions=parse_fractions(text))
    assert "\n" not in str(refused.value)


def test_fractions_replace_the_published_split_but_do_not_go_with_it(tmp_path):
    root = make_landcover(tmp_path / "landcover", scenes=1)
    result = tile(root, tmp_path / "t", options=TileOptions(fractions=(0.5, 0.0, 0.5)))
    assert result.tileset.manifest["options"]["split"] != "published"
    assert not any("no published split" in notice for notice in result.notices)
    assert any("50/0/50" in notice for notice in result.notices)
    with pytest.raises(OptionError, match="the published split has its own"):
        tile(root, tmp_path / "u", options=TileOptions(split="published", fractions=(0.5, 0.0, 0.5)))
