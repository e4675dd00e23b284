"""Ranks: the processes that train one model together, each on its part of every batch.

What Lightning Fabric or DDP would add is the mean of the gradients. A model's step asks for one optimiser after
another, so the mean is taken between each backward pass and its optimiser's step, and networks stay what they are.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

from sattrans.errors import Interrupted, OptionError
from sattrans.train.launcher import leave_word, meeting_place


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process's number among `count`; number 0 alone judges, writes and talks."""

    number: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the one that judges and writes."""
        return self.number == 0

    def average_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Put the mean over all ranks in place of each parameter's gradient."""
        if self.count == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        # One message for all: a message costs more than the numbers in it.
        flat = torch._utils._flatten_dense_tensors(gradients)
        dist.all_reduce(flat)
        flat /= self.count
        for gradient, mean in zip(gradients, torch._utils._unflatten_dense_tensors(flat, gradients), strict=True):
            gradient.copy_(mean)

    def told_folder(self, folder: Path | None) -> Path:
        """Return the folder that rank 0 tells of; it gives its own."""
        told = [folder]
        if folder:
            leave_word(folder)
        if self.count > 1:
            dist.broadcast_object_list(told)
        assert told[0]
        return told[0]

    def largest(self, value: float, device: torch.device) -> float:
        """Return the largest of all ranks' values: what one of them asks for, all do."""
        if self.count == 1:
            return value
        shared = torch.tensor(value, device=device)
        dist.all_reduce(shared, dist.ReduceOp.MAX)
        return float(shared)

    def lead(self, value: float, device: torch.device) -> float:
        """Return rank 0's value, once it has come to it."""
        if self.count == 1:
            return value
        shared = torch.tensor(value, device=device, dtype=torch.float64)
        dist.broadcast(shared, 0)
        return float(shared)


ALONE = Ranks()


@contextmanager
def joined(device: torch.device) -> Iterator[Ranks]:
    """Join the processes that `torchrun`, or `--devices`, started beside this one; alone where there are none.

    They talk through NCCL on CUDA, through Gloo elsewhere. Raises `OptionError` where there are fewer devices
    than processes. After an error nobody is waited for.
    """
    count, number = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    if count == 1:
        yield ALONE
        return
    if device.type == "cuda":
        local = int(os.environ.get("LOCAL_RANK", "0"))
        if local >= torch.cuda.device_count():
            raise OptionError(
                f"process {local} of this machine has no device of its own: {torch.cuda.device_count()} there"
            )
        torch.cuda.set_device(local)
    place = meeting_place()
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, f"file://{place / 'ranks'}" if place else None, rank=number, world_size=count)
    try:
        yield Ranks(number, count)
    except Interrupted:  # all of them, at the same step
        dist.destroy_process_group()
        raise
    dist.destroy_process_group()
