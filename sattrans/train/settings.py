"""Settings: the training loop's resolved settings, and learning-rate schedules."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sattrans.model import Schedule
from sattrans.train.options import TrainPrecision


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of the training loop, all resolved, as the run's manifest records them.

    `batch_size` is that of one process; `processes` train together. `sample_every` counts steps; None is an epoch.
    `balance` says how much a pixel of each class counts, `warp` is in pixels; see `Batches`.
    """

    steps: int
    batch_size: int
    seed: int
    precision: TrainPrecision
    ema: float
    patience: int | None
    monitor: str
    schedule: Schedule
    processes: int = 1
    compile: bool = False
    sample_every: int | None = None
    balance: Mapping[str, float] | None = None
    warp: int = 0


SCHEDULES: dict[Schedule, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    "linear": lambda done: min(1.0, 2.0 * (1.0 - done)),  # pix2pix: constant for half of the epochs, then down to 0
    "late": lambda done: min(1.0, 2.5 * (1.0 - done)),
}
"""Factor of the learning rate, by the part of the training that is done (0 to 1)."""
