"""A Dask cluster that does the units of a command: a running one at an address, or processes of this machine.

What travels through the scheduler is small: which unit to do, and what became of it. Pixels go from files to workers
and from workers to files. Only a few units for each worker are handed out at a time, so that the scheduler's memory
does not depend on how many there are.
"""

import asyncio
import logging
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.metadata import entry_points
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sattrans.errors import ClusterLost, OptionError, SattransError
from sattrans.utils.cluster_unit import (
    Job,
    SharedFile,
    do_unit,
    other_version,
    resources_here,
    units_running,
    unseen,
    which_unseen,
)
from sattrans.utils.console import log
from sattrans.utils.executor import Pool
from sattrans.utils.options import LOCAL
from sattrans.utils.output import RESUME
from sattrans.utils.version import __version__

if TYPE_CHECKING:
    from distributed import Client, Future, Security

S = TypeVar("S")
T = TypeVar("T")

CONNECT_SECONDS = 6
"""Seconds until a scheduler that does not answer is given up."""

AHEAD = 3
"""Units that are handed out for each thread of the cluster; so many that none waits for the client."""

LEAST_AHEAD = 16
"""Units that are handed out at least, so that a cluster that grows with its work sees that there is some."""

COUNT_EVERY = 5
"""Seconds between two looks at how many threads the cluster has."""

SETTLE_SECONDS = 30
"""Seconds until units that were begun before an error are given up; each takes about one."""

NO_DASHBOARD = "127.0.0.1:0"
"""Where a local cluster's pages are, since it has some in any case: no other machine sees them."""

TRACKER_IS_QUIET = "ignore:resource_tracker:UserWarning"
"""A filter of Python's warnings, for the process that removes semaphores after a process that was ended."""

DECISIVE = ("sattrans", "rasterio")
"""Packages whose version must be the same everywhere, besides plugins: those that decide bytes."""

PLUGIN_GROUPS = ("sattrans.datasets", "sattrans.models")


def decisive_versions() -> dict[str, str]:
    """Return the versions of the packages that must be the same everywhere, plugins included."""
    plugins = {point.dist.name for group in PLUGIN_GROUPS for point in entry_points(group=group) if point.dist}
    versions = {name: installed_version(name) for name in sorted({*DECISIVE, *plugins})}
    return {**versions, "sattrans": __version__}


