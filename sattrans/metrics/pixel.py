"""Differences pixel by pixel: MAE, RMSE, PSNR, and the L1 sum and L2 norm of the project's first report."""

import math

from torch import Tensor


def mae(fake: Tensor, real: Tensor) -> float:
    """Mean absolute error in grey levels, 0 to 255."""
    return float((fake.double() - real.double()).abs().mean())


def rmse(fake: Tensor, real: Tensor) -> float:
    """Root of the mean squared error in grey levels, 0 to 255."""
    return float((fake.double() - real.double()).square().mean().sqrt())


def psnr(fake: Tensor, real: Tensor) -> float | None:
    """Peak signal-to-noise ratio in dB for range 255: 48.1308 where every pixel is off by 1.

    None for equal images, whose ratio is infinite: they are counted separately.
    """
    error = rmse(fake, real)
    return 20 * math.log10(255 / error) if error > 0 else None


def l1_sum(fake: Tensor, real: Tensor) -> float:
    """Sum of absolute differences over all values of an image in [-1, 1]."""
    return float((fake.double() - real.double()).abs().sum() / 127.5)


def l2_norm(fake: Tensor, real: Tensor) -> float:
    """Euclidean norm of the difference of two images in [-1, 1]."""
    return float((fake.double() - real.double()).norm() / 127.5)
