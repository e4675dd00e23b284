"""The preview of a tileset: what is drawn where, for every kind of tileset there is."""

import json
from dataclasses import replace

import numpy as np
import pytest
from makers import COLORS, make_folder, make_indices, make_picture, write_raster
from PIL import Image

from sattrans.data.tileset import MANIFEST, Tileset, write_index
from sattrans.errors import RasterError
from sattrans.raster.open import open_raster
from sattrans.tile import TileOptions, tile
from sattrans.tile.preview import EDGE, EXAMPLES, GAP, HEAD, LABEL, LINE, SEAM, SIDE, write_preview

STEP = SIDE + LINE + GAP
"""From one row to the next, where tiles are as high as the sheet shows them."""


def cut(tmp_path, size=64, scenes=3, more="", side=256):
    root = make_folder(tmp_path / "f", scenes=scenes, classes_toml=True, size=side)
    with (root / "classes.toml").open("a") as file:
        file.write(more)
    return tile(root, tmp_path / "t", options=TileOptions(size=size)).tileset


def changed(tileset, tiles=None, **entries):
    path = tileset.folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))
    write_index(tileset.folder, tiles or tileset.tiles, tileset.scenes)
    return Tileset.open(tileset.folder)


def drawn(tileset, tmp_path):
    write_preview(tileset, tmp_path / "p.png")
    with Image.open(tmp_path / "p.png") as sheet:
        return np.asarray(sheet)


def place(row, column, part=0):
    """Where a picture lies: `part` 0 is the image, 1 the map beside it."""
    left = EDGE + LABEL + column * (2 * SIDE + SEAM + GAP) + part * (SIDE + SEAM)
    top = HEAD + row * STEP
    return slice(top, top + SIDE), slice(left, left + SIDE)


def pixels(path):
    with open_raster(path) as raster:
        return np.moveaxis(raster.read(), 0, -1)


def best(tileset, name):
    return min(tileset.tiles, key=lambda item: (-item.shares.get(name, 0), item.id))


@pytest.mark.slow
def test_a_row_a_class_shows_most_of_it_first_in_the_tilesets_colours(tmp_path):
    tileset = cut(tmp_path)
    sheet = drawn(tileset, tmp_path)
    assert sheet.shape == (HEAD + 3 * STEP + EDGE, 2 * EDGE + LABEL + EXAMPLES * (2 * SIDE + SEAM + GAP), 3)
    for row, item in enumerate(tileset.palette.classes):
        first = best(tileset, item.name)
        image = pixels(first.image_path(tileset.folder)).repeat(3, 0).repeat(3, 1)
        assert (sheet[place(row, 0)] == image).all()
        values = pixels(first.map_path(tileset.folder))[..., 0].repeat(3, 0).repeat(3, 1)
        table = np.zeros((256, 3), np.uint8)
        table[list(tileset.palette.values)] = tileset.palette.colors
        assert (sheet[place(row, 0, 1)] == table[values]).all()
        assert tuple(sheet[HEAD + row * STEP + 10, EDGE + 14]) == item.color


def test_headings_say_which_pictures_are_images_and_which_maps(tmp_path):
    sheet = drawn(cut(tmp_path, size=256, scenes=1), tmp_path)
    heads = sheet[HEAD - GAP - 14 : HEAD - GAP, EDGE + LABEL :]
    written = np.flatnonzero((heads < 128).any(axis=(0, 2)))
    starts = [column * (2 * SIDE + SEAM + GAP) + part * (SIDE + SEAM) for column in range(EXAMPLES) for part in (0, 1)]
    assert all(((written >= start) & (written < start + 60)).any() for start in starts)
    assert not ((written % (2 * SIDE + SEAM + GAP)) % (SIDE + SEAM) > 60).any()


@pytest.mark.slow
def test_tiles_of_a_class_come_from_several_scenes(tmp_path):
    tileset = cut(tmp_path)
    sheet = drawn(tileset, tmp_path)
    images = {item.id: pixels(item.image_path(tileset.folder)).repeat(3, 0).repeat(3, 1) for item in tileset.tiles}
    for row in range(3):
        ids = [next(k for k, v in images.items() if (v == sheet[place(row, c)]).all()) for c in range(EXAMPLES)]
        assert len(set(ids)) == EXAMPLES
        assert {k.rsplit("_", 1)[0] for k in ids} == {"place0", "place1", "place2"}


@pytest.mark.slow
def test_large_tiles_are_averaged_and_their_maps_are_not(tmp_path):
    tileset = cut(tmp_path, size=384, scenes=2, side=384)
    sheet = drawn(tileset, tmp_path)
    first = best(tileset, tileset.palette.names[0])
    image = pixels(first.image_path(tileset.folder)).astype(float)
    averaged = image.reshape(SIDE, 2, SIDE, 2, 3).mean(axis=(1, 3))
    assert np.abs(sheet[place(0, 0)] - averaged).max() <= 1
    colors = {tuple(color) for color in sheet[place(0, 0, 1)].reshape(-1, 3).tolist()}
    assert colors <= {tuple(color) for color in COLORS[:3]}


@pytest.mark.slow
def test_a_class_that_is_nowhere_has_an_empty_row_that_says_so(tmp_path):
    sheet = drawn(cut(tmp_path, more='[ice]\nvalue = 99\ncolor = "#abcdef"\n'), tmp_path)
    top = HEAD + 3 * STEP
    assert tuple(sheet[top + 10, EDGE + 14]) == (0xAB, 0xCD, 0xEF)
    row = sheet[top : top + SIDE, EDGE + LABEL :]
    ink = np.flatnonzero((row < 200).any(axis=(0, 2)))
    assert ink.size
    assert ink.max() < 80  # a word, and no tile


