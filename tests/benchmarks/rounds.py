"""Rounds: each contestant has its turn in each, so that a slow minute hits all alike; and the memory of a command."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from sattrans.utils.atomic import remove

ROUNDS = 5

Contestant = tuple[Sequence[str], Path]
"""A command, and the file or folder that it writes."""


def median_seconds(contestants: Mapping[str, Contestant]) -> dict[str, float]:
    """Return the median of five rounds for each command."""
    return medians({name: partial(_seconds, *contestant) for name, contestant in contestants.items()})


def medians(contestants: Mapping[str, Callable[[], float]], count: int = ROUNDS) -> dict[str, float]:
    """Return the median of what each says of its turns, after a round that is not counted: it fills caches."""
    rounds = [{name: turn() for name, turn in contestants.items()} for _ in range(count + 1)]
    return {name: statistics.median(taken[name] for taken in rounds[1:]) for name in contestants}


def timed(work: Callable[[], object]) -> Callable[[], float]:
    """Return a turn: the work done once, and the seconds that it took."""

    def turn() -> float:
        begun = time.perf_counter()
        work()
        return time.perf_counter() - begun

    return turn


PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, capture_output=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak_memory(command: Sequence[str | Path]) -> int:
    """Return the bytes that a command's process took at its peak (Linux: it counts in kilobytes)."""
    command = [sys.executable, "-c", PEAK, *map(str, command)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return 1000 * int(done.stdout)


def _seconds(command: Sequence[str], output: Path) -> float:
    # Without this a package of this folder would be compiled at each start, and an installed one would not.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    os.sync()  # what others wrote would reach the disk in this one's time
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    taken = time.perf_counter() - begun
    remove(output)
    return taken
