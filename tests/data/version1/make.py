"""Make this folder's files with the sattrans that its README names: `python make.py NEW_FOLDER`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

TIME = 1_700_000_000
"""Seconds since 1970: when every file was changed, and what every manifest says of its beginning."""

CRS = "EPSG:3877"
VALUES = np.array([1, 2, 5], np.uint8)
COLORS = np.array([[60, 110, 50], [40, 80, 160], [170, 90, 80]])
CLASSES = """\
[forest]
value = 1
color = [60, 110, 50]

[water]
value = 2
color = [40, 80, 160]

[building]
value = 5
color = [170, 90, 80]
"""

TILE = [
    "--size",
    "64",
    "--overlap",
    "16",
    "--edge",
    "shift",
    "--res",
    "1",
    "--bounds",
    "23500000,6699800,23500250,6700000",
]
TILE += ["--min-share", "water=0.28", "--seed", "3"]
TILE += ["--split", "random", "--fractions", "0.5,0.25,0.25"]
TRAIN = ["train", "--model", "pix2pix", "--set", "width=1", "--ema", "0.9", "--device", "cpu"]
GENERATE = ["--run", "runs/finished", "--overlap", "16", "--seed", "7", "--precision", "32", "--device", "cpu"]

DIE = """
import os, sys
import {module} as module
from sattrans.cli import main

def dies(function, calls=[]):
    def called(*arguments, **options):
        result = function(*arguments, **options)
        calls.append(result)
        if len(calls) == {count}:
            os._exit(9)
        return result
    return called

module.{name} = dies(module.{name})
main()
"""
"""A command that is gone, as if it had been killed, as soon as a function has returned for the `count`th time."""


def sattrans(*arguments: str) -> None:
    """Run a command to its end."""
    subprocess.run([sys.executable, "-m", "sattrans", *arguments], check=True)
    set_times()


def killed(module: str, name: str, count: int, *arguments: str) -> None:
    """Run a command that does not come to its end; its lock, which names this machine, is removed."""
    code = DIE.format(module=module, name=name, count=count)
    assert subprocess.run([sys.executable, "-c", code, *arguments], check=False).returncode == 9
    for path in Path().rglob(".*.lock"):
        path.unlink()
    set_times()


def set_times() -> None:
    """Set when files were last changed: manifests record that of their inputs."""
    for path in Path().rglob("*"):
        os.utime(path, (TIME, TIME))


def write(path: Path, pixels: np.ndarray, east: float, side: float) -> None:
    """Write a GeoTIFF: `pixels` (bands, H, W), its upper left corner `east` metres from the meridian."""
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"driver": "GTiff", "dtype": "uint8", "compress": "deflate", "crs": CRS}
    profile["transform"] = Affine(side, 0, 23_500_000 + east, 0, -side, 6_700_000)
    with rasterio.open(path, "w", **profile, count=len(pixels), height=pixels.shape[1], width=pixels.shape[2]) as dst:
        dst.write(pixels)


def classes(height: int, width: int, seed: int) -> np.ndarray:
    """Return class indices (H, W): squares of 16 px."""
    squares = np.random.default_rng(seed).integers(0, 3, (-(-height // 16), -(-width // 16)))
    return np.kron(squares, np.ones((16, 16), int))[:height, :width]


def make() -> None:
    """Make everything, in the current folder."""
    for number, name in enumerate(("west", "east")):
        indices = classes(272, 272, seed=number)
        noise = 8 * np.random.default_rng(number).integers(-1, 2, (272, 272, 1))
        image = (COLORS[indices] + noise).astype(np.uint8).transpose(2, 0, 1)
        write(Path(f"dataset/images/{name}.tif"), image, 140 * number, 0.5)
        write(Path(f"dataset/masks/{name}.tif"), VALUES[indices][np.newaxis], 140 * number, 0.5)
    Path("dataset/classes.toml").write_text(CLASSES)
    write(Path("map.tif"), VALUES[classes(100, 130, seed=5)][np.newaxis], 300, 1)
    write(Path("tall.tif"), VALUES[classes(530, 64, seed=6)][np.newaxis], 300, 1)
    set_times()
    sattrans("tile", "dataset", *TILE, "-o", "tiles/finished")
    # The journal's first lines are the hashes of image and map, and two rows of tiles.
    killed("sattrans.tiling.journal", "_line", 5, "tile", "dataset", *TILE, "--workers", "1", "-o", "tiles/unfinished")
    sattrans(*TRAIN, "--data", "tiles/finished", "--epochs", "2", "-o", "runs/finished")
    unfinished = ["--data", "tiles/finished", "--epochs", "3", "-o", "runs/unfinished"]
    killed("sattrans.training.loop", "save_last", 1, *TRAIN, *unfinished)
    sattrans("generate", "map.tif", *GENERATE, "-o", "sat.tif")
    sattrans("generate", "map.tif", *GENERATE, "-o", "parts")
    killed("sattrans.raster.rows", "RowWriter.write", 1, "generate", "tall.tif", *GENERATE, "-o", "tall-sat.tif")
    sattrans("mosaic", "parts", "--blend", "mean", "--bounds", "23500300,6699910,23500420,6700000", "-o", "mosaic.tif")
    sattrans("evaluate", "runs/finished", "--metrics", "mae,ssim", "--device", "cpu", "-o", "evaluation")


def main() -> None:
    """Make everything; then drop what is large or names this machine, and write `@ROOT@` for the folder."""
    folder = Path(sys.argv[1]).resolve()
    os.environ["SOURCE_DATE_EPOCH"] = str(TIME)
    folder.mkdir(parents=True)
    os.chdir(folder)
    make()
    for pattern in ("runs/*/tensorboard", "runs/*/samples", "runs/*/*.png", "evaluation/*.html", "evaluation/*.png"):
        for path in folder.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in folder.rglob("*"):
        if path.is_file() and str(folder).encode() in path.read_bytes():
            path.write_bytes(path.read_bytes().replace(str(folder).encode(), b"@ROOT@"))


if __name__ == "__main__":
    main()
