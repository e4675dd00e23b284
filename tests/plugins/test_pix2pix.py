"""pix2pix as its paper and its references have it: networks, losses, order, optimisers."""

import copy

import pytest
import torch
from torch import nn

from sattrans.model import Batch, Noise, TileSpec
from sattrans.networks import discriminator_views
from sattrans.train.settings import SCHEDULES
from sattrans_pix2pix.model import Pix2Pix
from sattrans_pix2pix.networks import PatchDiscriminator, UNet, stage_widths

RECEPTIVE_FIELDS = {1: 16, 2: 34, 3: 70, 4: 142, 5: 286, 6: 574}


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def on_meta(kind, *arguments, **options):
    """Build a network without its weights: enough to count and to see shapes."""
    with torch.device("meta"):
        return kind(*arguments, **options).eval()


def modules(network, kind):
    return [module for module in network.modules() if isinstance(module, kind)]


def shapes(network, *inputs):
    """The output shape of every convolution, in the order they run."""
    seen = []
    for module in modules(network, nn.Conv2d | nn.ConvTranspose2d):
        module.register_forward_hook(lambda module, _, output: seen.append(tuple(output.shape[1:])))
    network(*inputs)
    return seen


PAPER = {"source": "color", "upsampling": "transposed", "augment": "off"}
"""The paper's settings, where they are not the defaults."""


def small(size=64, **options):
    torch.manual_seed(0)
    return Pix2Pix(TileSpec(size, 3), Pix2Pix.Options(**{"width": 4, **PAPER, **options}))


