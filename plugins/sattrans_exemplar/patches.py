"""Patches: places in the training tiles from which pieces of images are taken, and the search among them."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Patches:
    """The patches of one side in the index.

    Attributes:
        descriptors: Their descriptors, (n, NUMBERS), and of these half the squared lengths, (n,).
        corner: The number of the source pixel in their top left corner, (n,); of mirrored ones, as they are shown.
        turn: 1, or -1 if mirrored, (n,).
        scene: Their scenes, (n,).
    """

    descriptors: Tensor
    lengths: Tensor
    corner: NDArray[np.int32]
    turn: NDArray[np.int8]
    scene: NDArray[np.int64]

    def nearest(
        self, asked: NDArray[np.float32], count: int, chance: NDArray[np.float32], among: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return the patches that are most like others, (m, at most `count`).

        Args:
            asked: The descriptors of the others, (m, NUMBERS).
            count: How many of each.
            chance: What is added to the squared distance of each patch, whole numbers, (n,).
            among: The patches to choose from.
        """
        chosen = torch.from_numpy(among)
        if len(among) == len(self.lengths):
            own, base = self.descriptors, self.lengths + torch.from_numpy(chance)
        else:
            own, base = self.descriptors[chosen], self.lengths[chosen] + torch.from_numpy(chance)[chosen]
        found = []
        with torch.autocast("cpu", enabled=False):  # bfloat16 would round distances, which are exact
            for some in torch.from_numpy(asked).split(64):
                distance = torch.addmm(base, some, own.t(), alpha=-2)
                found.append(chosen[distance.topk(min(count, len(among)), largest=False).indices])
        return torch.cat(found).numpy()
