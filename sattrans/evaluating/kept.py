"""Kept: what was measured so far, so that an evaluation that was interrupted goes on."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sattrans.files import write_bytes

Rows = Mapping[str, NDArray[np.generic]]
"""Statistics of some images by name, a row an image."""


class Kept:
    """A folder of measured rows: `<key>/<first>-<last>.npz`. A file is whole or not there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def rows(self, key: str, numbers: Sequence[int]) -> Rows | None:
        """Return what was measured of these images, None where nothing was."""
        path = self._path(key, numbers)
        if not path.is_file():
            return None
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}

    def keep(self, key: str, numbers: Sequence[int], rows: Rows) -> None:
        """Put down what was measured of these images."""
        data = io.BytesIO()
        np.savez(data, allow_pickle=False, **rows)
        write_bytes(self._path(key, numbers), data.getvalue())

    def _path(self, key: str, numbers: Sequence[int]) -> Path:
        return self.folder / key / f"{numbers[0]}-{numbers[-1]}.npz"