def batch(size=64, count=2, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return Batch(*(torch.rand(count, 3, size, size, generator=draw) * 2 - 1 for _ in range(2)))


# The generator.


def test_the_generator_has_the_reference_number_of_parameters_at_256_and_at_512():
    assert count(on_meta(UNet, 256, 3, 3)) == 54_413_955
    assert count(on_meta(UNet, 512, 3, 3)) == 54_413_955


@pytest.mark.slow
def test_the_generator_halves_to_one_pixel_at_256_with_the_papers_channels():
    unet = on_meta(UNet, 256, 3, 3)
    down = [(64, 128), (128, 64), (256, 32), (512, 16), (512, 8), (512, 4), (512, 2), (512, 1)]
    up = [(512, 2), (512, 4), (512, 8), (512, 16), (256, 32), (128, 64), (64, 128), (3, 256)]
    expected = [(channels, side, side) for channels, side in down + up]
    assert shapes(unet, torch.zeros(1, 3, 256, 256, device="meta")) == expected


@pytest.mark.slow
def test_the_bottleneck_is_two_pixels_at_512_and_one_below_256():
    for size, stages, side in ((512, 8, 2), (128, 7, 1), (64, 6, 1)):
        seen = shapes(on_meta(UNet, size, 3, 3), torch.zeros(1, 3, size, size, device="meta"))
        assert len(seen) == 2 * stages
        assert seen[stages - 1] == (512, side, side)


def test_every_convolution_of_the_generator_is_4x4_with_stride_2_and_padding_1():
    unet = on_meta(UNet, 256, 3, 3)
    for convolution in modules(unet, nn.Conv2d | nn.ConvTranspose2d):
        assert (convolution.kernel_size, convolution.stride, convolution.padding) == ((4, 4), (2, 2), (1, 1))


def test_batch_norm_stands_everywhere_but_in_the_first_the_innermost_and_the_last_stage():
    unet = on_meta(UNet, 256, 3, 3)
    assert [len(modules(stage, nn.BatchNorm2d)) for stage in unet.downs] == [0, 1, 1, 1, 1, 1, 1, 0]
    assert [len(modules(stage, nn.BatchNorm2d)) for stage in unet.ups] == [0, 1, 1, 1, 1, 1, 1, 1]


def test_only_the_last_convolution_of_the_generator_has_a_bias():
    unet = on_meta(UNet, 256, 3, 3)
    assert [c.bias is not None for c in modules(unet, nn.Conv2d)] == [False] * 8
    assert [stage[1].bias is not None for stage in unet.ups] == [True] + [False] * 7


def test_activations_are_leaky_going_down_and_plain_going_up_and_tanh_at_the_end():
    unet = on_meta(UNet, 256, 3, 3)
    assert [[m.negative_slope for m in modules(stage, nn.LeakyReLU)] for stage in unet.downs] == [[]] + [[0.2]] * 7
    assert all(isinstance(stage[0], nn.LeakyReLU) for stage in unet.downs[1:])
    assert all(isinstance(stage[0], nn.ReLU) for stage in unet.ups)
    assert [len(modules(stage, nn.Tanh)) for stage in unet.ups] == [1] + [0] * 7


@pytest.mark.parametrize(("size", "sides"), [(256, [2, 4, 8]), (64, [2, 4, 8]), (512, [4, 8, 16])])
def test_dropout_of_a_half_stands_in_the_three_innermost_decoder_stages(size, sides):
    unet = on_meta(UNet, size, 3, 3)
    seen = []
    for module in modules(unet, nn.Dropout):
        assert module.p == 0.5
        module.register_forward_hook(lambda module, _, output: seen.append(output.shape[-1]))
    unet(torch.zeros(1, 3, size, size, device="meta"))
    assert seen == sides


def test_skips_join_each_encoder_stage_to_the_decoder_stage_of_its_size():
    unet = on_meta(UNet, 256, 3, 3)
    assert [stage[1].in_channels for stage in unet.ups] == [128, 256, 512, 1024, 1024, 1024, 1024, 512]
    torch.manual_seed(0)
    unet = UNet(64, 3, 3, width=2).eval()
    entering = {}
    for stage, up in enumerate(unet.ups):
        up.register_forward_pre_hook(lambda _, inputs, stage=stage: entering.update({stage: inputs[0].clone()}))
    source = batch(count=1).source
    unet(source)
    features = source
    for stage, down in enumerate(unet.downs[:-1]):
        features = down(features)
        # The stage below has overwritten it with its LeakyReLU: what the ReLU here makes of both is the same.
        assert torch.equal(entering[stage][:, -features.shape[1] :].relu(), features.relu())


@pytest.mark.parametrize("size", [4, 100, 257])
def test_a_size_that_cannot_be_halved_is_refused_in_words(size):
    with pytest.raises(ValueError, match=f"power of two of at least 8, got {size}"):
        stage_widths(size, 64)


@pytest.mark.parametrize("size", [64, 128, 256, 512])
@pytest.mark.parametrize(("source", "channels"), [("color", 3), ("onehot", 5)])
def test_every_size_and_encoding_translates_to_an_image_of_the_same_size(size, source, channels):
    assert size in Pix2Pix.sizes
    model = Pix2Pix(TileSpec(size, channels, classes=5), Pix2Pix.Options(width=1, source=source)).eval()
    with torch.no_grad():
        image = model.translate(torch.zeros(1, channels, size, size), Noise(0, [(0, 0)], size))
    assert image.shape == (1, 3, size, size)


def test_width_scales_every_stage():
    assert stage_widths(256, 64) == [64, 128, 256, 512, 512, 512, 512, 512]
    assert stage_widths(256, 16) == [16, 32, 64, 128, 128, 128, 128, 128]
    narrow = Pix2Pix(TileSpec(64, 3), Pix2Pix.Options(width=4))
    assert narrow.generator.downs[0][0].out_channels == 4
    assert narrow.discriminator.stages[0].out_channels == 4


def test_resize_upsampling_is_nearest_then_a_3x3_convolution():
    unet = on_meta(UNet, 256, 3, 3, upsampling="resize")
    assert not modules(unet, nn.ConvTranspose2d)
    for stage in unet.ups:
        assert isinstance(stage[1], nn.Upsample)
        assert stage[1].mode == "nearest"
        assert (stage[2].kernel_size, stage[2].stride, stage[2].padding) == ((3, 3), (1, 1), (1, 1))
    assert unet(torch.zeros(1, 3, 256, 256, device="meta")).shape == (1, 3, 256, 256)
    assert modules(small(upsampling="resize").generator, nn.Upsample)


# The discriminator.


def test_the_discriminator_has_the_reference_number_of_parameters_at_six_channels():
    assert count(on_meta(PatchDiscriminator, 6)) == 2_768_705


def test_the_discriminator_is_five_convolutions_of_4x4_that_make_30_by_30_of_256():
    network = on_meta(PatchDiscriminator, 6)
    halves = [torch.zeros(1, 3, 256, 256, device="meta")] * 2
    expected = [(64, 128), (128, 64), (256, 32), (512, 31), (1, 30)]
    assert shapes(network, *halves) == [(channels, side, side) for channels, side in expected]
    convolutions = modules(network, nn.Conv2d)
    assert [c.stride[0] for c in convolutions] == [2, 2, 2, 1, 1]
    assert {(c.kernel_size, c.padding) for c in convolutions} == {((4, 4), (1, 1))}
    assert [c.bias is not None for c in convolutions] == [True, False, False, False, True]
    assert [n.num_features for n in modules(network, nn.BatchNorm2d)] == [128, 256, 512]
    assert [m.negative_slope for m in modules(network, nn.LeakyReLU)] == [0.2] * 4


@pytest.mark.parametrize(("layers", "field"), RECEPTIVE_FIELDS.items())
def test_a_patch_sees_as_many_pixels_as_the_gradient_reaches(layers, field):
    side = 2 * field + 64  # room, so that no edge cuts the view of the patch in the middle
    network = PatchDiscriminator(2, width=1, layers=layers).double().eval()
    for parameter in network.parameters():
        nn.init.ones_(parameter)  # all positive: no path cancels another
    image = torch.zeros(1, 1, side, side, dtype=torch.double, requires_grad=True)
    logits = network(torch.zeros_like(image), image)
    middle = logits.shape[-1] // 2
    logits[0, 0, middle, middle].backward()
    reached = image.grad[0, 0].nonzero()
    height, width = (reached.max(dim=0).values - reached.min(dim=0).values + 1).tolist()
    assert (height, width) == (field, field)


def test_the_models_discriminator_is_the_70_pixel_one_on_source_and_target():
    model = Pix2Pix(TileSpec(64, 5, classes=5), Pix2Pix.Options(width=2, source="onehot"))
    strides = [c.stride[0] for c in modules(model.discriminator, nn.Conv2d)]
    assert strides == [2, 2, 2, 1, 1]
    assert modules(model.discriminator, nn.Conv2d)[0].in_channels == 5 + 3


# Initial weights.


def test_weights_are_drawn_as_the_paper_draws_them():
    torch.manual_seed(0)
    model = Pix2Pix(TileSpec(64, 3), Pix2Pix.Options(width=16, **PAPER))
    for network in (model.generator, model.discriminator):
        for convolution in modules(network, nn.Conv2d | nn.ConvTranspose2d):
            weight = convolution.weight.detach()
            far = 5 / weight.numel() ** 0.5  # five standard errors
            assert weight.std().item() == pytest.approx(0.02, rel=far)
            assert weight.mean().item() == pytest.approx(0.0, abs=0.02 * far)
            assert convolution.bias is None or not convolution.bias.any()
        scales = torch.cat([norm.weight.detach() for norm in modules(network, nn.BatchNorm2d)])
        assert scales.mean().item() == pytest.approx(1.0, abs=0.005)
        assert scales.std().item() == pytest.approx(0.02, rel=0.2)
        assert not any(norm.bias.any() for norm in modules(network, nn.BatchNorm2d))


# Losses, order, optimisers.


def cross_entropy(logits, label):
    """BCE written out: -log σ(x) against 1, -log(1 - σ(x)) against 0."""
    probability = torch.sigmoid(logits)
    return -(torch.log(probability) if label else torch.log(1 - probability)).mean()


def test_the_first_losses_are_those_of_the_equations():
    model, data = small(), batch()
    other = copy.deepcopy(model)
    torch.manual_seed(7)  # dropout's dice
    steps = model.training_step(data)
    judging = next(steps)
    torch.manual_seed(7)
    fake = other.generator(data.source)
    real_logits = other.discriminator(data.source, data.target)
    fake_logits = other.discriminator(data.source, fake)
    assert judging.optimizer == "discriminator"
    assert judging.losses["d_real"].item() == pytest.approx(cross_entropy(real_logits, 1).item(), rel=1e-5)
    assert judging.losses["d_fake"].item() == pytest.approx(cross_entropy(fake_logits, 0).item(), rel=1e-5)
    making = next(steps)  # nothing was stepped between: the same discriminator
    assert making.optimizer == "generator"
    assert making.losses["g_gan"].item() == pytest.approx(cross_entropy(fake_logits, 1).item(), rel=1e-4)
    l1 = (fake - data.target).abs().mean()
    assert making.losses["g_l1"].item() == pytest.approx(100 * l1.item(), rel=1e-5)
    assert next(steps, None) is None


def test_the_discriminator_minimises_the_sum_of_both_halves():
    update = next(small().training_step(batch()))
    assert set(update.losses) == {"d_real", "d_fake"}
    assert update.total.item() == pytest.approx(update.losses["d_real"].item() + update.losses["d_fake"].item())


def test_the_discriminators_loss_reaches_no_weight_of_the_generator():
    model = small()
    next(model.training_step(batch())).total.backward()
    assert all(parameter.grad is None for parameter in model.generator.parameters())
    assert all(parameter.grad is not None for parameter in model.discriminator.parameters())


def test_the_l1_weight_is_an_option():
    model = small(l1_weight=10)
    torch.manual_seed(0)
    _, making = model.training_step(batch())
    torch.manual_seed(0)
    l1 = (model.generator(batch().source) - batch().target).abs().mean()
    assert making.losses["g_l1"].item() == pytest.approx(10 * l1.item(), rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("fused", [True, False])
def test_training_is_equal_to_the_classical_loop(fused):
    """Discriminator first; the generator then against the discriminator just updated; one forward pass for both.

    Bit for bit with the same kernel of Adam; with the plain one to what float32 rounds in six steps.
    """
    model = small()
    classic = copy.deepcopy(model)
    optimizers = model.optimizers()
    torch.manual_seed(3)
    for number in range(6):
        for update in model.training_step(batch(seed=number)):
            optimizer = optimizers[update.optimizer]
            optimizer.zero_grad(set_to_none=True)
            update.total.backward(inputs=[p for group in optimizer.param_groups for p in group["params"]])
            optimizer.step()

    generator, discriminator = classic.generator, classic.discriminator
    of_g = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=fused)
    of_d = torch.optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=fused)
    bce = nn.BCEWithLogitsLoss()
    torch.manual_seed(3)
    for number in range(6):
        data = batch(seed=number)
        fake = generator(data.source)
        of_d.zero_grad()
        on_real = discriminator(data.source, data.target)
        on_fake = discriminator(data.source, fake.detach())
        (bce(on_real, torch.ones_like(on_real)) + bce(on_fake, torch.zeros_like(on_fake))).backward()
        of_d.step()
        of_g.zero_grad()
        on_fake = discriminator(data.source, fake)
        (bce(on_fake, torch.ones_like(on_fake)) + 100 * nn.functional.l1_loss(fake, data.target)).backward()
        of_g.step()
    for name, tensor in classic.state_dict().items():
        ours = model.state_dict()[name]
        assert torch.equal(tensor, ours) if fused else torch.allclose(tensor, ours, rtol=1e-3, atol=1e-5), name


