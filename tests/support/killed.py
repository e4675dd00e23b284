"""A training in a process of its own, which is killed."""

import json
import signal
from pathlib import Path
from typing import Any

from forks import Fork

CODE = """
import json, os, signal, sys
from pathlib import Path
from sattrans.train import TrainOptions, train
from sattrans.train.loop import Loop

save, saved = Loop.save, []

def save_or_die(loop):
    if saved:
        os.kill(os.getpid(), signal.SIGKILL)
    save(loop)
    saved.append(loop.step)

Loop.save = save_or_die
train(Path(sys.argv[1]), Path(sys.argv[2]), TrainOptions(**json.loads(sys.argv[3])))
"""


def kill_before_second_save(tiles: Path, run: Path, **options: Any) -> None:
    """Train until an epoch is logged that is not saved: what resuming finds is ahead of the weights."""
    assert Fork(tiles, run, json.dumps(options), code=CODE).wait() == -signal.SIGKILL
