"""Signals: Ctrl-C and SIGTERM are remembered, so that a step can be finished and saved."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], None] | signal.Handlers


class Remembered:
    """The signal that came, if one did."""

    number: signal.Signals | None = None


@contextmanager
def handled(handler: Handler) -> Iterator[None]:
    """Have `handler` take SIGINT and SIGTERM for as long as the block lasts."""
    try:
        before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread: whoever runs us there handles signals
        before = {}
    try:
        yield
    finally:
        for number, handler_before in before.items():
            signal.signal(number, handler_before)


@contextmanager
def remembered(alone: bool = True) -> Iterator[Remembered]:
    """Remember SIGINT and SIGTERM for as long as the block lasts; a second one stops at once.

    It does not where a process is not `alone`: what started it may pass on a Ctrl-C that came to all of them.
    """
    came = Remembered()

    def remember(number: int, frame: FrameType | None) -> None:
        if alone and came.number is not None:
            raise KeyboardInterrupt
        came.number = signal.Signals(number)

    with handled(remember):
        yield came
