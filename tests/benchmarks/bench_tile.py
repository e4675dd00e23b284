"""tile against LandCover.ai's own way with OpenCV, against the bare floor, and where its time and memory go.

Four scenes of LandCover.ai's size (`tile_scenes`), each tool as a process of its own, medians of rounds in one run.
The bars are goals, printed beside what was reached; nothing fails that is slow.
`SATTRANS_BENCH_SCALE=8 make bench` divides the sides of the scenes by eight, for a quick try.
"""

import hashlib
import os
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from rounds import median_seconds
from tile_scenes import Texture, make_scenes

from sattrans.demo.landscape import PALETTE
from sattrans.raster.bands import read_image
from sattrans.raster.class_map import class_map
from sattrans.raster.open import open_raster
from sattrans.raster.tile_formats import FORMATS
from sattrans.raster.window import Window
from sattrans.utils.atomic import remove

SCALE = int(os.environ.get("SATTRANS_BENCH_SCALE", "1"))
SCENES, HEIGHT, WIDTH = 4, 9500 // SCALE, 9000 // SCALE
SIZE = 512
HERE = Path(__file__).parent

PEER, FLOOR = "OpenCV, the dataset's way", "bare floor, 2 threads"
ONE, TWO, JPG = "tile --workers 1", "tile --workers 2", "tile --format jpg"
BARS = {"tile": 1.0, JPG: 0.6}
"""The most that may be taken of the peer's time."""

SPEEDUP, MEMORY, GROWTH = 1.7, 500e6, 0.10
"""Two workers against one; bytes; how far the memory for a scene four times as high may differ."""


@pytest.fixture(scope="module")
def texture():
    return Texture.make()


@pytest.fixture(scope="module")
def scenes(workplace, texture):
    make_scenes(workplace / "scenes", texture, SCENES, HEIGHT, WIDTH)
    return workplace / "scenes"


def tile(root, output, *options):
    return [sys.executable, "-m", "sattrans", "tile", str(root), "--size", str(SIZE), "-o", str(output), *options]


def script(name, root, output):
    return [sys.executable, str(HERE / name), str(root), str(output)], output


def reached(bar, met):
    return f"{bar}: {'reached' if met else 'missed'}"


def refused(command, output):
    """Say whether the command line is not understood."""
    code = subprocess.run(command, capture_output=True).returncode
    remove(output)
    return code == 2


def test_tile_against_opencv(scenes, workplace):
    contestants = {PEER: script("tile_with_opencv.py", scenes, workplace / "opencv")}
    for name in ("tile", ONE, TWO, JPG):
        output = workplace / name.replace(" ", "")
        contestants[name] = (tile(scenes, output, *name.split()[1:]), output)
    contestants[FLOOR] = script("tile_bare.py", scenes, workplace / "bare")
    if refused(*contestants[JPG]):
        del contestants[JPG]
        print(f"\n{JPG} is left out: this version has no such option", end="")
    seconds = median_seconds(contestants)
    megabytes = SCENES * HEIGHT * WIDTH * 4 / 1e6
    print(f"\n{SCENES} scenes of {WIDTH} wide × {HEIGHT} high, {os.cpu_count()} cores, OpenCV", end=" ")
    print(version("opencv-python-headless"))
    print(f"{'':28}{'median':>9}{'to OpenCV':>11}{'of source':>12}  bar")
    for name, taken in seconds.items():
        ratio = taken / seconds[PEER]
        bar = reached(f"≤ {BARS[name]:.1f} ×", ratio <= BARS[name]) if name in BARS else ""
        print(f"{name:28}{taken:7.2f} s{ratio:9.2f} ×{megabytes / taken:7.0f} MB/s  {bar}".rstrip())
    speedup = seconds[ONE] / seconds[TWO]
    print(f"two workers against one: {speedup:.2f} × as fast, {reached(f'≥ {SPEEDUP} ×', speedup >= SPEEDUP)}")
    print(f"tile with two workers takes {seconds[TWO] / seconds[FLOOR]:.2f} × what the bare floor takes")


