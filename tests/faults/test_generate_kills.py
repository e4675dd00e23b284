"""Killed at random moments, generate ends with the image of an uninterrupted run: pixels, tags, overviews.

`SATTRANS_KILLS` says how many kills it has to stand.
"""

import os
import random
import subprocess
import sys
import time

import numpy as np
import pytest
import rasterio
from affine import Affine
from makers import make_folder, make_indices, write_raster

from sattrans.tile import TileOptions, tile
from sattrans.train import TrainOptions, train

KILLS = int(os.environ.get("SATTRANS_KILLS", "4"))
VALUES = np.array([10, 30, 50], np.uint8)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    root = make_folder(folder / "f", size=128, classes_toml=True)
    tileset = tile(root, folder / "t", options=TileOptions(size=64)).tileset
    return train(
        tileset.folder, folder / "r", TrainOptions(model="pix2pix", settings={"width": 4}, steps=4, monitor="l1")
    ).run


def contents(path):
    """All that is in a GeoTIFF: the pixels of each level, tags, place."""
    with rasterio.open(path) as src:
        levels = [src.read()]
        factors = src.overviews(1)
        about = src.tags(), src.crs, src.transform, src.colorinterp, factors
    for level in range(len(factors)):
        with rasterio.open(path, overview_level=level) as src:
            levels.append(src.read())
    return levels, about


@pytest.mark.parametrize("update", [False, True])
def test_generate_survives_kills_at_random_moments(run, tmp_path, update):
    height, width = 2100, 1900
    values = VALUES[make_indices(height, width, 3)]
    values[:50, :70] = 255
    map_ = tmp_path / "map.tif"
    place = Affine(10, 0, 411_000, 0, -10, 3_900_000)
    write_raster(map_, values, "EPSG:32652", place, nodata=255)
    command = [sys.executable, "-m", "sattrans", "generate", map_, "--run", run.folder, "--batch-size", "8", "-o"]
    if update:
        subprocess.run([*command, tmp_path / "before.tif"], check=True, capture_output=True)
        values[600:1500, 300:1200] = 30
        write_raster(map_, values, "EPSG:32652", place, nodata=255)
        command[-1:] = ["--update", tmp_path / "before.tif", "-o"]
    begun = time.monotonic()
    subprocess.run([*command, tmp_path / "whole.tif"], check=True, capture_output=True)
    length = time.monotonic() - begun
    output, chance = tmp_path / "out" / "sat.tif", random.Random(update)
    output.parent.mkdir()
    for _ in range(KILLS):
        process = subprocess.Popen([*command, output], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(chance.uniform(0.3, 1.02) * length)
        process.kill()
        _, told = process.communicate()
        assert process.returncode in (0, -9), told
        if output.exists():  # there, and so whole: compared, and begun anew
            assert_equal(output, tmp_path / "whole.tif")
            for path in [*output.parent.glob("*.tif*")]:
                if path.is_file():
                    path.unlink()
    subprocess.run([*command, output], check=True, capture_output=True)
    assert_equal(output, tmp_path / "whole.tif")
    record = (tmp_path / "out" / "sat.tif.json").read_bytes()
    assert record == (tmp_path / "whole.tif.json").read_bytes()
    assert sorted(path.name for path in output.parent.iterdir()) == ["sat.tif", "sat.tif.json"]


def assert_equal(one, other):
    (levels, about), (others, about_other) = contents(one), contents(other)
    assert about == about_other
    for mine, theirs in zip(levels, others, strict=True):
        assert np.array_equal(mine, theirs)
