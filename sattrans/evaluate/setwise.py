"""Metric families that compare two sets of images, whatever the pairing."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sattrans.evaluate.base import (
    NOT_NEGATIVE,
    Family,
    ImagePair,
    Metric,
    MetricContext,
    PairWeights,
    Statistics,
    Unavailable,
    by_class,
    weighted_mean,
)
from sattrans.metrics import phase, spectrum, texture
from sattrans.metrics.nearest_tile import ThumbnailIndex, flipped, thumbnail


class SlicedWasserstein(Family):
    """The sliced Wasserstein distance of patches."""

    metrics = (
        Metric(
            "swd",
            "SWD × 10³",
            "deviations",
            "lower",
            "sliced Wasserstein distance of 7×7 patches of a Laplacian pyramid, 128 directions, normalised by the real "
            "patches",
            per_image=False,
            range=NOT_NEGATIVE,
        ),
    )
    compares_sets = real_from_training = True
    resamples = 100

    def measure(self, pair: ImagePair) -> Statistics:
        """Return patches of both images, in single precision."""
        count = texture.patches_each(self.context.images)
        both = [texture.patches(image, count, pair.number) for image in (pair.fake, pair.real)]
        return np.stack(both).ravel()

    def combine(self, metric: str, statistics: Statistics, weights: PairWeights) -> NDArray[np.float64]:
        """Return the mean over scales."""
        levels = texture.scales(self.context.size, self.context.size)
        patches = statistics.reshape(len(statistics), 2, levels, -1, 3 * texture.PATCH**2)
        per_level = [
            texture.sliced_distance(patches[:, 0, level], patches[:, 1, level], weights) for level in range(levels)
        ]
        mean: NDArray[np.float64] = 1000 * np.mean(per_level, axis=0)
        return mean


class PowerSpectrum(Family):
    """The distance of radial power spectra."""

    metrics = (
        Metric(
            "spectrum",
            "spectrum",
            "dB",
            "lower",
            "mean over rings of |10·log₁₀| of the ratio of radial power, of the means over the set",
            per_image=False,
            range=NOT_NEGATIVE,
        ),
    )
    compares_sets = real_from_training = True

    def measure(self, pair: ImagePair) -> Statistics:
        """Return the radial power of both images."""
        return np.concatenate([spectrum.radial_power(pair.fake), spectrum.radial_power(pair.real)])

    def combine(self, metric: str, statistics: Statistics, weights: PairWeights) -> NDArray[np.float64]:
        """Return the distance of the mean spectra."""
        fake, real = np.split(weighted_mean(statistics, weights), 2, axis=1)
        return spectrum.spectrum_distance(fake, real)


class Checkerboard(Family):
    """Checkerboard peaks in the spectrum of the generated images."""

    metrics = (
        Metric(
            "checkerboard",
            "checkerboard",
            "dB",
            "real",
            "height of the power at patterns of 2, 4 and 8 px above its surroundings",
            per_image=False,
        ),
    )
    compares_sets = True
    min_size = spectrum.PEAKS_SIZE

    def measure(self, pair: ImagePair) -> Statistics:
        """Return the power at the peaks and around them."""
        return spectrum.peaks(pair.fake).ravel()

    def combine(self, metric: str, statistics: Statistics, weights: PairWeights) -> NDArray[np.float64]:
        """Return the height of the mean peaks."""
        return spectrum.checkerboard(weighted_mean(statistics, weights).reshape(len(weights), 2, -1))


class PhaseOfGrid(Family):
    """A pattern of 8, 16 or 32 px in the generated images, such as a plaid."""

    metrics = (
        Metric(
            "phase",
            "phase",
            "",
            "real",
            "mean gradient at the column or row, modulo 8, 16 or 32 px, where it is largest, over the mean gradient, "
            "of the set or inside a class; the phase is chosen on one half of the pixels, measured on the other",
            per_image=False,
            range=NOT_NEGATIVE,
        ),
    )
    compares_sets = True
    min_size = phase.SMALLEST

    def measure(self, pair: ImagePair) -> Statistics:
        """Return the sums of gradients at each phase."""
        return phase.phase_sums(pair.fake, pair.fake_map, len(self.context.classes)).ravel()

    def _sums(self, statistics: Statistics, weights: PairWeights) -> NDArray[np.float64]:
        return (weights @ statistics).reshape(len(weights), 2, 2, -1, phase.GRID, 2)

    def combine(self, metric: str, statistics: Statistics, weights: PairWeights) -> NDArray[np.float64]:
        """Return the score of the sums."""
        return phase.phase_score(self._sums(statistics, weights))

    def details(self, statistics: Statistics) -> dict[str, Any]:
        """Return the score inside each class; None for a class with too few pixels."""
        sums = self._sums(statistics, np.ones((1, len(statistics))))
        enough = phase.enough_pixels(sums)[0].all(0)
        scores = [phase.phase_score(sums[..., [number], :, :])[0] for number in range(1, len(enough))]
        return {"phase_by_class": by_class(self.context, np.where(enough[1:], scores, np.nan))} if scores else {}


class NearestTile(Family):
    """The distance of generated images to the nearest training tile. Tool `train`: thumbnails (M, 3072)."""

    metrics = (
        Metric(
            "nearest",
            "nearest tile",
            "grey levels",
            "real",
            "root mean squared difference to the nearest training tile or its mirror image, at 32 px",
            range=NOT_NEGATIVE,
        ),
    )
    compares_sets = True

    def __init__(self, context: MetricContext) -> None:
        super().__init__(context)
        if "train" not in context.tools:
            raise Unavailable("needs training tiles")
        train = context.tools["train"]
        self._nearest = ThumbnailIndex(np.concatenate([train, flipped(train)]))

    def measure(self, pair: ImagePair) -> Statistics:
        """Return the distance."""
        return self._nearest(thumbnail(pair.fake)[np.newaxis])[0]

    def combine(self, metric: str, statistics: Statistics, weights: PairWeights) -> NDArray[np.float64]:
        """Return the mean."""
        return weighted_mean(statistics, weights)[:, 0]


FAMILIES: tuple[type[Family], ...] = (SlicedWasserstein, PowerSpectrum, Checkerboard, PhaseOfGrid, NearestTile)
"""The families of this module, in the order of the table."""
