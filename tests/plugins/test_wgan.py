"""WGAN: Wasserstein losses, a clamped or penalised critic, and how often each network steps."""

import copy

import pytest
import torch
from torch import nn
from training_steps import step

from sattrans.model import Batch, Noise, TileSpec
from sattrans_resse.networks import ResSEPatchDiscriminator, ResSEUNet
from sattrans_wgan.model import WGAN

SIZE = 32
"""Half of the smallest tile the model takes: its networks do, and the tests are quick."""


REPORT = {"source": "color", "upsampling": "transposed", "augment": "off", "constraint": "clip"}
"""The report's settings, where they are not the defaults."""


def build(**options):
    torch.manual_seed(0)
    return WGAN(TileSpec(SIZE, 3), WGAN.Options(**{"width": 2, "warmup": 0, **REPORT, **options}))


def batch(seed=0, count=2, size=SIZE):
    draw = torch.Generator().manual_seed(seed)
    return Batch(*(torch.rand(count, 3, size, size, generator=draw) * 2 - 1 for _ in range(2)))


def largest(network):
    return max(parameter.abs().max().item() for parameter in network.parameters())


# Networks.


def test_its_networks_are_resses_and_the_critic_has_no_batch_norm():
    model = build()
    assert type(model.generator) is ResSEUNet
    assert type(model.critic) is ResSEPatchDiscriminator
    assert not [m for m in model.critic.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert [m for m in model.generator.modules() if isinstance(m, nn.BatchNorm2d)]


@pytest.mark.slow
@pytest.mark.parametrize("size", [64, 128, 256, 512])
@pytest.mark.parametrize(("source", "channels"), [("color", 3), ("onehot", 5)])
def test_every_size_and_encoding_translates_to_an_image_of_the_same_size(size, source, channels):
    model = WGAN(TileSpec(size, channels, classes=5), WGAN.Options(width=1, source=source)).eval()
    with torch.no_grad():
        image = model.translate(torch.zeros(1, channels, size, size), Noise(0, [(0, 0)], size))
    assert image.shape == (1, 3, size, size)


def test_resize_upsampling_reaches_its_decoder():
    model = build(upsampling="resize")
    assert not [m for m in model.generator.modules() if isinstance(m, nn.ConvTranspose2d)]


# Losses.


def test_the_losses_are_those_of_the_paper():
    model, data = build(critic_steps=1), batch()
    other = copy.deepcopy(model)
    torch.manual_seed(7)  # dropout's dice
    steps = model.training_step(data)
    critic = next(steps)
    torch.manual_seed(7)
    fake = other.generator(data.source)
    on_real = other.critic(data.source, data.target).mean().item()
    on_fake = other.critic(data.source, fake).mean().item()
    assert critic.optimizer == "critic"
    assert {name: loss.item() for name, loss in critic.losses.items()} == pytest.approx(
        {"c_real": -on_real, "c_fake": on_fake}, rel=1e-4
    )
    generator = next(steps)
    assert generator.optimizer == "generator"
    l1 = (fake - data.target).abs().mean().item()
    assert generator.losses["g_critic"].item() == pytest.approx(-on_fake, rel=1e-4)
    assert generator.losses["g_l1"].item() == pytest.approx(100 * l1, rel=1e-4)
    assert next(steps, None) is None


def test_the_critics_loss_reaches_no_weight_of_the_generator():
    for constraint in ("clip", "gp"):
        model = build(constraint=constraint, critic_steps=1)
        next(model.training_step(batch())).total.backward()
        assert all(parameter.grad is None for parameter in model.generator.parameters())


def test_the_ratio_of_the_two_gradients_is_in_the_log():
    model, data = build(critic_steps=1, clip=1), batch()
    model.critic = Linear(0.25)
    _, update = model.training_step(data)
    pixels = data.target.numel()
    # -mean over the batch of 0.25 · Σ image; 100 · mean |fake - target|: gradients of one size a pixel.
    of_critic = 0.25 / len(data) * pixels**0.5
    of_l1 = 100 / pixels * pixels**0.5
    assert update.log["grad_ratio"].item() == pytest.approx(of_critic / of_l1, rel=1e-4)
    assert set(update.losses) == {"g_critic", "g_l1"}


def test_the_ratio_is_finite_without_l1():
    _, update = build(critic_steps=1, l1_weight=0).training_step(batch())
    assert update.log["grad_ratio"].isfinite()


def test_validation_gives_l1_to_monitor_and_the_critics_distance_to_look_at():
    model, data = build().eval(), batch()
    with torch.no_grad():
        losses = model.validation_losses(data)
        fake = model.generator(data.source)
        distance = model.critic(data.source, data.target).mean() - model.critic(data.source, fake).mean()
    assert losses["l1"].item() == pytest.approx((fake - data.target).abs().mean().item(), rel=1e-5)
    assert losses["wasserstein"].item() == pytest.approx(distance.item(), rel=1e-4)
    assert WGAN.defaults.monitor == "joint_kid"


# Clipping.


@pytest.mark.slow
def test_the_critics_weights_are_within_the_clip_after_every_critic_step_and_from_the_start():
    model = build(lr=0.05, critic_steps=2)  # steps far larger than the clip
    optimizers = model.optimizers()
    assert largest(model.critic) <= 0.01
    for number in range(4):
        steps = model.training_step(batch(number))
        critic = next(steps)
        optimizers["critic"].zero_grad()
        critic.total.backward(inputs=list(model.critic.parameters()))
        optimizers["critic"].step()
        assert largest(model.critic) > 0.01
        after = next(steps, None)  # the generator's update, or the end: either way the step is done
        assert largest(model.critic) <= 0.01
        assert (after is not None) == (number % 2 == 1)
        assert next(steps, None) is None


def test_the_clip_is_an_option_and_the_generator_is_not_clipped():
    model = build(clip=0.002, critic_steps=1)
    step(model, model.optimizers(), batch())
    assert largest(model.critic) == pytest.approx(0.002)
    assert largest(model.generator) > 0.01


def test_a_gradient_penalty_clips_nothing():
    model = build(constraint="gp", critic_steps=1)
    before = largest(model.critic)
    assert before > 0.02
    step(model, model.optimizers(), batch())
    assert largest(model.critic) == pytest.approx(before, rel=0.1)


# The gradient penalty.


class Linear(nn.Module):
    """f(x) = a · Σ x: its gradient is a everywhere."""

    def __init__(self, a):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(float(a)))

    def forward(self, source, target):
        return self.a * target.sum(dim=(1, 2, 3), keepdim=True)


