"""refine: it keeps the colours of what it sharpens, sees a few pixels, and learns from real images and from runs."""

import pytest
import torch
from torch.nn import functional as F

from sattrans.model import Batch, Noise, TileSpec
from sattrans_refine.model import Refiner

CLASSES, SIDE = 3, 64


def model_of(scale, **options):
    torch.manual_seed(0)
    own = Refiner.Options(source="onehot", scale=scale, width=8, head_width=8, blocks=2, **options)
    return Refiner.configured(own)(TileSpec(SIDE, CLASSES, classes=CLASSES), own)


def shaken(model):
    """The model with weights that are not small, so that it adds a lot."""
    with torch.no_grad():
        model.generator.last.weight.normal_(0, 0.03)
    return model.eval()


def batch_of(count, scale=None):
    random = torch.Generator().manual_seed(count)
    classes = torch.randint(0, CLASSES, (count, SIDE // 8, SIDE // 8), generator=random)
    source = F.one_hot(classes.repeat_interleave(8, 1).repeat_interleave(8, 2), CLASSES).permute(0, 3, 1, 2).float()
    target = torch.rand(count, 3, SIDE, SIDE, generator=random) - 0.5
    return Batch(source, target, coarse=None if scale is None else F.avg_pool2d(target.flip(0), scale) * 0.5)


@torch.no_grad()
@pytest.mark.parametrize("scale", [2, 4])
def test_without_training_it_is_bicubic_and_always_keeps_the_means_of_squares(scale):
    model, batch = model_of(scale).eval(), batch_of(1)
    sources = model.sources_of(batch)
    coarse = F.avg_pool2d(batch.target, scale)
    model.generator.last.weight.zero_()
    smooth = F.interpolate(coarse, scale_factor=scale, mode="bicubic")
    means = F.interpolate(coarse - F.avg_pool2d(smooth, scale), scale_factor=scale)
    assert torch.allclose(model.translate(sources, None), smooth + means, atol=1e-6)
    added = shaken(model).translate(sources, None)
    assert (added - smooth).abs().mean() > 0.01
    assert torch.allclose(F.avg_pool2d(added, scale), coarse, atol=1e-3)  # a few pixels are clipped


@torch.no_grad()
@pytest.mark.parametrize("scale", [2, 4])
def test_a_pixel_depends_on_the_margin_around_it(scale):
    model = shaken(model_of(scale))
    assert model.margin == 9 * scale and model.refines == model.stride == scale
    sources = model.sources_of(batch_of(1))
    middle = SIDE // 2
    image = model.translate(sources, None)[..., middle, middle]
    reached = []
    for column in range(0, SIDE, scale):
        changed = sources.clone()
        changed[..., column : column + scale] = 0.9
        if not torch.equal(model.translate(changed, None)[..., middle, middle], image):
            reached.append(column)
    assert min(reached) >= middle - model.margin and max(reached) <= middle + model.margin
    assert len(reached) > 8


def test_after_the_warm_up_half_of_what_it_sharpens_is_made_by_runs(monkeypatch):
    model = model_of(2, base="one, two", warmup=1, augment="off")
    assert model.bases == ("one", "two")
    seen = []
    monkeypatch.setattr(model.generator, "forward", _keeping(model.generator.forward, seen))
    optimizers = model.optimizers()
    batch = batch_of(4, scale=2)
    made = [list(update.losses) for _ in range(3) for update in _stepped(model, optimizers, batch)]
    assert made[0] == ["g_l1"] and [names[0] for names in made[1:]] == ["d_real", "g_heads"] * 2
    real = F.avg_pool2d(batch.target, 2)
    assert torch.equal(seen[0], real)
    for coarse in seen[1:]:
        assert torch.equal(coarse, torch.cat([real[:2], batch.coarse[2:]]))


def _keeping(forward, seen):
    return lambda source, coarse: seen.append(coarse) or forward(source, coarse)


def _stepped(model, optimizers, batch):
    for update in model.training_step(batch):
        optimizers[update.optimizer].zero_grad()
        update.total.backward(inputs=[p for g in optimizers[update.optimizer].param_groups for p in g["params"]])
        optimizers[update.optimizer].step()
        yield update


def test_its_losses_in_validation_are_told_in_grey_levels():
    model = shaken(model_of(2))
    batch = batch_of(2)
    with torch.no_grad():
        losses = model.validation_losses(batch)
        image = model.translate(model.sources_of(batch), Noise(0, [(0, 0)] * 2, SIDE))
    assert losses["l1"] == F.l1_loss(image, batch.target)
    again = (F.avg_pool2d(image, 2) - F.avg_pool2d(batch.target, 2)).abs().mean()
    assert losses["consistency"] == pytest.approx(float(again) * 127.5)
