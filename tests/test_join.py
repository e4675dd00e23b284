import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sattrans.grid import Window
from sattrans.join import JOINERS, WEIGHTS, by_distance, even

LEFT, RIGHT = (slice(0, 4), slice(0, 6)), (slice(0, 4), slice(3, 9))


def full(value, height=4, width=6):
    return np.full((1, height, width), value, np.uint8)


def joined(method, *tiles):
    joiner = JOINERS[method](1, 4, 9)
    for place, pixels, weight in tiles:
        joiner.feed(place, pixels, weight)
    return joiner.joined()


def two(method, left=10, right=40):
    weights = [WEIGHTS[method](Window(0, col, 4, 6), Window(0, col, 4, 6)) for col in (0, 3)]
    return joined(method, (LEFT, full(left), weights[0]), (RIGHT, full(right), weights[1]))


@pytest.mark.parametrize(
    ("method", "row"),
    [
        ("first", [10, 10, 10, 10, 10, 10, 40, 40, 40]),
        ("last", [10, 10, 10, 40, 40, 40, 40, 40, 40]),
        ("mean", [10, 10, 10, 25, 25, 25, 40, 40, 40]),
    ],
)
def test_overlaps_hold_the_first_the_last_or_the_mean(method, row):
    pixels, filled = two(method)
    assert filled.all()
    assert pixels[0].tolist() == [row] * 4


def test_feather_goes_over_from_one_tile_to_the_other():
    pixels, filled = two("feather", left=0, right=200)
    middle = pixels[0, 1, 3:6].astype(int)
    assert filled.all()
    # Distances to the nearest edge in row 1: 1.5, 1.5, 0.5 px in the left tile, 0.5, 1.5, 1.5 in the right.
    assert middle.tolist() == [50, 100, 150]


@pytest.mark.parametrize("method", sorted(JOINERS))
def test_what_has_no_weight_is_not_there(method):
    weight = np.ones((4, 6), np.float32)
    weight[:, 2:] = 0
    pixels, filled = joined(method, (LEFT, full(10), weight))
    assert filled.tolist() == [[True] * 2 + [False] * 7] * 4
    assert (pixels[0][~filled] == 0).all() and (pixels[0][filled] == 10).all()


def test_first_is_filled_by_a_later_tile_where_the_first_had_nothing():
    weight = np.ones((4, 6), np.float32)
    weight[:, 4:] = 0
    pixels, _ = joined("first", (LEFT, full(10), weight), (RIGHT, full(40), np.ones((4, 6), np.float32)))
    assert pixels[0, 0].tolist() == [10] * 4 + [40] * 5


def test_last_keeps_what_the_last_tile_does_not_have():
    weight = np.ones((4, 6), np.float32)
    weight[:, :2] = 0
    pixels, _ = joined("last", (LEFT, full(10), np.ones((4, 6), np.float32)), (RIGHT, full(40), weight))
    assert pixels[0, 0].tolist() == [10] * 5 + [40] * 4


@given(st.sampled_from(sorted(JOINERS)), st.integers(0, 255), st.integers(1, 6))
def test_tiles_that_agree_are_joined_without_a_seam(method, value, shift):
    joiner = JOINERS[method](3, 8, 8 + shift)
    for col in (0, shift):
        tile = Window(0, col, 8, 8)
        joiner.feed(tile.slices, np.full((3, 8, 8), value, np.uint8), WEIGHTS[method](tile, tile))
    pixels, filled = joiner.joined()
    assert filled.all() and (pixels == value).all()


def test_a_part_of_a_tile_weighs_what_it_weighs_in_the_whole():
    tile, part = Window(10, 20, 8, 9), Window(13, 22, 5, 4)
    whole = by_distance(tile, tile)
    assert (by_distance(tile, part) == whole[3:8, 2:6]).all()
    assert even(tile, part).shape == (5, 4)
    assert whole.min() == 0.5 and whole.max() == 4.0 - 0.5


def test_every_method_has_its_weights():
    assert set(JOINERS) == set(WEIGHTS)
