"""Executors that process many tiles: threads of this process, or a Dask cluster."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from sattrans.errors import OptionError

if TYPE_CHECKING:
    from distributed import Client

S = TypeVar("S")
T = TypeVar("T")


class InlineExecutor(Executor):
    """Computes results lazily in this thread: with a single worker, a pool has costs and no benefit."""

    def map(self, fn: Callable[..., T], *iterables: Iterable[Any], **_: Any) -> Iterator[T]:
        """Return an iterator that computes each result when it is needed."""
        return map(fn, *iterables)


def as_done(pool: Executor, function: Callable[[S], T], items: Sequence[S]) -> Iterator[tuple[int, T]]:
    """Yield (index, result) of each item as soon as it is done; an `InlineExecutor` keeps the order of the items.

    If several items fail, the error of the first in the order of the items is raised, so that it is reproducible.
    """
    if isinstance(pool, InlineExecutor):
        yield from enumerate(pool.map(function, items))
        return
    indices = {pool.submit(function, item): index for index, item in enumerate(items)}
    for future in as_completed(indices):
        if future.exception():
            earlier = [f for f, index in indices.items() if index < indices[future] and not f.cancel()]
            future = next((f for f in earlier if f.exception()), future)
        yield indices[future], future.result()


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def executor(workers: int | None = None, scheduler: str | None = None) -> Iterator[Executor]:
    """Provide an executor: threads of this process, or the Dask cluster of a scheduler.

    Reading, encoding, hashing and writing release Python's global lock, so threads use all processors as processes
    would, but without the start-up time and memory of processes, and no thread outlives a killed process. After an
    error, work that has not started is cancelled.

    Args:
        workers: Number of threads, 1 or more; None for one per processor.
        scheduler: Address of a Dask scheduler, such as `tcp://host:8786`, whose cluster does the work instead.

    Raises:
        OptionError: The number is below 1, no scheduler answers, or Dask is not installed.
    """
    if scheduler is not None:
        with _cluster(scheduler) as client:
            yield client.get_executor(pure=False)
        return
    count = processors() if workers is None else workers
    if count < 1:
        raise OptionError(f"--workers must be at least 1, got {count}")
    if count == 1:
        yield InlineExecutor()
        return
    pool = ThreadPoolExecutor(count, "sattrans")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _cluster(scheduler: str) -> "Client":
    """Return a client of the Dask scheduler at an address."""
    kind, sign, _ = scheduler.partition("://")
    if not sign:
        raise OptionError(f"--scheduler must be an address such as tcp://host:8786, got {scheduler}")
    try:
        from distributed import Client
        from distributed.comm.registry import get_backend
    except ImportError:
        raise OptionError("--scheduler needs Dask: pip install 'sattrans[dask]'") from None
    try:
        get_backend(kind)  # for an unknown kind of address, Client fails only after a minute
        return Client(scheduler, set_as_default=False)
    except (OSError, ValueError) as error:
        raise OptionError(f"--scheduler {scheduler}: no Dask scheduler answers there ({error})") from error
