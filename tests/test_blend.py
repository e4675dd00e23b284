import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sattrans.blend import RAMPS, RollingRows, reaches, to_uint8, window_weight
from sattrans.grid import cover_starts

blends = st.sampled_from(sorted(RAMPS))


@st.composite
def layouts(draw):
    """A raster, windows over it with an overlap of up to three quarters, and a blend."""
    size = draw(st.integers(4, 24))
    overlap = draw(st.integers(0, size * 3 // 4))
    return draw(st.integers(1, 70)), draw(st.integers(1, 70)), size, overlap, draw(blends)


def weighed(height, width, size, overlap, blend):
    """Yield (row, col, pixels, weight) of every window, in the order `generate` adds them."""
    rows, cols = cover_starts(height, size, overlap), cover_starts(width, size, overlap)
    rng = np.random.default_rng(height * 1000 + width)
    for row in rows:
        for col in cols:
            pixels = rng.uniform(0, 255, (2, size, size)).astype(np.float32)
            edges = (row == rows[0], col == cols[0], row == rows[-1], col == cols[-1])
            yield row, col, pixels, window_weight(size, overlap, blend, *edges)


def summed(height, width, size, overlap, blend):
    """Return the whole raster's weighted sums and its weights, held at once."""
    total, weights = np.zeros((2, height, width), np.float32), np.zeros((height, width), np.float32)
    for row, col, pixels, weight in weighed(height, width, size, overlap, blend):
        h, w = min(size, height - row), min(size, width - col)
        total[:, row : row + h, col : col + w] += (pixels * weight)[:, :h, :w]
        weights[row : row + h, col : col + w] += weight[:h, :w]
    return total, weights


def rolled(layout, heights, first_row=0):
    """Return the rows from `first_row` on, taken in pieces of the given heights as soon as they are finished."""
    height, width, size, overlap, _ = layout
    rows = cover_starts(height, size, overlap)
    rolling = RollingRows(2, height, width, first_row)
    taken, covered = [], []

    def take(until):
        while rolling.top < until:
            want = min(heights[len(taken) % len(heights)], height - rolling.top)
            if rolling.top + want > until:
                return
            mean, there = rolling.take(want)
            taken.append(mean)
            covered.append(there)

    skipped = reaches(rows, size, first_row)
    for row, col, pixels, weight in weighed(*layout):
        if row < rows[skipped]:
            continue
        if col == 0:
            take(row)
        rolling.add(row, col, pixels, weight)
    take(height)
    return np.concatenate(taken, axis=1), np.concatenate(covered)


@given(blends, st.integers(1, 200))
def test_two_windows_that_share_an_overlap_weigh_1_together(blend, overlap):
    size = 2 * overlap
    first = window_weight(size, overlap, blend, top=True, left=True, bottom=True, right=False)
    second = window_weight(size, overlap, blend, top=True, left=False, bottom=True, right=True)
    np.testing.assert_allclose(first[0, -overlap:] + second[0, :overlap], 1, atol=1e-6)
    assert (first[0, :-overlap] == 1).all() and (second[0, overlap:] == 1).all()


@pytest.mark.parametrize("blend", ["linear", "hann"])
def test_a_ramp_rises_and_with_its_mirror_image_sums_to_1(blend):
    for overlap in range(1, 100):
        ramp = RAMPS[blend](overlap)
        assert len(ramp) == overlap and (np.diff(ramp) > 0).all() and ramp[0] > 0
        np.testing.assert_allclose(ramp + ramp[::-1], 1, atol=1e-6)


def test_known_ramps():
    np.testing.assert_allclose(RAMPS["linear"](4), [0.125, 0.375, 0.625, 0.875])
    np.testing.assert_allclose(RAMPS["hann"](2), [0.1464466, 0.8535534], atol=1e-6)
    assert RAMPS["none"](4).tolist() == [0, 0, 1, 1]
    assert RAMPS["none"](5).tolist() == [0, 0, 0, 1, 1]


def test_a_window_alone_on_its_raster_weighs_1_everywhere():
    for blend in RAMPS:
        assert (window_weight(16, 4, blend, True, True, True, True) == 1).all()


@given(layouts())
def test_weights_cover_every_pixel(layout):
    _, weights = summed(*layout)
    assert (weights > 0).all()


@given(layouts())
def test_weights_sum_to_1_up_to_an_overlap_of_half_a_window(layout):
    height, width, size, overlap, blend = layout
    _, weights = summed(height, width, size, min(overlap, size // 2), blend)
    np.testing.assert_allclose(weights, 1, atol=1e-5)


@given(layouts())
def test_without_blending_each_pixel_comes_from_one_window(layout):
    _, weights = summed(*layout[:4], "none")
    assert (weights == 1).all()


@given(layouts(), st.lists(st.integers(1, 30), min_size=1, max_size=4))
def test_rolling_rows_equal_the_whole_raster_at_once(layout, heights):
    total, weights = summed(*layout)
    mean, covered = rolled(layout, heights)
    assert covered.all()
    np.testing.assert_array_equal(mean, total / weights)


@given(layouts(), st.data())
def test_resuming_at_a_later_row_gives_the_same_rows_bit_for_bit(layout, data):
    whole, _ = rolled(layout, [5])
    first_row = data.draw(st.integers(0, layout[0] - 1))
    resumed, _ = rolled(layout, [5], first_row)
    np.testing.assert_array_equal(resumed, whole[:, first_row:])


def test_what_no_window_covers_is_zero_and_said_to_be_empty():
    rolling = RollingRows(1, 4, 6)
    rolling.add(1, 2, np.full((1, 2, 2), 9, np.float32), np.ones((2, 2), np.float32))
    mean, covered = rolling.take(4)
    assert covered.sum() == 4 and covered[1:3, 2:4].all()
    assert (mean[0] == np.where(covered, 9, 0)).all()


def test_rolling_rows_hold_no_more_than_what_is_not_finished():
    rolling = RollingRows(1, 10_000, 8)
    held = []
    for row in range(0, 10_000, 10):
        rolling.add(row, 0, np.ones((1, 12, 8), np.float32), np.ones((12, 8), np.float32))
        rolling.take(10)
        held.append(rolling._sum.nbytes)
    assert max(held) <= 2 * 8 * 4


def test_grey_levels_are_rounded_and_kept_within_0_to_255():
    assert to_uint8(np.array([-3, 0.4, 0.6, 254.6, 300], np.float32)).tolist() == [0, 0, 1, 255, 255]


def test_reaches_finds_the_first_window_with_a_pixel_at_or_below_a_row():
    starts = [0, 10, 20]
    assert [reaches(starts, 12, row) for row in (0, 11, 12, 21, 22, 31, 32)] == [0, 0, 1, 1, 2, 2, 3]
