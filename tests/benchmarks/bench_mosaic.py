"""mosaic against `rio merge`: the same 306 tiles of 512 px to one GeoTIFF, ratio of medians; and its memory."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from makers import make_indices, make_picture, write_raster
from rounds import median_seconds, peak_memory

SIZE, STEP, ROWS, COLS = 512, 448, 18, 17


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mosaic") / "tiles"
    place = Affine(0.25, 0, 500_000, 0, -0.25, 600_000)
    picture = make_picture(make_indices(SIZE, SIZE, 5))
    for row in range(ROWS):
        for col in range(COLS):
            pixels = np.roll(picture, 7 * (row + col), axis=2)
            where = place @ Affine.translation(col * STEP, row * STEP)
            write_raster(
                folder / f"t_{row:02d}_{col:02d}.tif", pixels, "EPSG:2180", where, compress="zstd", predictor=2
            )
    return folder


def test_mosaic_against_rio_merge(tiles, tmp_path):
    tif = ["--co", "compress=zstd", "--co", "zstd_level=1", "--co", "predictor=2", "--co", "tiled=yes"]
    tif += ["--co", "blockxsize=512", "--co", "blockysize=512"]
    merged = tmp_path / "merged.tif"
    rio = [str(Path(sys.executable).with_name("rio")), "merge", *map(str, sorted(tiles.glob("*.tif"))), str(merged)]
    contestants = {"rio merge": ([*rio, *tif], merged)}
    for blend in ("first", "feather"):
        output = tmp_path / f"{blend}.tif"
        command = [sys.executable, "-m", "sattrans", "mosaic", str(tiles), "-o", str(output), "--method", blend]
        contestants[f"mosaic --method {blend}"] = (command, output)
    seconds = median_seconds(contestants)
    peer = seconds.pop("rio merge")
    for name, ours in seconds.items():
        print(f"{name}: {ours:.2f} s (a COG with overviews), rio merge {peer:.2f} s, {peer / ours:.2f} x")


def test_memory_of_a_large_mosaic(tmp_path):
    """40,000 px square, of tiles of 4,096 px that overlap; the peak of a process."""
    side, size, step = int(os.environ.get("SATTRANS_SIDE", "40000")), 4096, 3990
    place = Affine(0.25, 0, 500_000, 0, -0.25, 600_000)
    picture = np.tile(make_picture(make_indices(512, 512, 5)), (1, 8, 8))
    for row in range(0, side - step // 2, step):
        for col in range(0, side - step // 2, step):
            high, wide = min(size, side - row), min(size, side - col)
            path, where = tmp_path / "tiles" / f"{row}-{col}.tif", place @ Affine.translation(col, row)
            write_raster(path, picture[:, :high, :wide], "EPSG:2180", where, compress="zstd", predictor=2, tiled=True)
    for blend in ("first", "feather"):
        command = [sys.executable, "-m", "sattrans", "mosaic", tmp_path / "tiles", "-o", tmp_path / "m.tif"]
        peak = peak_memory([*command, "--method", blend, "--overwrite"])
        print(f"mosaic --method {blend}, {side}²: peak memory {peak / 1e6:.0f} MB (limit 500 MB)")
