import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from sattrans.data.tileset import (
    INDEX,
    MANIFEST,
    MAX_TILES,
    SceneRecord,
    Tile,
    Tileset,
    manifest_body,
    write_index,
    write_tileset_manifest,
)
from sattrans.errors import NothingToUse, SattransError, UsageError
from sattrans.raster.georeference import Georeference
from sattrans.raster.palette import LandClass, Palette
from sattrans.raster.window import Window
from sattrans.utils.manifest import begun_of

PALETTE = Palette((LandClass(10, "water", (0, 0, 255)), LandClass(30, "forest", (0, 128, 0))))
UTM = Georeference.of(CRS.from_epsg(32652), Affine(10, 0, 300_000, 0, -10, 4_100_000))
SCENES = (
    SceneRecord("north", "gyeonggi", "in/north.tif", "in/north-mask.tif", 600, 700, UTM),
    SceneRecord("lost", "", "in/lost.tif", "in/lost-mask.tif", 300, 300, Georeference.of(None, Affine.identity())),
)


def tile_of(scene, k, row, col, split):
    files = f"images/{scene}_{k}.tif", "a1" * 32, f"maps/{scene}_{k}.tif", "b2" * 32
    return Tile(f"{scene}_{k}", scene, split, Window(row, col, 256, 256), {"water": 0.25, "forest": 0.75}, *files)


TILES = (
    tile_of("north", 0, 0, 0, "train"),
    tile_of("north", 1, 0, 256, "val"),
    tile_of("north", 3, 256, 0, "train"),
    tile_of("lost", 0, 0, 0, "test"),
)


def write(folder, created="2026-01-01T00:00:00.000000+00:00", tiles=TILES):
    folder.mkdir(parents=True)
    write_index(folder, tiles, {scene.id: scene for scene in SCENES})
    body = manifest_body(created, {"size": 256, "seed": 0}, 256, PALETTE, SCENES, tiles, ["a notice"])
    write_tileset_manifest(folder / MANIFEST, body)
    return folder


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "tiles" / "korea-256")


def test_a_tileset_comes_back_as_it_was_written(folder):
    opened = Tileset.open(folder)
    assert (opened.name, opened.size, opened.palette) == ("korea-256", 256, PALETTE)
    assert opened.tiles == TILES
    assert opened.scenes == {scene.id: scene for scene in SCENES}
    assert opened.split("train") == [TILES[0], TILES[2]]
    assert opened.manifest["tiles"] == {"train": 2, "val": 1, "test": 1, "unpaired": 0}
    assert opened.manifest["notices"] == ["a notice"]


def test_the_name_is_the_folders_own_however_it_was_given(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert Tileset.open(Path()).name == "korea-256"


def test_a_tile_lies_where_its_window_lies_in_its_scene(folder):
    opened = Tileset.open(folder)
    assert opened.georeference(opened.tiles[1]).transform == (10, 0, 302_560, 0, -10, 4_100_000)
    assert opened.georeference(opened.tiles[2]).transform == (10, 0, 300_000, 0, -10, 4_097_440)
    assert opened.tiles[2].image_path(folder) == folder / "images" / "north_3.tif"
    assert opened.tiles[2].map_path(folder) == folder / "maps" / "north_3.tif"


def test_the_index_is_geojson_with_outlines_in_wgs_84(folder):
    index = json.loads((folder / INDEX).read_text())
    assert index["type"] == "FeatureCollection" and "crs" not in index
    feature = index["features"][0]
    ring = np.array(feature["geometry"]["coordinates"][0])
    assert feature["id"] == "north_0" and feature["geometry"]["type"] == "Polygon"
    assert ring.shape == (5, 2) and (ring[0] == ring[-1]).all()
    # The corner (300000, 4100000) of zone 52 is 126.74° E, 37.02° N; 2560 m are 0.029° and 0.023°.
    assert np.abs(ring[0] - (126.752, 37.025)).max() < 0.02
    np.testing.assert_allclose(ring.max(0) - ring.min(0), (0.0292, 0.0237), atol=0.0005)
    edges = np.diff(ring, axis=0)
    turns = edges[:-1, 0] * edges[1:, 1] - edges[:-1, 1] * edges[1:, 0]
    assert (turns > 0).all()  # counterclockwise, as RFC 7946 asks
    assert feature["properties"]["shares"] == {"water": 0.25, "forest": 0.75}


def test_a_tile_of_a_scene_without_crs_has_no_outline_but_keeps_its_window(folder):
    feature = json.loads((folder / INDEX).read_text())["features"][-1]
    assert feature["geometry"] is None
    assert feature["properties"]["height"] == 256


def test_a_south_up_scene_has_a_counterclockwise_outline_too():
    place = Georeference.of(CRS.from_epsg(32652), Affine(10, 0, 300_000, 0, 10, 4_000_000))
    ring = np.array(place.footprints([Window(0, 0, 100, 100)])[0]["coordinates"][0])
    x, y = ring[:-1].T
    assert np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) > 0


