"""Tones: the colours that each class has in each training scene, and how much they vary there."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CELL = 24
"""Side in pixels of the squares whose mean colours vary."""

FEWEST = 100
"""Pixels of a label that a scene needs to have a tone of it."""

WIDE = 0.25
"""How much of that spread the patches of wide areas may show: in a scene they change slowly, but patches lie side by
side."""


@dataclass(frozen=True)
class Tone:
    """The tones of one style.

    Attributes:
        colors: The mean colour of each label, (L, 3).
        spread: The mean difference from it of squares of 24 px, (L,), in grey levels.
        foreign: By how many grey levels the colours of labels differ from it in each scene, (scenes, L).
    """

    colors: Floats
    spread: Floats
    foreign: Floats


class Tones:
    """The tones of scenes.

    Args:
        pixels: Colours of tiles, (T * side * side, 3).
        labels: Their labels; those from `count` on are left out.
        scenes: The scene of each tile, (T,).
        scene_count: Number of scenes.
        count: Number of labels.
    """

    def __init__(
        self,
        pixels: NDArray[np.uint8],
        labels: NDArray[np.uint8],
        scenes: NDArray[np.int64],
        scene_count: int,
        count: int,
    ) -> None:
        side = round((len(labels) // len(scenes)) ** 0.5)
        across = -(-side // CELL)
        cell = np.arange(side) // CELL
        place = (np.arange(len(scenes))[:, None, None] * across + cell[:, None]) * across + cell
        keys = place.ravel() * (count + 1) + np.minimum(labels, count)
        total = len(scenes) * across**2 * (count + 1)
        numbers = np.bincount(keys, minlength=total).reshape(-1, count + 1)[:, :-1]
        sums = np.stack([np.bincount(keys, pixels[:, band], total) for band in range(3)], -1)
        sums = sums.reshape(-1, count + 1, 3)[:, :-1]
        scene = np.repeat(scenes, across**2)
        self.numbers, self.sums = np.zeros((scene_count, count)), np.zeros((scene_count, count, 3))
        np.add.at(self.numbers, scene, numbers)
        np.add.at(self.sums, scene, sums)
        self.means = self.sums / np.maximum(1, self.numbers)[..., None]
        deviation = np.abs(sums - numbers[..., None] * self.means[scene]).mean(-1)
        self.spread = np.zeros((scene_count, count))
        np.add.at(self.spread, scene, deviation)
        self.spread /= np.maximum(1, self.numbers)

    def of(self, style: int) -> Tone:
        """Return the tones of a scene; of labels that it lacks, those of the scene that is else most like it."""
        known = self.numbers >= FEWEST
        difference = np.abs(self.means - self.means[style]).mean(-1)
        both = known & known[style]
        unlike = np.where(both, difference, 0).sum(1) / np.maximum(1, both.sum(1))
        unlike[~both.any(1)] = 255.0
        substitute = np.where(known, unlike[:, None], np.inf).argmin(0)
        substitute[known[style]] = style
        label = np.arange(len(substitute))
        colors, spread = self.means[substitute, label], self.spread[substitute, label]
        spread[len(spread) // 2 :] *= WIDE
        foreign = np.where(known, np.abs(self.means - colors).mean(-1), unlike[:, None])
        return Tone(colors, spread, foreign)
