"""Images that get worse step by step: blur, noise, a hue that turns, a checkerboard, a plaid."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


def blur(image: Tensor, sigma: float, number: int = 0) -> Tensor:
    """Smooth with a Gaussian of `sigma` px."""
    reach = int(4 * sigma + 0.5)
    weights = torch.exp(-(torch.arange(-reach, reach + 1, dtype=torch.float64) ** 2) / (2 * sigma**2))
    weights /= weights.sum()
    planes = F.pad(image.double()[:, None], (reach,) * 4, mode="reflect")
    planes = F.conv2d(F.conv2d(planes, weights.view(1, 1, 1, -1)), weights.view(1, 1, -1, 1))
    return _bytes(planes[:, 0])


def noise(image: Tensor, sigma: float, number: int = 0) -> Tensor:
    """Add white noise of `sigma` grey levels."""
    drawn = np.random.default_rng(number).standard_normal(tuple(image.shape))
    return _bytes(image.double() + sigma * torch.from_numpy(drawn))


def hue(image: Tensor, degrees: float, number: int = 0) -> Tensor:
    """Turn colours around the grey axis."""
    turn = np.deg2rad(degrees)
    axis = np.full(3, 3**-0.5)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    matrix = np.cos(turn) * np.eye(3) + np.sin(turn) * cross + (1 - np.cos(turn)) * np.outer(axis, axis)
    return _bytes(torch.einsum("ij,jhw->ihw", torch.from_numpy(matrix), image.double()))


def checkerboard(image: Tensor, amplitude: float, number: int = 0) -> Tensor:
    """Add fields of 2×2 px, one lighter, the next darker by `amplitude` grey levels: they repeat after 4 px."""
    height, width = image.shape[-2:]
    board = (torch.arange(height)[:, None] // 2 + torch.arange(width)[None] // 2) % 2 * 2 - 1
    return _bytes(image.double() + amplitude * board)


def plaid(image: Tensor, amplitude: float, number: int = 0, period: int = 16) -> Tensor:
    """Add bars across and along the image, half a period wide, one lighter, the next darker by `amplitude`."""
    across, along = ((torch.arange(side) * 2 // period) % 2 * 2 - 1 for side in image.shape[-2:])
    return _bytes(image.double() + amplitude / 2 * (across[:, None] + along))


def shuffled_patches(image: Tensor, side: int, number: int = 0) -> Tensor:
    """Put the patches of `side` px of an image in a random order."""
    rows, cols = (length // side for length in image.shape[-2:])
    patches = image[:, : rows * side, : cols * side].unflatten(1, (rows, side)).unflatten(3, (cols, side))
    patches = patches.permute(1, 3, 0, 2, 4).flatten(0, 1)
    order = torch.from_numpy(np.random.default_rng(number).permutation(len(patches)))
    return patches[order].unflatten(0, (rows, cols)).permute(2, 0, 3, 1, 4).flatten(3).flatten(1, 2)


def mixed(image: Tensor, other: Tensor, share: float) -> Tensor:
    """Return a mixture with so much of another image."""
    return _bytes((1 - share) * image.double() + share * other.double())


def _bytes(pixels: Tensor) -> Tensor:
    return pixels.round().clamp(0, 255).byte()


LADDERS = {
    "blur, σ px": (blur, (0.5, 1, 2, 4)),
    "noise, σ grey levels": (noise, (4, 8, 16, 32)),
    "hue, degrees": (hue, (5, 10, 20, 40)),
    "checkerboard, grey levels": (checkerboard, (2, 4, 8, 16)),
    "plaid of 16 px, grey levels": (plaid, (2, 4, 8, 16)),
}
