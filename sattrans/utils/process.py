"""Heap: what the C library does with memory that was freed."""

import ctypes
import os
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""The options' numbers in glibc's malloc.h."""

LARGE = 1 << 21

KEPT = 1 << 24
"""Bytes of smaller pieces, freed last, that are kept for the next ones: by itself it asks for them anew each time."""


def give_back_large() -> None:
    """Have pieces of memory of 2 MB and more go back to the system when they are freed; only glibc is told.

    By itself it raises that size to 32 MB, as large pieces are freed. They then lie between small ones that live on,
    in holes that the next ones do not fit into: a mosaic of 40,000 px square took 550 MB, and takes 250.
    """
    if sys.platform == "linux" and "MALLOC_MMAP_THRESHOLD_" not in os.environ:
        tell = getattr(ctypes.CDLL(None), "mallopt", None)
        if tell is not None:
            tell(M_MMAP_THRESHOLD, LARGE)
            tell(M_TRIM_THRESHOLD, KEPT)
