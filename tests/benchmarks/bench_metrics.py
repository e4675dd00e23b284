"""SSIM against scikit-image, Fréchet distance against scipy's sqrtm, medians; the default scores of 500 pairs."""

import os
import time

import numpy as np
import pytest
import torch
from makers import make_indices, make_picture
from rounds import medians, timed
from scipy.linalg import sqrtm
from skimage.metrics import structural_similarity

from sattrans.evaluate.base import MetricContext
from sattrans.evaluate.images import ImageSource, RealImage, RealImages
from sattrans.evaluate.registry import select_families
from sattrans.evaluate.scoring import MeasurementCache, Scorer
from sattrans.evaluate.training_tiles import read_training_tiles
from sattrans.metrics.frechet import frechet
from sattrans.metrics.structure import ssim


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
    seconds = medians({"ours": timed(lambda: ssim(*tensors)), "peer": timed(peer)}, 21)
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
    seconds = medians({"ours": timed(lambda: frechet(x, y)), "peer": timed(peer)}, 3)
    print(f"Fréchet: {seconds['ours']:.2f} s, sqrtm {seconds['peer']:.2f} s, {seconds['peer'] / seconds['ours']:.1f} x")
    assert 15 * seconds["ours"] <= seconds["peer"]


PAIRS, SIZE, TRAIN = 500, 256, 2000


class SyntheticTiles(RealImages, ImageSource):
    """Synthetic tiles, a few of them repeated; as an image source it yields them with noise."""

    size, classes, key, name, about = SIZE, ("a", "b", "c", "d", "e"), "synthetic", "synthetic", {}

    def __init__(self, count, different=50):
        self.ids = [str(number) for number in range(count)]
        maps = [make_indices(SIZE, SIZE, 5, seed) for seed in range(different)]
        self.tiles = [RealImage(torch.from_numpy(make_picture(m, n)), torch.from_numpy(m)) for n, m in enumerate(maps)]
        self.fakes = [(t.image + torch.randn(t.image.shape) * 9).clamp(0, 255).byte() for t in self.tiles]

    def read(self, number):
        return self.tiles[number % len(self.tiles)]

    def images(self, numbers):
        for number in numbers:
            yield self.fakes[number % len(self.fakes)]


def test_default_scores_of_500_pairs(tmp_path):
    """All that an evaluation measures beyond generating: a run, and the baselines."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    real, train = SyntheticTiles(PAIRS), SyntheticTiles(TRAIN)
    taken, begun = {}, time.perf_counter()

    def lap(name):
        taken[name] = time.perf_counter() - begun - sum(taken.values())

    tiles = read_training_tiles(train)
    lap("training tiles")
    families, _ = select_families(MetricContext(SIZE, PAIRS, real.classes, {"train": tiles.thumbnails}))
    scorer = Scorer(real, families, 0, MeasurementCache(tmp_path))
    scores = scorer.score(real)
    lap("the images, and shuffled pairs")
    scorer.real_baseline(train)
    lap("real against real")
    scorer.class_color_baseline(tiles.colors)
    lap("class colours")
    assert len(scores.metrics) == 14
    print(f"{PAIRS} pairs of {SIZE} px, {TRAIN} training tiles: {sum(taken.values()):.0f} s (bar 90 s): "
          + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in taken.items()))  # fmt: skip
