"""Settings of the whole process: garbage collection, malloc and environment variables.

A command sets them when it starts. Importing sattrans sets none: in somebody else's program these are theirs.
"""

import gc
import os
import sys

COLLECT_EVERY = 10_000
"""Allocations between garbage collections. The default of 700 only slows imports, which create no garbage."""

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""The numbers of these options in glibc's malloc.h."""

LARGE_BLOCK = 1 << 21
"""Blocks of this many bytes and more are returned to the system when they are freed."""

FREE_BYTES_RETAINED = 1 << 24
"""Bytes of freed smaller blocks that malloc keeps for the next ones instead of asking the system again each time."""


def configure() -> None:
    """Set what every command wants; call it before anything heavy is imported."""
    gc.set_threshold(COLLECT_EVERY)
    request_large_pages()


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
