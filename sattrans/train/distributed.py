"""Distributed training: several processes train one model, each on its part of every batch.

A model's step runs one optimiser after another, so the gradients are averaged between each backward pass and its
optimiser's step, and networks are not wrapped. Lightning Fabric or DDP would add nothing else.
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
from sattrans.train.launcher import record_run, rendezvous_folder


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes that train one model: this one's `rank` and their `count`. Rank 0 alone validates and writes."""

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process validates and writes."""
        return self.rank == 0

    def average_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Replace each parameter's gradient by its mean over all processes."""
        if self.count == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        # One message for all gradients: a message costs more than the numbers in it.
        flat = torch._utils._flatten_dense_tensors(gradients)
        dist.all_reduce(flat)
        flat /= self.count
        for gradient, mean in zip(gradients, torch._utils._unflatten_dense_tensors(flat, gradients), strict=True):
            gradient.copy_(mean)

    def broadcast_folder(self, folder: Path | None) -> Path:
        """Return the run's folder, which rank 0 passes and the others pass None for."""
        folders = [folder]
        if folder:
            record_run(folder)
        if self.count > 1:
            dist.broadcast_object_list(folders)
        assert folders[0]
        return folders[0]

    def maximum(self, value: float, device: torch.device) -> float:
        """Return the largest of the processes' values."""
        if self.count == 1:
            return value
        shared = torch.tensor(value, device=device)
        dist.all_reduce(shared, dist.ReduceOp.MAX)
        return float(shared)

    def broadcast(self, value: float, device: torch.device) -> float:
        """Return the value of rank 0; the others wait for it."""
        if self.count == 1:
            return value
        shared = torch.tensor(value, device=device, dtype=torch.float64)
        dist.broadcast(shared, 0)
        return float(shared)


SINGLE_PROCESS = Processes()


@contextmanager
def process_group(device: torch.device) -> Iterator[Processes]:
    """Join the processes that `--devices` or `torchrun` started, if any.

    They communicate through NCCL on CUDA, through Gloo otherwise. Raises `OptionError` if there are fewer devices than
    processes. After an error the group is not closed, because that would wait for processes that may have ended.
    """
    count, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    if count == 1:
        yield SINGLE_PROCESS
        return
    if device.type == "cuda":
        local = int(os.environ.get("LOCAL_RANK", "0"))
        if local >= torch.cuda.device_count():
            raise OptionError(
                f"process {local + 1} on this machine has no device: there are {torch.cuda.device_count()}; "
                "start fewer processes"
            )
        torch.cuda.set_device(local)
    folder = rendezvous_folder()
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, f"file://{folder / 'ranks'}" if folder else None, rank=rank, world_size=count)
    try:
        yield Processes(rank, count)
    except Interrupted:  # in all processes, at the same step
        dist.destroy_process_group()
        raise
    dist.destroy_process_group()
