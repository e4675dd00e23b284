"""Run a command; print last, on a line of its own, how many bytes of memory it took at the most.

`python peak_memory.py COMMAND...`. Of two measures the greater: the largest resident set that any one of its
processes ever had (exact, from the system), and what all of them held together, looked at every 20 ms. Where
several share a page, each has its part of it (the proportional set size, on Linux).

This is a process of its own, and a small one, because Linux counts what a parent holds into its child's maximum.
"""

import os
import sys
import time
from contextlib import suppress

import psutil


def held(process: psutil.Process) -> int:
    """Return what a process and its children hold now."""
    total = 0
    for each in [process, *process.children(recursive=True)]:
        with suppress(psutil.Error):  # one that has just ended
            memory = each.memory_full_info()
            total += getattr(memory, "pss", memory.rss)
    return total


def main(command: list[str]) -> None:
    process = psutil.Process(os.spawnvp(os.P_NOWAIT, command[0], command))
    together = 0
    while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
        with suppress(psutil.Error):
            together = max(together, held(process))
        time.sleep(0.02)
    _, status, usage = ended
    largest = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(max(largest, together), flush=True)
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(sys.argv[1:])
