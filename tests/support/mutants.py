"""Damaged files: seeded mutants of each format, read in a forked child, and what became of each."""

import os
import pickle
import random
import re
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sattrans.errors import SattransError

SECONDS = 20
"""Longest time of a processor for one mutant: on a busy machine, more passes on the clock."""

WAITED = 300
"""Longest time on the clock for one mutant, which may wait for ever without using a processor."""

TIMERS = {signal.SIGPROF: f"over {SECONDS} s of a processor", signal.SIGALRM: f"over {WAITED} s on the clock"}
"""What ends a mutant that takes too long."""

MEGABYTES = 1024
"""Most memory that one mutant may add to its process."""

NUMBERS = [
    b"-1",
    b"0",
    b"1e999",
    b"NaN",
    b"9" * 400,
    b"1e-320",
    b"2147483648",
    b"-0.0",
    b"true",
    b"null",
    b'"x"',
    b"[]",
]
"""What a number in a text becomes."""


@dataclass
class Outcome:
    """What became of the mutants of a format: how many were read, refused, or worse; and which were worse."""

    counts: Counter[str] = field(default_factory=Counter)
    worse: list[str] = field(default_factory=list)

    def add(self, number: int, what: str, detail: str) -> None:
        self.counts[what] += 1
        if what not in ("read", "refused"):
            self.worse.append(f"mutant {number}: {what} {detail}")


def mutate(data: bytes, draw: random.Random) -> bytes:
    """Return a file with one to four changes: bytes, parts, its length, or the numbers and texts of JSON and TOML."""
    for _ in range(draw.randint(1, 4)):
        kind = draw.randrange(8)
        at = draw.randrange(len(data) + 1)
        size = draw.choice((1, 2, 4, 8, 64))
        numbers = list(re.finditer(rb"-?\d+(?:\.\d+)?", data[:100_000])) if kind >= 6 else []
        if kind == 0:
            data = data[:at]
        elif kind == 1:
            data = data[:at] + data[at + size :]
        elif kind == 2:
            data = data[:at] + draw.randbytes(size) + data[at:]
        elif kind == 3:
            data = data[:at] + draw.choice((b"\0", b"\xff", b"\x80", b"\x7f")) * size + data[at + size :]
        elif kind == 4:
            data = data[:at] + data[max(0, at - size * 8) : at] + data[at:]
        elif kind == 5 and data:
            at = min(at, len(data) - 1)
            data = data[:at] + bytes([data[at] ^ 1 << draw.randrange(8)]) + data[at + 1 :]
        elif numbers:
            found = draw.choice(numbers)
            data = data[: found.start()] + draw.choice(NUMBERS) + data[found.end() :]
    return data


def fuzz(path: Path, read: Callable[[], object], count: int, seed: int = 0) -> Outcome:
    """Write `count` mutants over a file, one after the other, and read each in a forked child; put the file back."""
    whole = path.read_bytes()
    mutants = [mutate(whole, random.Random(f"{path.name} {seed} {number}")) for number in range(count)]
    outcome, first = Outcome(), 0
    try:
        while first < count:
            done = _in_child(path, read, mutants, first)
            for number, (what, detail) in enumerate(done, first):
                outcome.add(number, what, detail)
            first += len(done)
    finally:
        path.write_bytes(whole)
    return outcome


def _in_child(path: Path, read: Callable[[], object], mutants: list[bytes], first: int) -> list[tuple[str, str]]:
    """Read mutants in a child until one ends it; return what became of them, that one included."""
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if not child:
        os.close(reader)
        with suppress(BaseException), os.fdopen(writer, "wb", buffering=0) as pipe:
            devnull = os.open(os.devnull, os.O_WRONLY)
            os.dup2(devnull, 1)
            os.dup2(devnull, 2)
            for number in TIMERS:
                signal.signal(number, signal.SIG_DFL)
            for data in mutants[first:]:
                path.write_bytes(data)
                signal.setitimer(signal.ITIMER_PROF, SECONDS)
                signal.alarm(WAITED)
                pipe.write(pickle.dumps(_outcome(read)))
                signal.setitimer(signal.ITIMER_PROF, 0)
                signal.alarm(0)
        os._exit(0)
    os.close(writer)
    done: list[tuple[str, str]] = []
    with os.fdopen(reader, "rb") as pipe, suppress(EOFError):
        while True:
            done.append(pickle.load(pipe))
    _, status = os.waitpid(child, 0)
    if len(done) < len(mutants) - first:
        number = os.WTERMSIG(status)
        done.append(("slow", TIMERS[number]) if number in TIMERS else ("crash", f"signal {number}"))
    return done


def _outcome(read: Callable[[], object]) -> tuple[str, str]:
    before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    try:
        read()
        what = "read", ""
    except SattransError as error:
        what = ("refused", "") if "\n" not in str(error) and str(error) else ("traceback", f"lines: {error}")
    except MemoryError:
        what = "memory", "MemoryError"
    except BaseException as error:
        frames = traceback.extract_tb(error.__traceback__)
        ours = next((frame for frame in reversed(frames) if "/sattrans/" in frame.filename), frames[-1])
        what = "traceback", f"{type(error).__name__} in {Path(ours.filename).name}:{ours.lineno}: {str(error)[:150]}"
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    if grown > MEGABYTES:
        return "memory", f"{grown} MB in {time.monotonic() - begun:.1f} s"
    return what
