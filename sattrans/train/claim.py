"""The folder of a new run, claimed by one training whatever others begin at the same moment; the run to start from."""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

from sattrans.errors import LockedError, OutputExists, UsageError
from sattrans.runs.run import Run, RunOutput
from sattrans.utils.console import log
from sattrans.utils.folders import runs_folder


def new_folders(model: str, tileset: str) -> Iterator[Path]:
    """Yield the folders of the default name that do not exist, by their number."""
    for number in count(1):
        folder = runs_folder() / f"{model}-{tileset}-{number}"
        if not folder.exists():
            yield folder


def claim(output: RunOutput, names: tuple[str, str] | None, stack: ExitStack) -> RunOutput:
    """Claim the folder of a run until `stack` closes, and return it.

    Args:
        output: The folder.
        names: The names of model and tileset if the folder was chosen by its number: if another training has claimed it
            meanwhile, the next number will do as well. None if the user named the folder.
        stack: What holds the claim.

    Raises:
        LockedError: Another training writes to the folder that the user named.
        OutputExists: That folder holds a run.
    """
    others = new_folders(*names) if names else iter(())
    while True:
        try:
            stack.enter_context(output.claim())
            return output
        except (LockedError, OutputExists):
            taken = output.path
            free = next((folder for folder in others if folder != taken), None)
            if free is None:
                raise
        output = RunOutput(free, {})
        log.info("another training has just begun %s; this one goes into %s", taken, free)


def check_init(folder: Path) -> None:
    """Raise `UsageError` if the run to start from does not exist or has no checkpoint yet."""
    try:
        checkpoint = Run.open(folder).checkpoint("last")
    except UsageError as error:
        raise UsageError(f"--init {error}") from error
    if not checkpoint.is_file():
        raise UsageError(f"--init {folder}: it was stopped before its first checkpoint: name another run")
