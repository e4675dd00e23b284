"""Tiles that hold nothing in places: nodata is no class, is encoded as zeros, and other strange values are refused."""

import numpy as np
import pytest
import rasterio
import torch
from makers import write_raster
from makers_pictures import make_tileset
from PIL import Image

from sattrans.data.batches import Batches, TileStore
from sattrans.data.contact_sheet import GAP, HEAD
from sattrans.data.tileset import Tileset
from sattrans.errors import TrainingError
from sattrans.evaluate import evaluate
from sattrans.generate import GenerateOptions, generate
from sattrans.raster.palette import UNKNOWN, LandClass, Palette
from sattrans.train import TrainOptions, train
from sattrans.utils.hashing import sha256

PALETTE = Palette(
    (LandClass(0, "field", (10, 200, 30)), LandClass(7, "wood", (0, 90, 20)), LandClass(9, "lake", (0, 0, 255)))
)
HOLE = 24


@pytest.fixture(scope="module")
def tiles(tmp_path_factory) -> Tileset:
    return make_tileset(tmp_path_factory.mktemp("holes") / "t", PALETTE, hole=HOLE)


def batches(tileset, encoding):
    return Batches(TileStore(tileset, tileset.split("train")), encoding, 2, torch.device("cpu"))


def test_nodata_is_no_class(tiles):
    _, map_ = TileStore(tiles, tiles.split("train"))[0]
    assert (map_[64 - HOLE :] == UNKNOWN).all()
    assert set(map_[: 64 - HOLE].unique().tolist()) == {0, 1, 2}


def test_nodata_that_is_a_class_is_the_class(tmp_path):
    tileset = make_tileset(tmp_path / "t", PALETTE, hole=HOLE, nodata=7)
    _, map_ = TileStore(tileset, tileset.split("train"))[0]
    assert (map_[64 - HOLE :] == 1).all()


@pytest.mark.parametrize(("encoding", "channels"), [("color", 3), ("onehot", 3)])
def test_what_holds_nothing_is_zero_in_every_channel_and_only_that(tiles, encoding, channels):
    source = batches(tiles, encoding).pick([0, 1]).source
    assert source.shape == (2, channels, 64, 64)
    nothing = (source == 0).all(dim=1)
    assert nothing[:, 64 - HOLE :].all()
    assert not nothing[:, : 64 - HOLE].any()


def test_jitter_mixes_no_class_into_what_holds_nothing(tiles):
    source = batches(tiles, "onehot").train(0).source
    assert set(source.unique().tolist()) == {0.0, 1.0}
    assert set(source.sum(1).unique().tolist()) == {0.0, 1.0}


def test_a_value_that_is_neither_class_nor_nodata_is_refused_by_the_tiles_name(tmp_path):
    tileset = make_tileset(tmp_path / "t", PALETTE, hole=HOLE, nodata=255)
    tile = tileset.split("train")[2]
    values = np.full((64, 64), 9, np.uint8)
    values[5, 5] = 4
    # Made so, not changed since: the hash is right, the map is not.
    path = tile.map_path(tileset.folder)
    before = tile.map_sha256
    write_raster(path, values, None, None, nodata=255)
    index = tileset.folder / "tiles.geojson"
    index.write_text(index.read_text().replace(before, sha256(path)))
    opened = Tileset.open(tileset.folder)
    with pytest.raises(TrainingError, match=rf"tile {tile.id} .*value 4, .*0 field, 7 wood, 9 lake"):
        TileStore(opened, opened.split("train"))[2]


def test_samples_sheets_and_images_are_made_of_such_tiles(tiles, tmp_path):
    run = train(
        tiles.folder, tmp_path / "r", TrainOptions(model="pix2pix", settings={"width": 4}, steps=2, monitor="l1")
    ).run
    sheet = np.asarray(Image.open(next((run.folder / "samples").glob("*.png"))).convert("RGB"))
    map_ = sheet[HEAD + GAP :][:64, GAP:][:, :64]
    assert (map_[64 - HOLE :] == 128).all()  # between all colours: nothing is known there
    assert {tuple(color) for color in map_[: 64 - HOLE].reshape(-1, 3)} == set(PALETTE.colors)
    # What is scored is what generate makes of the same map, holes and all.
    scores = evaluate([run.folder], tmp_path / "e").columns[0].scores
    tile = tiles.split("test")[0]
    made = generate(tile.map_path(tiles.folder), tmp_path / "sat.tif", GenerateOptions(run=run.folder, batch_size=8))
    with rasterio.open(made.output) as out, rasterio.open(tile.image_path(tiles.folder)) as real:
        image, photo = out.read().astype(float), real.read()
    assert (image[3] == 0).sum() == 64 * HOLE
    # Transparent pixels are black in the file, and so is the photo: only what holds something differs.
    held = np.abs(image[:3] - photo)[:, : 64 - HOLE].sum() / (3 * 64 * 64)
    assert held <= scores.images[tile.id]["mae"] + 0.02
