"""A convolution with spectral normalisation."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SpectralConv2d(nn.Conv2d):
    """A convolution whose weight is divided by its largest singular value (Miyato et al., ICLR 2018).

    One step of power iteration at each forward pass in training, as in PyTorch's `spectral_norm`; that takes 15 steps
    when it is made, which are slow where a model is only built to count its weights.

    Args:
        entering: Input channels.
        channels: Output channels.
        kernel: Side of the kernel.
        stride: Stride.
        bias: Whether a bias is added.
        padding: Pixels of zeros at each border; None for (kernel - 1) / 2.
    """

    direction: Tensor

    def __init__(
        self, entering: int, channels: int, kernel: int, stride: int = 1, bias: bool = True, padding: int | None = None
    ) -> None:
        super().__init__(
            entering, channels, kernel, stride, (kernel - 1) // 2 if padding is None else padding, bias=bias
        )
        self.register_buffer("direction", torch.full((channels,), channels**-0.5))

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  its name in PyTorch
        """Convolve."""
        matrix = self.weight.flatten(1)
        with torch.no_grad():
            across = F.normalize(matrix.t() @ self.direction, dim=0)
            if self.training:
                self.direction.copy_(F.normalize(matrix @ across, dim=0))
        norm = self.direction.clone() @ (matrix @ across)
        maps: Tensor = self._conv_forward(input, self.weight / norm, self.bias)
        return maps
