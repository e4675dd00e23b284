"""Workers, commands and schedulers that are killed at random moments: what comes out is what one machine makes.

`SATTRANS_KILLS` says how many kills each kind of process has to stand.
"""

import os
import random
import time

import pytest

pytest.importorskip("distributed")

from clusters import MortalCluster
from commands import error_line, sattrans
from distributed import Client
from forks import Fork, run_fork
from generate_command import write_map
from makers import make_folder, make_indices, make_picture
from makers_tiles import cut_tiles, grid_of

from sattrans.tile import TileOptions, tile
from sattrans.train import TrainOptions, train

KILLS = int(os.environ.get("SATTRANS_KILLS", "8"))


pytestmark = pytest.mark.usefixtures("timeless")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with MortalCluster(tmp_path_factory.mktemp("cluster"), 2) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("place")
    make_folder(folder / "place", scenes=3, size=1200)
    picture = make_picture(make_indices(6000, 2000, 5))
    cut_tiles(folder / "parts", picture, grid_of(6000, 2000, 512, 400), compress="zstd", predictor=2)
    root = make_folder(folder / "small", size=128, classes_toml=True)
    tiles = tile(root, folder / "t", options=TileOptions(size=64)).tileset.folder
    train(tiles, folder / "r", TrainOptions(model="pix2pix", settings={"width": 4}, steps=1, monitor="l1"))
    write_map(folder / "map.tif", 3000, 300)
    return folder


def commands(place):
    """Each command; an output that ends in .tif is a folder of tiles to the first."""
    return (
        ["tile", place / "place", "--size", "64"],
        ["mosaic", place / "parts"],
        ["generate", place / "map.tif", "--run", place / "r"],
    )


def content(path):
    """Every file of an output, by its path; what a kill may leave is among them."""
    if path.is_file():
        return path.read_bytes()
    return {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("number", [0, 1, 2])
def test_workers_killed_at_random_moments_lose_nothing(cluster, place, tmp_path, number):
    command, chance, killed = commands(place)[number], random.Random(number), 0
    assert sattrans(*command, "-o", tmp_path / "here.tif").exit_code == 0
    length = 4.0
    while killed < KILLS:
        begun = time.monotonic()
        running = Fork(*command, "--scheduler", cluster.address, "--overwrite", "-o", tmp_path / "there.tif")
        # Two, since a worker takes longer to start than to be killed: with more, none would come to do anything.
        for moment in sorted(chance.uniform(0, length) for _ in range(2)):
            time.sleep(max(0, begun + moment - time.monotonic()))
            if running.poll() is None:
                cluster.kill_worker(chance.randrange(2))
                killed += 1
        assert running.wait() == 0, running.communicate()
        assert content(tmp_path / "there.tif") == content(tmp_path / "here.tif")
        length = max(1.0, min(length, time.monotonic() - begun))
    left = {path.name.removesuffix(".json") for path in tmp_path.iterdir()}  # generate has a record beside its image
    assert left == {"here.tif", "there.tif"}


@pytest.mark.parametrize("number", [0, 1, 2])
def test_commands_killed_at_random_moments_are_repeated_with_or_without_the_cluster(cluster, place, tmp_path, number):
    command, chance = commands(place)[number], random.Random(number)
    begun = time.monotonic()
    assert run_fork(*command, "--scheduler", cluster.address, "-o", tmp_path / "here.tif").returncode == 0
    length = time.monotonic() - begun
    output = tmp_path / "there.tif"
    for kill in range(KILLS):
        ways = ["--scheduler", cluster.address] if kill % 3 else []
        running = Fork(*command, *ways, "-o", output)
        time.sleep(chance.uniform(0, length))
        running.kill()
        running.wait()
    assert sattrans(*command, "--scheduler", cluster.address, "-o", output).exit_code == 0
    assert content(output) == content(tmp_path / "here.tif")
    with Client(cluster.address, set_as_default=False) as client:
        deadline = time.monotonic() + 30
        while client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)):
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_lost_scheduler_is_one_line_and_the_command_goes_on_without_it(place, tmp_path, number):
    command = [*commands(place)[number], "-o", tmp_path / "there.tif"]
    with MortalCluster(tmp_path, 1) as cluster:
        running = Fork(*command, "--scheduler", cluster.address)
        pieces = "there.tif/images/*" if number == 0 else "there.tif.part/piece-*"
        while not list(tmp_path.glob(pieces)):
            assert running.poll() is None, running.communicate()
            time.sleep(0.005)
        cluster.scheduler.kill()
        _, told = running.communicate()
    assert running.wait() == 1
    assert f"the Dask scheduler at {cluster.address} was lost" in error_line(told)
    assert sattrans(*command).exit_code == 0
    assert sattrans(*commands(place)[number], "-o", tmp_path / "here.tif").exit_code == 0
    assert content(tmp_path / "there.tif") == content(tmp_path / "here.tif")


def test_a_scheduler_that_does_not_answer_ends_the_command_within_ten_seconds(place, tmp_path):
    begun = time.monotonic()
    done = run_fork("mosaic", place / "parts", "-o", tmp_path / "m.tif", "--scheduler", "tcp://127.0.0.1:9")
    assert time.monotonic() - begun < 10
    assert done.returncode == 2
    assert "no Dask scheduler answers there" in error_line(done.stderr)
