"""Translator: turns windows of a map into images with a trained run."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from sattrans.data.batches import ENCODINGS, to_target
from sattrans.errors import OptionError, SattransError
from sattrans.model import Noise
from sattrans.networks.cpu import subpixel
from sattrans.raster.cells import coarsened, drawn, framed
from sattrans.runs.device import choose_device, fast_at_bf16
from sattrans.runs.options import Precision, Stats
from sattrans.runs.references import reference_parts
from sattrans.runs.run import Run, load_checkpoint, under
from sattrans.runs.tensors import load_into

FEW_CHANNELS = 4

IMAGE_BANDS = 3


def with_image(map_: NDArray[np.uint8], image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a map, (H, W) or (3, H, W), followed by the bands of an image (3, H, W), as windows to be refined."""
    return np.concatenate([map_[np.newaxis] if map_.ndim == 2 else map_, image])


def resolve_precision(precision: Precision, device: torch.device) -> Precision:
    """Return "32" or "bf16"; `auto` is "bf16" if the device is fast at it. Raises `OptionError` for another name."""
    if precision not in get_args(Precision):
        raise OptionError(f"--precision must be one of {', '.join(get_args(Precision))}, got {precision}")
    if precision == "auto":
        return "bf16" if fast_at_bf16(device) else "32"
    return precision


