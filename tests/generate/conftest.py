"""The runs that tests of generate share."""

import json
from dataclasses import replace

import pytest
from makers import make_folder

from sattrans.runs.run import Run
from sattrans.tile import TileOptions, tile
from sattrans.train import TrainOptions, train


def _train(folder):
    root = make_folder(folder / "f", size=256, classes_toml=True)
    tileset = tile(root, folder / "t", options=TileOptions(size=64)).tileset
    options = TrainOptions(epochs=8, batch_size=4, ema=0.9, monitor="l1")
    train(
        tileset.folder,
        folder / "r",
        replace(options, model="pix2pix", settings={"width": 4, "source": "onehot", "lr": 2e-3}),
    )


@pytest.fixture(scope="session")
def run(shared) -> Run:
    """A run of classes 10, 30 and 50 at 10 m a pixel, which knows what they look like."""
    return Run.open(shared("generate", _train) / "r")


def _train_styled(folder):
    root = make_folder(folder / "f", scenes=3, size=128, classes_toml=True)
    tileset = tile(root, folder / "t", options=TileOptions(size=64)).tileset
    own = {"width": 8, "head_width": 8}
    options = TrainOptions(model="projected", settings=own, steps=1, batch_size=1, monitor="l1", ema=0)
    run = train(tileset.folder, folder / "r", options).run
    # Scenes that differ in their classes: the made ones have the same shares.
    body = json.loads((run.folder / "run.json").read_text())
    body["spec"]["shares"] = [[0.8, 0.1, 0.1], [0.1, 0.1, 0.8], [0.1, 0.8, 0.1]][: len(body["spec"]["scenes"])]
    (run.folder / "run.json").write_text(json.dumps(body))


@pytest.fixture(scope="session")
def styled(shared) -> Run:
    """A run of `projected`, hardly trained, whose scenes have different classes."""
    return Run.open(shared("styled", _train_styled) / "r")
