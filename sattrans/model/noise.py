"""Noise that depends on the position on the ground alone, so that overlapping windows agree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

_UINT64 = 2**64 - 1


class Noise:
    """Normal noise for `translate` that depends on the position on the ground alone.

    Overlapping windows get the same values for the same pixels, for any batch and device.

    Args:
        seed: Seed of the whole map.
        origins: Top left (row, column) of each window, in pixels from the origin of the CRS, so often negative; N of
            them.
        size: Side of the windows in pixels.
        device: Device of the tensors returned.
        style: The style of the whole map, an index of `TileSpec.scenes`; None to choose one for each window.
        reference: The style of a reference image instead, as `Model.encode_style` returns it, (D,).
    """

    def __init__(
        self,
        seed: int,
        origins: Sequence[tuple[int, int]],
        size: int,
        device: torch.device | str = "cpu",
        style: int | None = None,
        reference: Tensor | None = None,
    ) -> None:
        self.seed = seed
        self.origins = list(origins)
        self.size = size
        self.device = device
        self.style = style
        self.reference = reference

    _BLOCK = 64

    def field(self, channels: int, stride: int = 1) -> Tensor:
        """Draw normal noise for each position.

        Args:
            channels: Number of channels.
            stride: Side in pixels of the square of the map that shares a value.

        Returns:
            Noise (N, channels, size / stride, size / stride), float32, mean 0, variance 1.

        Raises:
            ValueError: `size` or an origin is not a multiple of `stride`.
        """
        if self.size % stride or any(row % stride or col % stride for row, col in self.origins):
            raise ValueError(f"noise of stride {stride} needs windows that start and end at its multiples")
        cells = self.size // stride
        planes = [self._cells(row // stride, col // stride, cells, channels, stride) for row, col in self.origins]
        return torch.from_numpy(np.stack(planes)).to(self.device)

    def _cells(
        self, row: int, col: int, cells: int, channels: int, stride: int
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        block = self._BLOCK
        top, left = row // block, col // block
        rows = [
            np.concatenate(
                [self._block(r, c, channels, stride) for c in range(left, (col + cells - 1) // block + 1)], axis=2
            )
            for r in range(top, (row + cells - 1) // block + 1)
        ]
        whole = np.concatenate(rows, axis=1)
        r0, c0 = row - top * block, col - left * block
        return whole[:, r0 : r0 + cells, c0 : c0 + cells]

    def _block(
        self, row: int, col: int, channels: int, stride: int
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        # A counter-based generator whose counter is the block's position, so that no block depends on another.
        counter = np.array([0, row & _UINT64, col & _UINT64, channels << 32 | stride], np.uint64)
        bits = np.random.Philox(key=[self.seed, 0], counter=counter)
        return np.random.Generator(bits).standard_normal((channels, self._BLOCK, self._BLOCK), np.float32)

    def vector(self, dim: int) -> Tensor:
        """Draw one vector of normal noise for the whole map.

        Args:
            dim: Length of the vector.

        Returns:
            The vector repeated for each window, (N, dim) float32.
        """
        bits = np.random.Philox(key=[self.seed, 1], counter=[0, 0, 0, dim])
        vector = np.random.Generator(bits).standard_normal(dim, np.float32)
        return torch.from_numpy(vector).to(self.device).expand(len(self.origins), dim)