class ClusterExecutor(Pool):
    """Does units of work on the workers of a Dask cluster.

    Args:
        client: A client of its scheduler.
        name: What messages call the scheduler.
    """

    elsewhere = True

    def __init__(self, client: "Client", name: str) -> None:
        self._client, self._name = client, name
        self._job = Job(uuid.uuid4().hex, decisive_versions())
        self._resources: dict[str, float] = {}
        self._threads, self._counted = 0, 0.0
        self._handed_out = 0
        self._afterwards: list[Callable[[], object]] = []

    def check_versions(self) -> None:
        """Wait for a worker, then raise `SattransError` if one has other versions of what decides bytes."""
        if not self._client.nthreads():
            log.info("the scheduler at %s has no workers yet: waiting for one", self._name)
            self._client.wait_for_workers(1)
        for package, wanted in self._job.versions.items():
            # A function of Python's own: a worker without sattrans, or with another one, has it, too.
            for worker, found in self._ask_all(installed_version, package).items():
                if found != wanted:
                    raise other_version(worker, package, wanted, found if isinstance(found, str) else None)

    def _ask_all(self, function: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
        """Return what each worker answers, or the error it gives; a worker that dies meanwhile is left out."""
        try:
            answers = self._client.run(function, *arguments, on_error="return")
        except (OSError, CancelledError) as error:
            raise self._lost() from error
        return {worker: answer for worker, answer in answers.items() if not isinstance(answer, OSError)}

    def use_gpus(self) -> None:
        """Hand out units only to workers with a GPU, one for each, if there are workers that say that they have one."""
        if any("GPU" in found for found in self._ask_all(resources_here).values()):
            self._resources = {"GPU": 1}

    def afterwards(self, function: Callable[[], object]) -> None:
        """See `Pool`."""
        self._afterwards.append(function)

    def end(self) -> None:
        """Call what is to be called afterwards."""
        for function in self._afterwards:
            with suppress(OSError, CancelledError):
                self._client.run(function, on_error="ignore")

    def share(self, output: Path, *inputs: Path) -> None:
        """See `Pool`. Workers that join later are checked by their units; an earlier call no longer counts."""
        files = tuple(SharedFile.of(path) for path in (output, *inputs))
        for worker, path in self._ask_all(which_unseen, files).items():
            if path is not None:
                raise unseen(worker, path) if isinstance(path, str) else path
        self._job = replace(self._job, shared=files[:1])

    def map(self, fn: Callable[..., T], *iterables: Iterable[Any], **_: Any) -> Iterator[T]:
        """Yield the results in the order of the items; they may be done in any order."""
        waiting: dict[int, T] = {}
        following = 0
        for index, result in self.as_done(_Spread(fn), zip(*iterables, strict=False)):
            waiting[index] = result
            while following in waiting:
                yield waiting.pop(following)
                following += 1

    def as_done(self, function: Callable[[S], T], items: Iterable[S]) -> Iterator[tuple[int, T]]:
        """See `Pool`."""
        from distributed import as_completed

        ahead = iter(enumerate(items))
        pending: dict[Future[Any], int] = {}
        done = as_completed(loop=self._client.loop)
        try:
            while True:
                while len(pending) < self._window() and (following := next(ahead, None)):
                    pending[future := self._submit(function, following[1])] = following[0]
                    done.add(future)
                if not pending:
                    return
                future = next(done)
                if future.status != "finished":
                    self._raise_first(future, pending)
                index = pending.pop(future)
                yield index, future.result()
        except CancelledError as error:
            raise self._translated(error) from None
        finally:
            if pending:
                self._give_up(list(pending))

    def _submit(self, function: Callable[[S], T], item: S) -> "Future[Any]":
        self._handed_out += 1
        return self._client.submit(
            do_unit,
            self._job,
            function,
            item,
            key=f"sattrans-{self._job.token}-{self._handed_out}",
            pure=False,
            resources=self._resources or None,
        )

    def _window(self) -> int:
        """Return how many units are handed out at a time."""
        if time.monotonic() > self._counted + COUNT_EVERY:
            with suppress(OSError):  # a scheduler that is lost is noticed by its futures
                self._threads = sum(self._client.nthreads().values())
            self._counted = time.monotonic()
        return max(LEAST_AHEAD, AHEAD * self._threads)

    def _raise_first(self, failed: "Future[Any]", pending: Mapping["Future[Any]", int]) -> None:
        """Raise the error of a unit, or that of an earlier one, which is waited for."""
        if failed.status != "error":
            raise CancelledError
        earlier = [future for future, index in pending.items() if index < pending[failed]]
        self._client.cancel([future for future, index in pending.items() if index > pending[failed]], force=True)
        first = next((future for future in earlier if future.exception()), failed)
        raise self._translated(first.exception()) from None

    def _translated(self, error: BaseException) -> BaseException:
        """Return an error of the cluster in our words; others as they are."""
        from distributed import KilledWorker

        if isinstance(error, KilledWorker):
            last = getattr(error.last_worker, "address", "")
            return SattransError(
                f"workers of {self._name} died over the same work, the last was {last}: give them more memory, or see "
                f"their logs; {RESUME}"
            )
        if isinstance(error, CancelledError):
            return self._lost()
        return error

    def _lost(self) -> ClusterLost:
        return ClusterLost(f"the Dask scheduler at {self._name} was lost; what is finished is kept; {RESUME}")

    def _give_up(self, futures: "list[Future[Any]]") -> None:
        """Take back what was handed out, and wait until the workers have ended what they began."""
        with suppress(OSError, CancelledError):
            self._client.cancel(futures, force=True)
            quiet, deadline = 0, time.monotonic() + SETTLE_SECONDS
            while quiet < 2 and self._client.status == "running" and time.monotonic() < deadline:
                counts = self._client.run(units_running, self._job.token, on_error="return").values()
                quiet = quiet + 1 if not sum(count for count in counts if isinstance(count, int)) else 0
                time.sleep(0.05)


class _Spread:
    """A function of several arguments as one of a tuple."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, arguments: tuple[Any, ...]) -> Any:
        return self.function(*arguments)


@contextmanager
def cluster(scheduler: str, workers: int, gpu: bool = False) -> Iterator[ClusterExecutor]:
    """Connect to a scheduler, or start a cluster of processes of this machine for `local`.

    Raises:
        OptionError: No scheduler answers, or Dask is not installed.
        SattransError: A worker has another version of sattrans or of a plugin.
    """
    try:
        from distributed import Security
    except ImportError:
        raise OptionError("--scheduler needs Dask: pip install 'sattrans[dask]'") from None
    with _quiet(logging.getLogger("distributed")):
        if scheduler == LOCAL:
            with _local(workers) as (address, security), _client(address, security) as client:
                yield _checked(client, "this machine", gpu)
        else:
            with _client(scheduler, Security()) as client:
                pool = _checked(client, scheduler, gpu)
                try:
                    yield pool
                finally:
                    pool.end()


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Have a library say nothing: its errors come as exceptions, which are told in our words."""
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def _local(workers: int) -> "Iterator[tuple[str, Security]]":
    """Start a cluster of processes of this machine, and give its address and what admits to it.

    A scheduler does what it is told by whoever reaches it, and other users of this machine do. So it asks for a
    certificate that this process alone has.
    """
    from distributed import LocalCluster, Security

    security = Security.temporary()
    with _without_interrupts():
        processes = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address=NO_DASHBOARD,
            worker_dashboard_address=NO_DASHBOARD,
            memory_limit=0,  # units take what they take; a worker that is ended for it would be no help
            silence_logs=logging.CRITICAL,
            protocol="tls://",
            security=security,
        )
    with processes:
        yield processes.scheduler_address, security


