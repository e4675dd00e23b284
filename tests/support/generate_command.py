"""`sattrans generate` as a user runs it, on maps of three classes and a run of one step."""

import numpy as np
import pytest
from affine import Affine
from commands import error_line
from makers import make_folder, make_indices, write_raster
from typer.testing import CliRunner

from sattrans.cli import app
from sattrans.runs.run import Run
from sattrans.tile import TileOptions, tile
from sattrans.train import TrainOptions, train

PLACE = Affine(10, 0, 411_000, 0, -10, 3_900_000)


VALUES = np.array([10, 30, 50], np.uint8)


QUICK = {"width": 1}, TrainOptions(steps=1)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    """A run of classes 10, 30 and 50, at 10 m a pixel."""
    folder = tmp_path_factory.mktemp("run")
    root = make_folder(folder / "f", size=128, classes_toml=True)
    tileset = tile(root, folder / "t", options=TileOptions(size=64)).tileset
    return train(tileset.folder, "pix2pix", *QUICK, output=folder / "classes").run


def generate(run, *arguments):
    return CliRunner().invoke(app, ["generate", *map(str, arguments), "--run", str(run.folder)])


def made(run, *arguments):
    """Run a command that has to succeed; return its notes."""
    result = generate(run, *arguments)
    assert result.exit_code == 0, result.output
    return [line.removeprefix("note: ") for line in result.stderr.splitlines() if line.startswith("note: ")]


def refused(run, code, *arguments):
    result = generate(run, *arguments)
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    return error_line(result.stderr)


def write_map(path, height=90, width=120, metres=10.0, **how):
    place = PLACE @ Affine.scale(metres / 10)
    return write_raster(path, VALUES[make_indices(height, width, 3)], "EPSG:32652", place, **how)


RULES = """background = "class10"
[[rule]]
class = "class30"
where = { kind = "wood" }
[[rule]]
class = "class50"
where = { kind = "house" }
"""
