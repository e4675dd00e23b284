"""Colour metrics: angles and class colours with known values."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sattrans.metrics.baselines import mean_colors, paint
from sattrans.metrics.color import black_pixels, class_colors, class_moments, color_distances, sam
from sattrans.raster.palette import UNKNOWN


def flat(*rgb, size=8):
    return torch.tensor(rgb, dtype=torch.uint8)[:, None, None].expand(3, size, size).contiguous()


def test_the_angle_of_a_multiple_is_nothing():
    x = torch.from_numpy(np.random.default_rng(0).integers(0, 128, (3, 32, 32), np.uint8))
    assert sam(2 * x, x) == 0


def test_known_angles():
    assert sam(flat(9, 0, 0), flat(0, 0, 7)) == pytest.approx(90)
    assert sam(flat(5, 5, 0), flat(3, 0, 0)) == pytest.approx(45)
    assert sam(flat(1, 1, 1), flat(1, 0, 0)) == pytest.approx(np.rad2deg(np.arccos(3**-0.5)))


def test_black_pixels_are_left_out_and_counted():
    fake, real = flat(5, 5, 0), flat(3, 0, 0)
    fake[:, 0, :3] = 0
    real[:, 0, 2:5] = 0
    assert sam(fake, real) == pytest.approx(45)
    assert black_pixels(fake, real) == 5
    assert sam(flat(0, 0, 0), real) is None


@given(st.integers(0, 10**6))
def test_moments_are_those_of_numpy(seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (3, 16, 16), np.uint8)
    indices = rng.choice([0, 1, 3, UNKNOWN], (16, 16)).astype(np.uint8)
    moments = class_moments(torch.from_numpy(image), torch.from_numpy(indices), 4)
    means, spreads = class_colors(moments)
    assert moments[:, 0].sum() == (indices != UNKNOWN).sum()
    for index in range(4):
        pixels = image[:, indices == index].astype(float)
        if not pixels.size:
            assert np.isnan(means[index]).all()
            continue
        assert means[index] == pytest.approx(pixels.mean(1))
        assert spreads[index] == pytest.approx(np.cov(pixels, ddof=0), abs=1e-8)


def test_distances_of_known_colours():
    rng = np.random.default_rng(0)
    texture = rng.integers(-20, 21, (64, 64))
    one = torch.from_numpy(np.stack([100 + texture] * 3).astype(np.uint8))
    other = torch.from_numpy(np.stack([103 + 2 * texture, 104 + 2 * texture, 100 + 2 * texture]).astype(np.uint8))
    indices = torch.zeros(64, 64, dtype=torch.uint8)
    means, spreads = color_distances(class_moments(other, indices, 2), class_moments(one, indices, 2))
    assert means[0] == pytest.approx(np.hypot(3, 4) + texture.mean() * 7 / 5, abs=0.2)
    assert spreads[0] == pytest.approx(texture.std() * 3**0.5)  # one line of colours, twice as long
    assert np.isnan(means[1])
    same = class_moments(one, indices, 2)
    assert color_distances(same, same)[1][0] == pytest.approx(0, abs=1e-4)


def test_swapped_classes_are_seen():
    indices = torch.zeros(8, 8, dtype=torch.uint8)
    indices[4:] = 1
    image = paint(indices, np.array([[10, 20, 30], [200, 100, 50]] + [[0, 0, 0]] * 254, np.uint8))
    right = class_moments(image, indices, 2)
    swapped = class_moments(image, 1 - indices, 2)
    apart = np.linalg.norm([190, 80, 20])
    assert color_distances(swapped, right)[0] == pytest.approx([apart, apart])
    assert color_distances(right, right)[0] == pytest.approx([0, 0])


def test_the_mean_colour_of_a_class_is_painted():
    indices = torch.tensor([[0, 0], [1, UNKNOWN]], dtype=torch.uint8)
    image = torch.tensor([[[10, 20], [90, 0]]] * 3, dtype=torch.uint8)
    colors = mean_colors(class_moments(image, indices, 3))
    assert colors[0].tolist() == [15] * 3
    assert colors[1].tolist() == [90] * 3
    assert colors[2].tolist() == colors[UNKNOWN].tolist() == [40] * 3  # of no pixel: the mean of all that have a class
    assert paint(indices, colors)[0].tolist() == [[15, 15], [90, 40]]
