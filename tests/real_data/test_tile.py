"""Real imagery in tiles: Sentinel-2 scenes that overlap each other. Skipped where the data is not there."""

import os
from itertools import combinations
from pathlib import Path

import pytest
import rasterio

from sattrans.tile import TileOptions, tile

DATA = Path(os.environ.get("SATTRANS_DATA", Path(__file__).parents[3] / "shared" / "data"))
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no real data in {DATA}")


def on_the_ground(tileset):
    """Return each tile's left, bottom, right, top."""
    corners = {}
    for item in tileset.tiles:
        with rasterio.open(item.image_path(tileset.folder)) as src:
            corners[item.id] = src.bounds
    return corners


def test_koreas_overlapping_scenes_are_found_and_a_buffer_parts_them(tmp_path):
    options = {"size": 256, "bidx": (3, 2, 1), "split": "scene"}
    result = tile(DATA / "korea_s2", tmp_path / "t", options=TileOptions(**options))
    assert len({s.georeference.crs for s in result.tileset.scenes.values()}) == 1
    place, split = on_the_ground(result.tileset), {t.id: t.split for t in result.tileset.tiles}
    slack = 0.1  # metres, of ten a pixel
    expected = {
        frozenset(pair)
        for pair in combinations(place, 2)
        if split[pair[0]] != split[pair[1]]
        and max(place[n].left for n in pair) <= min(place[n].right for n in pair) + slack
        and max(place[n].bottom for n in pair) <= min(place[n].top for n in pair) + slack
    }
    lines = (tmp_path / "t" / "leakage.csv").read_text().splitlines()[1:]
    listed = {frozenset(line.split(",")[0:3:2]) for line in lines}
    assert listed == expected != set()
    assert result.leakage.between_scenes == len(expected)
    apart = tile(DATA / "korea_s2", tmp_path / "u", options=TileOptions(**options, buffer=16))
    assert apart.leakage.tiles == 0
    kept = on_the_ground(apart.tileset)
    for one, other in combinations(kept, 2):
        if split[one] != split[other]:
            a, b = kept[one], kept[other]
            wide = max(a.left, b.left) - min(a.right, b.right)
            high = max(a.bottom, b.bottom) - min(a.top, b.top)
            assert max(wide, high) > 0 and (max(wide, 0) ** 2 + max(high, 0) ** 2) ** 0.5 >= 159.8


def test_korea_within_an_areas_bounds_and_at_half_its_resolution(tmp_path):
    whole = tile(DATA / "korea_s2", tmp_path / "a", options=TileOptions(size=128, bidx=(3, 2, 1), res=20)).tileset
    first = whole.tiles[0]
    box = on_the_ground(whole)[first.id]
    with rasterio.open(first.image_path(whole.folder)) as src:
        assert src.res == (20, 20)
    bounds = f"{box.left},{box.bottom},{box.right},{box.top}"
    options = TileOptions(size=128, bidx=(3, 2, 1), res=20, bounds=bounds)
    assert first.id in {t.id for t in tile(DATA / "korea_s2", tmp_path / "b", options=options).tileset.tiles}
