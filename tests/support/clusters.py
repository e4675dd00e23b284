"""Dask clusters of real processes, and functions that their workers can import."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BLIND = """
import os, sys

def refuse(event, arguments):
    if event == "open" and str(arguments[0]).startswith({folder!r}):
        raise FileNotFoundError(2, "No such file or directory", arguments[0])

sys.addaudithook(refuse)
"""
"""A worker's preload that hides a folder, as a machine without the shared file system has it."""


@contextmanager
def local_cluster(workers: int = 2) -> "Iterator[object]":
    """Give a LocalCluster of processes with one thread each, which are started anew when they are killed."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=":0", memory_limit=0
    ) as cluster:
        yield cluster


def _environment(first: Path | None) -> dict[str, str]:
    path = [str(first)] if first else []
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*path, *filter(None, sys.path)]), "OMP_NUM_THREADS": "1"}


def start(command: str, *arguments: object, first: Path | None = None) -> "subprocess.Popen[bytes]":
    """Start `dask scheduler` or `dask worker` in another folder; `first` comes first on its import path."""
    given = [sys.executable, "-m", f"distributed.cli.dask_{command}", *map(str, arguments), "--no-dashboard"]
    return subprocess.Popen(
        given, env=_environment(first), cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


@contextmanager
def process(command: str, *arguments: object, first: Path | None = None) -> "Iterator[subprocess.Popen[bytes]]":
    """Run what `start` starts, and kill it at the end."""
    started = start(command, *arguments, first=first)
    try:
        yield started
    finally:
        started.kill()
        started.wait()


class MortalCluster:
    """A scheduler and workers, each a process of its own, which may be killed; as a context manager, it ends them all.

    A nanny would be no help: it gives up a worker that is killed while it starts.
    """

    def __init__(self, folder: Path, workers: int) -> None:
        self._file, self._count = folder / "scheduler.json", workers

    def __enter__(self) -> "MortalCluster":
        from distributed import Client

        told = "--host", "127.0.0.1", "--port", 0, "--scheduler-file", self._file
        self.scheduler = start("scheduler", *told)
        self._workers = [self._start() for _ in range(self._count)]
        with Client(scheduler_file=str(self._file), set_as_default=False, timeout=60) as client:
            client.wait_for_workers(self._count, timeout=60)
            client.run_on_scheduler(lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", 1000))
            self.address = client.scheduler.address
        return self

    def __exit__(self, *_: object) -> None:
        for started in (*self._workers, self.scheduler):
            started.kill()
            started.wait()

    def _start(self) -> "subprocess.Popen[bytes]":
        return start("worker", "--scheduler-file", self._file, "--nthreads", 1, "--no-nanny")

    @property
    def pids(self) -> list[int]:
        """The ids of its processes."""
        return [started.pid for started in (self.scheduler, *self._workers)]

    def kill_worker(self, number: int) -> None:
        """Kill a worker, and start another one in its place."""
        self._workers[number].kill()
        self._workers[number].wait()
        self._workers[number] = self._start()


@contextmanager
def worker(address: str, *arguments: object, first: Path | None = None) -> "Iterator[subprocess.Popen[bytes]]":
    """Run one more worker, which has joined the cluster at this address."""
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        before = len(client.nthreads())
        with process("worker", address, "--nthreads", 1, "--no-nanny", *arguments, first=first) as started:
            client.wait_for_workers(before + 1, timeout=60)
            yield started
        while len(client.nthreads()) > before:
            time.sleep(0.05)


def other_distribution(folder: Path, name: str, version: str, entry_points: str = "") -> Path:
    """Make a folder whose import path says that a distribution has this version; return it."""
    metadata = folder / f"{name}-{version}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (metadata / "entry_points.txt").write_text(entry_points)
    return folder


def blind_to(folder: Path, preload: Path) -> Path:
    """Write what hides a folder from a worker; return it, for `--preload`."""
    preload.write_text(BLIND.format(folder=str(folder)))
    return preload


# What workers do.


def double(number: int) -> int:
    return 2 * number


def slow_first(number: int) -> int:
    time.sleep(0.3 if number == 0 else 0)
    return number


def fail_from_two(number: int) -> int:
    time.sleep(0.3 if number == 2 else 0)
    if number >= 2:
        raise ValueError(f"number {number} cannot be done")
    return number


def die_once(marker: str) -> str:
    """Kill the worker that does it first, in the middle."""
    if not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return marker


def die(_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def wait_long(folder: str) -> None:
    """Note that it has begun, take a second, and note that it has ended."""
    Path(folder, f"begun-{time.monotonic_ns()}").touch()
    time.sleep(1)
    Path(folder, f"ended-{time.monotonic_ns()}").touch()
