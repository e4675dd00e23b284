"""Distributed training: several processes train one model, each on its part of every batch.

A model's step runs one optimiser after another, so the gradients are averaged between each backward pass and its
optimiser's step, and networks are not wrapped. Lightning Fabric or DDP would add nothing else.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

from sattrans.errors import Interrupted, OptionError, ProcessLost, TrainingError
from sattrans.train.launcher import record_run
from sattrans.train.membership import Membership, membership


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes that train one model, perhaps on several machines. Rank 0 alone validates and writes.

    What they share raises `ProcessLost` if one of them is gone.
    """

    member: Membership = field(default_factory=Membership)

    @property
    def rank(self) -> int:
        """The number of this one, from 0."""
        return self.member.rank

    @property
    def count(self) -> int:
        """How many there are."""
        return self.member.count

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
        with self._together():
            dist.all_reduce(flat)
        flat /= self.count
        for gradient, mean in zip(gradients, torch._utils._unflatten_dense_tensors(flat, gradients), strict=True):
            gradient.copy_(mean)

    def broadcast_folder(self, folder: Path | None) -> Path:
        """Return the run's folder, which rank 0 passes and the others, perhaps in another folder, pass None for."""
        folders = [folder and folder.absolute()]
        if folder:
            record_run(folder)
        if self.count > 1:
            with self._together():
                dist.broadcast_object_list(folders)
        assert folders[0]
        return folders[0]

    def maximum(self, value: float, device: torch.device) -> float:
        """Return the largest of the processes' values."""
        if self.count == 1:
            return value
        shared = torch.tensor(value, device=device)
        with self._together():
            dist.all_reduce(shared, dist.ReduceOp.MAX)
        return float(shared)

    def broadcast(self, value: float, device: torch.device) -> float:
        """Return the value of rank 0; the others wait for it."""
        if self.count == 1:
            return value
        shared = torch.tensor(value, device=device, dtype=torch.float64)
        with self._together():
            dist.broadcast(shared, 0)
        return float(shared)

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Report a process that cannot be reached, in one line."""
        try:
            yield
        except RuntimeError as error:  # Gloo's errors have no class of their own
            raise ProcessLost(
                f"process {self.rank + 1} of {self.count} cannot reach the others any more: one of them has ended, or "
                "the network between them is down; its own last line says why. To resume, start as many processes with "
                "--resume"
            ) from error


SINGLE_PROCESS = Processes()


@contextmanager
def process_group(device: torch.device) -> Iterator[Processes]:
    """Join the processes that `--devices`, `torchrun` or SLURM started, if any.

    They communicate through NCCL on CUDA, through Gloo otherwise. Raises `OptionError` if there are fewer devices than
    processes, and `TrainingError` if the others do not come. After an error the group is not closed, because that would
    wait for processes that may have ended.
    """
    member = membership()
    if member.count == 1:
        yield SINGLE_PROCESS
        return
    if device.type == "cuda":
        if member.local_rank >= torch.cuda.device_count():
            raise OptionError(
                f"process {member.local_rank + 1} on this machine has no device: there are "
                f"{torch.cuda.device_count()}; start fewer processes"
            )
        torch.cuda.set_device(member.local_rank)
    backend = "nccl" if device.type == "cuda" else "gloo"
    try:
        dist.init_process_group(backend, member.meeting, rank=member.rank, world_size=member.count)
    except (RuntimeError, ValueError) as error:  # others did not come, or the address is not one
        reason = str(error).strip().partition("\n")[0]
        raise TrainingError(
            f"process {member.rank + 1} of {member.count} does not find the others ({reason}): start all of them, and "
            "let them reach the first machine"
        ) from error
    try:
        yield Processes(member)
    except Interrupted:  # in all processes, at the same step
        dist.destroy_process_group()
        raise
    dist.destroy_process_group()