class Translator:
    """A run's best generator on a device. All it needs is recorded in the run, but for a reference image.

    `style` is the name of a training scene, the path of a reference image, or None for a style for each window.
    """

    def __init__(
        self,
        run: Run,
        device: str | torch.device = "auto",
        seed: int = 0,
        precision: Precision = "32",
        stats: Stats = "run",
        compiled: bool = False,
        style: str | Path | None = None,
    ) -> None:
        self.run = run
        self.style = run.spec.scenes.index(style) if isinstance(style, str) else None
        self.palette = run.palette
        self.size = run.spec.size
        self.seed = seed
        self.device = choose_device(device) if isinstance(device, str) else device
        self.precision = resolve_precision(precision, self.device)
        with skip_initialisation():
            model = run.build_model()
        tensors, self.checkpoint = load_checkpoint(run.checkpoint("best"), torch.device("cpu"))
        try:
            load_into(model.generator, under("generator", tensors), assign=True)
        except ValueError as error:
            raise SattransError(
                f"the weights in {run.checkpoint('best')} do not fit model '{run.model_name}' as it is now installed "
                f"({error}): train again"
            ) from error
        if stats not in get_args(Stats):
            raise OptionError(f"--stats must be one of {', '.join(get_args(Stats))}, got {stats}")
        self.model = model.to(self.device).eval()
        if stats == "tile":
            _use_tile_statistics(model.generator)
        else:
            _fold_norms(model.generator)
        if self.device.type == "cpu":
            _speed_up_last(model.generator)
        self.reference = self._style_of(style) if isinstance(style, Path) else None
        # The memory layout in which convolutions are fastest, on a CPU and on a GPU.
        model.generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch has it
        if self.precision == "bf16":
            _cast_weights(model.generator)
        if compiled:
            model.generator.compile()
        self._encode = ENCODINGS[run.manifest["options"]["source"]]

    def tiles(
        self,
        maps: NDArray[np.uint8],
        origins: Sequence[tuple[int, int]],
        images: NDArray[np.uint8] | None = None,
    ) -> NDArray[np.float32]:
        """Translate whole tiles, of which nothing around is known; see `__call__`.

        A model that refines sharpens their `images` (N, 3, S, S), made coarse.
        """
        around = self.model.context or 0, self.model.context or 0
        if self.model.refines:
            assert images is not None, "a model that refines needs images"
            scale = self.model.refines
            coarse = [drawn(coarsened(image, scale), scale) for image in images]
            maps = np.stack([with_image(map_, image) for map_, image in zip(maps, coarse, strict=True)])
        return self(framed(maps, around, around, has_classes=self.palette is not None), origins)

    def __call__(self, windows: NDArray[np.uint8], origins: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
        """Translate maps into red, green, blue of 0 to 255, (N, 3, S, S), not rounded.

        `windows` are class indices (N, S, S), `UNKNOWN` for nodata, or colours (N, 3, S, S) for a run without a
        palette. `origins` are their top left (row, column), in pixels from the origin of the CRS, on which the noise
        depends. If the model has a `context`, windows have as many pixels of map around, which the origins leave out.
        If it refines, they are maps with the image that is sharpened (`with_image`), each of its pixels drawn as
        `refines` × `refines`.
        """
        with torch.inference_mode(), self._reduced():
            images = self.model.translate(*self._inputs(windows, origins))
            if not torch.isfinite(images).all():
                raise SattransError(
                    f"run {self.run.folder} generates pixels that are not finite: its weights are damaged, or too "
                    "large for --precision bf16; train again"
                )
            levels = images.float().add(1).mul_(127.5).clamp_(0, 255)
            pixels: NDArray[np.float32] = levels.cpu().contiguous().numpy()
        return pixels

    def sources(self, windows: NDArray[np.uint8], origins: Sequence[tuple[int, int]]) -> NDArray[np.int32]:
        """Return which training tile each pixel of `__call__` is copied from, by its index, (N, S, S); -1 for none."""
        with torch.inference_mode(), self._reduced():
            numbers: NDArray[np.int32] = self.model.sources(*self._inputs(windows, origins)).int().cpu().numpy()
        return numbers

    def _reduced(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def _inputs(self, windows: NDArray[np.uint8], origins: Sequence[tuple[int, int]]) -> tuple[Tensor, Noise]:
        """Return what `Model.translate` takes."""
        maps = torch.from_numpy(np.ascontiguousarray(windows)).to(self.device)
        source = self._source(maps).contiguous(memory_format=torch.channels_last)
        size = windows.shape[-1] - 2 * (self.model.context or 0)
        return source, Noise(self.seed, origins, size, self.device, self.style, self.reference)

    def _source(self, windows: Tensor) -> Tensor:
        """Encode windows as what the model's `translate` takes."""
        if not self.model.refines:
            return self._encode(windows, self.palette)
        maps, image = windows[:, :-IMAGE_BANDS], windows[:, -IMAGE_BANDS:]
        return torch.cat([self._encode(maps[:, 0] if self.palette else maps, self.palette), to_target(image)], dim=1)

    def _style_of(self, reference: Path) -> Tensor:
        parts = reference_parts(reference, self.size).to(self.device)
        with torch.inference_mode():
            return self.model.encode_style(parts)


@contextmanager
def skip_initialisation() -> Iterator[None]:
    """Skip the random initialisation of weights, which takes half a second, if a checkpoint replaces them anyway."""
    names = [name for name in vars(nn.init) if name.endswith("_") and not name.startswith("_")]
    initialisers = {name: getattr(nn.init, name) for name in names}
    try:
        for name in names:
            setattr(nn.init, name, lambda tensor, *_, **__: tensor)
        yield
    finally:
        for name, function in initialisers.items():
            setattr(nn.init, name, function)


def _fold_norms(network: nn.Module) -> None:
    """Merge batch norms into the convolutions before them: with a run's statistics both are linear."""
    for block in network.modules():
        if isinstance(block, nn.Sequential):
            for index in range(len(block) - 1):
                layer, norm = block[index], block[index + 1]
                if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and isinstance(norm, nn.BatchNorm2d):
                    transposed = isinstance(layer, nn.ConvTranspose2d)
                    block[index] = fuse_conv_bn_eval(layer, norm, transposed)
                    block[index + 1] = nn.Identity()


def _speed_up_last(network: nn.Module) -> None:
    """Replace transposed convolutions with few output channels by equal modules that are faster."""
    for block in network.modules():
        for name, layer in block.named_children():
            if isinstance(layer, nn.ConvTranspose2d) and layer.out_channels <= FEW_CHANNELS:
                block._modules[name] = subpixel(layer) or layer


def _cast_weights(network: nn.Module) -> None:
    """Cast weights once as autocast would cast them for each batch; results are the same."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            for parameter in module.parameters(recurse=False):
                parameter.data = parameter.data.to(torch.bfloat16)


def _use_tile_statistics(network: nn.Module) -> None:
    """Let batch norms use the mean and variance of each tile, as pix2pix does with its batches of one."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.__class__ = _TileNorm


class _TileNorm(nn.BatchNorm2d):
    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  its name in PyTorch
        if input.shape[2] * input.shape[3] == 1:  # a single pixel has no variance
            return super().forward(input)
        return F.instance_norm(input, None, None, self.weight, self.bias, True, 0.0, self.eps)