def test_the_hash_is_that_of_the_index_and_tells_tilesets_apart(folder, tmp_path):
    same, other = write(tmp_path / "same"), write(tmp_path / "other", tiles=TILES[1:])
    assert Tileset.open(folder).hash == hashlib.sha256((folder / INDEX).read_bytes()).hexdigest()
    assert Tileset.open(folder).hash == Tileset.open(same).hash != Tileset.open(other).hash


def test_the_newest_is_the_one_made_last_by_its_manifest_not_by_its_name(tmp_path):
    write(tmp_path / "b", created="2026-01-01T00:00:00.000000+00:00")
    write(tmp_path / "a", created="2026-03-01T00:00:00.000000+00:00")
    write(tmp_path / "c", created="2026-02-01T00:00:00.000000+00:00")
    assert Tileset.newest(tmp_path).name == "a"


def test_an_unfinished_tileset_is_not_the_newest(folder, tmp_path):
    later = write(tmp_path / "tiles" / "later", created="2030-01-01T00:00:00.000000+00:00")
    (later / MANIFEST).rename(begun_of(later / MANIFEST))
    assert Tileset.newest(tmp_path / "tiles").name == "korea-256"


def test_no_tileset_names_the_command_that_makes_one(tmp_path):
    with pytest.raises(NothingToUse, match="make one with sattrans tile"):
        Tileset.newest(tmp_path / "tiles")


def test_an_unfinished_tileset_is_refused_and_says_how_to_finish_it(folder):
    (folder / MANIFEST).rename(begun_of(folder / MANIFEST))
    with pytest.raises(UsageError, match="unfinished tileset; repeat the sattrans tile command"):
        Tileset.open(folder)


def test_a_folder_that_is_no_tileset_is_refused(tmp_path):
    with pytest.raises(UsageError, match="is not a tileset; make one with sattrans tile FOLDER"):
        Tileset.open(tmp_path)


def test_a_manifest_of_something_else_is_refused(folder):
    (folder / MANIFEST).write_text((folder / MANIFEST).read_text().replace("sattrans.tileset", "sattrans.run"))
    with pytest.raises(SattransError, match="is not a sattrans tileset"):
        Tileset.open(folder)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"features"', '"places"'),
        lambda text: text.replace('"split"', '"part"'),
        lambda text: "[]",
        lambda text: None,
    ],
    ids=["cut short", "no features", "no split", "another thing", "gone"],
)
def test_a_damaged_index_is_said_so_by_name(folder, damage):
    text = damage((folder / INDEX).read_text())
    if text is None:
        (folder / INDEX).unlink()
    else:
        (folder / INDEX).write_text(text)
    with pytest.raises(UsageError, match=r"tiles\.geojson is damaged .*: make the tileset again"):
        Tileset.open(folder).tiles  # noqa: B018


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"row": 0', '"row": -1', r"features\.0\.properties\.row must be at least"),
        ("images/north_0.tif", "../../etc/passwd", r"properties\.image must match"),
        ("a1a1a1", "A1a1a1", r"image_sha256 must match"),
        ('"row": 0, ', '"row": 0, "row": 5, ', "a tile has row twice"),
        ('"valid": 1.0', '"valid": NaN', "valid must be"),
        ('"split": "train"', '"split": "all"', "split must be 'train', 'val', 'test' or 'unpaired', got 'all'"),
    ],
)
def test_a_wrong_field_of_a_tile_is_named(folder, old, new, told):
    text = (folder / INDEX).read_text()
    assert old in text
    (folder / INDEX).write_text(text.replace(old, new, 1))
    with pytest.raises(UsageError, match=told):
        Tileset.open(folder).tiles  # noqa: B018


@pytest.mark.parametrize(
    "tile", ['{"type": "Feature"},', '{"properties": {"image_sha256": 0}},', '{"a":{},"b":[{},{}]},']
)
def test_an_index_of_a_million_tiles_is_refused_before_it_is_parsed(folder, tile):
    (folder / INDEX).write_text('{"features": [' + tile * 1_000_000 + "{}]}")
    with pytest.raises(UsageError, match=f"more than {MAX_TILES} tiles"):
        Tileset.open(folder).tiles  # noqa: B018


def test_shares_are_kept_to_a_millionth(tmp_path):
    thirds = replace(TILES[0], shares={"water": 1 / 3, "forest": 2 / 3})
    folder = write(tmp_path / "thirds", tiles=[thirds])
    assert Tileset.open(folder).tiles[0].shares == {"water": 0.333333, "forest": 0.666667}