class Square(nn.Module):
    """f(x) = a/2 · Σ x²: its gradient is a · x."""

    def __init__(self, a):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(float(a)))

    def forward(self, source, target):
        return self.a / 2 * target.square().sum(dim=(1, 2, 3), keepdim=True)


def test_the_penalty_of_a_linear_critic_is_known():
    model = build(constraint="gp")
    model.critic = Linear(0.1)
    losses = next(model.training_step(batch())).losses
    norm = 0.1 * (3 * SIZE * SIZE) ** 0.5
    assert losses["c_penalty"].item() == pytest.approx(10 * (norm - 1) ** 2, rel=1e-4)
    model = build(constraint="gp", penalty=3)
    model.critic = Linear(0.1)
    losses = next(model.training_step(batch())).losses
    assert losses["c_penalty"].item() == pytest.approx(3 * (norm - 1) ** 2, rel=1e-4)


def test_the_penalty_is_taken_between_real_and_fake_at_a_point_of_its_own_for_each_image():
    model, data = build(constraint="gp"), batch(count=4)
    model.critic = Square(1.0)
    fake = torch.full_like(data.target, 0.5)
    model.generator = Constant(0.5)
    torch.manual_seed(11)
    mix = torch.rand(4)
    torch.manual_seed(11)
    losses = next(model.training_step(data)).losses
    norms = torch.stack([(mix[n] * data.target[n] + (1 - mix[n]) * fake[n]).norm() for n in range(4)])
    assert losses["c_penalty"].item() == pytest.approx(10 * ((norms - 1) ** 2).mean().item(), rel=1e-4)


class Constant(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))

    def forward(self, source):
        return self.value.expand(source.shape)


def test_the_penalty_trains_the_critic():
    model = build(constraint="gp")
    model.critic = Linear(0.1)
    loss = next(model.training_step(batch())).losses["c_penalty"]
    (gradient,) = torch.autograd.grad(loss, model.critic.a)
    side = (3 * SIZE * SIZE) ** 0.5
    assert gradient.item() == pytest.approx(10 * 2 * (0.1 * side - 1) * side, rel=1e-4)


def test_the_penalty_is_in_float32_under_autocast():
    model = build(constraint="gp")
    seen = []
    model.critic.stages[0].register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        next(model.training_step(batch()))
    assert seen == [torch.bfloat16, torch.bfloat16, torch.float32]


