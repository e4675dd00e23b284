"""Output while a command runs: log messages, progress bars, and counts in words."""

import logging
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tqdm import tqdm

log = logging.getLogger("sattrans")
"""The logger of all commands: they report defaults that they chose at level INFO, and the CLI prints it on stderr."""


NOTHING_TO_DO = "nothing to do: it is there already"
"""What every command says about a finished output."""


def progress_bar(total: int, description: str, unit: str, initial: int = 0) -> "tqdm[Any]":
    """Return a progress bar on stderr, or what logs a line now and then if that is not a terminal.

    Use it as a context manager. It is silent if the logger is.
    """
    if not sys.stderr.isatty():
        from sattrans.utils.progress import ProgressLines

        return ProgressLines(total, description, unit, initial)
    from tqdm import tqdm  # it takes a tenth of the time of sattrans --help, which shows no bar

    silent = log.level > logging.INFO
    return tqdm(
        total=total, initial=initial, desc=description, unit=unit, disable=silent, file=sys.stderr, dynamic_ncols=True
    )


def pluralize(count: int, singular: str, plural: str | None = None) -> str:
    """Return a number and a noun, such as "1 window" or "2 windows"; the plural adds an s if it is not given."""
    return f"{count} {singular if count == 1 else plural or singular + 's'}"


MOST_NOTICES = 3
"""Number of notices about files that are printed; further ones are only counted."""


def log_few(notices: "Sequence[str]") -> None:
    """Log notices as warnings, a few of them, and how many more there are."""
    for notice in notices[:MOST_NOTICES]:
        log.warning(notice)
    if len(notices) > MOST_NOTICES:
        log.warning("and %s", pluralize(len(notices) - MOST_NOTICES, "more such note"))
