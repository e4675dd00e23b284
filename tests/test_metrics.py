"""Metrics: known values, and scikit-image as the reference."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from sattrans.errors import UsageError
from sattrans.metrics.pixel import l1_sum, l2_norm, mae, psnr, rmse
from sattrans.metrics.structure import ssim


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


def test_ssim_of_black_against_a_constant_one():
    zero, one = torch.zeros(3, 16, 16, dtype=torch.uint8), torch.full((3, 16, 16), 255, dtype=torch.uint8)
    assert ssim(zero, one) == pytest.approx(9.999e-5, abs=1e-8)


@given(st.integers(0, 10**6), st.sampled_from([11, 12, 37, 64]), st.sampled_from([0.0, 0.5, 0.9]))
def test_ssim_equals_scikit_image(seed, size, mixed):
    real = image(seed, size)
    fake = (mixed * real.float() + (1 - mixed) * image(seed + 1, size).float()).byte()
    reference = structural_similarity(
        fake.numpy(), real.numpy(), channel_axis=0, data_range=255, gaussian_weights=True,
        use_sample_covariance=False, sigma=1.5,
    )  # fmt: skip
    assert ssim(fake, real) == pytest.approx(reference, abs=1e-5)


def test_ssim_needs_an_image_as_large_as_its_window():
    with pytest.raises(UsageError, match="11 px"):
        ssim(image(0, 10), image(1, 10))
