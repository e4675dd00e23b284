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

from sattrans.run import Run
from sattrans.tile import TileOptions, tile

KILLS = int(os.environ.get("SATTRANS_KILLS", "3"))

# Saves after nearly every step, so that kills fall into epochs and into the writing of checkpoints.
DRIVER = """
import sys
from pathlib import Path
from sattrans.training import loop
loop.SAVE_SECONDS = 0.05
from sattrans.train import TrainOptions, resume, train
tiles, run, model = sys.argv[1:]
if list(Path(run).glob("run.json*")):
    resume(run)
else:
    train(Path(tiles), model, {"width": 8}, TrainOptions(epochs=8, batch_size=2, seed=5), output=Path(run))
"""


@pytest.mark.parametrize("model", ["resse"])
def test_train_survives_kills_at_random_moments(tmp_path, model):
    place = make_folder(tmp_path / "place", size=256)
    tiles = tile(place, tmp_path / "t", options=TileOptions(size=64)).tileset.folder

    def start(run):
        return subprocess.Popen([sys.executable, "-c", DRIVER, tiles, run, model], stderr=subprocess.PIPE, text=True)

    begun = time.monotonic()
    whole = start(tmp_path / "whole")
    assert whole.wait() == 0, whole.stderr.read()
    length = time.monotonic() - begun
    chance = random.Random(model)
    run, kills = tmp_path / "run", 0
    while kills < KILLS:
        process = start(run)
        # From before its start on; most of what a short training takes is starting.
        time.sleep(chance.uniform(0.3, 1.0) * length * 0.8)
        process.kill()
        process.wait()
        assert process.returncode in (0, -9), process.stderr.read()
        kills += 1
        if process.returncode == 0 or Run.open(run).finished:
            break
    if not Run.open(run).finished:
        last = start(run)
        assert last.wait() == 0, last.stderr.read()
    for which in ("best", "last"):
        one, other = (load_file(Run.open(folder).checkpoint(which)) for folder in (run, tmp_path / "whole"))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert not list(run.rglob("*.part"))
