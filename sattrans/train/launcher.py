"""Launcher: starts the processes that train one run, waits for them, and reports their errors once.

torch's elastic launcher would load torch into the parent, kill processes that take longer than 30 seconds to save after
a Ctrl-C, and report errors on many lines.
"""

import math
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory

from tqdm import tqdm

from sattrans.data.tileset import Tileset
from sattrans.errors import Interrupted, OptionError, ProcessLost, SattransError
from sattrans.train.signals import ReceivedSignal, catch_signals, handle_signals
from sattrans.utils.console import pluralize
from sattrans.utils.executor import processors

RENDEZVOUS = "SATTRANS_RENDEZVOUS"
"""The environment variable with the folder in which the processes find each other and record their run."""

POLL_SECONDS = 0.2
"""Seconds between two checks of the processes."""

GRACE_SECONDS = 5.0
"""Seconds that the processes have to end after one has failed or the first is done.

A process that waits for a message from another never ends by itself.
"""

MAX_TRACEBACK = 20_000
"""Characters of a traceback that a process sends: a pipe holds them even if nobody reads yet."""


@dataclass(frozen=True, slots=True)
class _Worker:
    process: BaseProcess
    errors: Connection

    def error(self) -> Exception | str | None:
        """Return the error that the process sent before it ended, or the traceback of an unexpected one."""
        try:
            return self.errors.recv() if self.errors.poll() else None
        except (EOFError, OSError):  # it ended without sending one, or while sending it
            return None


def check_enough_tiles(data: Path | None, count: int) -> None:
    """Raise `OptionError` if a tileset has fewer training tiles than there will be processes, before any is started."""
    tileset = Tileset.open(data) if data else Tileset.newest()
    tiles = len(tileset.split("train"))
    if tiles < count:
        raise OptionError(
            f"--devices {count}: {tileset.folder} has {pluralize(tiles, 'training tile')}, and each process needs one; "
            "give fewer devices"
        )


def launch(count: int, work: Callable[[], None]) -> None:
    """Run `work` in several processes that train one model; none of them is left when this returns.

    A signal lets the processes finish their step and save, a second one kills them.

    Args:
        count: Number of processes, at least 1.
        work: What each process runs; it must be picklable.

    Raises:
        OptionError: `count` is below 1.
        ProcessLost: A process ended without sending an error, such as one that was killed.
        Exception: The error of the first process that failed, once for all.
    """
    if count < 1:
        raise OptionError(f"--devices must be at least 1, got {count}")
    workers: list[_Worker] = []
    with TemporaryDirectory(prefix="sattrans-") as rendezvous, catch_signals() as received:
        try:
            for rank in range(count):
                workers.append(_start(rank, count, rendezvous, work))
            ended = _wait(workers, received)
        finally:
            for worker in workers:
                worker.process.kill()
                worker.process.join()
        _raise_error(workers, ended, Path(rendezvous))


def _start(rank: int, count: int, rendezvous: str, work: Callable[[], None]) -> _Worker:
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(rank, count, rendezvous, sender, work))
    # The process inherits this: the parent passes on a Ctrl-C, which reaches all of them, once they train.
    with handle_signals(signal.SIG_IGN):
        process.start()
    sender.close()
    return _Worker(process, receiver)


def _wait(workers: Sequence[_Worker], received: ReceivedSignal) -> list[_Worker]:
    """Wait until all processes have ended, or the rest no longer will; return those that have, in that order."""
    ended: list[_Worker] = []
    deadline = math.inf
    while len(ended) < len(workers) and time.monotonic() < deadline:
        running = [worker.process for worker in workers if worker not in ended]
        # At each check, because a process ignores signals until its first step.
        for process in running if received.number else ():
            os.kill(process.pid or 0, received.number or 0)
        wait([process.sentinel for process in running], POLL_SECONDS)
        ended += [worker for worker in workers if worker not in ended and not worker.process.is_alive()]
        if workers[0] in ended or any(worker.process.exitcode for worker in ended):
            deadline = min(deadline, time.monotonic() + GRACE_SECONDS)
    return ended


def _raise_error(workers: Sequence[_Worker], ended: Sequence[_Worker], rendezvous: Path) -> None:
    """Raise the reason why training did not finish: an error sent, a lost process, or an unexpected traceback."""
    errors = {workers.index(worker): worker.error() for worker in ended}
    if workers[0] in ended and errors[0] is None and workers[0].process.exitcode == 0:
        return
    for _, error in sorted(errors.items()):
        if isinstance(error, Exception) and not isinstance(error, ProcessLost):  # which follows from another's end
            raise error
    for rank, error in errors.items():
        code = workers[rank].process.exitcode
        if error is None and code:
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"
            advice = _resume_advice(rendezvous, len(workers))
            raise ProcessLost(f"process {rank + 1} of {len(workers)} {how}: {advice}")
    for _, error in sorted(errors.items()):
        if isinstance(error, ProcessLost):
            raise error
    raise RuntimeError("\n".join(text for text in errors.values() if isinstance(text, str)))


def _resume_advice(rendezvous: Path, count: int) -> str:
    record = rendezvous / "run"
    run = record.read_text(encoding="utf-8") if record.exists() else ""
    if run and Path(run).is_dir():
        return f"resume with sattrans train --resume {run} --devices {count}"
    return "repeat the command"


def _work(rank: int, count: int, rendezvous: str, sender: Connection, work: Callable[[], None]) -> None:
    """Run `work` in a new process, and send the parent the error if it fails."""
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    os.environ |= {RENDEZVOUS: rendezvous, "WORLD_SIZE": str(count), "RANK": str(rank), "LOCAL_RANK": str(rank)}
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, processors() // count)))
    tqdm.set_lock(threading.RLock())  # tqdm's own is shared by all processes, and warns if one of them is killed
    try:
        work()
    except Interrupted as error:  # in all of them, at the same step
        sender.send(error)
    except BaseException as error:
        sender.send(_picklable(error))
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(1)  # a normal exit may wait for processes that wait for this one


def _picklable(error: BaseException) -> Exception | str:
    """Return an error with a message for users if pickle can copy it, otherwise its traceback."""
    if isinstance(error, SattransError | OSError):
        try:
            pickle.loads(pickle.dumps(error))  # noqa: S301  pickled here
        except Exception:  # noqa: S110  a plugin's error whose arguments pickle cannot restore
            pass
        else:
            return error
    return "".join(traceback.format_exception(error))[-MAX_TRACEBACK:]


def _exit_with_parent() -> None:
    """Exit as soon as the parent has ended: nobody would read the errors or stop the process."""
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


def rendezvous_folder() -> Path | None:
    """Return the folder in which the processes of one command find each other, None for those of `torchrun`."""
    folder = os.environ.get(RENDEZVOUS)
    return Path(folder) if folder else None


def record_run(run: Path) -> None:
    """Record the run's folder for the parent, if this process was launched."""
    if folder := rendezvous_folder():
        (folder / "run").write_text(str(run), encoding="utf-8")
