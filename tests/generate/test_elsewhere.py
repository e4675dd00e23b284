"""generate by the workers of a cluster: the bytes of one machine, whoever translates and whoever dies."""

import os
import signal
import time
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("distributed")

from commands import error_line, sattrans
from distributed import Client
from forks import Fork
from generate_command import read, write_map

from sattrans.errors import OptionError
from sattrans.generate import GenerateOptions, generate

pytestmark = pytest.mark.usefixtures("timeless")


@pytest.fixture(params=["run", "styled"])
def trained(request):
    return request.getfixturevalue(request.param)


def test_a_cluster_makes_the_same_image_byte_for_byte(cluster, trained, tmp_path, monkeypatch):
    map_ = write_map(tmp_path / "map.tif", 2300, 300)
    options = GenerateOptions(run=trained.folder, bounds="411000,3877500,413000,3900000")
    here = generate(map_, tmp_path / "here.tif", options)
    monkeypatch.chdir(tmp_path)  # whose workers run in another folder
    there = generate("map.tif", tmp_path / "there.tif", replace(options, scheduler=cluster))
    assert there.made and there.seams == here.seams
    assert (tmp_path / "there.tif").read_bytes() == (tmp_path / "here.tif").read_bytes()
    assert (tmp_path / "there.tif.json").read_bytes() == (tmp_path / "here.tif.json").read_bytes()
    assert not generate(map_, tmp_path / "there.tif", options).made


def test_a_cluster_makes_the_same_tiles(cluster, run, tmp_path):
    map_ = write_map(tmp_path / "map.tif", 300, 300)
    options = GenerateOptions(run=run.folder)
    generate(map_, tmp_path / "here", options)
    generate(map_, tmp_path / "there", replace(options, scheduler=cluster))
    names = sorted(path.name for path in (tmp_path / "here").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "there").iterdir()) and len(names) > 30
    assert all(np.array_equal(read(tmp_path / "here" / n), read(tmp_path / "there" / n)) for n in names if "tif" in n)


def test_a_killed_worker_and_a_command_repeated_elsewhere_cost_only_time(cluster, run, tmp_path):
    """A worker dies, then Ctrl-C stops the command; this machine alone finishes what they left."""
    map_ = write_map(tmp_path / "map.tif", 5200, 200)
    whole = generate(map_, tmp_path / "whole.tif", GenerateOptions(run=run.folder)).output
    command = ["generate", map_, "-o", tmp_path / "o.tif", "--run", run.folder]
    process = Fork(*command, "--scheduler", cluster)
    pieces = tmp_path / "o.tif.part"
    while len(list(pieces.glob("piece-*"))) < 1:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    with Client(cluster, set_as_default=False) as client:
        os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate()
        assert process.wait() == 130, told
        assert error_line(told) == "error: stopped; to resume, repeat the command"
        assert client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)) == 0
    left = {path.name: path.read_bytes() for path in pieces.glob("piece-*")}
    assert left
    assert sattrans(*command).exit_code == 0
    assert (tmp_path / "o.tif").read_bytes() == whole.read_bytes()


def test_a_worker_that_would_make_something_else_must_not(cluster, run, tmp_path, monkeypatch):
    """The client's flat field is another than the one that workers read."""
    from sattrans.generate import task
    from sattrans.runs.flat_field import FlatField

    monkeypatch.setattr(task, "find_flat_field", lambda *_, **__: FlatField({}))
    result = sattrans(
        "generate",
        write_map(tmp_path / "map.tif"),
        "-o",
        tmp_path / "o.tif",
        "--run",
        run.folder,
        "--scheduler",
        cluster,
    )
    assert result.exit_code == 1
    assert "a worker would translate" in error_line(result.stderr)


def test_an_update_is_made_on_this_machine():
    with pytest.raises(OptionError, match="--update works on this machine: leave out --scheduler"):
        GenerateOptions(update="a.tif", scheduler="local")
    with pytest.raises(OptionError, match="exclude each other"):
        GenerateOptions(workers=2, scheduler="tcp://127.0.0.1:1")
