"""What a user sees of a training: a live bar, a line of metrics an epoch, TensorBoard, and curves at the end."""

import importlib.util
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from sattrans.files import write_bytes
from sattrans.progress import bar, log
from sattrans.run import METRICS, Run
from sattrans.training.settings import Settings

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
