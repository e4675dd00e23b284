"""Differentiable augmentation of what discriminators judge, the same for a real image and its generated counterpart.

On few tiles a discriminator soon knows them by heart; it cannot if it never sees the same image twice. (Zhao et al.,
Differentiable Augmentation for Data-Efficient GAN Training, NeurIPS 2020, https://arxiv.org/abs/2006.10738.)
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

BRIGHTNESS, SATURATION, CONTRAST = 0.2, 0.5, 0.25
"""Largest change: added to values in [-1, 1], and of the factors of saturation and contrast."""

SHIFT = 1 / 8
"""Largest shift, as a part of the side."""

CUTOUT = 0.4
"""Side of the square that is cut out, as a part of the side."""

FEW_TILES = 2000
"""With fewer training tiles than this, "auto" augments."""

Augmentation = Literal["auto", "on", "off"]


def is_augmented(augmentation: Augmentation, tiles: int) -> bool:
    """Return whether to augment: always, never, or if there are fewer than 2,000 training tiles.

    "auto" does not if their number is unknown (0), as in a run of an older version: it goes on as it began.
    """
    return augmentation == "on" or (augmentation == "auto" and 0 < tiles < FEW_TILES)


def discriminator_views(
    source: Tensor, target: Tensor, fake: Tensor, augmentation: Augmentation, tiles: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return maps, real and generated images as a discriminator should see them: augmented alike, or as they are.

    Args:
        source: Maps, (N, C, H, W).
        target: Real images, (N, 3, H, W) in [-1, 1].
        fake: Images generated from the maps, (N, 3, H, W); gradients flow through the augmentation to them.
        augmentation: Whether to augment, see `is_augmented`.
        tiles: Number of training tiles.

    Returns:
        Maps, real images and generated images.
    """
    if not is_augmented(augmentation, tiles):
        return source, target, fake
    both, maps = augment(torch.cat([target, fake]), source)
    # Both are one tensor, whose graph the real images do not need.
    return maps, both[: len(target)].detach(), both[len(target) :]


def augment(both: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
    """Change colours of images, and shift and cut out images and maps together; uses torch's random numbers.

    Args:
        both: Real images, then as many generated ones, (2·N, 3, H, W) in [-1, 1].
        source: Their maps, (N, C, H, W).

    Returns:
        The images and the maps; each pair of a real and a generated image is changed alike.
    """
    count, side = len(source), source.shape[-1]
    draws = torch.rand(3, count, device=source.device)

    def each(number: int) -> Tensor:
        return draws[number].repeat(2).view(-1, 1, 1, 1)

    both = both + (each(0) * 2 - 1) * BRIGHTNESS
    gray = both.mean(1, keepdim=True)
    both = gray + (both - gray) * (1 + (each(1) * 2 - 1) * SATURATION)
    mean = both.mean((1, 2, 3), keepdim=True)
    both = mean + (both - mean) * (1 + (each(2) * 2 - 1) * CONTRAST)

    # One shift and one hole for the whole batch: a slice costs far less than a gather for each image.
    reach = int(side * SHIFT) // 4 * 4
    row, col, top, left, shifted, cut = torch.rand(6).tolist()
    if shifted < 0.5:
        first, second = int(row * (2 * reach + 1)), int(col * (2 * reach + 1))
        both, source = (
            F.pad(pixels, (reach,) * 4)[..., first : first + side, second : second + side] for pixels in (both, source)
        )
    if cut < 0.5:
        hole = int(side * CUTOUT)
        first, second = int(top * (side - hole + 1)), int(left * (side - hole + 1))
        mask = torch.ones(side, side, device=source.device)
        mask[first : first + hole, second : second + hole] = 0
        both, source = both * mask, source * mask
    return both, source
