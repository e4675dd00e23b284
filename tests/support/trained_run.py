"""A run that knows what its three classes look like, and maps of them."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from makers import make_folder, make_indices, write_raster

from sattrans.runs.run import Run
from sattrans.tile import TileOptions, tile
from sattrans.train import TrainOptions, train

PLACE = Affine(10, 0, 411_000, 0, -10, 3_900_000)


VALUES = np.array([10, 30, 50], np.uint8)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    """A run that knows what its three classes look like."""
    folder = tmp_path_factory.mktemp("run")
    root = make_folder(folder / "f", size=256, classes_toml=True)
    tileset = tile(root, folder / "t", options=TileOptions(size=64)).tileset
    options = TrainOptions(epochs=25, batch_size=4, ema=0.9)
    return train(tileset.folder, "pix2pix", {"width": 8, "source": "onehot"}, options, output=folder / "r").run


def write_map(path, height, width, seed=1, **how):
    return write_raster(path, VALUES[make_indices(height, width, 3, seed)], "EPSG:32652", PLACE, **how)


def read(path):
    with rasterio.open(path) as src:
        return src.read()
