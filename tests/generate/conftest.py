"""The run that tests of generate share."""

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
