"""The folders of tilesets and runs by default, which an environment variable may move."""

import os
from pathlib import Path

from sattrans.errors import UsageError


def tiles_folder() -> Path:
    """Return the folder of tilesets by default: `tiles`, or what the environment variable SATTRANS_TILES says."""
    return _folder_of("SATTRANS_TILES", "tiles")


def runs_folder() -> Path:
    """Return the folder of runs by default: `runs`, or what the environment variable SATTRANS_RUNS says."""
    return _folder_of("SATTRANS_RUNS", "runs")


def _folder_of(variable: str, default: str) -> Path:
    """Return the folder that an environment variable names, or the default if it is not set or empty.

    Raises `UsageError` if a file is there.
    """
    folder = Path(os.environ.get(variable) or default)
    if folder.is_file():
        raise UsageError(f"{variable} is {folder}, which is a file: name a folder")
    return folder
