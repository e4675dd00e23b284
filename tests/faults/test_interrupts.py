"""Ctrl-C at any moment: one line, exit status 130, and no word of going on where nothing was begun."""

import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from commands import error_line
from makers import make_folder, make_indices, write_raster

from sattrans.tile import TileOptions, tile
from sattrans.train import TrainOptions, train

SHORT = [pytest.param(name, marks=pytest.mark.short) for name in ("sattrans.cli", "torch", "sattrans.runs.run")]
LOADED = re.compile(r"import time: .*\| +(\S+)\n")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("place")
    root = make_folder(folder / "f", size=128, classes_toml=True)
    tileset = tile(root, folder / "t", options=TileOptions(size=64)).tileset
    train(tileset.folder, folder / "run", TrainOptions(model="pix2pix", settings={"width": 1}, steps=1, monitor="l1"))
    values = np.array([10, 30, 50], np.uint8)[make_indices(2000, 400, 3)]
    write_raster(folder / "map.tif", values)
    return folder


def start(*arguments, options=()):
    command = [sys.executable, *options, "-m", "sattrans", *map(str, arguments)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


# From our own first line on; what Python itself does before that cannot be helped.
@pytest.mark.parametrize(
    "room",
    [
        "typer",
        "numpy",
        "torch.nn",
        "rasterio",
        *SHORT,
    ],
)
def test_ctrl_c_while_things_are_loaded_is_one_line(place, tmp_path, room):
    command = "generate", place / "map.tif", "-o", tmp_path / "o.tif", "--run", place / "run"
    process = start(*command, options=["-Ximporttime"])
    for line in process.stderr:
        if (loaded := LOADED.match(line)) and loaded[1] == room:
            break
    process.send_signal(signal.SIGINT)
    _, told = process.communicate()
    assert process.returncode == 130
    assert LOADED.sub("", told) == "error: interrupted\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("seconds", [0.3, pytest.param(1, marks=pytest.mark.short), 1.7, 2.4])
def test_ctrl_c_at_any_moment_is_one_line(place, tmp_path, seconds):
    process = start("generate", place / "map.tif", "-o", tmp_path / "o.tif", "--run", place / "run")
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate()
    if process.returncode == 0:
        return  # it was done
    assert process.returncode == 130
    begun = (tmp_path / "o.tif.part").is_dir()
    assert error_line(told) == f"error: {'stopped; to resume, repeat the command' if begun else 'interrupted'}"
    assert not list(tmp_path.glob(".*"))


@pytest.mark.short
def test_ctrl_c_before_training_has_kept_anything_says_nothing_of_going_on(place, tmp_path):
    told = ["--model", "pix2pix", "--steps", 10**6, "--set", "width=1", "-o", tmp_path / "r"]
    process = start("train", "--data", place / "t", *told)
    while not list(tmp_path.glob("r/*.begun")):
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate()
    assert process.returncode == 130
    if (tmp_path / "r").is_dir():  # it had come to its first step
        assert "resume with sattrans train --resume" in error_line(told)
    else:
        assert error_line(told) == "error: interrupted"


@pytest.mark.short
def test_a_second_ctrl_c_ends_what_takes_long_to_stop(tmp_path):
    code = (
        "import signal, sys, time; from pathlib import Path; import sattrans.cli\n"
        "from sattrans.utils.lock import lock\n"
        "from sattrans.__main__ import main\n"
        "def command():\n"
        "    with lock(Path('out')):\n"
        "        try:\n"
        "            print('held', flush=True); time.sleep(60)\n"
        "        finally:\n"
        "            print('stopping', flush=True); time.sleep(60)\n"
        "sattrans.cli.main = command\n"
        "main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for word in ("held", "stopping"):
        assert process.stdout.readline() == f"{word}\n"
        process.send_signal(signal.SIGINT)
    _, told = process.communicate()
    assert (process.returncode, told) == (130, "error: interrupted\n")