def test_both_optimisers_are_adam_as_in_the_paper():
    model = small()
    optimizers = model.optimizers()
    assert set(optimizers) == {"discriminator", "generator"}
    for name, optimizer in optimizers.items():
        assert type(optimizer) is torch.optim.Adam
        (group,) = optimizer.param_groups
        assert (group["lr"], group["betas"], group["weight_decay"]) == (2e-4, (0.5, 0.999), 0)
        assert {id(p) for p in group["params"]} == {id(p) for p in getattr(model, name).parameters()}
    assert small(lr=1e-3).optimizers()["generator"].param_groups[0]["lr"] == 1e-3


def test_the_papers_training_is_the_default_but_for_how_the_checkpoint_is_chosen():
    defaults = Pix2Pix.defaults
    assert (defaults.epochs, defaults.batch_size, defaults.patience) == (200, 1, None)
    assert defaults.monitor == "joint_kid"  # the paper takes the last epoch
    factor = SCHEDULES[defaults.schedule]
    epochs = [factor(epoch / defaults.epochs) for epoch in (0, 50, 100, 150, 199, 200)]
    assert epochs == pytest.approx([1, 1, 1, 0.5, 0.01, 0])


def test_validation_gives_l1_and_the_generators_total():
    model, data = small().eval(), batch()
    with torch.no_grad():
        losses = model.validation_losses(data)
        fake = model.generator(data.source)
        l1 = (fake - data.target).abs().mean()
        total = cross_entropy(model.discriminator(data.source, fake), 1) + 100 * l1
    assert losses["l1"].item() == pytest.approx(l1.item(), rel=1e-5)
    assert losses["generator"].item() == pytest.approx(total.item(), rel=1e-5)


