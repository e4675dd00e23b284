"""SSIM against scikit-image, the Fréchet distance against scipy's sqrtm: medians of turns in one process."""

import statistics
import time

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from skimage.metrics import structural_similarity

from sattrans.metrics.frechet import frechet
from sattrans.metrics.structure import ssim


def medians(contestants, rounds):
    """Return the median seconds of each; each has its turn in each round, after one that is not counted."""
    taken = {name: [] for name in contestants}
    for _ in range(rounds + 1):
        for name, work in contestants.items():
            begun = time.perf_counter()
            work()
            taken[name].append(time.perf_counter() - begun)
    return {name: statistics.median(seconds[1:]) for name, seconds in taken.items()}


@pytest.mark.parametrize("size", [128, 256, 512])
def test_ssim_against_scikit_image(size):
    real = np.random.default_rng(0).integers(0, 256, (3, size, size), np.uint8)
    fake = (0.7 * real + 30).astype(np.uint8)
    tensors = torch.from_numpy(fake), torch.from_numpy(real)

    def peer():
        return structural_similarity(
            fake, real, channel_axis=0, data_range=255, gaussian_weights=True, use_sample_covariance=False, sigma=1.5
        )

    assert ssim(*tensors) == pytest.approx(peer(), abs=1e-5)
    seconds = medians({"ours": lambda: ssim(*tensors), "peer": peer}, 21)
    print(f"SSIM, {size} px: {1000 * seconds['ours']:.1f} ms, scikit-image {1000 * seconds['peer']:.1f} ms, "
          f"{seconds['peer'] / seconds['ours']:.2f} x")  # fmt: skip
    assert seconds["ours"] <= seconds["peer"]


def test_frechet_against_sqrtm():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 500, 2048)) @ np.diag(np.linspace(2, 0.1, 2048)) + 1

    def peer():
        one, other = np.cov(x.T), np.cov(y.T)
        return np.square(x.mean(0) - y.mean(0)).sum() + np.trace(one + other - 2 * sqrtm(one @ other).real)

    assert frechet(x, y) == pytest.approx(peer(), rel=1e-6)
    seconds = medians({"ours": lambda: frechet(x, y), "peer": peer}, 3)
    print(f"Fréchet: {seconds['ours']:.2f} s, sqrtm {seconds['peer']:.2f} s, {seconds['peer'] / seconds['ours']:.1f} x")
    assert 15 * seconds["ours"] <= seconds["peer"]
