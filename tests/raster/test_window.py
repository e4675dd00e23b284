from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sattrans.errors import OptionError
from sattrans.raster.window import Window, tile_cells, tile_step, window_starts

windows = st.builds(Window, st.integers(-5, 9), st.integers(-5, 9), st.integers(1, 8), st.integers(1, 8))


@st.composite
def tilings(draw):
    size = draw(st.integers(1, 40))
    return draw(st.integers(1, 150)), draw(st.integers(1, 150)), size, draw(st.integers(0, size - 1))


def pixels(window):
    return {(row, col) for row in range(window.row, window.bottom) for col in range(window.col, window.right)}


@given(windows, windows)
def test_intersection_holds_the_pixels_both_have(one, other):
    shared = one.intersection(other)
    assert (pixels(shared) if shared else set()) == pixels(one) & pixels(other)
    assert shared == other.intersection(one)


@given(windows, windows)
def test_a_window_contains_another_when_it_has_all_its_pixels(one, other):
    assert one.contains(other) == (pixels(other) <= pixels(one))


def test_slices_are_rows_then_columns():
    assert Window(2, 3, 10, 20).slices == (slice(2, 12), slice(3, 23))


def test_cells_are_counted_row_by_row_with_the_cut_ones_so_that_whole_ones_have_gaps():
    # 1300 wide × 1100 high in cells of 512: three columns, the last of them cut, and so is the last row.
    cells = list(tile_cells(1100, 1300, 512))
    assert [cell.k for cell in cells] == list(range(9))
    assert [cell.k for cell in cells if cell.whole] == [0, 1, 3, 4]
    assert cells[4].window == Window(512, 512, 512, 512)


@given(tilings())
def test_cells_cover_every_pixel_and_only_whole_ones_lie_inside(tiling):
    height, width, size, overlap = tiling
    step = size - overlap
    cells = list(tile_cells(height, width, size, overlap))
    columns = len(range(0, width, step))
    raster = Window(0, 0, height, width)
    assert [cell.k for cell in cells] == list(range(len(cells)))
    for cell in cells:
        assert (cell.window.row, cell.window.col) == (cell.k // columns * step, cell.k % columns * step)
        assert cell.whole == raster.contains(cell.window)
    assert cells[-1].window.bottom >= height and cells[-1].window.right >= width


@given(st.integers(1, 500), st.integers(1, 60), st.data())
def test_cover_starts_cover_the_length_with_none_too_many(length, size, data):
    overlap = data.draw(st.integers(0, size - 1))
    starts = window_starts(length, size, overlap)
    assert starts[0] == 0 and starts[-1] + size >= length
    assert all(after - before == size - overlap for before, after in pairwise(starts))
    if len(starts) > 1:
        assert starts[-2] + size < length


@pytest.mark.parametrize(("size", "overlap"), [(0, 0), (-4, 0), (8, 8), (8, -1), (8, 20)])
def test_tiles_that_would_not_move_on_are_refused(size, overlap):
    with pytest.raises(OptionError, match="px"):
        tile_step(size, overlap)
