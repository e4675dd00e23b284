"""The flat field: what windows repeat is found and taken out; what they do not repeat is left."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sattrans.runs.flat_field import FlatField
from sattrans.runs.flat_field_fit import FlatFieldEstimator

SIZE = 64
COLORS = np.float32([[120, 110, 80], [40, 70, 40], [150, 90, 80]])


def maps_of(windows, seed=0):
    """Fields with a wood whose edge lies elsewhere in each window."""
    rng = np.random.default_rng(seed)
    edges = rng.integers(8, SIZE - 8, windows)
    return np.array([np.tile(np.arange(SIZE) > edge, (SIZE, 1)) for edge in edges], np.uint8).reshape(-1, SIZE, SIZE)


def images_of(maps, texture=0.0, seed=1):
    noise = np.random.default_rng(seed).normal(0, texture, (len(maps), 3, SIZE, SIZE)) if texture else 0
    return (COLORS[maps].transpose(0, 3, 1, 2) + noise).astype(np.float32)


def field_of(maps, images):
    found = FlatFieldEstimator()
    found.add(maps, images)
    return found.fit()


def pattern():
    """A slope from top to bottom, a line, and in the fields a bright spot."""
    slope = np.tile(np.linspace(-20, 20, SIZE, dtype=np.float32)[:, None], (1, SIZE))
    slope[:, 30] += 6
    return slope


def test_what_every_window_repeats_is_found_and_taken_out():
    maps = maps_of(60)
    plain = images_of(maps, texture=6)
    repeating = plain + pattern()
    field = field_of(maps, repeating)
    left = field.correct(maps, repeating.copy()) - plain
    for number in (0, 1):
        at = np.broadcast_to((maps == number)[:, None], left.shape)
        # A class's mean keeps its value; the rest of the slope, of 11.7 grey levels, is gone.
        before, after = (pattern() + 0 * left)[at].std(), left[at].std()
        assert before > 11
        assert after < 1.5


def test_a_spot_leaves_no_hole_in_a_window_that_does_not_show_it():
    maps = np.zeros((40, SIZE, SIZE), np.uint8)
    images = images_of(maps, texture=3)
    plain = images.copy()
    images[:, :, 20:24, 40:44] += 60
    images[7] = plain[7]
    field = field_of(maps, images)
    after = field.correct(maps, images.copy())
    assert images[:7, :, 20:24, 40:44].mean() - plain[:7].mean() > 55
    assert abs(after[:7, :, 20:24, 40:44].mean() - plain[:7].mean()) < 12
    # The coarse waves take a little of it everywhere.
    assert after[7, :, 20:24, 40:44].mean() > plain[7].mean() - 20


def test_a_spot_that_few_windows_show_is_taken_from_them_alone():
    maps = np.zeros((80, SIZE, SIZE), np.uint8)
    plain = images_of(maps, texture=3)
    images = plain.copy()
    down, across = np.ogrid[:SIZE, :SIZE]
    spot = 40 * np.exp(-((down - 23) ** 2 + (across - 43) ** 2) / 18).astype(np.float32)
    images[::9] += spot
    field = field_of(maps, images)
    left = (field.correct(maps, images.copy()) - plain)[..., 22:25, 42:45].mean(axis=(1, 2, 3))
    assert left[::9].mean() < 25  # were the mean taken, 36
    assert np.abs(left[np.arange(80) % 9 > 0]).mean() < 3  # the coarse waves take as much from all


def test_texture_that_does_not_repeat_is_left():
    maps = maps_of(60)
    images = images_of(maps, texture=6)
    field = field_of(maps, images)
    assert field.strength < 0.3
    assert np.abs(field.correct(maps, images.copy()) - images).mean() < 0.2


@given(st.integers(0, 60), st.integers(0, 5))
def test_plain_colours_have_no_field(windows, seed):
    maps = maps_of(windows, seed)
    field = field_of(maps, images_of(maps))
    assert not field.classes
    assert field.strength == 0


def test_what_is_painted_along_the_edge_of_a_class_is_left():
    maps = np.tile(np.arange(SIZE) >= 30, (40, SIZE, 1)).astype(np.uint8)
    images = images_of(maps)
    images[..., 28:33] -= 25
    assert not field_of(maps, images).classes


def test_the_grain_of_a_generator_is_left_and_what_stands_out_of_it_is_taken():
    maps = np.zeros((40, SIZE, SIZE), np.uint8)
    grain = np.tile(np.random.default_rng(3).normal(0, 8, (32, 32)), (2, 2))
    grain -= grain.mean(axis=0) + grain.mean(axis=1)[:, None]
    images = images_of(maps, texture=2) + grain.astype(np.float32)
    assert field_of(maps, images).strength < 0.5
    blotch = np.zeros((SIZE, SIZE), np.float32)
    blotch[10:16, 40:46] = 30
    field = field_of(maps, images + blotch)
    left = field.correct(maps, images + blotch) - images
    assert left[:, :, 10:16, 40:46].mean() < 8


def test_few_windows_say_nothing():
    maps = np.zeros((7, SIZE, SIZE), np.uint8)
    assert not field_of(maps, images_of(maps) + pattern()).classes


def test_pixels_of_no_class_are_left():
    maps = np.zeros((20, SIZE, SIZE), np.uint8)
    images = images_of(maps) + pattern()
    field = field_of(maps, images)
    assert list(field.classes) == [0]
    unknown = np.full((1, SIZE, SIZE), 255, np.uint8)
    assert np.array_equal(field.correct(unknown, images[:1].copy()), images[:1])


@pytest.mark.parametrize("windows", [0, 60])
def test_what_is_written_is_read_exactly(windows):
    maps = maps_of(windows)
    field = field_of(maps, images_of(maps, texture=6) + pattern())
    again = FlatField.decode(field.encode())
    images = images_of(maps_of(5, seed=9), texture=6)
    assert bool(field.classes) == bool(windows)
    assert np.array_equal(
        field.correct(maps_of(5, seed=9), images.copy()), again.correct(maps_of(5, seed=9), images.copy())
    )
