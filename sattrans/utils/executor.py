"""Where work on many tiles runs: threads of this process, or a Dask cluster."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from typing import Any, TypeVar

from sattrans.errors import OptionError

S = TypeVar("S")
T = TypeVar("T")


class InlineExecutor(Executor):
    """Does the work in this process, when its result is asked for: for one worker, where a pool would only cost."""

    def map(self, fn: Callable[..., T], *iterables: Iterable[Any], **_: Any) -> Iterator[T]:
        """Do one after the other."""
        return map(fn, *iterables)


def as_done(pool: Executor, function: Callable[[S], T], items: Sequence[S]) -> Iterator[tuple[int, T]]:
    """Yield (place, result) of each item as it is done, in whichever order; one after the other in this process.

    Of several that fail, the first in the order of the items is raised: the same each time.
    """
    if isinstance(pool, InlineExecutor):
        yield from enumerate(pool.map(function, items))
        return
    places = {pool.submit(function, item): place for place, item in enumerate(items)}
    for future in as_completed(places):
        if future.exception():
            before = [other for other, place in places.items() if place < places[future] and not other.cancel()]
            future = next((other for other in before if other.exception()), future)
        yield places[future], future.result()


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def executor(workers: int | str | None = None) -> Iterator[Executor]:
    """Give an executor: so many threads here, or the Dask cluster at an address such as `tcp://host:8786`.

    None takes one thread a processor. Reading, encoding, hashing and writing leave Python's lock, so threads
    spread over processors as processes would, without their start and their memory; and none outlives a kill.
    After an error, what was not begun is not done. Raises `OptionError` for anything else, where no scheduler
    answers and where Dask is not installed.
    """
    workers = processors() if workers is None else workers
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
    pool = ThreadPoolExecutor(count, "sattrans")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
