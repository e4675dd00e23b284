"""The training loop: steps as the model asks for them, averaging, judging, checkpoints, resuming."""

import copy
import json
import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from sattrans.batches import Batches, to_picture
from sattrans.errors import Interrupted, OptionError, TrainingError
from sattrans.files import write_bytes
from sattrans.model import Model, Noise, Schedule
from sattrans.progress import bar
from sattrans.run import METRICS, Run, load_checkpoint, save_checkpoint, under
from sattrans.sheet import write_sheet
from sattrans.tileset import Tileset

Precision = Literal["32", "bf16"]

REFRESH_TILES = 64
"""Training tiles from which batch-norm statistics are estimated again before a generator is judged."""

SAMPLE_TILES = 4


@dataclass(frozen=True, slots=True)
class Settings:
    """What the loop is told, all resolved: it is kept in the run's manifest."""

    steps: int
    batch_size: int
    seed: int
    precision: Precision
    ema: float
    patience: int | None
    monitor: str
    schedule: Schedule


SCHEDULES: dict[Schedule, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    "linear": lambda done: min(1.0, 2.0 * (1.0 - done)),  # pix2pix: half of the epochs constant, then to 0
}
"""Factor of the learning rate, by the part of the training that is done (0 to 1)."""


class Loop:
    """Trains one model on one tileset into one run. `run()` goes from wherever the last checkpoint stands."""

    def __init__(self, model: Model, train: Batches, val: Batches, settings: Settings, run: Run) -> None:
        self.model, self.train, self.val, self.settings, self.folder = model, train, val, settings, run
        self.device = train.device
        self.optimizers = model.optimizers()
        self.base_lr = {name: [group["lr"] for group in o.param_groups] for name, o in self.optimizers.items()}
        self.trainable = {
            name: [p for group in o.param_groups for p in group["params"] if p.requires_grad]
            for name, o in self.optimizers.items()
        }
        self.average = AveragedModel(model.generator, avg_fn=self._average)
        self.step = 0
        self.state: dict[str, Any] = {"best": None, "best_epoch": None, "stale": 0, "sums": {}, "seconds": 0.0}
        self.stop_by: signal.Signals | None = None

    def _average(self, averaged: Tensor, current: Tensor, number: Tensor | int) -> Tensor:
        # A short start: an average over 1000 steps would remember the first weights for as long.
        done = float(number)
        return averaged.lerp(current, 1 - min(self.settings.ema, (1 + done) / (10 + done)))

    def run(self) -> dict[str, Any]:
        """Train to the end, and return the summary. Raises `TrainingError`, or `Interrupted` after a signal."""
        per_epoch = self.train.per_epoch
        with self._signals(), bar(self.settings.steps, "train", "step", self.step) as progress:
            self.model.train()
            while self.step < self.settings.steps:
                losses = self.train_step()
                progress.update()
                progress.set_postfix({name: f"{value:.3g}" for name, value in losses.items()}, refresh=False)
                if self.step % per_epoch == 0 or self.step == self.settings.steps:
                    self._end_epoch()
                    if self.settings.patience is not None and self.state["stale"] >= self.settings.patience:
                        break
                if self.stop_by is not None:
                    self.save()
                    raise Interrupted(
                        f"stopped at step {self.step} of {self.settings.steps}, saved; go on with "
                        f"sattrans train --resume {self.folder.folder}",
                        128 + self.stop_by,
                    )
        return {
            "steps": self.step,
            "epochs": math.ceil(self.step / per_epoch),
            "best": self.state["best"],
            "best_epoch": self.state["best_epoch"],
            "monitor": self.settings.monitor,
            "stopped_early": self.step < self.settings.steps,
        }

    def check_monitor(self) -> None:
        """Raise `OptionError` where the model does not validate what is to be monitored."""
        with swapped(self.model, self.model.generator), torch.no_grad():
            known = self.model.validation_losses(next(self.val.plain(1)))
        if self.settings.monitor not in known:
            raise OptionError(
                f"--monitor {self.settings.monitor}: model '{self.model.name}' validates {', '.join(known)}"
            )

    def train_step(self) -> dict[str, float]:
        """Do one step on the next batch, and return the losses. Raises `TrainingError` for one that is not finite."""
        begun = time.perf_counter()
        factor = SCHEDULES[self.settings.schedule](self.step / self.settings.steps)
        for name, optimizer in self.optimizers.items():
            for group, lr in zip(optimizer.param_groups, self.base_lr[name], strict=True):
                group["lr"] = lr * factor
        steps = self.model.training_step(self.train.train(self.step))
        shown: dict[str, float] = {}
        while (update := self._next(steps)) is not None:
            optimizer, total = self.optimizers[update.optimizer], update.total
            values = {name: float(value.detach()) for name, value in {**update.losses, **update.log}.items()}
            if not all(map(math.isfinite, values.values())):
                self._refuse(values)
            optimizer.zero_grad(set_to_none=True)
            total.backward(inputs=self.trainable[update.optimizer])
            optimizer.step()
            shown.update(values)
        self.average.update_parameters(self.model.generator)
        self.step += 1
        self.state["seconds"] += time.perf_counter() - begun
        for name, value in shown.items():
            total_so_far, count = self.state["sums"].get(name, (0.0, 0))
            self.state["sums"][name] = (total_so_far + value, count + 1)
        return shown

    def _next(self, steps: Iterator[Any]) -> Any:
        # Autocast is opened here, around each piece of the model's step, so that optimisers step outside it.
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.precision == "bf16"):
            return next(steps, None)

    def _refuse(self, values: Mapping[str, float]) -> None:
        tiles = ", ".join(self.train.store.tiles[index].id for index in self.train.tiles_of(self.step))
        bad = ", ".join(f"{name} is {value}" for name, value in values.items() if not math.isfinite(value))
        raise TrainingError(
            f"at step {self.step} {bad}, on tiles {tiles}: the last checkpoint in {self.folder.folder} "
            "is untouched; try a lower learning rate (--set lr=…) or --precision 32"
        )

    def _end_epoch(self) -> None:
        epoch = math.ceil(self.step / self.train.per_epoch)
        generator = self.judged_generator()
        with swapped(self.model, generator):
            values = self._validate()
            self._sample(epoch)
        value = values[self.settings.monitor]
        better = math.isfinite(value) and (self.state["best"] is None or value < self.state["best"])
        self.state["stale"] = 0 if better else self.state["stale"] + 1
        if better:
            self.state.update(best=value, best_epoch=epoch)
            tensors = {f"generator.{name}": tensor for name, tensor in generator.state_dict().items()}
            save_checkpoint(
                self.folder.checkpoint("best"),
                tensors,
                {"step": self.step, "epoch": epoch, self.settings.monitor: value},
            )
        elif self.state["best"] is None:
            raise TrainingError(f"after epoch {epoch} {self.settings.monitor} is {value}: training has diverged")
        means = {name: total / count for name, (total, count) in self.state["sums"].items()}
        images = max(count for _, count in self.state["sums"].values()) * self.train.batch_size
        line = {
            "epoch": epoch,
            "step": self.step,
            "train": means,
            "val": values,
            "images_per_second": round(images / max(self.state["seconds"], 1e-9), 3),
        }
        self.state.update(sums={}, seconds=0.0)
        path = self.folder.folder / METRICS
        kept = (
            [text for text in path.read_text().splitlines() if json.loads(text)["step"] < self.step]
            if path.exists()
            else []
        )
        write_bytes(path, "".join(text + "\n" for text in [*kept, json.dumps(line)]).encode())
        self.save()

    def judged_generator(self) -> nn.Module:
        """Return a copy of the averaged generator, its batch-norm statistics estimated anew on training tiles.

        Statistics gathered while both networks moved are poor: on real data estimating them again is worth
        more than an epoch. Every tile weighs the same, and dropout is off, as when translating.
        """
        generator: nn.Module = copy.deepcopy(self.average.module)
        generator.eval()
        norms = [m for m in generator.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        if norms:
            for norm in norms:
                norm.reset_running_stats()
                norm.momentum = None  # a cumulative mean
                norm.train()
            with torch.no_grad():
                for batch in self.train.plain(max(REFRESH_TILES, self.train.batch_size)):
                    if len(batch) == self.train.batch_size:
                        generator(batch.source)
            generator.eval()
        return generator

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        sums: dict[str, float] = {}
        count = 0
        for batch in self.val.plain():
            for name, value in self.model.validation_losses(batch).items():
                sums[name] = sums.get(name, 0.0) + float(value) * len(batch)
            count += len(batch)
        return {name: total / count for name, total in sums.items()}

    @torch.no_grad()
    def _sample(self, epoch: int) -> None:
        shown = Tileset.telling(self.val.store.tiles, SAMPLE_TILES)
        palette = self.val.store.tileset.palette
        rows = []
        for index in shown:  # one by one: four tiles of 512 px at once would take more memory than training does
            batch = self.val.pick([index])
            image = self.model.translate(batch.source, Noise(0, [(0, 0)], self.model.spec.size, self.device))
            map_ = to_picture(self.val.store[index][1], palette)
            rows.append((map_, *to_pixels((image[0], batch.target[0]))))
        write_sheet(self.folder.folder / "samples" / f"epoch-{epoch:04d}.png", rows, ("map", "generated", "real"))

    def save(self) -> None:
        """Write the checkpoint `last`: all that going on needs."""
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        tensors |= {f"average.{name}": tensor for name, tensor in self.average.state_dict().items()}
        tensors["rng.cpu"] = torch.get_rng_state()
        if self.device.type == "cuda":
            tensors["rng.cuda"] = torch.cuda.get_rng_state(self.device)
        plain: dict[str, Any] = {}
        for name, optimizer in self.optimizers.items():
            plain[name] = {}
            for number, values in optimizer.state_dict()["state"].items():
                for key, value in values.items():
                    if isinstance(value, Tensor):
                        tensors[f"optimizer.{name}.{number}.{key}"] = value
                    else:
                        plain[name][f"{number}.{key}"] = value
        save_checkpoint(self.folder.checkpoint("last"), tensors, {"step": self.step, **self.state, "optimizers": plain})

    def load(self) -> None:
        """Take up the checkpoint `last`."""
        tensors, state = load_checkpoint(self.folder.checkpoint("last"), self.device)
        self.model.load_state_dict(under("model", tensors))
        self.average.load_state_dict(under("average", tensors))
        plain = state.pop("optimizers")
        for name, optimizer in self.optimizers.items():
            entries = {**under(f"optimizer.{name}", tensors), **plain[name]}
            states: dict[int, dict[str, Any]] = {}
            for key, value in entries.items():
                number, _, item = key.partition(".")
                states.setdefault(int(number), {})[item] = value
            optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})
        self.step = state.pop("step")
        self.state = state
        torch.set_rng_state(tensors["rng.cpu"].cpu())
        if "rng.cuda" in tensors and self.device.type == "cuda":
            torch.cuda.set_rng_state(tensors["rng.cuda"].cpu(), self.device)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def remember(number: int, frame: FrameType | None) -> None:
            if self.stop_by is not None:  # asked twice: at once
                raise KeyboardInterrupt
            self.stop_by = signal.Signals(number)

        try:
            before = {number: signal.signal(number, remember) for number in (signal.SIGINT, signal.SIGTERM)}
        except ValueError:  # not in the main thread: whoever runs us there handles signals
            before = {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def swapped(model: Model, generator: nn.Module) -> Iterator[None]:
    """Put another generator into a model, in evaluation mode, for as long as the block lasts."""
    own = model.generator
    model.generator = generator
    model.eval()
    try:
        yield
    finally:
        model.generator = own
        model.train()


def to_pixels(images: tuple[Tensor, ...]) -> tuple[Any, ...]:
    """Return images in [-1, 1], (3, H, W), as uint8 arrays."""
    return tuple(((image.float() + 1) * 127.5).round().clamp(0, 255).byte().cpu().numpy() for image in images)
