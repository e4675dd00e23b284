"""ResSE: squeeze-and-excitation on the residual branch, in encoder, decoder and discriminator."""

import pytest
import torch
from torch import nn

from sattrans.model import Noise, TileSpec
from sattrans_pix2pix.model import Pix2Pix
from sattrans_pix2pix.networks import PatchDiscriminator, UNet
from sattrans_resse.model import ResSE
from sattrans_resse.networks import ResidualSE, ResSEPatchDiscriminator, ResSEUNet, SqueezeExcitation


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def blocks(network):
    return [module for module in network.modules() if isinstance(module, ResidualSE)]


# Squeeze and excitation.


def test_a_block_of_256_channels_has_8192_weights_and_no_bias():
    block = SqueezeExcitation(256)
    assert count(block) == 8192
    assert [tuple(p.shape) for p in block.parameters()] == [(16, 256), (256, 16)]


@pytest.mark.parametrize(("channels", "squeezed"), [(512, 32), (64, 4), (16, 1), (15, 1), (4, 1), (1, 1)])
def test_channels_are_squeezed_to_a_sixteenth_and_never_below_one(channels, squeezed):
    assert next(SqueezeExcitation(channels).parameters()).shape == (squeezed, channels)


def test_the_scale_is_the_formula_of_the_paper():
    torch.manual_seed(0)
    block, features = SqueezeExcitation(32), torch.randn(2, 32, 5, 7)
    down, up = block.parameters()
    for n in range(2):
        average = features[n].sum(dim=(1, 2)) / (5 * 7)
        scale = 1 / (1 + torch.exp(-(up @ torch.relu(down @ average))))
        assert torch.allclose(block(features)[n], features[n] * scale.reshape(32, 1, 1), atol=1e-6)


# The residual block.


def test_the_scale_is_applied_to_the_residual_before_the_sum():
    torch.manual_seed(0)
    block, features = ResidualSE(8), torch.randn(2, 8, 6, 6)
    layers = list(block.residual)
    expected = [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Conv2d, nn.BatchNorm2d, SqueezeExcitation]
    assert all(isinstance(layer, kind) for layer, kind in zip(layers, expected, strict=True))
    residual = features
    for layer in layers[:-1]:
        residual = layer(residual)
    scaled_branch = features + layers[-1](residual)
    assert torch.allclose(block(features), scaled_branch, atol=1e-6)
    assert not torch.allclose(block(features), layers[-1](features + residual), atol=1e-3)


def test_without_norm_the_convolutions_carry_biases():
    block = ResidualSE(8, norm=False)
    assert not [m for m in block.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(m.bias is not None for m in block.modules() if isinstance(m, nn.Conv2d))
    assert all(m.bias is None for m in ResidualSE(8).modules() if isinstance(m, nn.Conv2d))


# Where the blocks stand.


def test_every_encoder_stage_but_the_innermost_and_every_decoder_stage_but_the_last_has_a_block():
    with torch.device("meta"):
        unet = ResSEUNet(256, 3, 3)
    assert [len(blocks(stage)) for stage in unet.downs] == [1] * 7 + [0]
    assert [len(blocks(stage)) for stage in unet.ups] == [0] + [1] * 7


def test_every_inner_stage_of_the_discriminator_has_a_block():
    with torch.device("meta"):
        network = ResSEPatchDiscriminator(6)
    assert [len(blocks(stage)) for stage in network.stages] == [0, 0, 1, 1, 1, 0]


def test_the_blocks_are_all_that_pix2pix_lacks():
    with torch.device("meta"):
        pairs = [
            (ResSEUNet(256, 3, 3), UNet(256, 3, 3)),
            (ResSEPatchDiscriminator(6), PatchDiscriminator(6)),
        ]
    for network, plain in pairs:
        assert count(network) - sum(map(count, blocks(network))) == count(plain)


# The model.


def test_it_trains_as_pix2pix_does_with_early_stopping():
    assert issubclass(ResSE, Pix2Pix)
    assert ResSE.training_step is Pix2Pix.training_step
    assert ResSE.optimizers is Pix2Pix.optimizers
    defaults = ResSE.defaults
    assert (defaults.epochs, defaults.patience, defaults.monitor) == (30, 10, "joint_kid")
    assert not ResSE.fallback


def test_its_networks_are_the_ones_with_blocks():
    model = ResSE(TileSpec(64, 3), ResSE.Options(width=4))
    assert type(model.generator) is ResSEUNet
    assert type(model.discriminator) is ResSEPatchDiscriminator


def test_weights_of_the_blocks_are_drawn_like_the_others():
    torch.manual_seed(0)
    model = ResSE(TileSpec(64, 3), ResSE.Options(width=32))
    weights = torch.cat([p.detach().flatten() for b in blocks(model) for p in b.residual[-1].parameters()])
    assert weights.std().item() == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize("size", [64, 128, 256, 512])
@pytest.mark.parametrize(("source", "channels"), [("color", 3), ("onehot", 5)])
def test_every_size_and_encoding_translates_to_an_image_of_the_same_size(size, source, channels):
    model = ResSE(TileSpec(size, channels, classes=5), ResSE.Options(width=1, source=source)).eval()
    with torch.no_grad():
        image = model.translate(torch.zeros(1, channels, size, size), Noise(0, [(0, 0)], size))
    assert image.shape == (1, 3, size, size)


def test_resize_upsampling_reaches_its_decoder():
    model = ResSE(TileSpec(64, 3), ResSE.Options(width=2, upsampling="resize"))
    assert not [m for m in model.generator.modules() if isinstance(m, nn.ConvTranspose2d)]
