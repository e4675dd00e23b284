"""A convolution with spectral norm: its largest singular value is 1, and what it does not change."""

import pytest
import torch
from torch.nn import functional as F

from sattrans.networks import SpectralConv2d


@pytest.mark.parametrize(("kernel", "stride", "padding", "side"), [(3, 1, None, 8), (4, 2, None, 4), (4, 2, 2, 5)])
def test_the_weight_is_divided_by_its_largest_singular_value(kernel, stride, padding, side):
    torch.manual_seed(0)
    layer = SpectralConv2d(5, 7, kernel, stride, padding=padding)
    images = torch.randn(1, 5, 8, 8)
    for _ in range(500):
        layer(images)
    layer.eval()
    with torch.no_grad():
        made = layer(images)
        weight = layer.weight / torch.linalg.svdvals(layer.weight.flatten(1))[0]
        assert torch.allclose(made, F.conv2d(images, weight, layer.bias, stride, layer.padding), atol=1e-4)
    assert made.shape == (1, 7, side, side)


def test_it_estimates_only_in_training():
    layer = SpectralConv2d(2, 3, 3)
    before = layer.direction.clone()
    layer.eval()(torch.zeros(1, 2, 4, 4))
    assert torch.equal(layer.direction, before)
    layer.train()(torch.zeros(1, 2, 4, 4))
    assert not torch.equal(layer.direction, before)
