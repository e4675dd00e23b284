"""Leakage: every two tiles of different splits that touch or overlap are found, and a buffer keeps them apart."""

import csv
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from makers import HERE, POLAND, make_landcover
from makers_scenes import make_scene
from rasterio.crs import CRS
from rasterio.warp import transform as transform_points
from typer.testing import CliRunner

from sattrans.cli import app
from sattrans.data.dataset import SPLITS
from sattrans.raster.georeference import Georeference
from sattrans.raster.window import Window, apply_edge_rule, tile_cells
from sattrans.tile import TileOptions, tile
from sattrans.tile.leakage import Leakage, find_leaks, tiles_to_drop
from sattrans.tile.splits import by_block

TILE = 8


@dataclass(frozen=True)
class TileWindow:
    scene: str
    split: str
    window: Window


def placed(scenes=("a",)):
    windows = st.builds(Window, st.integers(0, 60), st.integers(0, 60), st.just(TILE), st.just(TILE))
    splits = st.sampled_from([*SPLITS, "unpaired"])
    one = st.builds(TileWindow, st.sampled_from(scenes), splits, windows)
    # The first is at the top left, so that each scene lies where it is said to lie.
    first = [TileWindow(scene, "train", Window(0, 0, TILE, TILE)) for scene in scenes]
    return st.lists(one, min_size=2, max_size=20).map(lambda drawn: first + drawn)


def at(columns, rows, scale=1.0):
    return Georeference.of(CRS.from_string(POLAND), HERE @ Affine.translation(columns, rows) @ Affine.scale(scale))


def gap(one, other, offsets=None):
    """Return how far apart two windows are, in pixels of the first scene, and how many pixels they share."""
    boxes = []
    for item in (one, other):
        dx, dy, scale = (offsets or {}).get(item.scene, (0, 0, 1))
        w = item.window
        boxes.append(
            (dx + w.col * scale, dx + w.right * scale, dy + w.row * scale, dy + w.bottom * scale),
        )
    (l0, r0, t0, b0), (l1, r1, t1, b1) = boxes
    across, down = max(l0, l1) - min(r0, r1), max(t0, t1) - min(b0, b1)
    return np.hypot(max(across, 0), max(down, 0)), max(-across, 0) * max(-down, 0)


def unlike(one, other):
    return one.split != other.split and {one.split, other.split} != {"train", "unpaired"}


def by_hand(tiles, offsets=None):
    found = {}
    for a, b in combinations(range(len(tiles)), 2):
        distance, shared = gap(tiles[a], tiles[b], offsets)
        if unlike(tiles[a], tiles[b]) and distance <= 1e-9:
            found[a, b] = shared
    return found


def found(tiles, places):
    return {tuple(sorted(pair[:2])): pair.shared_pixels for pair in find_leaks(tiles, places)}


@given(placed())
def test_in_a_scene_all_that_touch_or_overlap_are_found_and_nothing_else(tiles):
    leaks = found(tiles, {"a": at(0, 0)})
    assert leaks == pytest.approx(by_hand(tiles))


@given(placed(("a", "b")), st.sampled_from([(24, 8), (-17, 30), (0, 0), (30.4, -11.7), (500, 0)]))
def test_in_scenes_that_overlap_by_whole_pixels_or_parts_of_them_too(tiles, offset):
    offsets = {"b": (*offset, 1)}
    leaks = found(tiles, {"a": at(0, 0), "b": at(*offset)})
    assert leaks == pytest.approx(by_hand(tiles, offsets), abs=1e-3)


