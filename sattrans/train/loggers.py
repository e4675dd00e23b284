"""What a training shows and records: a bar, `metrics.jsonl`, TensorBoard, and the loss curves at the end."""

import importlib.util
import io
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from sattrans.runs.run import METRICS, Run
from sattrans.train.settings import Settings
from sattrans.utils.atomic import write_bytes
from sattrans.utils.console import log, pluralize, progress_bar
from sattrans.utils.process import peak_memory

TENSORBOARD = "tensorboard"
CURVES = "losses.png"


class TrainingLogger:
    """Shows a run's progress on a bar and records its epochs in `metrics.jsonl` and `tensorboard/`."""

    def __init__(self, run: Run, settings: Settings, images_per_step: int, device: torch.device) -> None:
        self.run, self.settings, self.images_per_step, self.device = run, settings, images_per_step, device
        self._tensorboard: Any = None

    def bar(self, done: int, visible: bool) -> "tqdm[Any]":
        """Return a bar with steps, rate and time left; it is hidden for all processes but the first."""
        progress = progress_bar(self.settings.steps, "train", "step", done)
        progress.disable = progress.disable or not visible
        return progress

    def log_step(self, progress: "tqdm[Any]", losses: Mapping[str, float]) -> None:
        """Show a step's losses, images per second and the memory in use on the bar."""
        if progress.disable:
            return
        progress.update()
        rate = progress.format_dict["rate"]
        values = {name: f"{value:.3g}" for name, value in losses.items()}
        if rate:
            values["images/s"] = f"{rate * self.images_per_step:.3g}"
        values["memory"] = f"{_memory(self.device) / 1e9:.2g} GB"
        progress.set_postfix(values, refresh=False)

    def samples_path(self, epoch: int, step: int) -> Path:
        """Return the path of a sheet of samples, named by the epoch, or by the step with --sample-every."""
        name = f"step-{step:06d}" if self.settings.sample_every else f"epoch-{epoch:04d}"
        return self.run.folder / "samples" / f"{name}.png"

    def log_epoch(
        self,
        epoch: int,
        step: int,
        train: Mapping[str, float],
        val: Mapping[str, float],
        steps_per_second: float,
        remarks: Sequence[str],
    ) -> None:
        """Record an epoch; it replaces what a killed run recorded of the same step and later ones."""
        line = {
            "epoch": epoch,
            "step": step,
            "train": dict(train),
            "val": dict(val),
            "images_per_second": round(steps_per_second * self.images_per_step, 3),
            **({"remarks": list(remarks)} if remarks else {}),
        }
        path = self.run.folder / METRICS
        lines = path.read_text().splitlines() if path.exists() else []
        earlier = [text for text in lines if json.loads(text)["step"] < step]
        write_bytes(path, "".join(text + "\n" for text in [*earlier, json.dumps(line)]).encode())
        for remark in remarks:
            log.info("epoch %d: %s", epoch, remark)
        self._log_to_tensorboard(epoch, step, line)

    def _log_to_tensorboard(self, epoch: int, step: int, line: Mapping[str, Any]) -> None:
        if importlib.util.find_spec("tensorboard") is None:  # the extra is not installed
            return
        from torch.utils.tensorboard.writer import SummaryWriter

        if self._tensorboard is None:  # TensorBoard ignores what a killed run wrote from this step on
            self._tensorboard = SummaryWriter(str(self.run.folder / TENSORBOARD), purge_step=step)
        for part in ("train", "val"):
            for name, value in line[part].items():
                self._tensorboard.add_scalar(f"{part}/{name}", value, step)
        self._tensorboard.add_scalar("images_per_second", line["images_per_second"], step)
        samples = np.asarray(Image.open(self.samples_path(epoch, step)))
        self._tensorboard.add_image("samples", samples, step, dataformats="HWC")
        self._tensorboard.flush()


class Pace:
    """Tells once, after the first steps, how long training will take, and when a useful image can be expected.

    Args:
        begun: Steps that were done before.
        steps: Steps of the whole training.
        sample_every: Steps between two sheets of samples; None for an epoch.
        useful_after: Steps after which a first useful image can be expected; None if that is unknown.
    """

    _FIRST = 5
    _MEASURED = 20

    def __init__(self, begun: int, steps: int, sample_every: int | None, useful_after: int | None) -> None:
        self.begun, self.steps, self.useful_after = begun, steps, useful_after
        self.samples = f"every {sample_every} steps" if sample_every else "after each epoch"
        self._since = 0.0

    def message(self, step: int) -> str:
        """Return the line after step `_MEASURED`, which is none for a training of under a minute; else nothing."""
        done = step - self.begun
        if done == self._FIRST:  # the first steps are slower
            self._since = time.monotonic()
        if done != self._MEASURED:
            return ""
        each = (time.monotonic() - self._since) / (self._MEASURED - self._FIRST)
        left = _minutes((self.steps - step) * each)
        if not left:
            return ""
        useful = ""
        if self.useful_after is not None and self.useful_after < self.steps:
            useful = _minutes((self.useful_after - step) * each)
        first = f"a first useful image in about {useful}, the last step" if useful else "the last step"
        return f"{first} in about {left}; samples/ in the run's folder shows images {self.samples}"


def _minutes(seconds: float) -> str:
    """Return a duration in words; nothing for less than a minute."""
    minutes = round(seconds / 60)
    if seconds < 60:
        return ""
    return pluralize(minutes, "minute") if minutes < 120 else f"{round(minutes / 60)} hours"


def _memory(device: torch.device) -> int:
    """Return the bytes in use on a CUDA device, or the peak of this process."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    return peak_memory()


def write_curves(run: Run) -> None:
    """Write `losses.png`: training losses above, validation losses below, the best epoch marked."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines = run.metrics()
    steps = [line["step"] for line in lines]
    figure = Figure(figsize=(8, 7), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True)
    for axes, part, title in ((above, "train", "training, means since the line before"), (below, "val", "validation")):
        for name in lines[0][part]:
            axes.plot(steps, [line[part].get(name) for line in lines], marker=".", label=name)
        if all(line[part].get(name, 1.0) > 0 for line in lines for name in line[part]):
            axes.set_yscale("log")  # so that a small loss is visible beside a large one
        axes.set_title(title, loc="left")
        axes.grid(alpha=0.3)
        if lines[0][part]:  # a model without optimisers has no training losses
            axes.legend(frameon=False)
    monitor = run.manifest["settings"]["monitor"]
    best = min(lines, key=lambda line: float(line["val"][monitor]))
    below.axvline(best["step"], color="0.6", linestyle=":")
    below.annotate(
        f"best {monitor} {best['val'][monitor]:.4g}",
        (best["step"], 1),
        xycoords=("data", "axes fraction"),
        xytext=(4, -12),
        textcoords="offset points",
    )
    below.set_xlabel("step")
    figure.suptitle(f"{run.name}: {run.model_name} on {run.manifest['data']['name']}", x=0.01, ha="left")
    png = io.BytesIO()
    canvas.print_png(png)  # type: ignore[no-untyped-call]
    write_bytes(run.folder / CURVES, png.getvalue())
