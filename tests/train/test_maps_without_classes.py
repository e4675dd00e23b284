"""Maps without classes, from tileset to image: colours in, colours shown, refused where classes are needed."""

import json
from dataclasses import replace

import numpy as np
import pytest
import rasterio
import torch
from commands import kill_when
from makers import COLORS, make_indices, write_raster
from makers_pictures import INKS, PLACE, draw_map, make_tileset
from PIL import Image

from sattrans.cli.runs import show
from sattrans.data.batches import Batches, TileStore
from sattrans.data.contact_sheet import GAP, HEAD
from sattrans.data.crops import Crops
from sattrans.errors import RasterError, UsageError
from sattrans.evaluate import evaluate
from sattrans.generate import GenerateOptions, generate
from sattrans.runs.run import Run
from sattrans.train import TrainOptions, resume, train


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    return make_tileset(tmp_path_factory.mktemp("tiles") / "t", counts={"train": 24, "val": 2, "test": 2})


@pytest.fixture(scope="module")
def run(tiles, tmp_path_factory) -> Run:
    """A run that knows what its map's colours look like."""
    options = TrainOptions(epochs=12, batch_size=4, ema=0.9, monitor="l1")
    own = {"width": 4, "lr": 2e-3}
    return train(
        tiles.folder, tmp_path_factory.mktemp("run") / "r", replace(options, model="pix2pix", settings=own)
    ).run


def write_map(path, height, width, **how):
    return write_raster(path, draw_map(make_indices(height, width, 3, patch=16)), "EPSG:32652", PLACE, **how)


def read(path):
    with rasterio.open(path) as src:
        return src.read()


def first_picture(sheet, size):
    pixels = np.asarray(Image.open(sheet).convert("RGB"))
    return pixels[HEAD + GAP : HEAD + GAP + size, GAP : GAP + size].transpose(2, 0, 1)


# Tiles as tensors


def test_maps_are_held_and_encoded_as_their_colours(tiles):
    store = TileStore(tiles, tiles.split("train"))
    image, map_ = store[1]
    assert (image.dtype, map_.dtype) == (torch.uint8, torch.uint8)
    assert np.array_equal(map_.numpy(), read(store.tiles[1].map_path(tiles.folder)))
    source = Batches(store, "color", 2, torch.device("cpu")).pick([0, 1]).source
    assert source.shape == (2, 3, 64, 64)
    assert torch.allclose(source[1], map_.float() / 127.5 - 1)


def test_a_picture_is_enlarged_smoothly_and_with_its_image():
    picture = torch.zeros(4, 3, 64, 64, dtype=torch.uint8)
    picture[:, :, 20:40, 10:30] = 200
    crops = Crops(64)
    drawn = crops.draw(len(picture), torch.Generator().manual_seed(0))
    image, map_ = crops.take(picture.clone(), drawn), crops.take(picture, drawn)
    assert map_.shape == (4, 3, 64, 64)
    assert torch.equal(image, map_)
    assert len(map_.unique()) > 2  # mixed at the edges, as a class must never be


def test_the_tiles_of_an_epoch_give_sources_from_minus_one_to_one(tiles):
    batches = Batches(TileStore(tiles, tiles.split("train")), "color", 3, torch.device("cpu"))
    for step in range(batches.per_epoch):
        source = batches.train(step).source
        assert source.shape == (3, 3, 64, 64)
        assert -1 - 1e-6 < source.min() < source.max() < 1 + 1e-6


# Training


def test_a_run_without_classes_says_so(run, capsys):
    manifest = json.loads((run.folder / "run.json").read_text())
    assert manifest["palette"] is None
    assert (manifest["spec"]["classes"], manifest["spec"]["source_channels"]) == (0, 3)
    assert run.palette is None
    show(run.folder)
    assert "none: its maps are pictures" in capsys.readouterr().out


def test_training_lowers_the_validation_loss(run):
    values = [line["val"]["l1"] for line in run.metrics()]
    assert min(values) < 0.7 * values[0]


