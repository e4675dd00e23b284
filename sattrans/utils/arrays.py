"""Archives of NumPy arrays (`.npz`), read within bounds: an archive of some kB may declare terabytes."""

import io
import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

MAX_HEADER = 1 << 12
"""Characters of the header of an array: its type and shape."""


def read_arrays(source: bytes | Path, limit: int, nan: bool = False) -> dict[str, NDArray[Any]]:
    """Return the arrays of an archive by name.

    Args:
        source: The archive, or its path.
        limit: The most bytes that all arrays may take.
        nan: Whether numbers may be NaN or infinite.

    Raises:
        ValueError: The archive is damaged, too large, or holds something other than numbers.
        FileNotFoundError: It does not exist.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source) as archive:
            size = sum(member.file_size for member in archive.infolist())
            if size > limit:
                raise ValueError(f"would take {size >> 20} MiB, over {limit >> 20}")
            return {name.removesuffix(".npy"): _read(archive, name, nan) for name in archive.namelist()}
    except FileNotFoundError:
        raise
    # zipfile raises NotImplementedError for a compression that it does not know.
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, SyntaxError) as error:
        raise ValueError(f"is no archive of arrays ({error})") from error


def _read(archive: zipfile.ZipFile, name: str, nan: bool) -> NDArray[Any]:
    data = archive.read(name)
    file = io.BytesIO(data)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    version = npy.read_magic(file)
    if version not in readers:
        raise ValueError(f"has an array {name} of an unknown version")
    shape, in_columns, dtype = readers[version](file, max_header_size=MAX_HEADER)
    if dtype.kind not in "biuf" or math.prod(shape) * dtype.itemsize != len(data) - file.tell():
        raise ValueError(f"has an array {name} that is not what it declares")
    array = np.frombuffer(data, dtype, offset=file.tell()).reshape(shape, order="F" if in_columns else "C")
    if not nan and dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"has an array {name} with a number that is not finite")
    return array
