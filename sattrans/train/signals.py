"""Signals: SIGINT (Ctrl-C) and SIGTERM are noted, so that the current step can be finished and saved."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], None] | signal.Handlers


class ReceivedSignal:
    """The signal that was received, None as long as there was none."""

    number: signal.Signals | None = None


@contextmanager
def handle_signals(handler: Handler) -> Iterator[None]:
    """Let `handler` handle SIGINT and SIGTERM within the block."""
    try:
        previous = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # only the main thread may set handlers; in another thread the caller handles signals
        previous = {}
    try:
        yield
    finally:
        for number, previous_handler in previous.items():
            signal.signal(number, previous_handler)


@contextmanager
def catch_signals(second_stops: bool = True) -> Iterator[ReceivedSignal]:
    """Note SIGINT and SIGTERM within the block; a second signal raises `KeyboardInterrupt`.

    A process of several needs `second_stops` False: a Ctrl-C reaches it from the terminal and again from the parent.
    """
    received = ReceivedSignal()

    def note(number: int, frame: FrameType | None) -> None:
        if second_stops and received.number is not None:
            raise KeyboardInterrupt
        received.number = signal.Signals(number)

    with handle_signals(note):
        yield received
