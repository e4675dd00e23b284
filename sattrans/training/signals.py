"""Signals: Ctrl-C and SIGTERM are remembered, so that a step can be finished and saved."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Remembered:
    """The signal that came, if one did."""

    number: signal.Signals | None = None


@contextmanager
def remembered() -> Iterator[Remembered]:
    """Remember SIGINT and SIGTERM for as long as the block lasts; a second one stops at once."""
    came = Remembered()

    def remember(number: int, frame: FrameType | None) -> None:
        if came.number is not None:
            raise KeyboardInterrupt
        came.number = signal.Signals(number)

    try:
        before = {number: signal.signal(number, remember) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread: whoever runs us there handles signals
        before = {}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