@pytest.mark.parametrize("model", ["resse", "spade", "wgan"])
def test_every_model_trains_on_pictures(tiles, tmp_path, model):
    made = train(
        tiles.folder, tmp_path / "r", TrainOptions(model=model, settings={"width": 4}, steps=1, monitor="l1")
    ).run
    assert made.finished


def test_samples_show_the_maps_own_colours(run, tiles):
    sample = sorted((run.folder / "samples").glob("*.png"))[-1]
    map_ = read(tiles.split("val")[0].map_path(tiles.folder))
    assert np.array_equal(first_picture(sample, 64), map_)


def test_one_channel_a_class_is_refused_before_anything_is_made(tiles, tmp_path):
    with pytest.raises(UsageError, match=r"pictures without classes, source=onehot.*--set source=color"):
        train(tiles.folder, tmp_path / "r", TrainOptions(model="pix2pix", settings={"source": "onehot"}))
    assert list(tmp_path.iterdir()) == []


def test_a_tileset_for_other_tools_is_refused_before_anything_is_made(tmp_path):
    tileset = make_tileset(tmp_path / "t", options={"layout": "pairs"})
    with pytest.raises(UsageError, match=r"for other tools: tile again without --layout pairs"):
        train(tileset.folder, tmp_path / "r", TrainOptions(model="pix2pix"))
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("model", ["pix2pix", "cyclegan"])
def test_a_tileset_of_images_without_maps_is_refused_before_anything_is_made(tmp_path, model):
    tileset = make_tileset(tmp_path / "t", counts={"unpaired": 3, "test": 1})
    with pytest.raises(UsageError, match=r"no training tiles with a map, 3 without one: tile again"):
        train(tileset.folder, tmp_path / "r", TrainOptions(model=model))
    assert not (tmp_path / "r").exists()


def test_resuming_takes_up_a_run_without_classes(tiles, tmp_path):
    options = TrainOptions(model="pix2pix", settings={"width": 4}, epochs=1, batch_size=4, monitor="l1")
    begun = train(tiles.folder, tmp_path / "r", options).run
    told = json.loads((begun.folder / "run.json").read_text())
    del told["summary"]
    told["settings"]["steps"] *= 2  # one epoch more
    (begun.folder / "run.json").unlink()
    (begun.folder / "run.json.begun").write_text(json.dumps(told))
    again = resume(begun.folder).run
    assert again.finished and len(again.metrics()) == 2


# Evaluating


def test_the_sheet_shows_the_maps_own_colours_and_scores_are_those_of_generate(run, tiles, tmp_path):
    result = evaluate([run.folder], tmp_path / "e")
    shown = tiles.split("test")[0]
    assert np.array_equal(first_picture(tmp_path / "e" / "sheet.png", 64), read(shown.map_path(tiles.folder)))
    options = GenerateOptions(batch_size=8, precision="32")  # as evaluate does
    made = generate(shown.map_path(tiles.folder), tmp_path / "sat.tif", replace(options, run=run.folder))
    real = read(shown.image_path(tiles.folder)).astype(float)
    expected = np.abs(read(made.output) - real).mean()
    assert result.columns[0].scores.images[shown.id]["mae"] == pytest.approx(expected, abs=0.02)


# Generating


@pytest.mark.parametrize(("height", "width"), [(150, 233), (1, 1), (7, 300), (1100, 40)])
def test_the_image_lies_where_the_picture_lies_whatever_its_size(run, tmp_path, height, width):
    map_ = write_map(tmp_path / "map.tif", height, width)
    with (
        rasterio.open(map_) as src,
        rasterio.open(generate(map_, tmp_path / "sat.tif", GenerateOptions(run=run.folder)).output) as out,
    ):
        assert (out.height, out.width, out.count, out.dtypes[0]) == (height, width, 3, "uint8")
        assert (out.crs, out.transform) == (src.crs, src.transform)