@given(placed(("a", "b")), st.integers(1, 12), st.sampled_from([(24, 8, 1), (30.4, -11.7, 1), (3, 5, 2), (3, 5, 0.5)]))
def test_a_buffer_leaves_so_many_pixels_and_takes_the_tile_that_gives_way(tiles, buffer, offset):
    offsets = {"b": offset}
    out = tiles_to_drop(tiles, {"a": at(0, 0), "b": at(*offset)}, buffer)
    kept = [tile for n, tile in enumerate(tiles) if n not in out]

    def coarser(one, other):
        return max(offset[2] if tile.scene == "b" else 1 for tile in (one, other))

    for one, other in combinations(kept, 2):
        if unlike(one, other):
            assert gap(one, other, offsets)[0] >= (buffer - 0.02) * coarser(one, other)
    # None is left out for nothing: each has a tile too near that is of a split before which its own gives way.
    before = {"val": ["test"], "train": ["test", "val"], "unpaired": ["test", "val"]}
    for number in out:
        own = tiles[number]
        assert any(
            other.split in before[own.split] and gap(own, other, offsets)[0] < buffer * coarser(own, other)
            for other in tiles
        )


def test_a_tile_is_kept_where_the_one_it_would_give_way_to_is_gone_itself():
    row = [TileWindow("a", split, Window(0, 10 * n, TILE, TILE)) for n, split in enumerate(("train", "val", "test"))]
    assert tiles_to_drop(row, {"a": at(0, 0)}, 4) == {1}
    assert tiles_to_drop(row, {"a": at(0, 0)}, 2) == set()


def test_scenes_in_different_crss_are_compared_on_the_ground():
    x, y = HERE @ (32, 32)
    (east,), (north,) = transform_points(POLAND, "EPSG:32634", [x], [y])
    places = {
        "a": at(0, 0),
        "b": Georeference.of(CRS.from_epsg(32634), Affine(0.25, 0, east - 8, 0, -0.25, north + 8)),
    }
    rng = np.random.default_rng(4)
    tiles = [
        TileWindow("ab"[n % 2], SPLITS[rng.integers(3)], Window(*rng.integers(0, 57, 2).tolist(), TILE, TILE))
        for n in range(120)
    ]
    shapes = []
    for item in tiles:
        w = item.window
        corners = [(w.col, w.row), (w.right, w.row), (w.right, w.bottom), (w.col, w.bottom)]
        place = places[item.scene]
        xs, ys = zip(*(place.affine @ corner for corner in corners), strict=True)
        xs, ys = transform_points(place.rasterio_crs, POLAND, xs, ys)
        shapes.append(shapely.Polygon([~HERE @ point for point in zip(xs, ys, strict=True)]))
    leaks = found(tiles, places)
    between = 0
    for a, b in combinations(range(len(tiles)), 2):
        if not unlike(tiles[a], tiles[b]):
            assert (a, b) not in leaks
            continue
        shared = shapes[a].intersection(shapes[b]).area
        if shared > 0.1:
            assert leaks[a, b] == pytest.approx(shared, rel=0.02)
            between += tiles[a].scene != tiles[b].scene
        elif shapes[a].distance(shapes[b]) > 0.1:
            assert (a, b) not in leaks
    assert between > 20


@pytest.mark.parametrize("place", [Affine.identity(), HERE])
def test_scenes_without_a_crs_lie_nowhere_and_are_compared_with_themselves_alone(place):
    places = {"a": Georeference.of(None, place), "b": Georeference.of(None, place), "c": at(0, 0)}
    window = Window(0, 0, TILE, TILE)
    tiles = [TileWindow("a", "train", window), TileWindow("b", "test", window), TileWindow("c", "val", window)]
    assert found(tiles, places) == {}
    tiles += [TileWindow("a", "test", Window(0, TILE, TILE, TILE))]
    assert found(tiles, places) == {(0, 3): 0}


@given(st.integers(20, 90), st.integers(0, 6), st.integers(0, 5), st.floats(0.2, 1), st.sampled_from(["drop", "shift"]))
def test_blocks_share_no_pixel_also_where_an_area_leaves_holes(side, overlap, seed, part, edge):
    rng = np.random.default_rng(seed)
    cells = [
        c
        for c in apply_edge_rule(tile_cells(side, side, TILE, overlap), side, side, edge, overlap)
        if rng.random() < part
    ]
    pixels = np.zeros((side, side), np.uint8)
    for cell, split in zip(cells, by_block(cells, seed), strict=True):
        if split is not None:
            own = SPLITS.index(split) + 1
            there = pixels[cell.window.slices]
            assert ((there == 0) | (there == own)).all()
            there[:] = own


