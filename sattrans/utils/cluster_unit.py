"""What a worker of a cluster does with a unit of work: it checks that it may do it, does it, and counts it meanwhile.

Workers are processes that sattrans did not start, perhaps on other machines, and may join at any time. So every unit
says which versions of packages it is made for, and which files a worker must see.
"""

import hashlib
import os
import socket
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from threading import Lock
from typing import Any, Generic, TypeVar

from sattrans.errors import SattransError

T = TypeVar("T")
Tool = TypeVar("Tool")

FIRST_BYTES = 1 << 16
"""Bytes at the beginning of a shared file that are compared."""


@dataclass(frozen=True, slots=True)
class SharedFile:
    """A file that workers must see as the client does: its absolute path, length, and a hash of its beginning.

    It is compared for each unit, because a unit may be done late: when its command was given up, and another one
    writes to the same place.
    """

    path: str
    length: int
    digest: str

    @classmethod
    def of(cls, path: Path) -> "SharedFile":
        """Return what a file looks like now. Raises `OSError`."""
        with path.open("rb") as file:  # to open it has a network file system ask its server
            beginning = file.read(FIRST_BYTES)
            length = os.fstat(file.fileno()).st_size
        return cls(str(path.absolute()), length, hashlib.sha256(beginning).hexdigest())

    def seen(self) -> bool:
        """Return whether this process sees the file."""
        with suppress(OSError):
            return SharedFile.of(Path(self.path)) == self
        return False


@dataclass(frozen=True, slots=True)
class Job:
    """What all units of a command have in common: a name of its own, versions of packages, and shared files."""

    token: str
    versions: Mapping[str, str]
    shared: tuple[SharedFile, ...] = ()


def version_here(package: str) -> str | None:
    """Return the version of a package that this process would import; None without it."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def other_version(worker: str, package: str, wanted: str, found: str | None) -> SattransError:
    """Return the error for a worker that has another version of a package."""
    has = f"has {package} {found}" if found else f"does not have {package}"
    return SattransError(
        f"worker {worker} {has}, and this command {package} {wanted}: install the same version on all workers"
    )


def unseen(worker: str, path: str) -> SattransError:
    """Return the error for a worker that does not see a file."""
    return SattransError(
        f"worker {worker} does not see {path} as it is here: put input and output on a file system that all workers "
        "share, at the same path"
    )


def name_of_this_worker() -> str:
    """Return the address and the host of the Dask worker that this is."""
    from distributed import get_worker

    return f"{get_worker().address} on {socket.gethostname()}"


_running: Counter[str] = Counter()
_lock = Lock()


def do_unit(job: Job, function: Callable[[Any], Any], item: Any) -> Any:
    """Do a unit of work on a worker. Raises `SattransError` if this worker must not."""
    with _lock:
        _running[job.token] += 1
    try:
        for package, wanted in job.versions.items():
            if (found := version_here(package)) != wanted:
                raise other_version(name_of_this_worker(), package, wanted, found)
        for file in job.shared:
            if not file.seen():
                raise unseen(name_of_this_worker(), file.path)
        return function(item)
    finally:
        with _lock:
            _running[job.token] -= 1


def units_running(token: str) -> int:
    """Return how many units of a job this process is doing."""
    with _lock:
        return _running[token]


def which_unseen(files: tuple[SharedFile, ...]) -> str | None:
    """Return the path of the first file that this process does not see, and its host; None if it sees all."""
    return next((file.path for file in files if not file.seen()), None)


class Kept(Generic[Tool]):
    """What a process opens for the units of a command, such as networks, and keeps until it is told to forget it.

    Units are done one at a time, since a network uses all threads of PyTorch. One thread opens, uses and closes: GDAL's
    settings belong to a thread.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "unit")
        self._key: str | None = None
        self._stack = ExitStack()
        self._tool: Tool | None = None

    def __len__(self) -> int:
        """Return how many tools are kept: one or none."""
        return int(self._tool is not None)

    def use(self, key: str, open_tool: Callable[[ExitStack], Tool], do: Callable[[Tool], T]) -> T:
        """Return what `do` makes with the tool of a key; that of another key is closed first.

        Args:
            key: Changes with all that the tool depends on.
            open_tool: Opens the tool; what it enters into the stack is closed with it.
            do: Does a unit.
        """

        def work() -> T:
            if self._key != key or self._tool is None:
                self._close()
                with ExitStack() as stack:
                    self._tool = open_tool(stack)
                    self._stack, self._key = stack.pop_all(), key
            return do(self._tool)

        return self._thread.submit(work).result()

    def forget(self) -> None:
        """Free the tool."""
        self._thread.submit(self._close).result()

    def _close(self) -> None:
        self._key = self._tool = None
        self._stack.close()


def resources_here(dask_worker: Any) -> dict[str, float]:
    """Return the resources of this worker, such as `GPU`; Dask gives the worker."""
    return dict(dask_worker.state.total_resources)
