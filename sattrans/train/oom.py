"""Out of memory: recognise the error, and find a batch size that fits."""

import gc
from collections.abc import Callable

import torch

CPU_MESSAGES = ("allocate memory", "bad_alloc", "could not create a primitive")
"""What PyTorch, C++ and oneDNN report if the machine's memory, not a device's, runs out."""


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out, on a device or on the machine."""
    return isinstance(error, torch.OutOfMemoryError) or any(text in str(error) for text in CPU_MESSAGES)


def fitting_batch(batch_size: int, attempt: Callable[[int], None]) -> int:
    """Return the largest of a half, a quarter and so on of a batch size for which `attempt` succeeds, or 0.

    It is tried, not computed: what a step needs depends on networks, kernels and what else is in memory.
    """
    size = batch_size // 2
    while size:
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        try:
            attempt(size)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
        else:
            return size
        size //= 2
    return 0