def test_what_the_map_draws_is_visible_in_the_image(run, tmp_path):
    indices = make_indices(192, 192, 3, patch=16)
    map_ = write_raster(tmp_path / "map.tif", draw_map(indices), "EPSG:32652", PLACE)
    image = read(generate(map_, tmp_path / "sat.tif", GenerateOptions(run=run.folder)).output).astype(float)
    means = np.array([image[:, indices == index].mean(axis=1) for index in range(3)])
    # What each colour of the map stands for is nearest to its own colour of the training images.
    apart = np.abs(means[:, np.newaxis] - np.array(COLORS[:3], float)).sum(axis=2)
    assert apart.argmin(axis=1).tolist() == [0, 1, 2]


def test_a_paletted_map_is_drawn_through_its_colour_table(run, tmp_path):
    indices = make_indices(100, 130, 3, patch=16)
    maps = [
        write_raster(tmp_path / "rgb.tif", draw_map(indices), "EPSG:32652", PLACE),
        write_raster(tmp_path / "table.tif", indices, "EPSG:32652", PLACE, colormap=dict(enumerate(INKS))),
    ]
    results = [generate(map_, tmp_path / f"{map_.stem}.out.tif", GenerateOptions(run=run.folder)) for map_ in maps]
    assert np.array_equal(*(read(result.output) for result in results))
    assert [len(result.notices) for result in results] == [0, 1]


def test_what_is_transparent_or_nodata_in_the_picture_is_transparent_in_the_image(run, tmp_path):
    rgba = np.full((4, 80, 90), 255, np.uint8)
    rgba[:3] = draw_map(make_indices(80, 90, 3, patch=16))
    rgba[3, :10] = 0
    clear = write_raster(tmp_path / "a.tif", rgba, "EPSG:32652", PLACE, photometric="RGB", ALPHA="YES")
    rgba[:3, :10] = 7
    empty = write_raster(tmp_path / "n.tif", rgba[:3], "EPSG:32652", PLACE, nodata=7)
    one, other = (
        read(generate(map_, tmp_path / f"{map_.stem}.out.tif", GenerateOptions(run=run.folder)).output)
        for map_ in (clear, empty)
    )
    assert one.shape == (4, 80, 90)
    assert np.array_equal(one[3], rgba[3])
    assert np.array_equal(one, other)


def test_tiles_in_a_folder_are_the_windows(run, tmp_path):
    result = generate(write_map(tmp_path / "map.tif", 100, 120), tmp_path / "parts", GenerateOptions(run=run.folder))
    parts = sorted((tmp_path / "parts").glob("*.tif"))
    assert len(parts) == result.windows
    assert {read(part).shape[0] for part in parts} == {3}


@pytest.mark.faults  # for maps of classes it is part of make test
def test_a_killed_generate_goes_on_and_ends_in_the_same_bytes(run, tmp_path):
    map_ = write_map(tmp_path / "map.tif", 3000, 200)
    whole = generate(map_, tmp_path / "whole.tif", GenerateOptions(run=run.folder)).output
    kill_when(tmp_path, "sat.tif.part/piece-*.tif", "generate", map_, "-o", tmp_path / "sat.tif", "--run", run.folder)
    assert 0 < len(list(tmp_path.glob("sat.tif.part/piece-*.tif"))) < 6
    assert generate(map_, tmp_path / "sat.tif", GenerateOptions(run=run.folder)).made
    assert np.array_equal(read(tmp_path / "sat.tif"), read(whole))


def test_a_map_of_values_is_refused_and_nothing_is_left(run, tmp_path):
    map_ = write_raster(tmp_path / "map.tif", make_indices(80, 80, 3), "EPSG:32652", PLACE)
    with pytest.raises(RasterError, match=r"map\.tif has 1 band and no colour table.*draw it in colours"):
        generate(map_, tmp_path / "sat.tif", GenerateOptions(run=run.folder))
    assert [path.name for path in tmp_path.iterdir()] == ["map.tif"]