def test_clipping_pays_no_penalty():
    assert set(next(build().training_step(batch())).losses) == {"c_real", "c_fake"}


# Optimisers.


def test_clipping_goes_with_rmsprop_at_5e_5_for_both():
    for optimizer in build().optimizers().values():
        assert type(optimizer) is torch.optim.RMSprop
        assert optimizer.param_groups[0]["lr"] == 5e-5


def test_the_gradient_penalty_goes_with_adam_at_1e_4():
    for optimizer in build(constraint="gp").optimizers().values():
        assert type(optimizer) is torch.optim.Adam
        assert optimizer.param_groups[0]["lr"] == 1e-4
        assert optimizer.param_groups[0]["betas"] == (0.0, 0.9)


@pytest.mark.parametrize("constraint", ["clip", "gp"])
def test_the_learning_rate_is_an_option(constraint):
    assert {o.param_groups[0]["lr"] for o in build(constraint=constraint, lr=3e-4).optimizers().values()} == {3e-4}


# Augmentation.


@pytest.mark.parametrize("constraint", ["clip", "gp"])
def test_the_critic_sees_augmented_images_and_l1_the_image_itself(constraint):
    model, data = build(constraint=constraint, augment="on", critic_steps=1), batch()
    seen = []
    model.critic.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[1].detach()))
    torch.manual_seed(7)
    critic, generator = model.training_step(data)
    assert not torch.equal(seen[0], data.target)
    assert {loss.isfinite().item() for loss in critic.losses.values()} == {True}
    torch.manual_seed(7)
    l1 = (model.generator(data.source) - data.target).abs().mean()
    assert generator.losses["g_l1"].item() == pytest.approx(100 * l1.item(), rel=1e-4)


# How often.


def test_the_papers_numbers_are_the_defaults_under_a_gradient_penalty():
    options = WGAN.Options()
    assert (options.constraint, options.clip, options.penalty) == ("gp", 0.01, 10)
    assert (options.source, options.upsampling, options.augment) == ("auto", "resize", "auto")
    assert (options.critic_steps, options.warmup, options.l1_weight) == (5, 0, 100)  # the recipe warms up


def test_the_critic_steps_on_every_batch_and_the_generator_on_every_fifth():
    model = build()
    optimizers = model.optimizers()
    stepped = [step(model, optimizers, batch(number)) for number in range(11)]
    assert stepped == ([["critic"]] * 4 + [["critic", "generator"]]) * 2 + [["critic"]]


def test_the_first_25_generator_steps_and_every_500th_get_a_hundred_critic_steps():
    model = build(warmup=25)
    due = []
    for done in range(1002):
        model.generator_steps.fill_(done)
        if model.critic_steps_now() == 100:
            due.append(done)
        else:
            assert model.critic_steps_now() == 5
    assert due == [*range(25), 500, 1000]


@pytest.mark.slow
def test_the_warm_up_really_waits_a_hundred_batches():
    model = build(warmup=1)
    optimizers = model.optimizers()
    counts = [len(step(model, optimizers, batch(0, count=1))) for _ in range(106)]
    assert [number for number, count in enumerate(counts, 1) if count == 2] == [100, 105]


def test_more_critic_steps_than_the_warm_ups_are_kept_in_the_warm_up():
    assert build(warmup=1, critic_steps=200).critic_steps_now() == 200


def test_without_warm_up_every_generator_step_is_alike():
    model = build()
    for done in (0, 1, 500):
        model.generator_steps.fill_(done)
        assert model.critic_steps_now() == 5


def test_the_counters_are_saved_with_the_weights():
    model = build(critic_steps=2)
    optimizers = model.optimizers()
    for number in range(3):
        step(model, optimizers, batch(number))
    held = model.state_dict()
    assert (int(held["critic_since"]), int(held["generator_steps"])) == (1, 1)
    resumed = build(critic_steps=2)
    resumed.load_state_dict(held)
    assert step(resumed, resumed.optimizers(), batch(3)) == ["critic", "generator"]


def test_a_batch_without_a_generator_step_keeps_no_graph_of_the_generator():
    model = build(critic_steps=2)
    seen = []
    model.generator.register_forward_hook(lambda module, inputs, output: seen.append(output.requires_grad))
    optimizers = model.optimizers()
    for number in range(2):
        step(model, optimizers, batch(number))
    assert seen == [False, True]


def test_early_stopping_is_the_reports():
    assert (WGAN.defaults.epochs, WGAN.defaults.patience) == (30, 10)
