"""tile and mosaic on a Dask cluster: two workers against one, the engine against threads, the scheduler's memory.

The workers run before the clock starts, and the commands are functions of this process, so that what is compared is the
work and the handing out. CPU seconds are those of all processes: other work on the machine hardly changes them. The
bars are goals, printed beside what was reached; nothing fails that is slow.
`SATTRANS_BENCH_SCALE=8 make bench` divides the sides of the scenes by eight, for a quick try.
"""

import os
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
from affine import Affine
from clusters import MortalCluster, double
from makers import make_indices, make_picture, write_raster
from rounds import medians, timed
from tile_scenes import Texture, make_scenes

from sattrans.mosaic import MosaicOptions, mosaic
from sattrans.tile import TileOptions, tile
from sattrans.utils.atomic import remove
from sattrans.utils.executor import executor

SCALE = int(os.environ.get("SATTRANS_BENCH_SCALE", "1"))
SCENES, HEIGHT, WIDTH = 4, 4750 // SCALE, 4500 // SCALE
SIZE, STEP, SIDE = 512, 448, 10_000 // SCALE
TURNS = 3

ONE, TWO, THREADS = "1 worker", "2 workers", "2 threads"
SPEEDUP, OVERHEAD = 1.6, 0.10
FEW, MANY, GROWTH = 1_000, 20_000, 0.10
"""Numbers of tiny units, and how far the scheduler's memory may differ between them."""


@pytest.fixture(scope="module")
def ways(workplace):
    """Return how each contestant is told to run, and the ids of its processes besides this one."""
    with ExitStack() as stack:
        clusters = []
        for count in (1, 2):
            (workplace / str(count)).mkdir()
            clusters.append(stack.enter_context(MortalCluster(workplace / str(count), count)))
        one, two = (({"scheduler": cluster.address}, cluster.pids) for cluster in clusters)
        yield {ONE: one, TWO: two, THREADS: ({"workers": 2}, [])}


def cpu_seconds(pids):
    times = [psutil.Process(pid).cpu_times() for pid in (*pids, os.getpid())]
    return sum(time.user + time.system for time in times)


def compare(name, turns, ways):
    taken = medians(turns, TURNS)
    spent = {}
    for way, turn in turns.items():
        before = cpu_seconds(ways[way][1])
        turn()
        spent[way] = cpu_seconds(ways[way][1]) - before
    more = spent[TWO] / spent[THREADS] - 1
    print(f"{name}: CPU " + ", ".join(f"{way} {seconds:.2f} s" for way, seconds in spent.items()) + f", {more:+.0%}")
    speedup, overhead = taken[ONE] / taken[TWO], taken[TWO] / taken[THREADS] - 1
    print(f"{name}: " + ", ".join(f"{way} {seconds:.2f} s" for way, seconds in taken.items()))
    print(f"{name}: two workers against one {speedup:.2f} x (bar {SPEEDUP})")
    print(f"{name}: two workers against two threads {overhead:+.0%} (bar {OVERHEAD:+.0%})")


def run(command, output, *arguments):
    remove(output)
    os.sync()  # what others wrote would reach the disk in this one's time
    return timed(partial(command, *arguments))()


def test_tile(workplace, ways):
    root, output = workplace / "landcover", workplace / "t"
    make_scenes(root, Texture.make(), SCENES, HEIGHT, WIDTH)
    turns = {
        way: partial(run, tile, output, root, output, TileOptions(size=SIZE, **how)) for way, (how, _) in ways.items()
    }
    compare("tile", turns, ways)


def test_mosaic(workplace, ways):
    place = Affine(0.25, 0, 500_000, 0, -0.25, 600_000)
    picture = make_picture(make_indices(SIZE, SIZE, 5))
    tiles, output = workplace / "tiles", workplace / "m.tif"
    for row in range(0, SIDE, STEP):
        for col in range(0, SIDE, STEP):
            path, where = tiles / f"{row:05d}_{col:05d}.tif", place @ Affine.translation(col, row)
            pixels = np.roll(picture, (row + col) // 64, axis=2)
            write_raster(path, pixels, "EPSG:2180", where, compress="zstd", predictor=2)
    turns = {way: partial(run, mosaic, output, tiles, output, MosaicOptions(**how)) for way, (how, _) in ways.items()}
    compare("mosaic", turns, ways)


def test_memory_of_the_scheduler(workplace: Path):
    peaks = []
    for count in (FEW, MANY // SCALE):
        (workplace / f"memory-{count}").mkdir()
        with MortalCluster(workplace / f"memory-{count}", 2) as cluster:
            scheduler, peak = psutil.Process(cluster.scheduler.pid), 0
            with executor(scheduler=cluster.address) as pool:
                for done, _ in enumerate(pool.as_done(double, range(count))):
                    if done % 100 == 0:
                        peak = max(peak, scheduler.memory_info().rss)
            peaks.append(max(peak, scheduler.memory_info().rss))
    print(
        f"scheduler: {peaks[0] / 1e6:.0f} MB with {FEW} units, {peaks[1] / 1e6:.0f} MB with {MANY // SCALE}, "
        f"{peaks[1] / peaks[0] - 1:+.0%} (bar {GROWTH:+.0%})"
    )
