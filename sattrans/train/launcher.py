"""Together: the processes that train one run, started, waited for, and told of with one voice."""

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

from sattrans.errors import Interrupted, OptionError, RankLost, SattransError
from sattrans.train.signals import Remembered, handled, remembered
from sattrans.utils.executor import processors

MEETING = "SATTRANS_MEETING"
"""The variable that names a folder to the ranks: there they find each other, and leave word of their run."""

LOOK_SECONDS = 0.2
"""How often the ranks are looked at."""

GRACE_SECONDS = 5.0
"""How long ranks may take to end, once one has failed or the first is done; one that waits for another never does."""

LONGEST_TOLD = 20_000
"""Letters of a traceback that a rank tells: a pipe takes them though nobody reads yet."""


@dataclass(frozen=True, slots=True)
class _Rank:
    process: BaseProcess
    ear: Connection

    def told(self) -> Exception | str | None:
        """Return the error that it told before it ended, or the traceback of an unforeseen one."""
        try:
            return self.ear.recv() if self.ear.poll() else None
        except (EOFError, OSError):  # it ended without a word, or in the middle of one
            return None


def train_together(count: int, work: Callable[[], None]) -> None:
    """Have so many processes do `work`, as the ranks of one training; none is left when this returns.

    A signal lets them finish their step and save, a second one ends them at once. Raises what they raise, once, and
    `RankLost` for one that ended without saying why.
    """
    if count < 1:
        raise OptionError(f"--devices {count}: at least 1 is needed")
    ranks: list[_Rank] = []
    with TemporaryDirectory(prefix="sattrans-") as meeting, remembered() as asked:
        try:
            for number in range(count):
                ranks.append(_started(number, count, meeting, work))
            ended = _waited(ranks, asked)
        finally:
            for rank in ranks:
                rank.process.kill()
                rank.process.join()
        _raise(ranks, ended, Path(meeting))


def _started(number: int, count: int, meeting: str, work: Callable[[], None]) -> _Rank:
    context = multiprocessing.get_context("spawn")
    ear, mouth = context.Pipe(duplex=False)
    process = context.Process(target=_be_rank, args=(number, count, meeting, mouth, work))
    with handled(signal.SIG_IGN):  # inherited: a Ctrl-C that comes to all of them is passed on, once they train
        process.start()
    mouth.close()
    return _Rank(process, ear)


def _waited(ranks: Sequence[_Rank], asked: Remembered) -> list[_Rank]:
    """Wait until all have ended, or some never will; return those that have, in that order."""
    ended: list[_Rank] = []
    until = math.inf
    while len(ended) < len(ranks) and time.monotonic() < until:
        running = [rank.process for rank in ranks if rank not in ended]
        for process in running if asked.number else ():  # again each time: before its first step a rank hears none
            os.kill(process.pid or 0, asked.number or 0)
        wait([process.sentinel for process in running], LOOK_SECONDS)
        ended += [rank for rank in ranks if rank not in ended and not rank.process.is_alive()]
        if ranks[0] in ended or any(rank.process.exitcode for rank in ended):
            until = min(until, time.monotonic() + GRACE_SECONDS)
    return ended


def _raise(ranks: Sequence[_Rank], ended: Sequence[_Rank], meeting: Path) -> None:
    """Raise why training came to no end: what a rank told, else that one is gone, else what nobody foresaw."""
    told = {ranks.index(rank): rank.told() for rank in ended}
    if ranks[0] in ended and told[0] is None and ranks[0].process.exitcode == 0:
        return
    for _, error in sorted(told.items()):
        if isinstance(error, Exception):
            raise error
    for number, error in told.items():
        code = ranks[number].process.exitcode
        if error is None and code:
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"
            raise RankLost(f"process {number + 1} of {len(ranks)} {how}: {_way_on(meeting, len(ranks))}")
    raise RuntimeError("\n".join(text for text in told.values() if isinstance(text, str)))


def _way_on(meeting: Path, count: int) -> str:
    word = meeting / "run"
    run = word.read_text(encoding="utf-8") if word.exists() else ""
    if run and Path(run).is_dir():
        return f"go on with sattrans train --resume {run} --devices {count}"
    return "the same command begins again"


def _be_rank(number: int, count: int, meeting: str, mouth: Connection, work: Callable[[], None]) -> None:
    """Be one of the processes: do the work, and tell the one that started us why it failed."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ |= {MEETING: meeting, "WORLD_SIZE": str(count), "RANK": str(number), "LOCAL_RANK": str(number)}
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, processors() // count)))
    tqdm.set_lock(threading.RLock())  # its own is one for all processes, and leaves a warning where one is killed
    try:
        work()
    except Interrupted as error:  # all of them, at the same step
        mouth.send(error)
    except BaseException as error:
        mouth.send(_portable(error))
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(1)  # an orderly end may wait for ranks that wait for us


def _portable(error: BaseException) -> Exception | str:
    """Return what reaches another process: an error that has its own words, or a traceback."""
    if isinstance(error, SattransError | OSError):
        try:
            pickle.loads(pickle.dumps(error))  # noqa: S301  our own
        except Exception:  # noqa: S110  a plugin's, with arguments of its own
            pass
        else:
            return error
    return "".join(traceback.format_exception(error))[-LONGEST_TOLD:]


def _end_with_parent() -> None:
    """End at once when the process that started us has: nobody would hear us, or stop us."""
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


def meeting_place() -> Path | None:
    """Return the folder where the ranks meet that one command started; None for those of `torchrun`."""
    told = os.environ.get(MEETING)
    return Path(told) if told else None


def leave_word(run: Path) -> None:
    """Tell the process that started the ranks, if one did, which run they train."""
    if place := meeting_place():
        (place / "run").write_text(str(run), encoding="utf-8")
