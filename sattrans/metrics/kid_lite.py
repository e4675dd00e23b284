"""KID of EfficientNet-Lite features: a distance of two sets of images that sees layout and texture as the eye does.

The weights of both networks are installed with sattrans, so nothing has to be downloaded. Values are not comparable
with those of Inception's KID: the network, the patches and the scale of the features differ.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from sattrans.metrics.baselines import evenly_spaced
from sattrans.networks import EfficientNetLite, load_efficientnet_lite
from sattrans.networks.efficientnet import Lite

PATCH, STEP = 128, 64
"""Side of a patch, and the distance between the corners of neighbouring ones, in pixels."""

SMALLEST = 32
"""Shortest side, in pixels, of an image: the networks halve it five times."""

MAX_PATCHES = 2**13
"""Patches of a set: with more images each has fewer, so that time and memory are bounded."""

BATCH = 16
"""Patches that go through a network at once; larger batches are slower on a CPU."""

LAYERS: Mapping[str, tuple[Lite, int]] = {
    "kid_lite1": ("lite1", 20),
    "kid_lite1_texture": ("lite1", 14),
    "kid_lite0": ("lite0", 15),
    "kid_lite0_texture": ("lite0", 10),
}
"""Network and block of each score: the last block (stride 32) for layout, a middle one (stride 16) for texture."""

LOWEST_DEVIATION = 0.01
"""Lowest deviation of a feature, as a share of the root mean square of all: real images may be flat."""

Features = NDArray[np.float32]
"""Features of the patches of each image, (N, P, C)."""


def patch_corners(height: int, width: int, most: int = MAX_PATCHES) -> list[tuple[int, int]]:
    """Return row and column of the patches of an image: evenly spaced, at most 64 px apart, from edge to edge.

    An image that is lower or narrower than 128 px is one patch. If there are more than `most` patches, every so many
    are taken.
    """
    if min(height, width) < PATCH:
        return [(0, 0)]
    rows, cols = (_starts(side) for side in (height, width))
    corners = [(row, col) for row in rows for col in cols]
    return [corners[index] for index in evenly_spaced(len(corners), min(most, len(corners)))]


def _starts(side: int) -> list[int]:
    count = math.ceil((side - PATCH) / STEP)
    return [round(index * (side - PATCH) / max(count, 1)) for index in range(count + 1)]


def patches_each(images: int) -> int:
    """Return the most patches that each image of a set has, so that the set has no more than `MAX_PATCHES`."""
    return max(1, MAX_PATCHES // max(images, 1))


class LiteFeatures:
    """Features of the patches of images, by a pretrained EfficientNet-Lite.

    Args:
        which: "lite0" or "lite1".
        blocks: Indices of the blocks whose outputs are averaged over the patch, increasing.
        device: Where to compute.

    Raises:
        UsageError: The package with the weights is missing, or its file is not the published one.
    """

    def __init__(self, which: Lite, blocks: Sequence[int], device: torch.device | str = "cpu") -> None:
        self._network, self._device = _network(which, tuple(blocks), torch.device(device)), torch.device(device)
        self.channels = self._network.channels
        """Features of each block."""

    @torch.inference_mode()
    def __call__(self, images: Tensor, most: int = MAX_PATCHES) -> list[Features]:
        """Compute features.

        Args:
            images: Red, green, blue, uint8, (N, 3, H, W), from 32 px.
            most: The most patches of each image.

        Returns:
            For each block the means over each patch, (N, P, channels).

        Raises:
            ValueError: The images are smaller than 32 px, or not uint8.
        """
        height, width = images.shape[-2:]
        if min(height, width) < SMALLEST or images.dtype != torch.uint8:
            raise ValueError(f"needs uint8 images of {SMALLEST} px, got {images.dtype} of {width} × {height} px")
        corners = patch_corners(height, width, most)
        high, wide = (PATCH, PATCH) if min(height, width) >= PATCH else (height, width)
        patches = torch.stack([images[..., r : r + high, c : c + wide] for r, c in corners], 1).flatten(0, 1)
        batches = [self._means(batch) for batch in patches.split(BATCH)]
        joined = (torch.cat(of_block).unflatten(0, (len(images), -1)) for of_block in zip(*batches, strict=True))
        return [features.cpu().numpy() for features in joined]

    def _means(self, patches: Tensor) -> list[Tensor]:
        pixels = patches.to(self._device).contiguous(memory_format=torch.channels_last).float() / 127.5 - 1
        return [maps.float().mean((2, 3)) for maps in self._network(pixels)]


@cache
def _network(which: Lite, blocks: tuple[int, ...], device: torch.device) -> EfficientNetLite:
    # Channels last: a third less time on a CPU.
    network: EfficientNetLite = load_efficientnet_lite(which, blocks).to(device)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def deviations(features: Features) -> NDArray[np.float64]:
    """Return the standard deviation (C,) of each feature over all patches of images (N, P, C).

    It is at least a hundredth of the root mean square of all features, so that features that hardly vary, as those of
    flat images, do not decide the distance.
    """
    values = features.reshape(-1, features.shape[-1]).astype(np.float64)
    lowest = LOWEST_DEVIATION * np.sqrt(np.square(values).mean())
    found: NDArray[np.float64] = np.maximum(values.std(0), lowest if lowest > 0 else 1.0)
    return found


def mean_kernels(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of (x·y/C + 1)³ over the patches of each two images, (N, M), of features (N, P, C), (M, Q, C)."""
    columns = y.reshape(-1, y.shape[-1]).T / y.shape[-1]
    kernels = np.empty((len(x), len(y)))
    rows = max(1, 1024 // x.shape[1])  # a block of the matrix of patches is in memory at once
    for start in range(0, len(x), rows):
        block = x[start : start + rows]
        kernel = (block.reshape(-1, block.shape[-1]) @ columns + 1) ** 3
        kernels[start : start + rows] = kernel.reshape(*block.shape[:2], *y.shape[:2]).mean((1, 3))
    return kernels


def paired_terms(fake: NDArray[np.float64], real: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what each two places add to the distance, (N, N), of features (N, P, C) divided by `deviations`.

    For places i and j it is k(xᵢ, xⱼ) + k(yᵢ, yⱼ) − k(xᵢ, yⱼ) − k(xⱼ, yᵢ), and 0 for a place with itself.
    """
    across = mean_kernels(fake, real)
    terms = mean_kernels(fake, fake) + mean_kernels(real, real) - across - across.T
    np.fill_diagonal(terms, 0)
    return terms


def weighted_kid(terms: NDArray[np.float64], weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Return the distance (B,) of two sets from their `paired_terms` (N, N): the mean over each two different places.

    It is the squared MMD without bias of pairs of images (Gretton et al., A Kernel Two-Sample Test, JMLR 2012, Lemma
    6). A generated image and the real image of its place are alike, and so are the patches of an image; comparing them
    would lower or raise the distance. Equal sets have a distance of 0; the distance may be below 0.

    Args:
        terms: From `paired_terms`.
        weights: How often each place counts in each of B resamples, (B, N). A place that is drawn twice is not compared
            with itself.

    Returns:
        The distances; NaN if there are fewer than two different places.
    """
    weights = np.ones((1, len(terms))) if weights is None else weights
    pairs = weights.sum(1) ** 2 - np.square(weights).sum(1)
    distance: NDArray[np.float64] = ((weights @ terms) * weights).sum(1) / np.where(pairs > 0, pairs, np.nan)
    return distance


class LiteKID:
    """The distance of generated images from real ones whose features are kept: cheap to compute again and again.

    It takes about 2 CPU s for 16 images of 256 px, as often as `distance` is called, and once for the real images.

    Args:
        real: Real images: a tensor (N, 3, H, W) uint8, or batches of such; or their features, of the metric's layer, as
            `LiteFeatures` computes them, (N, P, C).
        metric: A name in `LAYERS`. `kid_lite0` must not judge a model that was trained with Lite0's features.
        training: Real training images, whose features' deviations are the unit; by default those of `real`.
        conditions: Descriptions of the map below each patch, (N, P, M), appended to the features of the real and of the
            generated image alike. The distance is then that of images *and* maps: it grows if images look real, but not
            on their own maps (as the Fréchet joint distance of DeVries et al., On the Evaluation of Conditional GANs,
            2019, https://arxiv.org/abs/1907.08175). `place_descriptions` makes them of class maps.
        device: Where to compute.

    Raises:
        UsageError: The package with the weights is missing, or its file is not the published one.

    Example:
        score = LiteKID(batch.image for batch in validation)
        score.distance(generate(batch.map) for batch in validation)
    """

    def __init__(
        self,
        real: Tensor | Iterable[Tensor] | Features,
        metric: str = "kid_lite1",
        training: Tensor | Iterable[Tensor] | Features | None = None,
        conditions: Features | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        which, block = LAYERS[metric]
        self._conditions = conditions
        self._features = LiteFeatures(which, (block,), device)
        own = self._of(real)
        if conditions is not None and len(conditions) != len(own):
            raise ValueError(f"{len(conditions)} descriptions of {len(own)} images")
        self._deviations = deviations(own if training is None else self._of(training))
        self._real = self._joined(own)
        self._within = mean_kernels(self._real, self._real)

    def __len__(self) -> int:
        return len(self._real)

    def distance(self, generated: Tensor | Iterable[Tensor] | Features, paired: bool = True) -> float:
        """Return the distance of generated images from the real ones.

        Args:
            generated: Generated images, as `real`.
            paired: Whether they are images of the places of the real images, in the same order; the two images of a
                place are then not compared. Otherwise each is compared with each.

        Returns:
            The distance: 0 for images that are distributed as the real ones, which it may fall short of by chance;
            NaN if either set has fewer than two images.

        Raises:
            ValueError: The images are paired, but not as many as the real ones.
        """
        fake = self._joined(self._of(generated))
        if (paired or self._conditions is not None) and len(fake) != len(self):
            raise ValueError(f"{len(fake)} generated images cannot be paired with {len(self)} real ones")
        if min(len(fake), len(self)) < 2:
            return float("nan")
        across = mean_kernels(fake, self._real)
        between = _mean_of_others(across) if paired else float(across.mean())
        return _mean_of_others(mean_kernels(fake, fake)) + _mean_of_others(self._within) - 2 * between

    def _joined(self, features: Features) -> NDArray[np.float64]:
        """Return features in units of their deviation, joined with the conditions, which weigh as much in all."""
        scaled = features / self._deviations
        if self._conditions is None or len(features) != len(self._conditions):
            return scaled
        weight = np.sqrt(scaled.shape[-1] / self._conditions.shape[-1])
        return np.concatenate([scaled, weight * self._conditions / deviations(self._conditions)], axis=-1)

    def _of(self, images: Tensor | Iterable[Tensor] | Features) -> Features:
        if isinstance(images, np.ndarray):
            return images
        batches = [self._features(batch)[0] for batch in _batches(images)]
        return np.concatenate(batches) if batches else np.empty((0, 1, *self._features.channels), np.float32)


def place_descriptions(sources: Tensor, most: int = MAX_PATCHES) -> Features:
    """Describe the maps below the patches of images: the mean of each channel in 4×4 parts of a patch.

    Args:
        sources: Maps as a model takes them, (N, C, H, W), such as one channel for each class.
        most: The most patches of each map.

    Returns:
        Descriptions, (N, P, 16·C).
    """
    height, width = sources.shape[-2:]
    high, wide = (PATCH, PATCH) if min(height, width) >= PATCH else (height, width)
    corners = patch_corners(height, width, most)
    patches = torch.stack([sources[..., r : r + high, c : c + wide] for r, c in corners], 1)
    means = F.adaptive_avg_pool2d(patches.flatten(0, 1).float(), 4).flatten(1)
    described: Features = means.unflatten(0, (len(sources), -1)).cpu().numpy()
    return described


def _batches(images: Tensor | Iterable[Tensor]) -> Iterator[Tensor]:
    yield from [images] if isinstance(images, Tensor) else images


def _mean_of_others(kernels: NDArray[np.float64]) -> float:
    """Return the mean of a matrix (N, N) without its diagonal."""
    return float((kernels.sum() - np.trace(kernels)) / (len(kernels) * (len(kernels) - 1)))
