"""Metrics of pairs: known values, and scikit-image as the reference."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from sattrans.errors import UsageError
from sattrans.metrics.pixel import l1_sum, l2_norm, mae, psnr, rmse
from sattrans.metrics.structure import SCALES, ms_ssim, ssim


def image(seed, size=64):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (3, size, size), np.uint8))


def test_one_grey_level_everywhere():
    real = torch.full((3, 8, 8), 100, dtype=torch.uint8)
    fake = real + 1
    assert mae(fake, real) == 1
    assert rmse(fake, real) == 1
    assert psnr(fake, real) == pytest.approx(48.1308, abs=5e-5)
    assert l1_sum(fake, real) == pytest.approx(3 * 64 / 127.5)
    assert l2_norm(fake, real) == pytest.approx((3 * 64) ** 0.5 / 127.5)


def test_no_byte_wraps_around():
    black, white = torch.zeros(3, 4, 4, dtype=torch.uint8), torch.full((3, 4, 4), 255, dtype=torch.uint8)
    assert mae(black, white) == mae(white, black) == 255
    assert psnr(black, white) == 0
    assert l1_sum(black, white) == 2 * 48


def test_equal_images_have_no_psnr_and_full_similarity():
    assert psnr(image(1), image(1)) is None
    assert ssim(image(1), image(1)) == pytest.approx(1)
    assert ms_ssim(image(1, 176), image(1, 176)) == pytest.approx(1)


def test_ssim_of_black_against_a_constant_one():
    zero, one = torch.zeros(3, 176, 176, dtype=torch.uint8), torch.full((3, 176, 176), 255, dtype=torch.uint8)
    assert ssim(zero, one) == pytest.approx(9.999e-5, abs=1e-8)
    # Without contrast only the luminance of the coarsest scale is left.
    assert ms_ssim(zero, one) == pytest.approx(9.999e-5 ** SCALES[-1], abs=1e-5)


def by_scikit_image(fake, real):
    return structural_similarity(
        fake, real, channel_axis=0, data_range=255, gaussian_weights=True, use_sample_covariance=False, sigma=1.5
    )


@given(st.integers(0, 10**6), st.sampled_from([11, 12, 37, 64]), st.sampled_from([0.0, 0.5, 0.9]))
def test_ssim_equals_scikit_image(seed, size, mixed):
    real = image(seed, size)
    fake = (mixed * real.float() + (1 - mixed) * image(seed + 1, size).float()).byte()
    assert ssim(fake, real) == pytest.approx(by_scikit_image(fake.numpy(), real.numpy()), abs=1e-5)


def test_ssim_of_nearly_flat_images_equals_scikit_image():
    # Where the variance is small beside the mean, numbers of single precision would lose it.
    for level in (3, 128, 250):
        drawn = np.random.default_rng(level).integers(0, 4, (2, 3, 64, 64))
        fake, real = (level + drawn).astype(np.uint8)
        ours = ssim(torch.from_numpy(fake), torch.from_numpy(real))
        assert ours == pytest.approx(by_scikit_image(fake, real), abs=1e-7)


def test_ms_ssim_is_the_product_of_its_scales():
    # Against scikit-image's SSIM of each halved image: K1 = 10^9 makes the luminance term 1.
    fake, real = image(2, 181), image(3, 181)
    fake = (0.8 * real.float() + 0.2 * fake.float()).byte()
    x, y, product = fake.numpy().astype(float), real.numpy().astype(float), np.ones(3)
    for scale, weight in enumerate(SCALES):
        k1 = 0.01 if scale == len(SCALES) - 1 else 1e9
        terms = [
            structural_similarity(
                a, b, data_range=255, gaussian_weights=True, use_sample_covariance=False, sigma=1.5, K1=k1
            )
            for a, b in zip(x, y, strict=True)
        ]
        product *= np.array(terms) ** weight
        even = x.shape[1] // 2 * 2
        x, y = (p[:, :even, :even].reshape(3, even // 2, 2, even // 2, 2).mean((2, 4)) for p in (x, y))
    assert ms_ssim(fake, real) == pytest.approx(product.mean(), abs=1e-5)


def test_similarity_needs_an_image_as_large_as_its_window():
    with pytest.raises(UsageError, match="11 px"):
        ssim(image(0, 10), image(1, 10))
    with pytest.raises(UsageError, match="176 px"):
        ms_ssim(image(0, 175), image(1, 175))
