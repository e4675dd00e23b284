"""The network that sharpens an image: plain convolutions with attention that has no parameters, as in SPAN."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

KERNEL = 5
"""Side of the kernels of bicubic interpolation, in coarse pixels."""


def reach(blocks: int) -> int:
    """Return how many coarse pixels around a pixel decide its value: one for each of the 3×3 convolutions in a row."""
    return 3 * blocks + 3


class Sharpener(nn.Module):
    """Sharpens an image by a map of finer resolution.

    After SPAN (Wan et al. 2024): blocks of three 3×3 convolutions, whose result is multiplied by itself through an odd
    function, so that strong features are kept and weak ones fade; all at the coarse resolution, the fine pixels as
    channels until the end. What differs: the map comes along, its pixels as channels, so that edges are known; the mean
    of the fine pixels of a coarse one is that of the coarse image, whatever the weights are; and the result of the
    blocks is added to the first features, where the paper joins those of four layers, which takes longer.

    Args:
        source_channels: Channels of a map.
        scale: How many times finer the image becomes.
        width: Channels of the blocks.
        blocks: Number of blocks.
    """

    bicubic: Tensor

    def __init__(self, source_channels: int, scale: int, width: int, blocks: int) -> None:
        super().__init__()
        self.scale = scale
        self.first = _conv3(3 + source_channels * scale**2, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(blocks))
        self.after = _conv3(width, width)
        self.last = _conv3(width, 3 * scale**2)
        nn.init.normal_(self.last.weight, 0.0, 1e-3)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]  # it has one
        self.register_buffer("bicubic", bicubic_kernels(scale).repeat(3, 1, 1, 1), persistent=False)

    def forward(self, source: Tensor, coarse: Tensor) -> Tensor:
        """Sharpen.

        Args:
            source: Maps (N, source_channels, H, W); H and W are multiples of the scale.
            coarse: Images (N, 3, H / scale, W / scale) in [-1, 1].

        Returns:
            Images (N, 3, H, W) in [-1, 1].
        """
        maps = first = self.first(torch.cat([coarse, F.pixel_unshuffle(source, self.scale)], dim=1))
        for block in self.blocks:
            maps = block(maps)
        edge = KERNEL // 2
        smooth = F.conv2d(F.pad(coarse, (edge,) * 4, mode="replicate"), self.bicubic, groups=3)
        fine = (smooth + self.last(first + self.after(maps))).unflatten(1, (3, self.scale**2))
        fine = fine - fine.mean(2, keepdim=True) + coarse[:, :, None]
        return F.pixel_shuffle(fine.flatten(1, 2), self.scale).clamp(-1, 1)


class Block(nn.Module):
    """Three 3×3 convolutions; their sum with the input is scaled by sigmoid(convolved) - 1/2, without parameters."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.one, self.two, self.three = (_conv3(width, width) for _ in range(3))

    def forward(self, maps: Tensor) -> Tensor:
        """Return features (N, width, h, w)."""
        in_place = not torch.is_grad_enabled()  # quicker, because memory decides how long it takes
        once = F.silu(self.one(maps), in_place)
        changed: Tensor = self.three(F.silu(self.two(once), in_place))
        if in_place:
            return (changed + maps).mul_(changed.sigmoid_().sub_(0.5))
        return (changed + maps) * (torch.sigmoid(changed) - 0.5)


def _conv3(entering: int, channels: int) -> nn.Conv2d:
    return nn.Conv2d(entering, channels, 3, padding=1)


def bicubic_kernels(scale: int) -> Tensor:
    """Return the kernel of each fine pixel in a coarse one, (scale², 1, 5, 5), row by row.

    Cubic convolution (Keys 1981, https://doi.org/10.1109/TASSP.1981.1163711) with the constant of PyTorch.
    """
    cells = range(-(KERNEL // 2), KERNEL // 2 + 1)
    along = [[_cubic(abs(cell - (pixel + 0.5) / scale + 0.5)) for cell in cells] for pixel in range(scale)]
    # In plain Python: arithmetic on the meta device, on which models are counted, would import torch._dynamo.
    kernels = [[[[down * across for across in row] for down in col]] for col in along for row in along]
    return torch.tensor(kernels)


def _cubic(distance: float, constant: float = -0.75) -> float:
    if distance <= 1:
        return ((constant + 2) * distance - (constant + 3)) * distance**2 + 1
    return (((distance - 5) * distance + 8) * distance - 4) * constant if distance < 2 else 0.0
