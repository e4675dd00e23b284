"""What a user sees while work goes on: which defaults were taken, and bars with rate and time left."""

import logging
import sys
from typing import Any

from tqdm import tqdm

log = logging.getLogger("sattrans")
"""Verbs say here, at level INFO, what they took where they were not told; the command line prints it on stderr."""


def bar(total: int, what: str, unit: str, done: int = 0) -> "tqdm[Any]":
    """Return a bar on stderr, silent where that is no terminal; use it as a context manager and call `update`."""
    return tqdm(total=total, initial=done, desc=what, unit=unit, disable=None, file=sys.stderr, dynamic_ncols=True)


def counted(count: int, one: str, many: str | None = None) -> str:
    """Return a number and what is counted, "1 window" or "2 windows"; `many` where an s is not all."""
    return f"{count} {one if count == 1 else many or one + 's'}"
