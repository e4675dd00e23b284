"""Convolutions that are quick on a CPU where maps are small, too, and a join whose gradients are quick to use.

PyTorch's CPU kernels take long for the gradient of a weight where a map has few pixels: of 1024 to 512 channels, 4×4,
on 8 images of 4×4 px in bfloat16 a step takes 33 ms, a product of matrices 10. Such maps are unrolled here. Without
gradients that pays in bfloat16, where pix2pix translates 4 tiles of 256 px in 82 ms instead of 93, and in float32 on
processors without AVX-512.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FEWEST_WEIGHTS = 2**20
"""A layer of fewer is left as it is: there is nothing to be gained."""

Few = Mapping[torch.dtype, int]
"""How many pixels of all images of a batch count as few: up to there the product of matrices was the quicker way."""


def _unrolled(layer: nn.Conv2d | nn.ConvTranspose2d, maps: Tensor, positions: int, few: Few, forward: Few) -> bool:
    """Say whether a layer is to be unrolled: on a CPU, its weights laid out as `train` and `generate` lay them."""
    weight = layer.weight
    if weight.device.type != "cpu" or weight.numel() < FEWEST_WEIGHTS:
        return False
    if layer.groups != 1 or layer.dilation != (1, 1) or layer.padding_mode != "zeros":
        return False
    kind = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else maps.dtype
    if kind != torch.bfloat16 and not torch.is_grad_enabled():
        few = forward if torch.backends.cpu.get_cpu_capability() == "AVX2" else {}
    return 0 < positions <= few.get(kind, 0) and weight.is_contiguous(memory_format=torch.channels_last)


class Conv2d(nn.Conv2d):
    """PyTorch's, (N, C, H, W) to (N, C', H', W'); equal to it up to rounding."""

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
        seen = [
            padded[:, row : row + down * height : down, col : col + across * width : across]
            for row in range(high)
            for col in range(wide)
        ]
        # (N, H', W', high·wide·C) by (high·wide·C, C')
        weight = self.weight.permute(0, 2, 3, 1).reshape(self.out_channels, -1)
        return F.linear(torch.cat(seen, dim=-1), weight, self.bias).permute(0, 3, 1, 2)


class ConvTranspose2d(nn.ConvTranspose2d):
    """PyTorch's, (N, C, H, W) to (N, C', H', W'); equal to it up to rounding."""

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
    """Adds up overlapping patches: (N, h, w, k, l, C) to (N, (h-1)·stride + k, (w-1)·stride + l, C)."""

    @staticmethod
    def forward(ctx: Any, columns: Tensor, stride: tuple[int, int]) -> Tensor:
        count, height, width, high, wide, channels = columns.shape
        (down, across), ctx.stride, ctx.shape = stride, stride, columns.shape
        images = columns.new_zeros(count, (height - 1) * down + high, (width - 1) * across + wide, channels)
        for row in range(high):
            for col in range(wide):
                place = images[:, row : row + down * height : down, col : col + across * width : across]
                place += columns[:, :, :, row, col]
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
    """Return the same as a transposed convolution as a convolution of the small map and a shuffle; None where not.

    It is for kernels of 4, stride 2, padding 1: a pixel of each of the four phases sees two by two of the small map's
    (Shi et al. 2016). Kernels for few channels out are slow; four times as many, of 3×3, take two thirds of the time.
    """
    shape = (layer.kernel_size, layer.stride, layer.padding, layer.output_padding, layer.dilation, layer.groups)
    if shape != ((4, 4), (2, 2), (1, 1), (0, 0), (1, 1), 1):
        return None
    inside, outside = layer.in_channels, layer.out_channels
    weight = layer.weight.new_zeros(outside, 2, 2, inside, 3, 3)
    with torch.no_grad():
        for down, row_taps in enumerate(PHASES):
            for across, col_taps in enumerate(PHASES):
                for row, of_row in row_taps:
                    for col, of_col in col_taps:
                        weight[:, down, across, :, row, col] = layer.weight[:, :, of_row, of_col].T
        same = nn.Conv2d(inside, 4 * outside, 3, padding=1, bias=layer.bias is not None).to(weight)
        same.weight.copy_(weight.view_as(same.weight))
        if layer.bias is not None and same.bias is not None:
            same.bias.copy_(layer.bias.repeat_interleave(4))
    return nn.Sequential(same, nn.PixelShuffle(2))


PHASES = (((1, 1), (0, 3)), ((1, 2), (2, 0)))
"""For even and odd pixels: which tap of three belongs to which of the transposed kernel's four."""


def join(one: Tensor, other: Tensor) -> Tensor:
    """Concatenate (N, C, H, W) along the channels; gradients come back each in one piece.

    PyTorch's come back as slices, on which a batch norm's gradient takes several times as long.
    """
    joined: Tensor = _Join.apply(one, other)  # type: ignore[no-untyped-call]
    return joined


class _Join(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, one: Tensor, other: Tensor) -> Tensor:
        ctx.channels = one.shape[1]
        return torch.cat([one, other], dim=1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        (gradient,) = gradients
        last = gradient.is_contiguous(memory_format=torch.channels_last)
        layout = torch.channels_last if last else torch.contiguous_format
        first, second = gradient[:, : ctx.channels], gradient[:, ctx.channels :]
        return first.contiguous(memory_format=layout), second.contiguous(memory_format=layout)
