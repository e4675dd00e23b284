"""Translator: a window's image depends on it alone, and what is done for speed changes nothing beyond rounding."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from makers import make_folder
from torch import nn

from sattrans.errors import OptionError
from sattrans.runs.run import load_checkpoint, under
from sattrans.runs.translator import Translator
from sattrans.tile import TileOptions, tile
from sattrans.train import TrainOptions, train

ORIGINS = [(0, 0)] * 4


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    place = make_folder(folder / "f", size=128, classes_toml=True)
    tiles = tile(place, folder / "t", options=TileOptions(size=64)).tileset
    options = TrainOptions(steps=4, batch_size=2, ema=0, monitor="l1")
    return {
        model: train(tiles.folder, folder / model, replace(options, model=model, settings={"width": 4})).run
        for model in ("pix2pix", "resse", "wgan")
    }


def plain_generator(run):
    generator = run.build_model().generator
    generator.load_state_dict(under("generator", load_checkpoint(run.checkpoint("best"), torch.device("cpu"))[0]))
    return generator


def windows(seed, count=4):
    return np.random.default_rng(seed).integers(0, 3, (count, 64, 64), dtype=np.uint8)


@pytest.mark.parametrize("precision", ["32", "bf16"])
@pytest.mark.parametrize("model", ["pix2pix", "resse", "wgan"])
def test_a_window_does_not_depend_on_its_place_in_a_batch_nor_on_the_others(runs, model, precision):
    translator = Translator(runs[model], precision=precision)
    one, others = windows(1), windows(2)
    images = translator(one, ORIGINS)
    for place in range(4):
        batch = others.copy()
        batch[place] = one[0]
        assert np.array_equal(translator(batch, ORIGINS)[place], images[0])


@pytest.mark.parametrize("model", ["pix2pix", "resse", "wgan"])
def test_it_gives_the_generators_image(runs, model):
    """Loaded, folded and laid out for speed, it is the averaged generator of the checkpoint."""
    run = runs[model]
    translator = Translator(run)
    plain = plain_generator(run).eval()
    source = translator._encode(torch.from_numpy(windows(3)), run.palette)
    with torch.no_grad():
        expected = (plain(source) + 1) * 127.5
    assert not any(isinstance(module, nn.BatchNorm2d) for module in translator.model.generator.ups.modules())
    assert np.abs(translator(windows(3), ORIGINS) - expected.numpy()).max() < 0.01


def test_statistics_of_the_tile_are_those_of_a_batch_of_one_in_training(runs):
    run = runs["pix2pix"]
    translator = Translator(run, stats="tile")
    images = translator(windows(4), ORIGINS)
    network = plain_generator(run).train()
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    for window, image in zip(windows(4), images, strict=True):
        source = translator._encode(torch.from_numpy(window[np.newaxis]), run.palette)
        with torch.no_grad():
            expected = (network(source)[0] + 1) * 127.5
        assert np.abs(image - expected.numpy()).max() < 0.05


def test_drawing_weights_is_as_it_was_afterwards(runs):
    before = vars(nn.init)["normal_"]
    Translator(runs["pix2pix"])
    assert vars(nn.init)["normal_"] is before
    assert nn.Conv2d(3, 8, 3).weight.std() > 0


@pytest.mark.parametrize(("name", "value"), [("precision", "16"), ("stats", "batch")])
def test_a_value_that_is_no_choice_is_refused(runs, name, value):
    with pytest.raises(OptionError, match=f"--{name} must be one of .*, got {value}"):
        Translator(runs["pix2pix"], **{name: value})
