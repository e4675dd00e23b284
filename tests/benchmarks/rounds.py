"""Seconds that commands take, measured in rounds: each has its turn in each, so that a slow minute hits all alike."""

import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from sattrans.files import remove

ROUNDS = 5

Contestant = tuple[Sequence[str], Path]
"""A command, and the file or folder that it writes."""


def median_seconds(contestants: Mapping[str, Contestant]) -> dict[str, float]:
    """Return the median of five rounds for each, after one that is not counted: it fills the page cache."""
    rounds = [{name: _seconds(*contestant) for name, contestant in contestants.items()} for _ in range(ROUNDS + 1)]
    return {name: statistics.median(taken[name] for taken in rounds[1:]) for name in contestants}


def _seconds(command: Sequence[str], output: Path) -> float:
    os.sync()  # what others wrote would reach the disk in this one's time
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    taken = time.perf_counter() - begun
    remove(output)
    return taken
