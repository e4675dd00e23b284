"""Weights of windows that overlap, sums that roll, and what is coarse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sattrans.generate.blending import RAMPS, RollingRows, axis_weights, cell_size
from sattrans.raster.bands import to_uint8
from sattrans.raster.cells import blur, cell_means, upsample
from sattrans.raster.window import window_starts

every_ramp = pytest.mark.parametrize("ramp", [ramp for ramps in RAMPS.values() for ramp in ramps])


@every_ramp
@given(overlap=st.integers(0, 300))
def test_a_ramp_rises_and_with_its_mirror_image_sums_to_1(ramp, overlap):
    weights = ramp(overlap)
    assert weights.shape == (overlap,)
    assert np.all(np.diff(weights) >= 0)
    if ramp is not RAMPS["none"][0]:  # a hard edge: the pixel in the middle has to be somebody's
        assert np.allclose(weights + weights[::-1], 1, atol=1e-6)
    assert weights.min(initial=0) >= 0
    assert weights.max(initial=1) <= 1


def test_known_ramps():
    assert RAMPS["none"][0](5).tolist() == [0, 0, 0, 1, 1]
    assert RAMPS["linear"][0](4).tolist() == [0.125, 0.375, 0.625, 0.875]
    assert np.allclose(RAMPS["hann"][0](2), [0.5 - 0.5**1.5, 0.5 + 0.5**1.5])
    fine, coarse = (ramp(64) for ramp in RAMPS["bands"])
    assert np.flatnonzero((fine > 0) & (fine < 1)).tolist() == list(range(28, 36))  # two cells of 4 px
    assert np.flatnonzero((coarse > 0) & (coarse < 1)).tolist() == list(range(12, 52))  # three cells from either end


@pytest.mark.parametrize(("overlap", "cell"), [(0, 1), (15, 1), (31, 1), (32, 2), (64, 4), (128, 8), (4000, 16)])
def test_the_cells_grow_with_the_overlap(overlap, cell):
    assert cell_size(overlap) == cell


@every_ramp
@given(length=st.integers(1, 200), size=st.integers(4, 40), part=st.floats(0, 0.75))
def test_weights_sum_to_1_at_every_pixel(ramp, length, size, part):
    overlap = int(size * part)
    starts = window_starts(length, size, overlap)
    total = np.zeros(starts[-1] + size)
    for start, weights in zip(starts, axis_weights(starts, size, ramp), strict=True):
        total[start : start + size] += weights
    assert np.allclose(total, 1, atol=1e-5)


@given(length=st.integers(1, 200), size=st.integers(4, 40), part=st.floats(0, 0.75))
def test_without_blending_each_pixel_comes_from_one_window(length, size, part):
    overlap = int(size * part)
    starts = window_starts(length, size, overlap)
    assert set(np.unique(axis_weights(starts, size, RAMPS["none"][0]))) <= {0.0, 1.0}


@given(st.integers(1, 60), st.integers(0, 30), st.data())
def test_rolling_rows_equal_the_whole_at_once(width, first, data):
    """Rows added from the top and let go on the way are those of one large sum, bit for bit."""
    rng = np.random.default_rng(width)
    rows = sorted(data.draw(st.lists(st.integers(0, 60), min_size=1, max_size=6)))
    whole = np.zeros((2, 100, width), np.float32)
    rolling = RollingRows(2, width, first)
    taken = first
    for row in rows:
        until = data.draw(st.integers(taken, max(taken, row)))
        if until > taken:
            assert np.array_equal(rolling.rows(taken, until), whole[:, taken:until])
            rolling.release(until)
            taken = until
        pixels, weights = rng.random((2, 20, width), np.float32), rng.random((2, 20), np.float32)
        rolling.add(row, pixels, weights)
        whole[:, row : row + 20] += pixels * weights[:, :, np.newaxis]
    assert np.array_equal(rolling.rows(taken, 100), whole[:, taken:])


def test_rolling_rows_hold_no_more_than_what_is_not_finished():
    rolling = RollingRows(3, 10)
    for row in range(0, 10_000, 50):
        rolling.add(row, np.ones((3, 64, 10), np.float32), np.ones((3, 64), np.float32))
        rolling.release(row)
        assert rolling._sum.shape[1] <= 64


def smoothed(pixels, cell):
    """What is coarse in pixels (bands, H, W), whose sides are whole cells."""
    return upsample(blur(cell_means(pixels, cell)), cell)


@pytest.mark.parametrize("cell", [1, 2, 4, 8])
def test_what_is_flat_is_all_coarse_and_what_alternates_is_not(cell):
    flat = np.full((3, 32, 48), 7.5, np.float32)
    assert np.allclose(smoothed(flat, cell), 7.5)
    if cell > 1:
        board = np.indices((32, 48)).sum(axis=0) % 2 * 2.0 - 1
        assert np.abs(smoothed(board[np.newaxis].astype(np.float32), cell)).max() < 1e-6


def test_a_slope_stays_a_slope():
    slope = np.tile(np.arange(64, dtype=np.float32), (1, 64, 1))
    assert np.allclose(smoothed(slope, 4)[:, :, 12:-12], slope[:, :, 12:-12], atol=1e-4)


@given(st.sampled_from([1, 2, 4, 8]), st.integers(0, 20), st.integers(0, 20))
def test_a_pixel_reaches_less_than_three_cells_far_and_a_part_is_the_wholes(cell, row, col):
    rng = np.random.default_rng(row * 100 + col)
    pixels = rng.random((1, 24 * cell, 20 * cell), np.float32)
    changed = pixels.copy()
    place = row % (24 * cell), col % (20 * cell)
    changed[0, place[0], place[1]] += 100
    moved = np.argwhere(np.abs(smoothed(changed, cell) - smoothed(pixels, cell))[0] > 1e-6)
    assert np.abs(moved - place).max(initial=0) < 3 * cell
    part = smoothed(np.ascontiguousarray(pixels[:, 4 * cell : 20 * cell, 3 * cell : 17 * cell]), cell)
    inside = part[:, 2 * cell : -2 * cell, 2 * cell : -2 * cell]
    assert np.array_equal(inside, smoothed(pixels, cell)[:, 6 * cell : 18 * cell, 5 * cell : 15 * cell])


def test_grey_levels_are_rounded_and_kept_within_0_to_255():
    assert to_uint8(np.array([-3, 0.4, 0.6, 254.6, 300], np.float32)).tolist() == [0, 0, 1, 255, 255]
