"""Membership: which of the processes that train one run this one is, as what started it says in variables.

`sattrans train --devices` and `torchrun` set RANK, WORLD_SIZE and LOCAL_RANK; SLURM's `srun` sets its own. Loads no
torch.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from sattrans.errors import TrainingError
from sattrans.train.launcher import rendezvous_folder

FIRST_PORT, PORTS = 20_000, 20_000
"""Where the processes of a SLURM job meet: a port that its number chooses, so that jobs on one node differ."""

FIRST_HOST = re.compile(r"(?P<prefix>[^,\[\]]+)(?:\[(?P<number>\d+)[^\]]*\](?P<suffix>[^,\[\]]*))?")
"""The beginning of a list such as `gpu[03-05,7],cpu1`: SLURM's own `scontrol show hostnames` is not everywhere."""


@dataclass(frozen=True, slots=True)
class Membership:
    """One of the processes that train one run.

    Attributes:
        rank: Its number among all, from 0.
        count: How many there are, on all machines.
        local_rank: Its number among those on this machine, which chooses its GPU.
        meeting: Where they meet, as `torch.distributed` takes it; None for what MASTER_ADDR and MASTER_PORT say.
        devices: Whether `sattrans train --devices` started them.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    meeting: str | None = None
    devices: bool = False

    def resuming(self, run: Path) -> str:
        """Return how to resume a run that these processes train."""
        command = f"sattrans train --resume {run}"
        if self.count == 1:
            return command
        return f"{command} --devices {self.count}" if self.devices else f"{command} in {self.count} processes as before"


def membership() -> Membership:
    """Return which process this is. Raises `TrainingError` if variables contradict each other."""
    told = os.environ
    try:
        if "WORLD_SIZE" in told:
            rank, count = int(told.get("RANK", "0")), int(told["WORLD_SIZE"])
            folder = rendezvous_folder()
            meeting = f"file://{folder / 'ranks'}" if folder else None
            found = Membership(rank, count, int(told.get("LOCAL_RANK", "0")), meeting, folder is not None)
        elif "SLURM_STEP_NUM_TASKS" in told:  # set by srun alone: the tasks of a batch script are not started by it
            rank, count = int(told["SLURM_PROCID"]), int(told["SLURM_STEP_NUM_TASKS"])
            found = Membership(
                rank, count, int(told.get("SLURM_LOCALID", "0")), _meeting_of_slurm() if count > 1 else None
            )
        else:
            found = Membership()
    except (KeyError, ValueError) as error:
        raise TrainingError(
            f"cannot tell which of several processes this is ({error!r}): set RANK and WORLD_SIZE"
        ) from None
    if not 0 <= found.rank < found.count:
        raise TrainingError(
            f"this is process {found.rank} of {found.count}, counted from 0: correct RANK and WORLD_SIZE"
        )
    return found


def _meeting_of_slurm() -> str:
    """Return where the tasks of a job step meet: on the first machine, unless MASTER_ADDR says otherwise."""
    host = os.environ.get("MASTER_ADDR") or first_host(os.environ["SLURM_STEP_NODELIST"])
    port = os.environ.get("MASTER_PORT") or FIRST_PORT + int(os.environ["SLURM_JOB_ID"]) % PORTS
    return f"tcp://{host}:{port}"


def first_host(listed: str) -> str:
    """Return the first of the machines in SLURM's list, such as gpu03 of `gpu[03-05,7],cpu1`. Raises `ValueError`."""
    found = FIRST_HOST.match(listed)
    if not found:
        raise ValueError(f"SLURM_STEP_NODELIST is {listed}")
    return found["prefix"] + (found["number"] or "") + (found["suffix"] or "")
