"""Real imagery and masks: Sentinel-2 in odd band order, a drone orthophoto, LandCover.ai masks with odd georeference.

The data is not part of the project. It is looked for in `SATTRANS_DATA`, or in `../shared/data`; without it these
tests are skipped.
"""

import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from makers import make_landcover
from mapped import opened

from sattrans.generate import GenerateOptions, generate
from sattrans.tile import TileOptions, tile
from sattrans.train import TrainOptions, train

DATA = Path(os.environ.get("SATTRANS_DATA", Path(__file__).parents[3] / "shared" / "data"))
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no real data in {DATA}")


def test_korea_from_tiles_to_an_image(tmp_path):
    result = tile(DATA / "korea_s2", tmp_path / "t", options=TileOptions(size=256, bidx=(3, 2, 1)))
    assert len(result.tileset.tiles) == 80
    assert result.tileset.palette.values == (10, 30, 50, 70, 100)
    first = result.tileset.tiles[0]
    with (
        rasterio.open(first.image_path(tmp_path / "t")) as cut,
        rasterio.open(DATA / "korea_s2" / "images" / f"{first.scene}.tif") as scene,
    ):
        assert np.array_equal(cut.read(), scene.read([3, 2, 1])[:, *first.window.slices])
    options = TrainOptions(steps=30, batch_size=2, ema=0.9, monitor="l1")
    settings = {"width": 4, "source": "onehot", "lr": 2e-3}
    run = train(tmp_path / "t", tmp_path / "r", replace(options, model="pix2pix", settings=settings)).run
    mask = DATA / "korea_s2" / "masks" / "202309_patchN_3.tif"
    out = generate(mask, tmp_path / "sat.tif", GenerateOptions(run=run.folder)).output
    with rasterio.open(out) as image, rasterio.open(mask) as map_:
        assert (image.crs, image.transform) == (map_.crs, map_.transform)
        pixels, classes = image.read().astype(float), map_.read(1)
    # Forest is darker than cropland in every band of these scenes' red: the classes are to be seen.
    forest, crops = pixels[0, classes == 70].mean(), pixels[0, classes == 50].mean()
    assert forest < crops


def test_banepa_is_one_scene_and_so_is_split_by_blocks(tmp_path):
    result = tile(DATA / "banepa", tmp_path / "t", options=TileOptions(size=256))
    assert len(result.tileset.tiles) == 192
    assert result.tileset.manifest["options"]["split"] == "block"
    assert all(result.tileset.split(split) for split in ("train", "val", "test"))
    assert "3857" in next(iter(result.tileset.scenes.values())).georeference.crs


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with LandCover.ai's classes."""
    folder = tmp_path_factory.mktemp("run")
    root = make_landcover(folder / "landcover", height=1100, width=1100)
    tile(root, folder / "t", options=TileOptions(size=64))
    return train(
        folder / "t",
        folder / "r",
        TrainOptions(model="pix2pix", settings={"width": 2}, steps=2, batch_size=4, monitor="l1"),
    ).run


@pytest.mark.faults
def test_a_landcoverai_mask_keeps_its_unusual_crs_in_bounded_memory(run, tmp_path):
    mask = DATA / "landcoverai" / "masks" / "N-33-60-D-c-4-2.tif"
    command = [sys.executable, "-m", "sattrans", "generate", mask, "-o", tmp_path / "sat.tif", "--run", run.folder]
    native = ["--res", "native"]  # the run was trained at a quarter of a metre, the mask has half a metre
    subprocess.run([*command, *native, "--overlap", "0", "--batch-size", "16"], check=True, capture_output=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    assert peak < 1500, f"{peak:.0f} MiB"
    with rasterio.open(tmp_path / "sat.tif") as image, rasterio.open(mask) as map_:
        assert (image.width, image.height) == (4136, 4701)
        assert image.transform == map_.transform
        assert image.crs == map_.crs
        assert image.overviews(1)


@pytest.mark.parametrize("metres", [0.25, 1.0])
def test_a_landcoverai_mask_keeps_its_classes_at_another_resolution(metres):
    mask = DATA / "landcoverai" / "masks" / "N-33-60-D-c-4-2.tif"
    native, _ = opened(mask)
    pixels, told = opened(mask, (metres, metres))
    assert pixels.shape == tuple(int(side * 0.5 / metres) for side in native.shape)
    shares = [np.bincount(map_.ravel(), minlength=5) / map_.size for map_ in (native, pixels)]
    assert np.abs(shares[0] - shares[1]).max() < 1e-3
    assert not told.has_nodata


def test_the_buildings_of_banepa_are_as_large_at_the_resolution_of_another_run():
    """Its Web Mercator stretches the ground by an eighth: half a metre there is 3.8 of its pixels, not 3.3."""
    mask = DATA / "banepa" / "masks" / "banepa_train_6x8.tif"
    native, _ = opened(mask)
    pixels, _ = opened(mask, (0.5, 0.5))
    assert (native == 1).sum() * 0.1324 * 0.1317 == pytest.approx((pixels == 1).sum() * 0.25, rel=0.01)


@pytest.mark.faults
def test_three_equal_bands_without_a_crs_are_taken_with_a_notice(run, tmp_path):
    mask = DATA / "landcoverai" / "masks" / "N-34-97-D-c-2-4.tif"
    options = GenerateOptions(overlap="0", batch_size=16)
    result = generate(mask, tmp_path / "sat.tif", replace(options, run=run.folder))
    assert (result.width, result.height) == (4230, 4672)
    assert any("three bands are equal" in notice for notice in result.notices)