def test_the_summary_counts_pairs_and_tiles():
    row = [
        TileWindow("a", split, Window(0, col, TILE, TILE)) for col, split in ((0, "train"), (8, "val"), (12, "test"))
    ]
    places = {"a": at(0, 0)}
    summary = Leakage.of(row, find_leaks(row, places))
    assert (summary.touching, summary.overlapping, summary.between_scenes, summary.tiles) == (1, 1, 0, 3)
    assert summary.by_splits == {"train–val": 1, "val–test": 1}
    assert Leakage.from_json(summary.to_json()) == summary


# The command: what it writes and says.


@pytest.fixture(scope="module")
def overlapping(tmp_path_factory):
    root = tmp_path_factory.mktemp("overlapping")
    make_scene(root, "a", size=128)
    make_scene(root, "b", size=128, place=HERE @ Affine.translation(64, 64))
    return root


@pytest.mark.slow
def test_leakage_csv_lists_each_pair_and_the_last_line_sums_them_up(overlapping, tmp_path):
    command = ["tile", str(overlapping), "-s", "32", "--split", "random", "-o", str(tmp_path / "t")]
    shown = CliRunner().invoke(app, command).output
    result = tile(overlapping, tmp_path / "t", options=TileOptions(size=32, split="random"))
    assert not result.made
    tiles = result.tileset.tiles
    expected = by_hand(tiles, {"b": (64, 64, 1)})
    with (tmp_path / "t" / "leakage.csv").open() as file:
        rows = list(csv.DictReader(file))
    listed = {frozenset((row["tile"], row["other"])): int(row["shared_pixels"]) for row in rows}
    assert listed == {frozenset((tiles[a].id, tiles[b].id)): round(shared) for (a, b), shared in expected.items()}
    split_of = {t.id: t.split for t in tiles}
    assert all(row["split"] == split_of[row["tile"]] != row["other_split"] == split_of[row["other"]] for row in rows)
    touching, between = (
        sum(shared == 0 for shared in expected.values()),
        sum(tiles[a].scene != tiles[b].scene for a, b in expected),
    )
    last = " ".join(shown.split())
    assert f"{touching} pairs of tiles of different splits touch, {len(expected) - touching} overlap" in last
    assert f"{between} of them between scenes" in last and f"; {result.leakage.tiles} tiles; " in last
    assert result.leakage.tiles == len({place for pair in expected for place in pair})


def test_a_buffer_leaves_no_leak_and_is_counted(overlapping, tmp_path):
    result = tile(overlapping, tmp_path / "t", options=TileOptions(size=32, split="random", buffer=1))
    assert result.leakage == Leakage(0, 0, 0, 0, {})
    assert result.dropped["too near another split"] + len(result.tileset.tiles) == 32
    assert (tmp_path / "t" / "leakage.csv").read_text() == "tile,split,other,other_split,shared_pixels\n"


@pytest.mark.slow
def test_merged_val_trains_and_needs_no_buffer_towards_train(tmp_path):
    root = make_landcover(tmp_path / "landcover")
    plain = tile(root, tmp_path / "a", options=TileOptions(size=256)).tileset
    merged = tile(root, tmp_path / "b", options=TileOptions(size=256, merge_val=True))
    assert {t.id for t in merged.tileset.split("train")} == {t.id for s in ("train", "val") for t in plain.split(s)}
    assert {t.id for t in merged.tileset.split("test")} == {t.id for t in plain.split("test")}
    assert merged.tileset.split("val") == [] and set(merged.leakage.by_splits) == {"train–test"}
    assert not any("no tiles in split val" in notice for notice in merged.notices)
    buffered = tile(root, tmp_path / "c", options=TileOptions(size=256, merge_val=True, buffer=1))
    too_near = {
        t.id
        for t in plain.tiles
        if t.split != "test" and any(t.scene == o.scene and gap(t, o)[0] == 0 for o in plain.split("test"))
    }
    assert {t.id for t in merged.tileset.tiles} - {t.id for t in buffered.tileset.tiles} == too_near
