"""Convolutions that are fast on a CPU for small feature maps, and a concatenation with fast gradients.

PyTorch's CPU kernels are slow at a weight's gradient if a feature map has few pixels: a convolution from 1024 to 512
channels, 4×4, on 8 images of 4×4 px in bfloat16 takes 33 ms a step, as a matrix product 10 ms. Such maps are unrolled
here. Without gradients that is faster in bfloat16, in which pix2pix translates 4 tiles of 256 px in 82 ms instead of
93 ms, and in float32 on processors without AVX-512.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MIN_WEIGHTS = 2**20
"""Layers with fewer weights are not unrolled, because they would not be faster."""

Few = Mapping[torch.dtype, int]
"""Number of pixels of all images of a batch up to which the matrix product was measured to be faster."""


def _unrolled(layer: nn.Conv2d | nn.ConvTranspose2d, maps: Tensor, positions: int, few: Few, forward: Few) -> bool:
    """Return whether to unroll a layer: on a CPU, with channels-last weights, as in `train` and `generate`."""
    weight = layer.weight
    if weight.device.type != "cpu" or weight.numel() < MIN_WEIGHTS:
        return False
    if layer.groups != 1 or layer.dilation != (1, 1) or layer.padding_mode != "zeros":
        return False
    kind = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else maps.dtype
    if kind != torch.bfloat16 and not torch.is_grad_enabled():
        few = forward if torch.backends.cpu.get_cpu_capability() == "AVX2" else {}
    return 0 < positions <= few.get(kind, 0) and weight.is_contiguous(memory_format=torch.channels_last)


class Conv2d(nn.Conv2d):
    """A replacement for PyTorch's layer, (N, C, H, W) to (N, C', H', W'); equal to it up to rounding."""

    few: ClassVar[Few] = {torch.bfloat16: 512}
    few_forward: ClassVar[Few] = {torch.float32: 256}

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  its name in PyTorch
        """Convolve."""
        if isinstance(self.padding, str):
            return super().forward(input)
        (high, wide), (down, across), (top, left) = self.kernel_size, self.stride, self.padding
        height = (input.shape[2] + 2 * top - high) // down + 1
        width = (input.shape[3] + 2 * left - wide) // across + 1
        if not _unrolled(self, input, len(input) * height * width, self.few, self.few_forward):
            return super().forward(input)
        padded = F.pad(input.permute(0, 2, 3, 1), (0, 0, left, left, top, top))
        patches = [
            padded[:, row : row + down * height : down, col : col + across * width : across]
            for row in range(high)
            for col in range(wide)
        ]
        # (N, H', W', high·wide·C) by (high·wide·C, C')
        weight = self.weight.permute(0, 2, 3, 1).reshape(self.out_channels, -1)
        return F.linear(torch.cat(patches, dim=-1), weight, self.bias).permute(0, 3, 1, 2)


class ConvTranspose2d(nn.ConvTranspose2d):
    """A replacement for PyTorch's layer, (N, C, H, W) to (N, C', H', W'); equal to it up to rounding."""

    few: ClassVar[Few] = {torch.bfloat16: 512, torch.float32: 128}
    few_forward: ClassVar[Few] = {torch.float32: 64}

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:  # noqa: A002
        """Convolve."""
        count, _, height, width = input.shape
        plain = output_size is None and self.output_padding == (0, 0)
        if not plain or not _unrolled(self, input, count * height * width, self.few, self.few_forward):
            return super().forward(input, output_size)
        weight = self.weight.permute(0, 2, 3, 1).reshape(self.in_channels, -1)
        spread = input.permute(0, 2, 3, 1).reshape(-1, self.in_channels) @ weight
        columns = spread.view(count, height, width, *self.kernel_size, self.out_channels)
        images: Tensor = _Fold.apply(columns, self.stride)  # type: ignore[no-untyped-call]
        top, left = map(int, self.padding)
        images = images[:, top : images.shape[1] - top, left : images.shape[2] - left]
        return (images if self.bias is None else images + self.bias).permute(0, 3, 1, 2)


class _Fold(torch.autograd.Function):
    """Add up overlapping patches: (N, h, w, k, l, C) to (N, (h-1)·stride + k, (w-1)·stride + l, C)."""

    @staticmethod
    def forward(ctx: Any, columns: Tensor, stride: tuple[int, int]) -> Tensor:
        count, height, width, high, wide, channels = columns.shape
        (down, across), ctx.stride, ctx.shape = stride, stride, columns.shape
        images = columns.new_zeros(count, (height - 1) * down + high, (width - 1) * across + wide, channels)
        for row in range(high):
            for col in range(wide):
                target = images[:, row : row + down * height : down, col : col + across * width : across]
                target += columns[:, :, :, row, col]
        return images

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,), (down, across) = gradients, ctx.stride
        count, height, width, high, wide, channels = ctx.shape
        patches = [
            gradient[:, row : row + down * height : down, col : col + across * width : across]
            for row in range(high)
            for col in range(wide)
        ]
        return torch.stack(patches, dim=3).view(count, height, width, high, wide, channels), None


def subpixel(layer: nn.ConvTranspose2d) -> nn.Module | None:
    """Return a convolution and a pixel shuffle that equal a transposed convolution; None for other kernels than these.

    The kernel must be 4, the stride 2 and the padding 1: each output pixel of one of the four phases depends on 2×2
    input pixels (Shi et al. 2016). Kernels with few output channels are slow; four times as many of 3×3 take two thirds
    of the time.
    """
    shape = (layer.kernel_size, layer.stride, layer.padding, layer.output_padding, layer.dilation, layer.groups)
    if shape != ((4, 4), (2, 2), (1, 1), (0, 0), (1, 1), 1):
        return None
    inputs, outputs = layer.in_channels, layer.out_channels
    weight = layer.weight.new_zeros(outputs, 2, 2, inputs, 3, 3)
    with torch.no_grad():
        for down, row_taps in enumerate(PHASES):
            for across, col_taps in enumerate(PHASES):
                for row, from_row in row_taps:
                    for col, from_col in col_taps:
                        weight[:, down, across, :, row, col] = layer.weight[:, :, from_row, from_col].T
        equal = nn.Conv2d(inputs, 4 * outputs, 3, padding=1, bias=layer.bias is not None).to(weight)
        equal.weight.copy_(weight.view_as(equal.weight))
        if layer.bias is not None and equal.bias is not None:
            equal.bias.copy_(layer.bias.repeat_interleave(4))
    return nn.Sequential(equal, nn.PixelShuffle(2))


PHASES = (((1, 1), (0, 3)), ((1, 2), (2, 0)))
"""For even and odd pixels, pairs of a tap of the 3-tap kernel and the tap of the transposed 4-tap kernel it equals."""


def join(first: Tensor, second: Tensor) -> Tensor:
    """Concatenate feature maps along the channels, with contiguous gradients.

    The gradients of `torch.cat` are slices, on which a batch norm's gradient takes several times as long.

    Args:
        first: Feature maps, (N, C, H, W).
        second: Feature maps, (N, C', H, W).

    Returns:
        Feature maps, (N, C + C', H, W).
    """
    joined: Tensor = _Join.apply(first, second)  # type: ignore[no-untyped-call]
    return joined


class _Join(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, first: Tensor, second: Tensor) -> Tensor:
        ctx.channels = first.shape[1]
        return torch.cat([first, second], dim=1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        (gradient,) = gradients
        last = gradient.is_contiguous(memory_format=torch.channels_last)
        layout = torch.channels_last if last else torch.contiguous_format
        first, second = gradient[:, : ctx.channels], gradient[:, ctx.channels :]
        return first.contiguous(memory_format=layout), second.contiguous(memory_format=layout)
