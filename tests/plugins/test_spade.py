"""SPADE as its paper has it: norms that the map modulates, two scales of patches, and styles."""

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F
from training_steps import step

from sattrans.model import Batch, Noise, TileSpec
from sattrans.networks import SpectralConv2d
from sattrans_spade.discriminators import MultiscaleDiscriminator, adversarial, feature_matching, hinge
from sattrans_spade.model import GauGAN
from sattrans_spade.networks import SPADE, STYLE, Generator, Painter, StyleEncoder

SHARES = ((0.8, 0.1, 0.1), (0.1, 0.1, 0.8))


def build(scenes=("a", "b"), shares=SHARES, **options):
    torch.manual_seed(0)
    spec = TileSpec(64, 3, classes=3, scenes=scenes, shares=shares, tiles=4)
    chosen = GauGAN.Options(**{"width": 4, "source": "onehot", "augment": "off", **options})
    return GauGAN.configured(chosen)(spec, chosen)


def maps(count=2, seed=0):
    random = torch.Generator().manual_seed(seed)
    cells = torch.randint(0, 3, (count, 4, 4), generator=random)
    return F.one_hot(cells.repeat_interleave(16, 1).repeat_interleave(16, 2), 3).permute(0, 3, 1, 2).float()


def batch(count=2, scenes=(0, 1)):
    images = torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return Batch(maps(count), images, torch.tensor(scenes[:count]))


@torch.no_grad()
def painted(model, source, **style):
    model.eval()
    image = model.translate(source, Noise(style.pop("seed", 0), [(0, 0)] * len(source), 64, **style))
    model.train()
    return image


# The networks.


def test_the_generator_has_the_papers_number_of_parameters():
    with torch.device("meta"):
        generator = Generator(256, 183, 3)
    assert sum(parameter.numel() for parameter in generator.parameters()) == 97_450_947


@pytest.mark.slow
def test_seven_blocks_grow_from_a_32nd_of_the_size():
    with torch.device("meta"):
        generator = Generator(256, 5, 3, width=64, styles=True)
        seen = []
        for block in generator.blocks:
            block.register_forward_hook(lambda _, inputs, output: seen.append(tuple(output.shape[1:3])))
        image = generator(torch.zeros(1, 5, 256, 256), torch.zeros(1, STYLE))
    assert image.shape == (1, 3, 256, 256)
    assert seen == [(1024, 8), (1024, 16), (1024, 16), (512, 32), (256, 64), (128, 128), (64, 256)]


def test_spade_scales_and_shifts_by_the_map_what_it_has_normalised():
    torch.manual_seed(0)
    layer = SPADE(4, 3, 128, "batch")
    features, source = torch.randn(2, 4, 16, 16) * 3 + 1, maps()
    small = source[..., ::4, ::4]  # nearest: the first pixel of each square
    gamma, beta = layer.modulation(F.relu(layer.shared(small))).chunk(2, dim=1)
    mean = features.mean((0, 2, 3), keepdim=True)
    deviation = (features.var((0, 2, 3), unbiased=False, keepdim=True) + 1e-5).sqrt()
    expected = (features - mean) / deviation * (1 + gamma) + beta
    assert torch.allclose(layer(features, source), expected, atol=1e-5)
    assert not list(layer.norm.parameters())


