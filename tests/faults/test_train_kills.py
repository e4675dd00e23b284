"""Killed at random moments, a training ends with the weights of an uninterrupted one, bit for bit.

`SATTRANS_KILLS` says how many kills it has to stand.
"""

import os
import random
import subprocess
import sys
import time

import pytest
import torch
from makers import make_folder
from safetensors.torch import load_file

from sattrans.runs.run import Run
from sattrans.tile import TileOptions, tile

KILLS = int(os.environ.get("SATTRANS_KILLS", "3"))

# Saves after nearly every step, so that kills fall into epochs and into the writing of checkpoints.
DRIVER = """
import sys
from pathlib import Path
from sattrans.train import loop
loop.SAVE_SECONDS = 0.05
from sattrans.train import TrainOptions, resume, train
tiles, run, model, epochs = sys.argv[1:]
if list(Path(run).glob("run.json*")):
    resume(run)
else:
    options = TrainOptions(model=model, settings={"width": 8}, epochs=int(epochs), batch_size=2, seed=5, monitor="l1")
    train(Path(tiles), Path(run), options)
"""


@pytest.mark.parametrize("model", ["resse"])
def test_train_survives_kills_at_random_moments(tmp_path, model):
    place = make_folder(tmp_path / "place", size=256)
    tiles = tile(place, tmp_path / "t", options=TileOptions(size=64)).tileset.folder

    def start(run):
        command = [sys.executable, "-c", DRIVER, tiles, run, model, str(4 + 2 * KILLS)]
        return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    begun = time.monotonic()
    whole = start(tmp_path / "whole")
    while whole.poll() is None and not (tmp_path / "whole/checkpoints/last.safetensors").exists():
        time.sleep(0.01)
    starting = time.monotonic() - begun
    assert whole.wait() == 0, whole.stderr.read()
    training = time.monotonic() - begun - starting
    chance = random.Random(model)
    run, kills = tmp_path / "run", 0
    for _ in range(KILLS):
        process = start(run)
        # While it starts, or some steps later: each goes on a little, so that the last kill still finds a run.
        time.sleep(starting * chance.uniform(0.4, 1.2) + training / KILLS * chance.uniform(0, 1))
        process.kill()
        process.wait()
        assert process.returncode in (0, -9), process.stderr.read()
        kills += process.returncode == -9
        if process.returncode == 0:
            break
    assert kills >= KILLS - 1
    if not Run.open(run).finished:
        last = start(run)
        assert last.wait() == 0, last.stderr.read()
    for which in ("best", "last"):
        one, other = (load_file(Run.open(folder).checkpoint(which)) for folder in (run, tmp_path / "whole"))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert not list(run.rglob("*.part"))