def test_a_batch_of_one_trains_at_every_size():
    for size in (64, 128):
        model = Pix2Pix(TileSpec(size, 3), Pix2Pix.Options(width=1))
        assert [update.optimizer for update in model.training_step(batch(size, count=1))] == [
            "discriminator",
            "generator",
        ]


def test_it_leaves_the_papers_upsampling_and_colours_for_those_who_ask():
    options = Pix2Pix.Options()
    assert (options.source, options.upsampling, options.augment) == ("auto", "resize", "auto")


@pytest.mark.parametrize(("tiles", "augmented"), [(0, False), (1, True), (1999, True), (2000, False)])
def test_few_tiles_are_augmented_and_an_unknown_number_is_not(tiles, augmented):
    model = Pix2Pix(TileSpec(64, 3, tiles=tiles), Pix2Pix.Options(width=1, source="color"))
    source, real, fake = (torch.rand(1, 3, 64, 64) for _ in range(3))
    seen = discriminator_views(source, real, fake, model.options.augment, model.spec.tiles)
    assert all(torch.equal(a, b) for a, b in zip(seen, (source, real, fake), strict=True)) != augmented


def test_the_losses_of_the_generator_but_the_adversarial_one_are_of_the_image_itself():
    model, data = small(augment="on"), batch()
    torch.manual_seed(7)
    _, making = model.training_step(data)
    torch.manual_seed(7)
    l1 = (model.generator(data.source) - data.target).abs().mean()
    assert making.losses["g_l1"].item() == pytest.approx(100 * l1.item(), rel=1e-4)
