"""Folders that an environment variable may move."""

import os
from pathlib import Path

from sattrans.errors import UsageError


def folder_of(variable: str, default: str) -> Path:
    """Return the folder that an environment variable names, or the default if it is not set or empty.

    Raises `UsageError` if a file is there.
    """
    folder = Path(os.environ.get(variable) or default)
    if folder.is_file():
        raise UsageError(f"{variable} is {folder}, which is a file: name a folder")
    return folder
