"""Phase score: 1 for noise of any size, bars of 8, 16 and 32 px, and bars inside one class alone."""

import numpy as np
import pytest
import torch
from ladders import blur, plaid

from sattrans.demo.landscape import make_landscape
from sattrans.metrics.phase import ENOUGH_PIXELS, enough_pixels, phase_score, phase_sums


@pytest.fixture(scope="module")
def photo():
    return torch.from_numpy(make_landscape(320, 320, 1).photo)


def white(rng, size):
    return torch.from_numpy(rng.integers(0, 256, (3, size, size), np.uint8))


def test_gradients_are_summed_by_column_row_and_class():
    image = torch.zeros(3, 64, 70, dtype=torch.uint8)
    image[:, :, 33:] = 30  # an edge between columns 32 and 33: phase 0
    image[0, 50:] += 3  # and one between rows 49 and 50, of a third of 3 grey levels: phase 17
    map_ = torch.zeros(64, 70, dtype=torch.uint8)
    map_[:40] = 1
    map_[0] = 255
    sums = phase_sums(image, map_, 2)
    assert sums.shape == (2, 2, 3, 32, 2)
    columns, rows = sums.sum(0)
    across, along = 2 * 30 / 69, 2 * 1 / 63  # at most twice the mean
    assert columns[0, :, 0] == pytest.approx([64 * across] + [0] * 31)
    assert rows[0, :, 0] == pytest.approx([0] * 17 + [70 * along] + [0] * 14)
    assert columns[0, :, 1].tolist() == [3 * 64] * 5 + [2 * 64] * 27
    assert columns[1:, 0, 0].tolist() == pytest.approx([24 * across, 39 * across])
    assert rows[2, :, 1].sum() == 38 * 70  # neither at the edge of the class nor without one
    assert (sums[0] + sums[1] == sums.sum(0)).all()
    assert sums[0, 0, 0, :, 1].sum() == pytest.approx(64 * 69 / 2, abs=64 * 6)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "images"), [(64, 1), (64, 6), (128, 2)])
def test_white_noise_has_one_however_few_its_pixels(size, images):
    rng = np.random.default_rng(0)
    map_ = torch.from_numpy(rng.integers(0, 3, (size // 16, size // 16), np.uint8)).repeat_interleave(16, 0)
    map_ = map_.repeat_interleave(16, 1)
    found = [phase_score(sum(phase_sums(white(rng, size), map_, 3) for _ in range(images))) for _ in range(60)]
    assert np.mean(found) == pytest.approx(1, abs=4 * np.std(found) / 60**0.5)
    assert np.mean(found) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("period", [8, 16, 32])
def test_bars_are_seen_and_blur_is_not(photo, period):
    real, barred, blurred = (
        float(phase_score(phase_sums(worse))) for worse in (photo, plaid(photo, 16, period=period), blur(photo, 3))
    )
    assert real == pytest.approx(1, abs=0.05)
    assert blurred == pytest.approx(1, abs=0.1)
    assert barred > 1.25
    assert barred > float(phase_score(phase_sums(plaid(photo, 8, period=period))))


def test_bars_inside_one_class_are_not_averaged_away():
    rng = np.random.default_rng(0)
    noise, map_ = white(rng, 256) // 4 + 96, torch.zeros(256, 256, dtype=torch.uint8)
    map_[:, :96] = 1
    barred = torch.where(map_ == 1, plaid(noise, 24), noise)
    assert phase_score(phase_sums(barred, map_, 2)) > phase_score(phase_sums(barred)) + 0.15
    few = torch.where(map_ == 1, torch.tensor(2, dtype=torch.uint8), map_)
    few[:, :8] = 1
    sums = phase_sums(plaid(noise, 24), few, 3)
    assert enough_pixels(sums).tolist() == [[True, True, False, True]] * 2
    assert ENOUGH_PIXELS > 8 * 256


def test_flat_images_have_no_pattern_and_resamples_stand_side_by_side():
    flat = phase_sums(torch.full((3, 64, 64), 9, dtype=torch.uint8))
    assert phase_score(flat) == 1
    barred = phase_sums(plaid(torch.full((3, 64, 64), 99, dtype=torch.uint8), 8))
    both = phase_score(np.stack([flat, barred]))
    assert both.tolist() == [1, float(phase_score(barred))]
    assert both[1] > 1.5
