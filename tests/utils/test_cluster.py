"""Work on a Dask cluster of real processes: results, errors, workers that die or do not fit, and what stays behind."""

import shutil
import signal
import socket
import sys
import time

import pytest

pytest.importorskip("distributed")

from clusters import (
    blind_to,
    die,
    die_once,
    double,
    fail_from_two,
    other_distribution,
    slow_first,
    wait_long,
    worker,
)
from commands import error_line, sattrans
from distributed import Client
from forks import Fork
from makers import make_folder, make_indices, make_picture
from makers_tiles import cut_tiles, grid_of

from sattrans.errors import OptionError, SattransError
from sattrans.mosaic import MosaicOptions, mosaic
from sattrans.tile import TileOptions, tile
from sattrans.utils import cluster as cluster_module
from sattrans.utils.executor import executor

pytestmark = pytest.mark.usefixtures("timeless")


@pytest.fixture
def client(cluster):
    with Client(cluster, set_as_default=False) as client:
        yield client


def tasks_of(client):
    return client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))


def tree(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_results_come_as_they_are_done_and_map_keeps_their_order(cluster):
    with executor(scheduler=cluster) as pool:
        came = list(pool.as_done(slow_first, range(4)))
        assert sorted(came) == [(n, n) for n in range(4)]
        assert came[0] != (0, 0)
        assert list(pool.map(slow_first, range(4))) == [0, 1, 2, 3]
        assert list(pool.map(pow, range(4), [2] * 4)) == [0, 1, 4, 9]


def test_the_first_error_in_the_order_of_the_items_is_raised_and_no_task_stays(cluster, client):
    with executor(scheduler=cluster) as pool, pytest.raises(ValueError, match="number 2 cannot be done"):
        list(pool.as_done(fail_from_two, range(100)))
    assert tasks_of(client) == 0


def test_only_a_few_units_are_handed_out_at_a_time(cluster, monkeypatch):
    monkeypatch.setattr(cluster_module, "LEAST_AHEAD", 8)
    taken = []
    with executor(scheduler=cluster) as pool:
        items = (taken.append(n) or n for n in range(60))
        for count, _ in enumerate(pool.as_done(double, items)):
            assert len(taken) <= count + 8
    assert len(taken) == 60


def test_a_killed_worker_costs_nothing_but_time(cluster, tmp_path):
    with executor(scheduler=cluster) as pool:
        markers = [str(tmp_path / "a"), str(tmp_path / "b")]
        assert [result for _, result in sorted(pool.as_done(die_once, markers))] == markers


@pytest.mark.slow
def test_work_that_kills_every_worker_ends_with_one_line(cluster, client):
    client.run_on_scheduler(lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", 1))
    with executor(scheduler=cluster) as pool, pytest.raises(SattransError, match="died over the same work"):
        list(pool.as_done(die, [0]))
    client.wait_for_workers(2)


def test_when_work_is_stopped_what_was_begun_ends_and_nothing_else_begins(cluster, client, tmp_path):
    with executor(scheduler=cluster) as pool:
        work = pool.as_done(wait_long, [str(tmp_path)] * 50)
        next(work)
        work.close()  # as an error or Ctrl-C does where its results are used
    begun, ended = len(list(tmp_path.glob("begun-*"))), len(list(tmp_path.glob("ended-*")))
    assert begun == ended <= 6
    assert tasks_of(client) == 0


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("place") / "place", scenes=3, size=400)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Overlapping tiles of an image with five rows of blocks, which become three units and three overviews."""
    picture = make_picture(make_indices(2300, 700, 5))
    return cut_tiles(tmp_path_factory.mktemp("parts") / "parts", picture, grid_of(2300, 700, 256, 200))


def test_a_cluster_cuts_the_same_tileset_byte_for_byte(cluster, place, tmp_path, monkeypatch):
    monkeypatch.setattr("sattrans.tile.writing.PIXELS_ELSEWHERE", 100_000)  # several units a scene
    monkeypatch.chdir(place.parent)  # whose workers run in another folder
    options = {"size": 64, "scale": "1%,99%"}
    tile(place.name, tmp_path / "here", TileOptions(**options))
    tile(place.name, "there", TileOptions(**options, scheduler=cluster))
    assert tree(place.parent / "there") == tree(tmp_path / "here")


def test_a_cluster_joins_the_same_mosaic_byte_for_byte(cluster, parts, tmp_path, monkeypatch):
    monkeypatch.chdir(parts.parent)
    for method in ("first", "feather"):
        mosaic(parts.name, tmp_path / "here.tif", MosaicOptions(method), overwrite=True)
        mosaic(parts.name, f"{method}.tif", MosaicOptions(method, scheduler=cluster))
        assert (parts.parent / f"{method}.tif").read_bytes() == (tmp_path / "here.tif").read_bytes()
    assert not list(parts.parent.glob("*.part"))


def test_a_scene_that_is_replaced_between_two_commands_is_read_anew(cluster, tmp_path):
    for values in ((10, 30, 50), (30, 50, 10)):
        root = make_folder(tmp_path / "place", scenes=1, size=128, values=values)
        tile(root, tmp_path / "there", TileOptions(size=64, scheduler=cluster))
        tile(root, tmp_path / "here", TileOptions(size=64))
        assert tree(tmp_path / "there") == tree(tmp_path / "here")
        for folder in ("place", "there", "here"):  # the workers may have the first scene open
            shutil.rmtree(tmp_path / folder)


def test_a_worker_of_another_version_is_refused_before_and_while_units_are_done(cluster, parts, tmp_path):
    other = other_distribution(tmp_path / "other", "sattrans", "9.9")
    wrong = r"^worker tcp://[\d.:]+.* has sattrans 9\.9, and this command sattrans [\d.]+: install the same version"
    with executor(scheduler=cluster) as pool, worker(cluster, first=other):
        with pytest.raises(SattransError, match=wrong):
            list(pool.as_done(slow_first, [0] * 50))
        with pytest.raises(SattransError, match=wrong):
            mosaic(parts, tmp_path / "m.tif", MosaicOptions(scheduler=cluster))
    assert not list(tmp_path.glob("m*"))


def test_a_worker_without_a_plugin_of_the_command_is_refused(cluster, tmp_path, monkeypatch):
    points = "[sattrans.models]\nacme = acme\n"
    monkeypatch.syspath_prepend(other_distribution(tmp_path / "other", "acme", "1.5", points))
    with (
        pytest.raises(SattransError, match=r"^worker tcp://\S+ does not have acme, and this command acme 1\.5"),
        executor(scheduler=cluster),
    ):
        pass


def test_a_worker_without_the_shared_file_system_is_named_with_the_path(cluster, place, parts, tmp_path):
    tiling, joining = ["tile", place, "--size", "64", "-o", tmp_path / "t"], ["mosaic", parts, "-o", tmp_path / "m.tif"]
    with worker(cluster, "--preload", blind_to(tmp_path, parts.parent / "blind.py")):
        for command in (tiling, joining):
            done = sattrans(*command, "--scheduler", cluster)
            assert done.exit_code == 1
            line = error_line(done.stderr)
            assert f" does not see {tmp_path}" in line and "worker tcp://" in line


@pytest.mark.slow
def test_ctrl_c_ends_a_command_with_one_line_and_leaves_no_task(cluster, client, parts, tmp_path):
    command = ["mosaic", parts, "-o", tmp_path / "m.tif", "--scheduler"]
    process = Fork(*command, cluster)
    while not (tmp_path / "m.tif.part" / "rows.json").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate()
    assert process.wait() == 130
    assert error_line(told) == "error: stopped; to resume, repeat the command"
    assert tasks_of(client) == 0
    assert sattrans(*command, cluster).exit_code == 0
    mosaic(parts, tmp_path / "here.tif")
    assert (tmp_path / "m.tif").read_bytes() == (tmp_path / "here.tif").read_bytes()


@pytest.mark.slow
def test_local_starts_processes_and_ends_them(parts, tmp_path):
    done = sattrans("mosaic", parts, "-o", tmp_path / "there.tif", "--scheduler", "local", "--workers", 2)
    assert done.exit_code == 0, done.stderr
    mosaic(parts, tmp_path / "here.tif")
    assert (tmp_path / "there.tif").read_bytes() == (tmp_path / "here.tif").read_bytes()


@pytest.mark.parametrize("scheduler", ["0", "two", "host:8786", "://x"])
def test_a_scheduler_that_is_no_address_is_refused(scheduler):
    for options in (TileOptions, MosaicOptions):
        with pytest.raises(OptionError, match=r"^--scheduler must be an address such as .*, or local, got"):
            options(scheduler=scheduler)
        with pytest.raises(OptionError, match=r"^--workers and --scheduler tcp://h:1 exclude each other"):
            options(scheduler="tcp://h:1", workers=2)


def test_a_scheduler_that_does_not_answer_is_said_so(monkeypatch):
    monkeypatch.setattr(cluster_module, "CONNECT_SECONDS", 0.3)
    with socket.socket() as mute:  # it listens, and says nothing
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        for address in ("tcp://127.0.0.1:9", f"tcp://127.0.0.1:{mute.getsockname()[1]}"):
            with (
                pytest.raises(OptionError, match=f"^--scheduler {address}: no Dask scheduler answers there"),
                executor(scheduler=address),
            ):
                pass


def test_an_address_of_no_known_kind_is_refused():
    with (
        pytest.raises(OptionError, match="--scheduler carrier-pigeon://loft"),
        executor(scheduler="carrier-pigeon://loft"),
    ):
        pass


def test_without_dask_a_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    needed = pytest.raises(OptionError, match=r"^--scheduler needs Dask: pip install 'sattrans\[dask\]'$")
    with needed, executor(scheduler="local"):
        pass