@pytest.mark.slow
def test_the_same_tileset_gives_the_same_bytes(tmp_path):
    tileset = cut(tmp_path)
    for name in ("a.png", "b.png"):
        write_preview(Tileset.open(tileset.folder), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.slow
def test_only_tiles_that_are_shown_are_read_and_a_damaged_one_is_named(tmp_path):
    tileset = cut(tmp_path, scenes=1)
    whole = drawn(tileset, tmp_path)
    shown = best(tileset, tileset.palette.names[0])
    for item in tileset.tiles:
        if not any(np.array_equal(whole[place(r, c)], big(item, tileset)) for r in range(3) for c in range(EXAMPLES)):
            item.image_path(tileset.folder).unlink()
    assert np.array_equal(drawn(tileset, tmp_path), whole)
    shown.image_path(tileset.folder).write_bytes(b"II*\0")
    with pytest.raises(RasterError, match=shown.id):
        drawn(tileset, tmp_path)


def big(item, tileset):
    return pixels(item.image_path(tileset.folder)).repeat(3, 0).repeat(3, 1)


@pytest.mark.slow
def test_unpaired_tiles_have_a_last_row_of_images(tmp_path):
    tileset = cut(tmp_path)
    lone = [replace(t, split="unpaired", map=None, map_sha256=None, shares={}) for t in tileset.split("test")[:2]]
    paired = [t for t in tileset.tiles if t.id not in {item.id for item in lone}]
    sheet = drawn(changed(tileset, [*paired, *lone]), tmp_path)
    assert sheet.shape[0] == HEAD + 4 * STEP + EDGE
    left = EDGE + LABEL
    for item in lone:
        rows = place(3, 0)[0]
        assert (sheet[rows, left : left + SIDE] == big(item, tileset)).all()
        left += SIDE + GAP
    assert (sheet[rows, left:] == 255).all()


@pytest.mark.slow
def test_many_unpaired_tiles_stay_on_the_sheet(tmp_path):
    tileset = cut(tmp_path)
    lone = [replace(t, split="unpaired", map=None, map_sha256=None, shares={}) for t in tileset.tiles]
    sheet = drawn(changed(tileset, lone), tmp_path)
    row = sheet[place(3, 0)[0], EDGE + LABEL :]
    assert (row[:, -EDGE:] == 255).all()
    assert (row != 255).any(axis=(0, 2)).sum() == 7 * SIDE
    assert (sheet[place(0, 0)[0], EDGE + LABEL + 80 :] == 255).all()  # nothing is left to show of a class


@pytest.mark.slow
def test_pictures_for_maps_have_a_row_a_split(tmp_path):
    tileset = cut(tmp_path)
    tiles = []
    for number, item in enumerate(tileset.tiles):
        write_raster(item.map_path(tileset.folder), make_picture(make_indices(64, 64, 5, seed=number)))
        tiles.append(replace(item, shares={}))
    tileset = changed(tileset, tiles, palette=None)
    sheet = drawn(tileset, tmp_path)
    assert sheet.shape[0] == HEAD + 3 * STEP + EDGE
    for row, split in enumerate(("train", "val", "test")):
        members = tileset.split(split)
        for part, path in enumerate((type(members[0]).image_path, type(members[0]).map_path)):
            found = sheet[place(row, 0, part)]
            known = [pixels(path(item, tileset.folder)).repeat(3, 0).repeat(3, 1) for item in members]
            assert any((found == picture).all() for picture in known)


@pytest.mark.slow
def test_files_of_map_and_image_side_by_side_are_taken_apart(tmp_path):
    tileset = cut(tmp_path)
    before = drawn(tileset, tmp_path)
    tiles = []
    table = np.zeros((256, 3), np.uint8)
    table[list(tileset.palette.values)] = tileset.palette.colors
    for item in tileset.tiles:
        both = [table[pixels(item.map_path(tileset.folder))[..., 0]], pixels(item.image_path(tileset.folder))]
        Image.fromarray(np.concatenate(both, axis=1)).save(tileset.folder / f"{item.id}.png")
        tiles.append(replace(item, image=f"{item.id}.png", map=None, map_sha256=None))
    options = {**tileset.manifest["options"], "layout": "pairs"}
    assert np.array_equal(drawn(changed(tileset, tiles, options=options), tmp_path), before)


@pytest.mark.slow
def test_jpeg_and_paletted_png_tiles_are_shown_as_others_are(tmp_path):
    tileset = cut(tmp_path)
    before = drawn(tileset, tmp_path)
    tiles = []
    for item in tileset.tiles:
        image = Image.fromarray(pixels(item.image_path(tileset.folder)))
        image.save(tileset.folder / f"{item.id}.jpg", quality=95, subsampling=0)
        map_ = Image.fromarray(pixels(item.map_path(tileset.folder))[..., 0], "P")
        map_.putpalette([band for value in range(256) for band in tileset.palette.colormap.get(value, (0, 0, 0))])
        map_.save(tileset.folder / f"{item.id}.png")
        tiles.append(replace(item, image=f"{item.id}.jpg", map=f"{item.id}.png"))
    after = drawn(changed(tileset, tiles), tmp_path)
    assert np.array_equal(after[place(1, 2, 1)], before[place(1, 2, 1)])
    assert np.abs(after[place(1, 2)].astype(int) - before[place(1, 2)]).mean() < 5


@pytest.mark.slow
def test_an_empty_place_in_a_map_is_drawn_grey(tmp_path):
    tileset = cut(tmp_path)
    item = best(tileset, tileset.palette.names[0])
    values = pixels(item.map_path(tileset.folder))[..., 0]
    values[:10, :10] = 0
    write_raster(item.map_path(tileset.folder), values, nodata=0)
    assert (drawn(tileset, tmp_path)[place(0, 0, 1)][:30, :30] == 225).all()
