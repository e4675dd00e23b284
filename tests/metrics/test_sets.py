"""Metrics of sets: known answers on synthetic features, patches and spectra."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ladders import checkerboard as board

from sattrans.metrics import texture
from sattrans.metrics.baselines import evenly_spaced, partners
from sattrans.metrics.bootstrap import (
    centred,
    difference_interval,
    excludes_zero,
    interval,
    mean_interval,
    resample_counts,
)
from sattrans.metrics.frechet import centred_cosines, cosines, frechet, kid
from sattrans.metrics.nearest_tile import SIDE, flipped, nearest, thumbnail
from sattrans.metrics.segmentation import confusion, iou, mean_iou
from sattrans.metrics.spectrum import checkerboard, peaks, power, radial_power, spectrum_distance
from sattrans.metrics.texture import sliced_distance
from sattrans.raster.palette import UNKNOWN


def white(n, d, seed=0):
    """Return features whose sample mean is 0 and whose sample covariance is 1, exactly."""
    x = np.random.default_rng(seed).standard_normal((n, d))
    x -= x.mean(0)
    return np.linalg.qr(x)[0] * np.sqrt(n - 1)


@pytest.mark.parametrize(("n", "d"), [(40, 8), (9, 8), (500, 3)])
def test_frechet_of_normal_distributions(n, d):
    x, shift, scale = white(n, d), np.arange(d) / 2, 1.5
    expected = np.square(shift).sum() + d * (scale - 1) ** 2
    assert frechet(x, scale * x + shift) == pytest.approx(expected)
    assert frechet(x, scale * white(n, d, 1) + shift) == pytest.approx(expected)
    assert frechet(x, x) == pytest.approx(0, abs=1e-9)


@given(st.integers(0, 10**6), st.integers(3, 30), st.integers(3, 30), st.integers(1, 12))
def test_frechet_equals_the_eigenvalues_of_the_product(seed, n, m, d):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((n, d)), 2 * rng.standard_normal((m, d)) + 1
    one, other = np.atleast_2d(np.cov(x.T)), np.atleast_2d(np.cov(y.T))
    root = np.sqrt(np.linalg.eigvals(one @ other).real.clip(min=0)).sum()
    expected = np.square(x.mean(0) - y.mean(0)).sum() + np.trace(one + other) - 2 * root
    assert frechet(x, y) == pytest.approx(expected, rel=1e-5, abs=1e-4)


def test_kid_is_the_mean_over_pairs_of_different_images():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((6, 4)), rng.standard_normal((6, 4)) + 1

    def kernel(a, b):
        return (a @ b / 4 + 1) ** 3

    own = [[kernel(a, b) for i, a in enumerate(s) for j, b in enumerate(s) if i != j] for s in (x, y)]
    expected = np.mean(own[0]) + np.mean(own[1]) - 2 * np.mean([kernel(a, b) for a in x for b in y])
    assert kid(x, y) == pytest.approx([expected])
    assert kid(x, y, np.ones((2, 6))) == pytest.approx([expected] * 2)
    # An image drawn twice is no pair of its own.
    drawn = np.array([[2, 1, 1, 1, 1, 0]])
    twice = [x[[0, 1, 2, 3, 4]], y[[0, 1, 2, 3, 4]]]
    assert kid(x, y, drawn)[0] != pytest.approx(kid(*twice)[0])


def test_kid_has_no_bias():
    rng = np.random.default_rng(1)
    drawn = [kid(*rng.standard_normal((2, 12, 8)))[0] for _ in range(400)]
    assert abs(np.mean(drawn)) < 3 * np.std(drawn) / 20


def test_cosines_need_centring():
    rng = np.random.default_rng(0)
    x, y = rng.random((2, 50, 256)) + 1  # all positive, as behind a ReLU; unrelated
    assert cosines(x, y).mean() > 0.95
    mean = x.mean(0)
    assert abs(cosines(x - mean, y - mean).mean()) < 0.05
    assert cosines(x, 3 * x) == pytest.approx(np.ones(50))
    assert cosines(np.zeros((1, 3)), np.ones((1, 3))) == [0]


def test_centred_cosines_take_the_mean_of_what_is_drawn():
    x, y = np.random.default_rng(0).random((2, 6, 20)).astype(np.float32) + 3
    weights = np.array([[1.0] * 6, [3, 2, 1, 0, 0, 0], [0, 0, 0, 0, 6, 0]])
    picked = [0, 0, 0, 1, 1, 2]
    for found, rows in zip(centred_cosines(x, y, weights), (range(6), picked), strict=False):
        mean = y[list(rows)].mean(0)
        assert found == pytest.approx(cosines(x[list(rows)] - mean, y[list(rows)] - mean).mean(), rel=1e-4)
    assert centred_cosines(x, y, weights)[2] == 0  # one image is its own mean
    assert centred_cosines(y, y, weights)[:2] == pytest.approx([1, 1])


def test_intersection_over_union():
    assert mean_iou(np.array([[3, 1], [1, 3]])) == pytest.approx(0.6)
    assert iou(np.array([[3, 1, 0], [1, 3, 0], [0, 0, 0]]))[:2] == pytest.approx([0.6, 0.6])
    assert mean_iou(np.array([[3, 1, 0], [1, 3, 0], [0, 0, 0]])) == pytest.approx(0.6)  # a class that is nowhere
    assert np.isnan(mean_iou(np.zeros((2, 2))))
    # A class that is predicted where the truth has none of it is a miss of another class, not a class of its own.
    assert iou(np.array([[3, 1, 0], [1, 2, 1], [0, 0, 0]])) == pytest.approx([0.6, 0.4, np.nan], nan_ok=True)
    assert mean_iou(np.array([[3, 1, 0], [1, 2, 1], [0, 0, 0]])) == pytest.approx(0.5)
    truth = torch.tensor([[0, 1], [1, UNKNOWN]], dtype=torch.uint8)
    counts = confusion(torch.tensor([[0, 0], [1, 1]]), truth, 2)
    assert counts.tolist() == [[1, 0], [1, 1]]


def test_white_noise_has_its_variance_at_every_frequency():
    rng = np.random.default_rng(0)
    images = [torch.from_numpy(rng.normal(128, 10, (3, 64, 64)).round().astype(np.uint8)) for _ in range(20)]
    assert np.mean([power(image).mean() for image in images]) == pytest.approx(100, rel=0.03)
    radial = np.mean([radial_power(image) for image in images], axis=0)
    assert len(radial) == 32
    assert radial == pytest.approx(np.full(32, 100), rel=0.25)
    assert checkerboard(np.mean([peaks(image) for image in images], axis=0)) < 1


def test_twice_the_power_is_three_decibels():
    real = np.linspace(1000, 10, 32)
    assert spectrum_distance(2 * real, real) == pytest.approx(10 * np.log10(2), abs=0.02)
    assert spectrum_distance(real, 2 * real) == pytest.approx(10 * np.log10(2), abs=0.02)
    assert spectrum_distance(real, real) == 0
    flat = torch.full((3, 64, 64), 7, dtype=torch.uint8)
    assert np.isfinite(spectrum_distance(radial_power(flat), real))


@pytest.mark.parametrize("size", [(64, 64), (130, 69), (128, 256)])
def test_a_checkerboard_has_peaks_that_rings_do_not_see(size):
    rng = np.random.default_rng(0)
    images = [torch.from_numpy(rng.normal(128, 10, (3, *size)).round().astype(np.uint8)) for _ in range(8)]
    boards = [board(image, 4) for image in images]
    ours = checkerboard(np.mean([peaks(image) for image in boards], axis=0))
    assert ours > checkerboard(np.mean([peaks(image) for image in images], axis=0)) + 4
    rings = [np.mean([radial_power(i) for i in set_], axis=0) for set_ in (boards, images)]
    assert spectrum_distance(*rings) < 0.5


def patch_set(images, seed=0, shift=0.0, scale=1.0):
    drawn = np.random.default_rng(seed).standard_normal((images, 16, 147)).astype(np.float32)
    return scale * drawn + shift


def test_sliced_distance_of_a_shift():
    real = patch_set(40)
    direction = texture._directions(147).numpy()
    expected = 0.5 * np.abs(direction.sum(0)).mean()  # a shift moves every projection by its own
    assert sliced_distance(real + np.float32(0.5), real)[0] == pytest.approx(expected, rel=0.02)
    assert sliced_distance(real, real)[0] == 0


def test_sliced_distance_sees_contrast_because_the_real_set_normalises():
    real = patch_set(40)
    assert sliced_distance(np.float32(2) * real, real)[0] == pytest.approx((2 / np.pi) ** 0.5, rel=0.05)
    other = sliced_distance(patch_set(40, 1), real)[0]
    assert sliced_distance(np.float32(2) * real, real)[0] > 10 * other


def test_images_that_are_drawn_twice_count_twice():
    fake, real = (patch_set(4, *of) * np.float32([[[1]], [[2]], [[3]], [[9]]]) for of in ((1, 0.3), (0,)))
    weights = np.array([[2.0, 1, 1, 0], [1, 1, 1, 1]])
    weighted = sliced_distance(fake, real, weights)
    twice = [0, 0, 1, 2]  # the normalisation is theirs, too: without the last one, the real patches vary far less
    assert weighted[0] == pytest.approx(sliced_distance(fake[twice], real[twice])[0], rel=1e-3)
    assert weighted[1] == pytest.approx(sliced_distance(fake, real)[0])


def test_sliced_distance_is_the_area_between_the_sorted_patches():
    fake, real = patch_set(5, 1, 0.3, 2.0), patch_set(5)
    directions = texture._directions(147).numpy() / real.reshape(-1, 3, 49).std((0, 2)).repeat(49)[:, np.newaxis]
    ours, theirs = (np.sort(patches.reshape(-1, 147) @ directions, axis=0) for patches in (fake, real))
    assert sliced_distance(fake, real)[0] == pytest.approx(np.abs(ours - theirs).mean(), rel=1e-4)


@pytest.mark.slow
def test_redrawn_distances_vary_as_those_of_other_sets_do():
    """Sets differ in contrast, and a shift of so many grey levels is more or less of their deviation."""
    contrasts = np.random.default_rng(0).lognormal(0, 0.6, (20, 10, 1, 1)).astype(np.float32)
    sets = [patch_set(10, seed) * contrast for seed, contrast in enumerate(contrasts)]
    shift = np.float32(0.5)
    spread = np.std([sliced_distance(real + shift, real)[0] for real in sets])
    resampled = np.mean([sliced_distance(real + shift, real, resample_counts(10, 30)).std() for real in sets[:4]])
    assert spread / 2 < resampled < 2 * spread


def test_redrawn_scores_are_centred_on_the_score():
    resampled = np.array([3.0, 5.0, np.nan, 7.0])
    assert centred(resampled, 1.0) == pytest.approx(np.array([-1, 1, np.nan, 3]), nan_ok=True)
    assert np.isnan(centred(np.full(3, np.nan), 1.0)).all()


@pytest.mark.slow
@pytest.mark.parametrize("images", [6, 12])
def test_a_distance_of_few_images_lies_within_its_interval(images):
    """The redrawn distances of two sets that are alike are all larger: without centring the score is outside."""
    fake, real = patch_set(images, 1), patch_set(images)
    value = sliced_distance(fake, real)[0]
    resampled = sliced_distance(fake, real, resample_counts(images, 100))
    assert not interval(resampled).low <= value <= interval(resampled).high
    assert interval(centred(resampled, value)).low < value < interval(centred(resampled, value)).high


def test_patches_depend_on_the_images_number_alone():
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 64, 64), np.uint8))
    assert texture.patches(image, 8, 3).shape == (3, 8, 147)
    assert (texture.patches(image, 8, 3) == texture.patches(image, 8, 3)).all()
    assert (texture.patches(image, 8, 3) != texture.patches(image, 8, 4)).any()
    levels = texture.laplacian_pyramid(image, 3)
    assert [tuple(level.shape[1:]) for level in levels] == [(64, 64), (32, 32), (16, 16)]


def test_a_copied_training_tile_is_found():
    rng = np.random.default_rng(0)
    train = [torch.from_numpy(rng.integers(0, 256, (3, 64, 64), np.uint8)) for _ in range(5)]
    known = np.stack([thumbnail(image) for image in train])
    asked = np.stack([thumbnail(train[3]), thumbnail(train[1].flip(-1)), thumbnail(train[4].roll(9, 1))])
    distances, which = nearest(asked, np.concatenate([known, flipped(known)]))
    assert which[:2].tolist() == [3, 5 + 1]
    assert distances[:2].tolist() == [0, 0]
    assert distances[2] > 10
    assert known.shape == (5, 3 * SIDE**2)


def test_intervals_hold_the_mean_and_narrow_with_more_images():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(200):
        low, high = mean_interval(rng.normal(5, 2, 40), 400)
        inside += low <= 5 <= high
    assert 175 <= inside <= 198  # 95 %, a little less with percentiles of 40
    few, many = mean_interval(rng.normal(5, 2, 20)), mean_interval(rng.normal(5, 2, 2000))
    assert many.high - many.low < (few.high - few.low) / 5
    assert mean_interval(np.array([3.0])) == (3, 3)
    assert interval(np.array([np.nan])) is None


def test_a_paired_difference_is_known_better_than_its_parts():
    rng = np.random.default_rng(0)
    hard = rng.normal(20, 5, 50)
    one, other = hard + rng.normal(0, 0.5, 50), hard + 1 + rng.normal(0, 0.5, 50)
    weights = resample_counts(50)
    apart = difference_interval(weights @ one / 50, weights @ other / 50)
    assert excludes_zero(apart)
    assert apart.high - apart.low < 0.5
    assert interval(weights @ one / 50).high > interval(weights @ other / 50).low  # each alone does not say so
    assert not excludes_zero(difference_interval(weights @ one, weights @ one))


@given(st.integers(2, 60), st.integers(0, 100))
def test_no_image_is_its_own_partner(count, seed):
    other = partners(count, seed)
    assert sorted(other) == list(range(count))
    assert (other != np.arange(count)).all()


def test_evenly_spread():
    assert evenly_spaced(10, 3) == [0, 3, 6]
    assert evenly_spaced(2, 5) == [0, 1, 0, 1, 0]
