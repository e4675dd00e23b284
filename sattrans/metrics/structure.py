"""Structural similarity."""

import torch
from torch import Tensor
from torch.nn import functional as F

from sattrans.errors import UsageError

WINDOW = 11
SIGMA = 1.5
K1, K2, RANGE = 0.01, 0.03, 255.0


def _gaussian() -> Tensor:
    offsets = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    weights = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    return weights / weights.sum()


def ssim(fake: Tensor, real: Tensor) -> float:
    """Mean structural similarity, -1 to 1, over the three channels (Wang et al. 2004, equation 13).

    Gaussian window 11×11 with σ 1.5, K 0.01 and 0.03, population covariance, and only where the window lies
    wholly inside: as scikit-image with `gaussian_weights=True, use_sample_covariance=False`.
    """
    if min(fake.shape[-2:]) < WINDOW:
        raise UsageError(f"SSIM needs images of {WINDOW} px at least, not {fake.shape[-1]} × {fake.shape[-2]}")
    x, y = fake.double(), real.double()
    stacked = torch.stack([x, y, x * x, y * y, x * y])  # (5, 3, H, W)
    kernel = _gaussian().to(x.device)
    smooth = F.conv2d(stacked.flatten(0, 1)[:, None], kernel[None, None, :, None])
    smooth = F.conv2d(smooth, kernel[None, None, None, :])
    mx, my, xx, yy, xy = smooth[:, 0].unflatten(0, (5, -1))
    c1, c2 = (K1 * RANGE) ** 2, (K2 * RANGE) ** 2
    similarity = (2 * mx * my + c1) * (2 * (xy - mx * my) + c2)
    similarity /= (mx**2 + my**2 + c1) * (xx - mx**2 + yy - my**2 + c2)
    return float(similarity.mean())
