"""What plugins share: how weights are drawn, and cross-entropy against one label."""

import math

import pytest
import torch
from torch import nn

from sattrans.networks import bce_against, init_normal


def mixed():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(16, 64, 3),
        nn.BatchNorm2d(2000),
        nn.ConvTranspose2d(16, 64, 3, bias=False),
        nn.Sequential(nn.Linear(100, 100)),
        nn.LayerNorm(50),
    )


@pytest.mark.parametrize("std", [0.02, 0.1])
def test_weights_are_normal_around_0_those_of_batch_norm_around_1(std):
    convolution, norm, transposed, linear, _ = init_normal(mixed(), std)
    for weight, mean in (
        (convolution.weight, 0),
        (norm.weight, 1),
        (transposed.weight, 0),
        (linear[0].weight, 0),
    ):
        assert weight.mean().item() == pytest.approx(mean, abs=std / 10)
        assert weight.std().item() == pytest.approx(std, rel=0.06)


def test_biases_are_zero_where_there_are_any():
    network = mixed()
    assert network[0].bias.any()
    convolution, norm, transposed, linear, _ = init_normal(network)
    assert not convolution.bias.any()
    assert not norm.bias.any()
    assert not linear[0].bias.any()
    assert transposed.bias is None


def test_other_layers_are_left_as_they_are():
    network = mixed()
    nn.init.constant_(network[4].weight, 3.0)
    nn.init.constant_(network[4].bias, 4.0)
    init_normal(network)
    assert (network[4].weight == 3).all()
    assert (network[4].bias == 4).all()


def test_the_network_itself_is_drawn_anew_from_torchs_seed_and_returned():
    network = mixed()

    def drawn(seed):
        torch.manual_seed(seed)
        assert init_normal(network) is network
        return network[0].weight.detach().clone()

    first = drawn(1)
    assert torch.equal(first, drawn(1))
    assert not torch.equal(first, drawn(2))


@pytest.mark.parametrize("label", [0.0, 0.9, 1.0])
def test_cross_entropy_is_that_of_every_logit_against_the_label(label):
    logits = torch.tensor([[-2.0, 0.5], [3.0, 0.0]])
    of_each = [1 / (1 + math.exp(-x)) for x in logits.flatten().tolist()]
    expected = -sum(label * math.log(p) + (1 - label) * math.log(1 - p) for p in of_each) / 4
    assert bce_against(logits, label).item() == pytest.approx(expected, rel=1e-5)


def test_cross_entropy_is_finite_where_the_discriminator_is_sure_and_wrong():
    assert bce_against(torch.tensor([-200.0]), 1.0).item() == pytest.approx(200)
