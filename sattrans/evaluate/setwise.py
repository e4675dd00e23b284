"""Setwise: families that compare two sets of images, whatever is paired with what."""

import numpy as np
from numpy.typing import NDArray

from sattrans.evaluate.base import Family, Metric, Pair, Setting, Statistics, Unavailable, Weights, mean_of
from sattrans.metrics import nearest_tile as memorising
from sattrans.metrics import spectrum, texture


class Texture(Family):
    """The sliced Wasserstein distance."""

    metrics = (
        Metric(
            "swd",
            "SWD × 10³",
            "deviations",
            "lower",
            "sliced Wasserstein distance of 7×7 patches of a Laplacian pyramid, 128 directions, normalised by the real "
            "patches",
            each=False,
        ),
    )
    sets = others = True
    resamples = 100

    def measure(self, pair: Pair) -> Statistics:
        """Return patches of both, in single precision."""
        count = texture.patches_each(self.setting.images)
        both = [texture.patches(image, count, pair.number) for image in (pair.fake, pair.real)]
        return np.stack(both).ravel()

    def combine(self, metric: str, statistics: Statistics, weights: Weights) -> NDArray[np.float64]:
        """Return the mean over scales."""
        levels = texture.scales(self.setting.size, self.setting.size)
        patches = statistics.reshape(len(statistics), 2, levels, -1, 3 * texture.PATCH**2)
        per_level = [
            texture.sliced_distance(patches[:, 0, level], patches[:, 1, level], weights) for level in range(levels)
        ]
        mean: NDArray[np.float64] = 1000 * np.mean(per_level, axis=0)
        return mean


class Spectrum(Family):
    """The distance of radial power spectra."""

    metrics = (
        Metric(
            "spectrum",
            "spectrum",
            "dB",
            "lower",
            "mean over rings of |10·log₁₀| of the ratio of radial power, of the means over the set",
            each=False,
        ),
    )
    sets = others = True

    def measure(self, pair: Pair) -> Statistics:
        """Return the radial power of both."""
        return np.concatenate([spectrum.radial_power(pair.fake), spectrum.radial_power(pair.real)])

    def combine(self, metric: str, statistics: Statistics, weights: Weights) -> NDArray[np.float64]:
        """Return the distance of the mean spectra."""
        fake, real = np.split(mean_of(statistics, weights), 2, axis=1)
        return spectrum.spectrum_distance(fake, real)


class Checkerboard(Family):
    """Peaks of the generated images' spectrum."""

    metrics = (
        Metric(
            "checkerboard",
            "checkerboard",
            "dB",
            "real",
            "how far power at patterns of 2, 4 and 8 px stands out of what is around it",
            each=False,
        ),
    )
    sets = True
    smallest = spectrum.PEAKS_SIZE

    def measure(self, pair: Pair) -> Statistics:
        """Return the power at peaks and around them."""
        return spectrum.peaks(pair.fake).ravel()

    def combine(self, metric: str, statistics: Statistics, weights: Weights) -> NDArray[np.float64]:
        """Return how far the mean peaks stand out."""
        return spectrum.checkerboard(mean_of(statistics, weights).reshape(len(weights), 2, -1))


class Memorising(Family):
    """The distance of generated images to the nearest training tile. Tool `train`: thumbnails (M, 3072)."""

    metrics = (
        Metric(
            "nearest",
            "nearest tile",
            "grey levels",
            "real",
            "root mean squared difference to the nearest training tile or its mirror image, at 32 px",
        ),
    )
    sets = True

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        if "train" not in setting.tools:
            raise Unavailable("needs training tiles")
        known = setting.tools["train"]
        self._nearest = memorising.ThumbnailIndex(np.concatenate([known, memorising.flipped(known)]))

    def measure(self, pair: Pair) -> Statistics:
        """Return the distance."""
        return self._nearest(memorising.thumbnail(pair.fake)[np.newaxis])[0]

    def combine(self, metric: str, statistics: Statistics, weights: Weights) -> NDArray[np.float64]:
        """Return the mean."""
        return mean_of(statistics, weights)[:, 0]
