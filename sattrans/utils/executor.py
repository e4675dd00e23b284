"""One way of handing out work: to this thread, to threads of this process, or to the workers of a Dask cluster."""

import os
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sattrans.errors import OptionError

S = TypeVar("S")
T = TypeVar("T")


class Pool(Executor):
    """Does the units of work of a command.

    Attributes:
        elsewhere: Whether units are done by other processes, perhaps on other machines: they are pickled, and name
            files by absolute paths.
    """

    elsewhere = False

    @abstractmethod
    def as_done(self, function: Callable[[S], T], items: Iterable[S]) -> Iterator[tuple[int, T]]:
        """Yield (index, result) of each item as soon as it is done.

        If several items fail, the error of the first in the order of the items is raised, so that it is reproducible.
        """

    def share(self, output: Path, *inputs: Path) -> None:
        """Make sure that all who work see these files as they are here. Raises `SattransError` if one does not.

        Args:
            output: A file of the unfinished output, such as its manifest, which stays as it is while units are done;
                later units are only done where it is seen.
            inputs: Some files that the command reads.
        """

    def afterwards(self, function: Callable[[], object]) -> None:
        """Have a function called in the end by processes that outlive the command, such as one that frees memory."""


class InlineExecutor(Pool):
    """Computes results lazily in this thread: with a single worker, a pool has costs and no benefit."""

    def map(self, fn: Callable[..., T], *iterables: Iterable[Any], **_: Any) -> Iterator[T]:
        """Return an iterator that computes each result when it is needed."""
        return map(fn, *iterables)

    def as_done(self, function: Callable[[S], T], items: Iterable[S]) -> Iterator[tuple[int, T]]:
        """See `Pool`; keeps the order of the items."""
        return enumerate(map(function, items))


class ThreadExecutor(ThreadPoolExecutor, Pool):
    """Threads of this process."""

    def as_done(self, function: Callable[[S], T], items: Iterable[S]) -> Iterator[tuple[int, T]]:
        """See `Pool`."""
        indices = {self.submit(function, item): index for index, item in enumerate(items)}
        for future in as_completed(indices):
            if future.exception():
                earlier = [f for f, index in indices.items() if index < indices[future] and not f.cancel()]
                future = next((f for f in earlier if f.exception()), future)
            yield indices[future], future.result()


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def executor(workers: int | None = None, scheduler: str | None = None, gpu: bool = False) -> Iterator[Pool]:
    """Provide what does the work: this thread, threads of this process, or the workers of a Dask cluster.

    Reading, encoding, hashing and writing release Python's global lock, so threads use all processors as processes
    would, but without the start-up time and memory of processes, and no thread outlives a killed process. After an
    error, work that has not started is cancelled, and what has is waited for.

    Args:
        workers: Number of threads, or of processes for `local`, 1 or more; None for one per processor.
        scheduler: Address of a Dask scheduler, such as `tcp://host:8786`, whose workers do the work instead, or
            `local` for a cluster of processes of this machine, which ends with the block.
        gpu: Whether units run a network, and so only on workers with the resource `GPU`, if the cluster has some.

    Raises:
        OptionError: The number is below 1, no scheduler answers, or Dask is not installed.
        SattransError: A worker has another version of sattrans or of a plugin.
    """
    count = processors() if workers is None else workers
    if count < 1:
        raise OptionError(f"--workers must be at least 1, got {count}")
    if scheduler is not None:
        from sattrans.utils.cluster import cluster

        with cluster(scheduler, count, gpu) as pool:
            yield pool
        return
    if count == 1:
        yield InlineExecutor()
        return
    threads = ThreadExecutor(count, "sattrans")
    try:
        yield threads
    finally:
        threads.shutdown(cancel_futures=True)