def test_the_discriminator_is_two_patchgans_with_padding_2():
    with torch.device("meta"):
        discriminator = MultiscaleDiscriminator(3 + 3, 64)
        both = discriminator(torch.zeros(1, 3, 256, 256), torch.zeros(1, 3, 256, 256))
    sizes = [[tuple(features.shape[1:3]) for features in scale] for scale in both]
    assert sizes == [
        [(64, 129), (128, 65), (256, 33), (512, 34), (1, 35)],
        [(64, 65), (128, 33), (256, 17), (512, 18), (1, 19)],
    ]
    convolutions = [m for m in discriminator.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 10
    assert all(isinstance(m, SpectralConv2d) and m.padding == (2, 2) for m in convolutions)


def test_the_encoder_halves_six_times():
    with torch.device("meta"):
        encoder = StyleEncoder(512, 3, 64)
        mean, log_variance = encoder(torch.zeros(2, 3, 512, 512))
    strides = [(m.out_channels, m.stride[0]) for m in encoder.modules() if isinstance(m, nn.Conv2d)]
    assert strides == [(64, 2), (128, 2), (256, 2), (512, 2), (512, 2), (512, 2)]
    assert encoder.end.in_features == 8192
    assert mean.shape == log_variance.shape == (2, 256)


# The losses.


def test_hinge_and_feature_matching_by_hand():
    one = [[torch.tensor([1.0, 3.0]), torch.tensor([2.0, -0.5])], [torch.tensor([0.0]), torch.tensor([0.5])]]
    other = [[torch.tensor([0.0, 0.0]), torch.tensor([9.0, 9.0])], [torch.tensor([5.0]), torch.tensor([9.0])]]
    assert hinge(one, 1).item() == pytest.approx((0.75 + 0.5) / 2)
    assert hinge(one, -1).item() == pytest.approx(((3 + 0.5) / 2 + 1.5) / 2)
    assert adversarial(one).item() == pytest.approx(-(0.75 + 0.5) / 2)
    assert feature_matching(one, other).item() == pytest.approx((2 + 5) / 2)  # the logits are left out


def test_the_losses_have_the_papers_weights():
    model, data = build(), batch()
    model.discriminator.eval()  # so that the power iteration stands still
    model.generator.eval()
    torch.manual_seed(5)
    judging, making = model.training_step(data)
    torch.manual_seed(5)
    mean, log_variance = model.generator.encoder(data.target)
    deviation = torch.exp(0.5 * log_variance)
    fake = model.generator(data.source, mean + deviation * torch.randn_like(mean))
    made, real = model.discriminator(data.source, fake), model.discriminator(data.source, data.target)
    divergence = kl_divergence(Normal(mean, deviation), Normal(0.0, 1.0)).sum(1).mean()
    expected = {
        "g_gan": adversarial(made),
        "g_features": 10 * feature_matching(made, real),
        "g_kl": 0.05 * divergence,
    }
    assert judging.losses["d_real"].item() == pytest.approx(hinge(real, 1).item(), rel=1e-4)
    assert judging.losses["d_fake"].item() == pytest.approx(hinge(made, -1).item(), rel=1e-4)
    assert making.losses.keys() == expected.keys()
    for name, value in expected.items():
        assert making.losses[name].item() == pytest.approx(value.item(), rel=1e-4), name


def test_the_discriminators_loss_reaches_no_weight_of_the_generator():
    model = build()
    next(model.training_step(batch())).total.backward()
    assert all(parameter.grad is None for parameter in model.generator.parameters())
    assert all(parameter.grad is not None for parameter in model.discriminator.parameters())


def test_the_optimisers_are_the_papers():
    rates = {"generator": 1e-4, "discriminator": 4e-4}
    optimizers = build().optimizers()
    assert optimizers.keys() == rates.keys()
    for name, optimizer in optimizers.items():
        assert isinstance(optimizer, torch.optim.Adam)
        assert all(g["lr"] == rates[name] and g["betas"] == (0.0, 0.9) for g in optimizer.param_groups)


def test_pretrained_features_can_be_compared_and_are_in_no_checkpoint():
    model = build(perceptual_weight=10)
    names = model.state_dict().keys()
    optimizers = model.optimizers()
    _, making = model.training_step(batch())
    assert making.losses["g_perceptual"] > 0
    assert model.state_dict().keys() == names
    assert not any(
        p is q
        for o in optimizers.values()
        for p in model._features[0].parameters()
        for g in o.param_groups
        for q in g["params"]
    )
    data = batch()
    assert model._perceived(data.target, data.target) == 0


def test_the_projected_discriminator_may_take_the_place_of_the_papers():
    model = build(discriminator="projected")
    names = model.state_dict().keys()
    optimizers = model.optimizers()
    judging, making = model.training_step(batch())
    assert judging.losses.keys() == {"d_real", "d_fake", "p_real", "p_fake"}
    assert making.losses.keys() == {"g_heads", "g_pixels", "g_features", "g_kl"}
    judging.total.backward()
    assert all(parameter.grad is None for parameter in model.generator.parameters())
    step(model, optimizers, batch())
    assert int(model.discriminator.step) == 2
    assert model.state_dict().keys() == names and not any("network" in name for name in names)


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_it_trains_on_batches_of_one_and_on_maps_without_a_class(norm):
    model = build(norm=norm)
    one = batch(1)
    step(model, model.optimizers(), Batch(torch.zeros_like(one.source), one.target, one.scene))
    assert painted(model, torch.zeros(1, 3, 64, 64)).isfinite().all()


# Styles.


def test_a_reference_gives_its_style_to_every_window_and_others_give_others():
    model, source = build(), maps()
    parts = torch.rand(2, 3, 3, 80, 80) * 0.4
    bright, dark = (model.eval().encode_style(images).detach() for images in (parts[0] + 0.5, parts[1] - 0.9))
    image = painted(model, source, reference=bright)
    assert torch.equal(image, painted(model, source, reference=bright))
    assert not torch.equal(image, painted(model, source, reference=bright, seed=1))
    assert not torch.equal(image, painted(model, source, reference=dark))
    assert torch.equal(image, painted(model, source, reference=bright, style=1))


def test_the_style_of_an_image_is_the_distribution_over_its_parts():
    model = build().eval()
    images = torch.rand(4, 3, 80, 80, generator=torch.Generator().manual_seed(2)) * 2 - 1
    with torch.no_grad():
        means, log_variances = model.generator.encoder(images)
        mean, deviation = model.encode_style(images).chunk(2)
    drawn = means + torch.exp(0.5 * log_variances) * torch.randn(20_000, 4, STYLE)
    assert torch.allclose(mean, drawn.mean((0, 1)), atol=0.05)
    assert torch.allclose(deviation, drawn.flatten(0, 1).std(0), rtol=0.05)


def test_scenes_have_the_styles_of_their_images():
    painter = Painter(64, 3, 3, 4, 2, encoder=True, norm="batch")
    random = torch.Generator().manual_seed(0)
    styles = torch.randn(100, STYLE, generator=random) * 0.5 + 2
    painter.keep(styles, [1] * 100)
    noise = torch.randn(STYLE, generator=random)
    expected = styles.mean(0) + styles.std(0, unbiased=False) * noise
    assert torch.allclose(painter.style_of(1, noise), expected, atol=1e-3)
    assert torch.equal(painter.style_of(0, noise), noise)  # not seen yet
    assert torch.equal(painter.style_of(None, noise), noise)


def test_training_keeps_the_style_of_each_image_for_its_scene():
    model = build()
    step(model, model.optimizers(), batch())
    assert model.generator.seen.tolist() == [1, 1]
    assert not torch.equal(model.generator.means[0], model.generator.means[1])


@pytest.mark.parametrize("likest", [0, 1])
def test_without_a_style_each_map_takes_that_of_the_scene_with_the_likest_classes(likest):
    model = build()
    model.generator.means[1] += 3
    model.generator.seen.fill_(1)
    source = torch.zeros(1, 3, 64, 64)
    source[:, 0 if likest == 0 else 2] = 1
    image = painted(model, source)
    assert torch.equal(image, painted(model, source, style=likest))
    assert not torch.equal(image, painted(model, source, style=1 - likest))


def test_another_seed_gives_another_image_of_one_style():
    model, source = build(), maps()
    first = painted(model, source)
    assert not torch.equal(first, painted(model, source, seed=1))
    assert torch.equal(first, painted(model, source))


def test_without_an_encoder_a_map_has_one_image():
    model, source = build(encoder=False), maps()
    assert not (model.random or model.styled or model.encodes_styles)
    assert torch.equal(painted(model, source), painted(model, source, seed=1))
    _, making = model.training_step(batch())
    assert making.losses.keys() == {"g_gan", "g_features"}
