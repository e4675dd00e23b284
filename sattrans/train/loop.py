"""The training loop: runs the model's steps, averages its generator, validates, saves and resumes."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from sattrans.data.batches import Batches
from sattrans.errors import Interrupted, OptionError, TrainingError, UsageError
from sattrans.model import Batch, Model, Update
from sattrans.runs.run import Run
from sattrans.train.checkpoints import load_last, save_best, save_last
from sattrans.train.distributed import SINGLE_PROCESS, Processes
from sattrans.train.loggers import Pace, TrainingLogger
from sattrans.train.oom import fitting_batch, out_of_memory
from sattrans.train.settings import SCHEDULES, Settings
from sattrans.train.signals import catch_signals
from sattrans.train.validation import DISTANCES, Judge, refresh_batch_norm, use_generator, validate, write_samples
from sattrans.utils.console import log, pluralize

SAVE_SECONDS = 300
"""Seconds between two checkpoints within a long epoch, so that a kill costs minutes."""


class Loop:
    """Trains one model on one tileset into one run, from its beginning or, after `load()`, from its last checkpoint."""

    def __init__(
        self,
        model: Model,
        train: Batches,
        val: Batches,
        settings: Settings,
        run: Run,
        processes: Processes = SINGLE_PROCESS,
    ) -> None:
        self.model, self.train, self.val, self.settings = model, train, val, settings
        self.output, self.processes, self.device = run, processes, train.device
        self.optimizers = model.optimizers()
        self.base_lr = {name: [group["lr"] for group in o.param_groups] for name, o in self.optimizers.items()}
        self.trainable = {
            name: [p for group in o.param_groups for p in group["params"] if p.requires_grad]
            for name, o in self.optimizers.items()
        }
        self.average = AveragedModel(model.generator, multi_avg_fn=self._average)
        self.step = 0
        self.state: dict[str, Any] = {"best": None, "best_epoch": None, "stale": 0, "sums": {}, "seconds": 0.0}
        # Only where they choose the checkpoint: they take longer than the losses of a small validation split.
        self.judge = self._make_judge() if settings.monitor in DISTANCES and processes.is_first else None
        self.logger = TrainingLogger(run, settings, train.batch_size * processes.count, self.device)

    def _make_judge(self) -> Judge:
        if self.model.makes_maps:
            raise UsageError(f"--monitor {self.settings.monitor} compares images, not maps: give --monitor l1")
        try:
            return Judge(self.val, self.train)
        except UsageError as error:
            raise UsageError(f"--monitor {self.settings.monitor}: {error}; or give another --monitor, as l1") from None

    def _average(self, averaged: Sequence[Tensor], current: Sequence[Tensor], number: Tensor | int) -> None:
        # A faster average at first: one over 1000 steps would hold on to the first weights for as long.
        done = float(number)
        torch._foreach_lerp_(list(averaged), list(current), 1 - min(self.settings.ema, (1 + done) / (10 + done)))

    def run(self) -> dict[str, Any]:
        """Train to the end, and return the summary. Raises `TrainingError`, or `Interrupted` after a signal."""
        per_epoch = self.train.per_epoch
        every = self.settings.sample_every or per_epoch
        saved, patience = time.monotonic(), self.settings.patience
        with (
            catch_signals(second_stops=self.processes.count == 1) as received,
            self.logger.bar(self.step, self.processes.is_first) as progress,
        ):
            self.model.train()
            pace = Pace(self.step, self.settings.steps, self.settings.sample_every, self.model.defaults.useful_after)
            while self.step < self.settings.steps:
                losses = self._step()
                self.logger.log_step(progress, losses)
                if self.processes.is_first and (message := pace.message(self.step)):
                    log.info(message)
                if self.step % every == 0 or self.step == self.settings.steps:
                    self._validate_and_save()
                    saved = time.monotonic()
                    if patience is not None and self.state["stale"] * every >= patience * per_epoch:
                        break
                elif time.monotonic() - saved > SAVE_SECONDS:
                    self.save()
                    saved = time.monotonic()
                number = int(self.processes.maximum(float(received.number or 0), self.device))
                if number:
                    self.save()
                    raise Interrupted(
                        f"stopped at step {self.step} of {self.settings.steps}, saved; resume with "
                        f"{self.processes.member.resuming(self.output.folder)}",
                        128 + number,
                    )
        return {
            "steps": self.step,
            "epochs": math.ceil(self.step / per_epoch),
            "best": self.state["best"],
            "best_epoch": self.state["best_epoch"],
            "best_step": self.state.get("best_step"),
            "monitor": self.settings.monitor,
            "stopped_early": self.step < self.settings.steps,
        }

    def check_monitor(self) -> None:
        """Raise `OptionError` if the monitored loss is not a validation loss of the model."""
        with use_generator(self.model, self.model.generator), torch.no_grad():
            known = self.model.validation_losses(next(self.val.plain(1)))
        if self.settings.monitor not in (*known, *DISTANCES):
            raise OptionError(
                f"--monitor {self.settings.monitor}: model '{self.model.name}' validates "
                f"{', '.join([*known, *DISTANCES])}"
            )

    def train_step(self) -> dict[str, float]:
        """Do one step on the next batch, and return the losses.

        Raises `TrainingError` for a loss or a gradient that is not finite, before any weight is changed.
        """
        begun = time.perf_counter()
        factor = SCHEDULES[self.settings.schedule](self.step / self.settings.steps)
        for name, optimizer in self.optimizers.items():
            for group, lr in zip(optimizer.param_groups, self.base_lr[name], strict=True):
                group["lr"] = lr * factor
        values: dict[str, float] = {}
        for update, update_values in self._updates(self.train.train(self.step)):
            self.optimizers[update.optimizer].step()
            values.update(update_values)
        if self.optimizers:
            self.average.update_parameters(self.model.generator)
        else:  # nothing changes but what `prepare` kept, and there may be nothing to average
            self.average.module.load_state_dict(self.model.generator.state_dict())
        self.step += 1
        self.state["seconds"] += time.perf_counter() - begun
        for name, value in values.items():
            total, count = self.state["sums"].get(name, (0.0, 0))
            self.state["sums"][name] = (total + value, count + 1)
        return values

    def _updates(self, batch: Batch) -> Iterator[tuple[Update, dict[str, float]]]:
        """Yield the model's updates with the values of their losses and log, gradients computed and checked.

        The caller runs each optimiser's step before it asks for the next update.
        """
        steps = self.model.training_step(batch)
        while (update := self._next(steps)) is not None:
            parameters = self.trainable[update.optimizer]
            values = {name: float(value.detach()) for name, value in {**update.losses, **update.log}.items()}
            self._check(values)
            self.optimizers[update.optimizer].zero_grad(set_to_none=True)
            update.total.backward(inputs=parameters)
            self.processes.average_gradients(parameters)
            gradients = [p.grad for p in parameters if p.grad is not None]
            self._check({f"the gradient of the {update.optimizer}": float(torch.nn.utils.get_total_norm(gradients))})
            yield update, values

    def _next(self, steps: Iterator[Update]) -> Update | None:
        # Autocast is entered here, around each part of the model's step, so that optimisers step outside it.
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.precision == "bf16"):
            return next(steps, None)

    def _step(self) -> dict[str, float]:
        try:
            return self.train_step()
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
        # Outside the handler, because the error refers to all that the step had in memory.
        size, tile = self.train.batch_size, self.model.spec.size
        fits = fitting_batch(size, self._try_batch)
        what = f"--batch-size {fits} fits" if fits else "--set width=32 or smaller tiles (sattrans tile --size) may fit"
        tiles = f"{pluralize(size, 'tile')} of {tile} px"
        raise TrainingError(f"out of memory at step {self.step} with {tiles} a step: {what}")

    def _try_batch(self, size: int) -> None:
        batch = self.train.train(self.step)
        part = slice(size)
        scene, coarse = (None if more is None else more[part] for more in (batch.scene, batch.coarse))
        for _ in self._updates(Batch(batch.source[part], batch.target[part], scene, coarse)):
            pass

    def _check(self, values: Mapping[str, float]) -> None:
        if all(map(math.isfinite, values.values())):
            return
        indices = dict.fromkeys([*self.train.maps_of(self.step), *self.train.images_of(self.step)])
        tiles = ", ".join(self.train.store.tiles[index].id for index in indices)
        invalid = ", ".join(f"{name} is {value}" for name, value in values.items() if not math.isfinite(value))
        saved = self.output.checkpoint("last").is_file()
        untouched = f"the last checkpoint in {self.output.folder} is untouched; " if saved else ""
        raise TrainingError(
            f"at step {self.step} {invalid}, on tiles {tiles}: {untouched}"
            "try a lower learning rate (--set lr=…) or --precision 32"
        )

    def _validate_and_save(self) -> None:
        epoch = math.ceil(self.step / self.train.per_epoch)
        means = {name: total / count for name, (total, count) in self.state["sums"].items()}
        value = self.processes.broadcast(self._validate(epoch, means) if self.processes.is_first else 0.0, self.device)
        better = self._is_better(value)
        if not better and self.state["best"] is None:
            raise TrainingError(f"after epoch {epoch} {self.settings.monitor} is {value}: training has diverged")
        self.state["stale"] = 0 if better else self.state["stale"] + 1
        if better:
            self.state.update(best=value, best_epoch=epoch, best_step=self.step)
        self.state.update(sums={}, seconds=0.0)
        self.save()

    def _validate(self, epoch: int, means: Mapping[str, float]) -> float:
        """Validate the averaged generator, save it if it is the best so far, and return the monitored loss."""
        self.output.check_present()
        generator = refresh_batch_norm(self.average.module, self.train)
        with use_generator(self.model, generator):
            values = validate(self.model, self.val)
            if self.judge:
                values |= self.judge(self.model)
            write_samples(self.model, self.val, self.logger.samples_path(epoch, self.step))
        value = values[self.settings.monitor]
        if self._is_better(value):
            save_best(self.output, generator, {"step": self.step, "epoch": epoch, self.settings.monitor: value})
        remarks = list(self.model.remarks(means))
        steps = max((count for _, count in self.state["sums"].values()), default=1)
        self.logger.log_epoch(epoch, self.step, means, values, steps / max(self.state["seconds"], 1e-9), remarks)
        return value

    def _is_better(self, value: float) -> bool:
        return math.isfinite(value) and (self.state["best"] is None or value < self.state["best"])

    def save(self) -> None:
        """Write the checkpoint `last`: all that resuming needs."""
        if self.processes.is_first:
            self.output.check_present()
            state = {"step": self.step, **self.state}
            save_last(self.output, self.model, self.average, self.optimizers, self.device, state)

    def load(self) -> None:
        """Load the checkpoint `last`."""
        state = load_last(self.output, self.model, self.average, self.optimizers, self.device)
        self.step = state.pop("step")
        self.state = state
