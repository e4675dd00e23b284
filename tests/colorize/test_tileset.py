"""colorize on tilesets: maps of any format, tiles without maps, and tilesets without classes."""

import json
from dataclasses import replace

import numpy as np
import pytest
from makers import COLORS, make_folder
from PIL import Image

from sattrans.colorize import colorize
from sattrans.data.tileset import INDEX, MANIFEST, Tileset, write_index
from sattrans.errors import UsageError
from sattrans.raster.open import open_raster
from sattrans.tile import TileOptions, tile


@pytest.fixture
def tileset(tmp_path):
    root = make_folder(tmp_path / "f", scenes=1, classes_toml=True)
    return tile(root, tmp_path / "t", options=TileOptions(size=64)).tileset


def change(tileset, **entries):
    path = tileset.folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))
    return tileset.folder


def with_tiles(tileset, tiles):
    write_index(tileset.folder, tiles, tileset.scenes)
    return Tileset.open(tileset.folder)


def test_paletted_png_maps_are_coloured_by_the_tilesets_classes(tileset, tmp_path):
    tiles = []
    for item in tileset.tiles:
        with open_raster(item.map_path(tileset.folder)) as src:
            picture = Image.fromarray(src.read()[0], "P")
        table = np.zeros((256, 3), np.uint8)
        table[[10, 30, 50]] = COLORS[:3]
        picture.putpalette(table.ravel().tolist())
        picture.save(tileset.folder / f"maps/{item.id}.png")
        tiles.append(replace(item, map=f"maps/{item.id}.png"))
    with_tiles(tileset, tiles)
    result = colorize(tileset.folder, tmp_path / "c")
    assert (len(result.made), result.notices) == (16, ())
    for copy, item in zip(result.made, tileset.tiles, strict=True):
        with open_raster(copy) as out, open_raster(item.map_path(tileset.folder)) as src:
            assert np.array_equal(out.read(), src.read())
            assert out.colormap()[30] == COLORS[1]


def test_tiles_without_a_map_are_skipped(tileset, tmp_path):
    first, *others = tileset.tiles
    lone = replace(first, split="unpaired", map=None, map_sha256=None, shares={})
    with_tiles(tileset, [lone, *others])
    assert len(colorize(tileset.folder, tmp_path / "c").made) == 15
    with_tiles(tileset, [lone])
    with pytest.raises(UsageError, match="has no maps, all its tiles are unpaired"):
        colorize(tileset.folder, tmp_path / "d")


def test_a_tileset_without_classes_is_refused(tileset, tmp_path):
    with pytest.raises(UsageError, match=r"/t has maps without classes \(RGB images\): there is nothing to colour"):
        colorize(change(tileset, palette=None), tmp_path / "c")


def test_a_tileset_of_layout_pairs_is_refused(tileset, tmp_path):
    options = {**tileset.manifest["options"], "layout": "pairs"}
    with pytest.raises(UsageError, match="maps and images side by side in one file"):
        colorize(change(tileset, options=options), tmp_path / "c")


def test_an_unfinished_tileset_is_refused(tileset):
    (tileset.folder / MANIFEST).rename(tileset.folder / f"{MANIFEST}.begun")
    (tileset.folder / INDEX).unlink()
    with pytest.raises(UsageError, match="unfinished tileset"):
        colorize(tileset.folder)
