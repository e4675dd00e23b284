"""Translator: a trained run, ready to turn windows of a map into images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sattrans.batches import ENCODINGS
from sattrans.device import choose_device
from sattrans.errors import SattransError
from sattrans.model import Noise
from sattrans.run import Run, load_checkpoint, under


class Translator:
    """A run's best generator on a device. Everything it needs to know stands in the run."""

    def __init__(self, run: Run, device: str = "auto", seed: int = 0) -> None:
        self.run = run
        self.palette = run.palette
        self.size = run.spec.size
        self.seed = seed
        self.device = choose_device(device)
        model = run.build_model()
        tensors, self.checkpoint = load_checkpoint(run.checkpoint("best"), torch.device("cpu"))
        try:
            model.generator.load_state_dict(under("generator", tensors))
        except RuntimeError as error:
            raise SattransError(
                f"the weights in {run.folder} do not fit model '{run.model_name}' as it is now "
                f"installed ({str(error).splitlines()[0]}): train again"
            ) from error
        self.model = model.to(self.device).eval()
        self._encode = ENCODINGS[run.manifest["options"]["source"]]

    @classmethod
    def open(cls, run: Path | None, device: str = "auto", seed: int = 0) -> "Translator":
        """Open a run's folder, or the newest finished run."""
        return cls(Run.open(run) if run else Run.newest(), device, seed)

    @torch.no_grad()
    def __call__(self, windows: NDArray[np.uint8], origins: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
        """Translate maps into red, green, blue of 0 to 255, (N, 3, S, S), not rounded.

        `windows` are class indices (N, S, S), `UNKNOWN` where the map holds nothing, or colours (N, 3, S, S) for
        a run without a palette. `origins` are their top left (row, column) in the map: noise belongs to the place.
        """
        maps = torch.from_numpy(np.ascontiguousarray(windows)).to(self.device)
        noise = Noise(self.seed, origins, self.size, self.device)
        images = self.model.translate(self._encode(maps, self.palette), noise)
        pixels: NDArray[np.float32] = ((images.float() + 1) * 127.5).clamp(0, 255).cpu().numpy()
        return pixels