def _checked(client: "Client", name: str, gpu: bool) -> ClusterExecutor:
    pool = ClusterExecutor(client, name)
    pool.check_versions()
    if gpu:
        pool.use_gpus()
    return pool


@contextmanager
def _client(address: str, security: "Security") -> "Iterator[Client]":
    from distributed import Client

    with ThreadPoolExecutor(1) as thread:  # a notebook has a loop of its own in this one
        try:
            thread.submit(asyncio.run, _ask(address, security)).result()
            client = Client(address, set_as_default=False, timeout=CONNECT_SECONDS, security=security)
        except TimeoutError:
            raise OptionError(
                f"--scheduler {address}: no Dask scheduler answers there within {CONNECT_SECONDS} s; start one, or "
                "correct the address"
            ) from None
        except (OSError, ValueError) as error:
            raise OptionError(f"--scheduler {address}: no Dask scheduler answers there ({error})") from error
    try:
        yield client
    finally:
        client.close(timeout=CONNECT_SECONDS)


async def _ask(address: str, security: "Security") -> None:
    """Wait for the scheduler to say who it is: `Client` waits without an end for what listens and says nothing."""
    from distributed.comm.registry import get_backend
    from distributed.core import rpc

    get_backend(address.partition("://")[0])  # of an unknown kind of address, rpc only notices after a minute
    async with asyncio.timeout(CONNECT_SECONDS):
        async with rpc(address, connection_args=security.get_connection_args("client")) as scheduler:
            await scheduler.identity()


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Have processes that are started ignore Ctrl-C, which a terminal sends to them as well: this one ends them.

    They inherit what the thread of Dask's loop blocks, and that thread what this one blocks while it starts it.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    from multiprocessing import resource_tracker

    # The first process would start Python's tracker, which unblocks the signal. A tracker that outlives this process
    # removes what is left, and need not warn of it.
    warnings = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, (warnings, TRACKER_IS_QUIET)))
    try:
        resource_tracker.ensure_running()
    finally:
        if warnings is None:
            del os.environ["PYTHONWARNINGS"]
        else:
            os.environ["PYTHONWARNINGS"] = warnings
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
