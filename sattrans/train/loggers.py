"""What a user sees of a training: a live bar, a line of metrics an epoch, TensorBoard, and curves at the end."""

import importlib.util
import io
import json
import sys
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
from sattrans.utils.console import bar, log

TENSORBOARD = "tensorboard"


class Watch:
    """Shows how a run goes on, and keeps it: `metrics.jsonl`, `samples/`, `tensorboard/`."""

    def __init__(self, run: Run, settings: Settings, images_a_step: int, device: torch.device) -> None:
        self.run, self.settings, self.images_a_step, self.device = run, settings, images_a_step, device
        self._writer: Any = None

    def bar(self, done: int, leads: bool) -> "tqdm[Any]":
        """Return the bar: steps, rate and time left; silent on all ranks but the first."""
        progress = bar(self.settings.steps, "train", "step", done)
        progress.disable = progress.disable or not leads
        return progress

    def show(self, progress: "tqdm[Any]", losses: Mapping[str, float]) -> None:
        """Show a step's losses, images a second and the memory in use."""
        if progress.disable:
            return
        progress.update()
        rate = progress.format_dict["rate"]
        shown = {name: f"{value:.3g}" for name, value in losses.items()}
        if rate:
            shown["images/s"] = f"{rate * self.images_a_step:.3g}"
        shown["memory"] = f"{_memory(self.device) / 1e9:.2g} GB"
        progress.set_postfix(shown, refresh=False)

    def sheet(self, epoch: int) -> Path:
        """Return where an epoch's sheet of samples goes."""
        return self.run.folder / "samples" / f"epoch-{epoch:04d}.png"

    def end_epoch(
        self,
        epoch: int,
        step: int,
        train: Mapping[str, float],
        val: Mapping[str, float],
        steps_per_second: float,
        remarks: Sequence[str],
    ) -> None:
        """Keep an epoch's line; one that a killed run wrote for the same step is replaced."""
        line = {
            "epoch": epoch,
            "step": step,
            "train": dict(train),
            "val": dict(val),
            "images_per_second": round(steps_per_second * self.images_a_step, 3),
            **({"remarks": list(remarks)} if remarks else {}),
        }
        path = self.run.folder / METRICS
        lines = path.read_text().splitlines() if path.exists() else []
        kept = [text for text in lines if json.loads(text)["step"] < step]
        write_bytes(path, "".join(text + "\n" for text in [*kept, json.dumps(line)]).encode())
        for remark in remarks:
            log.info("epoch %d: %s", epoch, remark)
        self._to_tensorboard(epoch, step, line)

    def _to_tensorboard(self, epoch: int, step: int, line: Mapping[str, Any]) -> None:
        if importlib.util.find_spec("tensorboard") is None:  # the extra is not there
            return
        from torch.utils.tensorboard.writer import SummaryWriter

        if self._writer is None:  # what a run that was killed wrote from this step on is passed over
            self._writer = SummaryWriter(str(self.run.folder / TENSORBOARD), purge_step=step)
        for part in ("train", "val"):
            for name, value in line[part].items():
                self._writer.add_scalar(f"{part}/{name}", value, step)
        self._writer.add_scalar("images_per_second", line["images_per_second"], step)
        self._writer.add_image("samples", np.asarray(Image.open(self.sheet(epoch))), step, dataformats="HWC")
        self._writer.flush()


def _memory(device: torch.device) -> int:
    """Return the bytes in use: on the device, or by this process at the most."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


PICTURE = "losses.png"


def draw_curves(run: Run) -> None:
    """Write `losses.png`: training losses above, validation losses below, the best epoch marked."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines = run.metrics()
    epochs = [line["epoch"] for line in lines]
    figure = Figure(figsize=(8, 7), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True)
    for axes, part, title in ((above, "train", "training, means of epochs"), (below, "val", "validation")):
        for name in lines[0][part]:
            axes.plot(epochs, [line[part].get(name) for line in lines], marker=".", label=name)
        if all(line[part].get(name, 1.0) > 0 for line in lines for name in line[part]):
            axes.set_yscale("log")  # so that a small loss is seen beside a large one
        axes.set_title(title, loc="left")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    monitor = run.manifest["settings"]["monitor"]
    best = min(lines, key=lambda line: float(line["val"][monitor]))
    below.axvline(best["epoch"], color="0.6", linestyle=":")
    below.annotate(
        f"best {monitor} {best['val'][monitor]:.4g}",
        (best["epoch"], 1),
        xycoords=("data", "axes fraction"),
        xytext=(4, -12),
        textcoords="offset points",
    )
    below.set_xlabel("epoch")
    figure.suptitle(f"{run.name}: {run.model_name} on {run.manifest['data']['name']}", x=0.01, ha="left")
    picture = io.BytesIO()
    canvas.print_png(picture)  # type: ignore[no-untyped-call]
    write_bytes(run.folder / PICTURE, picture.getvalue())