def peak_bytes(workplace, texture, height):
    """Return the most memory that `tile` takes for one scene so high (see `peak_memory`)."""
    root, output = workplace / "one", workplace / "one-tiles"
    make_scenes(root, texture, 1, height, WIDTH)
    command = [sys.executable, str(HERE / "peak_memory.py"), *tile(root, output)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    remove(root)
    remove(output)
    return int(said.split()[-1])


def test_memory_of_tile(workplace, texture):
    one, four = (peak_bytes(workplace, texture, times * HEIGHT) for times in (1, 4))
    change = four / one - 1
    print(f"\npeak memory of tile, one scene of {WIDTH} wide × {HEIGHT} high: {one / 1e6:.0f} MB,", end=" ")
    print(reached(f"≤ {MEMORY / 1e6:.0f} MB", one <= MEMORY))
    print(f"one four times as high: {four / 1e6:.0f} MB, {change:+.1%},", end=" ")
    print(reached(f"±{GROWTH:.0%}", abs(change) <= GROWTH))


class Stopwatch:
    """How many seconds each part of the work took in all."""

    def __init__(self):
        self.seconds = defaultdict(float)

    @contextmanager
    def __call__(self, part):
        begun = time.perf_counter()
        yield
        self.seconds[part] += time.perf_counter() - begun


def cut_by_parts(scenes, folder, watch):
    """Do tile's work on one scene part by part, and what else it could write; return the number of tiles."""
    image_path, map_path = (min((scenes / name).glob("*.tif")) for name in ("images", "masks"))
    tiles = 0
    for top in range(0, HEIGHT - SIZE + 1, SIZE):
        row = Window(top, 0, SIZE, WIDTH)
        with watch("read image"), open_raster(image_path) as image:
            rgb, where = read_image(image, row, (1, 2, 3))[0], image.georeference
        with watch("instead: read image, pixel by pixel"), open_raster(image_path) as image:
            mixed, _ = read_image(image, row, (1, 2, 3), interleaved=True)
        with watch("read map"), open_raster(map_path) as map_:
            indices = class_map(map_, PALETTE, "values").read(row)
        for left in range(0, WIDTH - SIZE + 1, SIZE):
            pixels, part = rgb[:, :, left : left + SIZE], indices[:, left : left + SIZE]
            at = where.at(Window(top, left, SIZE, SIZE))
            with watch("count classes, take their values"):
                [np.count_nonzero(part == index) for index in range(len(PALETTE))]
                values = PALETTE.to_values(part)
            with watch("encode image, GeoTIFF"):
                files = [FORMATS["tif"].encode_image(pixels, at)]
            with watch("encode map, GeoTIFF"):
                files.append(FORMATS["tif"].encode_class_map(values, at, PALETTE, False))
            with watch("write both files"):
                for number, data in enumerate(files):
                    (folder / f"{tiles}_{number}.tif").write_bytes(data)
            with watch("SHA-256 of both"):
                for data in files:
                    hashlib.sha256(data).hexdigest()
            with watch("instead: encode image, JPEG 95"):
                FORMATS["jpg"].encode_image(mixed[:, :, left : left + SIZE], at)
            with watch("instead: encode map, PNG"):
                FORMATS["jpg"].encode_class_map(values, at, PALETTE, False)
            tiles += 1
    with watch("flush to the disk"):
        os.sync()
    return tiles


def test_parts_of_tile(scenes, workplace):
    folder = workplace / "parts"
    for _ in range(2):  # the first fills the page cache, and GDAL's tables
        folder.mkdir()
        os.sync()
        watch = Stopwatch()
        tiles = cut_by_parts(scenes, folder, watch)
        remove(folder)
    together = sum(taken for part, taken in watch.seconds.items() if not part.startswith("instead"))
    print(f"\nparts of tile, in one thread, means of {tiles} tiles: {together / tiles * 1e3:.2f} ms")
    for part, taken in watch.seconds.items():
        print(f"{part:36}{taken / tiles * 1e3:6.2f} ms")
