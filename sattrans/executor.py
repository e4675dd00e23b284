"""Where work on many tiles runs: processes of this machine, or a Dask cluster."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

from sattrans.errors import OptionError, SattransError

T = TypeVar("T")


class InlineExecutor(Executor):
    """Does the work in this process, when its result is asked for: for one worker, where a pool would only cost."""

    def map(self, fn: Callable[..., T], *iterables: Iterable[Any], **_: Any) -> Iterator[T]:
        """Do one after the other."""
        return map(fn, *iterables)


def _leave_with_parent() -> None:
    """Let this worker process end when its parent was killed: it would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def leave() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=leave, daemon=True).start()


@contextmanager
def executor(workers: int | str) -> Iterator[Executor]:
    """Give an executor: `workers` processes here, or the Dask cluster at an address such as `tcp://host:8786`.

    Raises `OptionError` for anything else, where no scheduler answers and where Dask is not installed, and
    `SattransError` where a worker process dies.
    """
    if isinstance(workers, str) and not workers.isdecimal():
        if "://" not in workers:
            raise OptionError(f"--workers {workers}: a number, or a Dask scheduler's address such as tcp://host:8786")
        try:
            from distributed import Client
            from distributed.comm.registry import get_backend
        except ImportError:
            raise OptionError("--workers with an address needs Dask: pip install 'sattrans[dask]'") from None
        try:
            get_backend(workers.partition("://")[0])  # a Client of no known scheme takes a minute to give up
            client = Client(workers, set_as_default=False)
        except (OSError, ValueError) as error:
            raise OptionError(f"--workers {workers}: no Dask scheduler answers there ({error})") from error
        with client:
            yield client.get_executor(pure=False)
        return
    count = int(workers)
    if count < 1:
        raise OptionError(f"--workers {count}: at least one is needed")
    if count == 1:
        yield InlineExecutor()
        return
    # spawn: GDAL and torch keep threads and locks that a forked child would inherit locked.
    try:
        with ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _leave_with_parent) as pool:
            yield pool
    except BrokenProcessPool as error:
        raise SattransError(
            "a worker process died, perhaps for lack of memory: the same command with fewer --workers goes on"
        ) from error
