"""The progress of long work: a bar on a terminal, and now and then a line where there is none."""

import io
import logging
from collections.abc import Mapping
from typing import Any

from tqdm import tqdm

from sattrans.utils.console import log

FIRST_SECONDS = 30
"""Seconds until the first line; shorter work logs none."""

MOST_SECONDS = 300
"""Seconds between two lines of work that takes hours; a line stands for at least a tenth of the time so far."""


class ProgressLines(tqdm):  # type: ignore[type-arg]  # it is generic in the stubs only
    """A bar of tqdm that logs lines instead of drawing: for files, pipes and the logs of clusters."""

    def __init__(self, total: int, description: str, unit: str, initial: int = 0) -> None:
        super().__init__(
            total=total,
            initial=initial,
            desc=description,
            unit=unit,
            file=io.StringIO(),
            disable=not log.isEnabledFor(logging.INFO),
            mininterval=FIRST_SECONDS,
            miniters=1,
            delay=FIRST_SECONDS / 2,  # else it would begin with a line
        )

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Log a line, and choose the time of the next."""
        state = self.format_dict
        log.info(progress_line(state))
        self.mininterval = min(MOST_SECONDS, max(FIRST_SECONDS, state["elapsed"] / 10))

    def close(self) -> None:
        """End without a line: the command's result follows."""
        if not self.disable:
            self.disable = True
            self._decr_instances(self)  # type: ignore[attr-defined]  # its stubs lack it


def progress_line(state: Mapping[str, Any]) -> str:
    """Return how far work has come, from what tqdm calls its `format_dict`."""
    done, total, elapsed, rate = state["n"], state["total"], state["elapsed"], state["rate"]
    rate = rate or (done - state["initial"]) / max(elapsed, 1e-9)
    left = f", about {tqdm.format_interval((total - done) / rate)} left" if rate and done < total else ""
    postfix = f"; {state['postfix']}" if state["postfix"] else ""
    return (
        f"{state['prefix']}: {done} of {total} {state['unit']}s ({done / max(total, 1):.0%}), "
        f"{tqdm.format_interval(elapsed)} passed{left}{postfix}"
    )
