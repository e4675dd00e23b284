"""Noise that belongs to a place, the total of an update, what a model inherits."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sattrans.model import Batch, Model, ModelOptions, Noise, TileSpec, TrainDefaults, Update

PLACES = st.tuples(st.integers(0, 200), st.integers(0, 200))


class Tiny(Model):
    name = "tiny"

    def __init__(self, spec, options):
        super().__init__(spec, options)
        self.generator = nn.Conv2d(3, 3, 1)

    def optimizers(self):
        return {}

    def training_step(self, batch):
        yield from ()


# Noise.


@given(one=PLACES, other=PLACES)
def test_a_place_has_the_same_noise_in_every_window_that_holds_it(one, other):
    size = 150  # more than one of the blocks noise is drawn in
    windows = Noise(3, [one, other], size).field(2)
    row, col = max(one[0], other[0]), max(one[1], other[1])
    height, width = size - abs(one[0] - other[0]), size - abs(one[1] - other[1])
    if height <= 0 or width <= 0:
        return
    shared = [
        window[:, row - top : row - top + height, col - left : col - left + width]
        for window, (top, left) in zip(windows, (one, other), strict=True)
    ]
    assert torch.equal(*shared)


def test_noise_does_not_depend_on_the_batch_nor_on_the_windows_size():
    origins = [(0, 0), (32, 64), (500, 7)]
    together = Noise(1, origins, 96).field(3)
    for number, origin in enumerate(origins):
        assert torch.equal(Noise(1, [origin], 96).field(3)[0], together[number])
        assert torch.equal(Noise(1, [origin], 40).field(3)[0], together[number, :, :40, :40])


def test_a_cell_of_coarse_noise_covers_stride_pixels():
    near = Noise(0, [(0, 0)], 128).field(2, stride=4)
    far = Noise(0, [(16, 32)], 128).field(2, stride=4)
    assert near.shape == (1, 2, 32, 32)
    assert torch.equal(near[0, :, 4:, 8:], far[0, :, :28, :24])


@pytest.mark.parametrize(("origin", "size", "stride"), [((2, 0), 64, 4), ((0, 6), 64, 4), ((0, 0), 66, 4)])
def test_coarse_noise_off_its_grid_is_refused(origin, size, stride):
    with pytest.raises(ValueError, match="stride 4 needs windows that start and end at its multiples"):
        Noise(0, [origin], size).field(1, stride)


def test_noise_is_standard_normal_and_unlike_between_places_channels_and_seeds():
    field = Noise(0, [(0, 0)], 256).field(2)[0]
    assert field.dtype == torch.float32
    assert field.mean().item() == pytest.approx(0, abs=0.02)
    assert field.std().item() == pytest.approx(1, abs=0.02)
    corner = field[0, :64, :64]
    others = [field[1, :64, :64], field[0, 64:128, :64], field[0, :64, 64:128], Noise(1, [(0, 0)], 64).field(2)[0, 0]]
    for other in others:
        assert abs(torch.corrcoef(torch.stack([corner.flatten(), other.flatten()]))[0, 1].item()) < 0.08


def test_noise_takes_nothing_from_torchs_own_dice():
    before = torch.get_rng_state()
    first = Noise(5, [(0, 0)], 64).field(1)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(99)
    assert torch.equal(Noise(5, [(0, 0)], 64).field(1), first)


def test_the_vector_is_one_for_the_whole_map():
    vectors = Noise(0, [(0, 0), (64, 0), (0, 640)], 64).vector(16)
    assert vectors.shape == (3, 16)
    assert torch.equal(vectors[0], vectors[1])
    assert torch.equal(vectors[0], vectors[2])
    assert torch.equal(vectors[0], Noise(0, [(7, 7)], 128).vector(16)[0])
    assert not torch.equal(vectors[0], Noise(1, [(0, 0)], 64).vector(16)[0])


# Update.


def test_the_total_is_the_sum_of_the_losses_and_leaves_out_the_log():
    update = Update("g", {"a": torch.tensor(1.5), "b": torch.tensor(2.0)}, {"ratio": torch.tensor(100.0)})
    assert update.total.item() == 3.5


def test_the_total_carries_every_losss_gradient():
    weight = torch.tensor(3.0, requires_grad=True)
    Update("g", {"a": weight * 2, "b": weight**2}).total.backward()
    assert weight.grad.item() == 2 + 2 * 3


def test_the_total_is_float32_also_of_bfloat16_losses():
    losses = {"a": torch.tensor(256.0, dtype=torch.bfloat16), "b": torch.tensor(1.0)}
    total = Update("g", losses).total
    assert total.dtype == torch.float32
    assert total.item() == 257  # which bfloat16 does not know


# Model.


def test_a_batch_counts_its_images():
    assert len(Batch(torch.zeros(5, 3, 4, 4), torch.zeros(5, 3, 4, 4))) == 5


def test_validation_is_l1_of_what_the_model_translates_unless_it_says_otherwise():
    model = Tiny(TileSpec(8, 3), ModelOptions()).eval()
    batch = Batch(torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8))
    with torch.no_grad():
        losses = model.validation_losses(batch)
        expected = (model.generator(batch.source) - batch.target).abs().mean()
    assert {name: value.item() for name, value in losses.items()} == pytest.approx({"l1": expected.item()})
    assert TrainDefaults().monitor == "joint_kid"  # a score of any model, beside its losses


def test_being_the_model_taken_unasked_is_not_inherited():
    class Chosen(Tiny):
        fallback = True

    class Built(Chosen):
        pass

    assert (Tiny.fallback, Chosen.fallback, Built.fallback) == (False, True, False)


def test_a_model_without_its_steps_cannot_be_built():
    class Half(Model):
        name = "half"

    with pytest.raises(TypeError, match="optimizers"):
        Half(TileSpec(64, 3), ModelOptions())
