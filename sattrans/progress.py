"""Progress bars: on stderr, with rate and time left, and silent when nobody watches."""

import sys
from typing import Any

from tqdm import tqdm


def bar(total: int, what: str, unit: str, done: int = 0) -> "tqdm[Any]":
    """Return a bar; use it as a context manager and call `update`."""
    return tqdm(total=total, initial=done, desc=what, unit=unit, disable=None, file=sys.stderr, dynamic_ncols=True)
