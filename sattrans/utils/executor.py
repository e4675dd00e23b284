"""Where work on many tiles runs: threads of this process, or a Dask cluster."""

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
def executor(workers: int | None = None, scheduler: str | None = None) -> Iterator[Executor]:
    """Give an executor: threads of this process, or the Dask cluster of a scheduler.

    Reading, encoding, hashing and writing release Python's lock, so threads spread over processors as processes
    would, without their start and their memory; and none outlives a kill. After an error, what was not begun is not
    done.

    Args:
        workers: Number of threads, 1 or more; None for one per processor.
        scheduler: Address of a Dask scheduler, such as `tcp://host:8786`, that takes the work instead.

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
        get_backend(kind)  # a Client of an unknown kind of address takes a minute to give up
        return Client(scheduler, set_as_default=False)
    except (OSError, ValueError) as error:
        raise OptionError(f"--scheduler {scheduler}: no Dask scheduler answers there ({error})") from error
