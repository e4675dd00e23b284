"""Settings of the whole process: garbage collection, malloc and environment variables.

A command sets them when it starts. Importing sattrans sets none: in somebody else's program these are theirs.
"""

import gc
import io
import logging
import os
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

COLLECT_EVERY = 10_000
"""Allocations between garbage collections. The default of 700 only slows imports, which create no garbage."""

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""The numbers of these options in glibc's malloc.h."""

LARGE_BLOCK = 1 << 21
"""Blocks of this many bytes and more are returned to the system when they are freed."""

FREE_BYTES_RETAINED = 1 << 24
"""Bytes of freed smaller blocks that malloc keeps for the next ones instead of asking the system again each time."""


FOREIGN = {
    "proj_data": ("PROJ_LIB", "PROJ_DATA"),
    "gdal_data": ("GDAL_DATA", "GDAL_DRIVER_PATH", "OGR_DRIVER_PATH", "GDAL_PYTHON_DRIVER_PATH"),
}
"""Folders of data that rasterio's wheel brings, and the variables that would make it use another program's instead."""


def configure() -> None:
    """Set what every command wants; call it before anything heavy is imported."""
    gc.set_threshold(COLLECT_EVERY)
    request_large_pages()
    use_own_data()
    silence_libraries()
    replace_missing_characters()


def use_own_data() -> None:
    """Forget where another program (PostGIS, QGIS, conda) has its data of PROJ and GDAL, if rasterio brings its own.

    The data of another version breaks every CRS: PROJ reads `proj.db` of its own layout only.
    """
    package = find_spec("rasterio")
    for folder in package.submodule_search_locations or () if package else ():
        for data, names in FOREIGN.items():
            if Path(folder, data).is_dir():
                for name in names:
                    os.environ.pop(name, None)


def silence_libraries() -> None:
    """Keep warnings and log lines of libraries off stderr, where every line is a sentence of ours.

    They show again with Python's -W or PYTHONWARNINGS.
    """
    logging.getLogger().addHandler(logging.NullHandler())  # else Python prints what no handler takes
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    os.environ.setdefault("CPL_LOG", os.devnull)  # of GDAL, in threads that rasterio does not know
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


def show_warnings() -> None:
    """Show the warnings of libraries after all."""
    if not sys.warnoptions:
        warnings.simplefilter("default")


def peak_memory() -> int:
    """Return the most bytes of memory that this process has held at once; 0 where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def replace_missing_characters() -> None:
    """Print a question mark for a character that the encoding of a console or pipe lacks, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def request_large_pages() -> None:
    """Have PyTorch ask the system for large pages, unless the user has set `THP_MEM_ALLOC_ENABLE`.

    PyTorch reads the variable when it first allocates memory. Without large pages, the weights of a pix2pix model
    lie on 53,000 small ones: a batch took a quarter longer, and the time differed from process to process.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


def configure_mosaic() -> None:
    """Set what `mosaic` wants: one BLAS thread, and large blocks of memory returned when they are freed.

    Its own threads do the work, and starting OpenBLAS's threads takes longer than its small products. By default
    glibc raises the size from which it returns blocks to 32 MB as large blocks are freed; they then leave holes among
    small blocks that live on: a mosaic of 40,000 px square took 550 MB, with this setting 250 MB.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if sys.platform == "linux" and "MALLOC_MMAP_THRESHOLD_" not in os.environ:
        import ctypes

        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK)
            mallopt(M_TRIM_THRESHOLD, FREE_BYTES_RETAINED)


def prepare_exit() -> None:
    """Spare the garbage collection at the end: it would take a quarter of a second over what ends with the process."""
    gc.freeze()
