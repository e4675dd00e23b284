import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sattrans.mosaic import methods as join
from sattrans.mosaic.methods import JOINERS, Cells, by_distance, even
from sattrans.raster.window import Window

LEFT, RIGHT = Window(0, 0, 4, 6), Window(0, 3, 4, 6)


def full(value, height=4, width=6):
    return np.full((1, height, width), value, np.uint8)


def joined(method, *tiles, height=4, width=9):
    """Join tiles, each a window, its pixels and which are valid, as a mosaic does."""
    whole = all(valid is None for _, _, valid in tiles)
    joiner = JOINERS[method](tiles[0][1].shape[0], height, width, [tile for tile, _, _ in tiles], whole)
    for number in joiner.order:
        tile, pixels, valid = tiles[number]
        part = joiner.wanted(number)
        if part is not None:
            inside = Window(part.row - tile.row, part.col - tile.col, part.height, part.width).slices
            joiner.feed(number, part, pixels[:, *inside], None if valid is None else valid[inside])
    return joiner.joined()


def two(method, left=10, right=40):
    return joined(method, (LEFT, full(left), None), (RIGHT, full(right), None))


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


def valid(columns):
    where = np.zeros((4, 6), bool)
    where[:, columns] = True
    return where


@pytest.mark.parametrize("method", sorted(JOINERS))
def test_what_is_not_valid_is_not_there(method):
    pixels, filled = joined(method, (LEFT, full(10), valid(slice(0, 2))))
    assert filled.tolist() == [[True] * 2 + [False] * 7] * 4
    assert (pixels[0][~filled] == 0).all() and (pixels[0][filled] == 10).all()


def test_first_is_filled_by_a_later_tile_where_the_first_had_nothing():
    pixels, _ = joined("first", (LEFT, full(10), valid(slice(0, 4))), (RIGHT, full(40), None))
    assert pixels[0, 0].tolist() == [10] * 4 + [40] * 5


def test_last_keeps_what_the_last_tile_does_not_have():
    pixels, _ = joined("last", (LEFT, full(10), None), (RIGHT, full(40), valid(slice(2, 6))))
    assert pixels[0, 0].tolist() == [10] * 5 + [40] * 4


@given(st.sampled_from(sorted(JOINERS)), st.integers(0, 255), st.integers(1, 6))
def test_tiles_that_agree_are_joined_without_a_seam(method, value, shift):
    tiles = [(Window(0, col, 8, 8), np.full((3, 8, 8), value, np.uint8), None) for col in (0, shift)]
    pixels, filled = joined(method, *tiles, height=8, width=8 + shift)
    assert filled.all() and (pixels == value).all()


def by_pixels(method, tiles, height, width):
    """Join tiles as slowly and plainly as can be: pixel by pixel, with every tile of every pixel."""
    pixels, filled = np.zeros((1, height, width), np.uint8), np.zeros((height, width), bool)
    for row, col in np.ndindex(height, width):
        there = []
        for tile, own, valid in tiles:
            r, c = row - tile.row, col - tile.col
            if 0 <= r < tile.height and 0 <= c < tile.width and (valid is None or valid[r, c]):
                nearest = min(r, c, tile.height - 1 - r, tile.width - 1 - c) + 0.5
                there.append((int(own[0, r, c]), nearest if method == "feather" else 1))
        if there:
            filled[row, col] = True
            mean = sum(value * weight for value, weight in there) / sum(weight for _, weight in there)
            pixels[0, row, col] = {"first": there[0][0], "last": there[-1][0]}.get(method, round(mean))
    return pixels, filled


@pytest.mark.parametrize("most_cells", [0, join.MOST_CELLS])
@given(st.data())
def test_any_tiles_are_joined_as_if_it_were_done_pixel_by_pixel(most_cells, data):
    height, width = 9, 11
    method = data.draw(st.sampled_from(sorted(JOINERS)))
    holes = data.draw(st.booleans())
    tiles = []
    for number in range(data.draw(st.integers(1, 5))):
        row, col = data.draw(st.integers(-4, height - 1)), data.draw(st.integers(-4, width - 1))
        high, wide = (data.draw(st.integers(max(1, 1 - start), 8)) for start in (row, col))
        rng = np.random.default_rng(number)
        valid = rng.random((high, wide)) < 0.7 if holes else None
        tiles.append((Window(row, col, high, wide), rng.integers(0, 256, (1, high, wide), np.uint8), valid))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(join, "MOST_CELLS", most_cells)
        pixels, filled = joined(method, *tiles, height=height, width=width)
    expected, there = by_pixels(method, tiles, height, width)
    assert (filled == there).all()
    # A mean that is half-way between two levels may go to either.
    assert np.abs(pixels.astype(int) - expected).max() <= (method in ("mean", "feather"))


@given(st.data())
def test_runs_of_cells_cover_the_chosen_ones_once(data):
    windows = [
        Window(*(data.draw(st.integers(0, 6)) for _ in range(2)), *(data.draw(st.integers(1, 5)) for _ in range(2)))
        for _ in range(data.draw(st.integers(1, 4)))
    ]
    cells = Cells(windows)
    count = np.zeros(cells.shape, int)
    pixels = np.zeros((12, 12), int)
    for window in windows:
        count[cells.span(window)] += 1
        pixels[window.slices] += 1
    covered = np.zeros((12, 12), int)
    for run in cells.runs(count > 1, tuple(slice(0, n) for n in cells.shape)):
        covered[run.slices] += 1
    assert (covered == (pixels > 1)).all()


def test_nothing_is_read_of_a_tile_that_lies_under_others():
    joiner = JOINERS["first"](3, 10, 20, [Window(0, 0, 10, 12), Window(0, 8, 10, 12), Window(2, 2, 5, 9)], True)
    assert [joiner.wanted(number) for number in (0, 1, 2)] == [Window(0, 0, 10, 12), Window(0, 12, 10, 8), None]


def test_a_part_of_a_tile_weighs_what_it_weighs_in_the_whole():
    tile, part = Window(10, 20, 8, 9), Window(13, 22, 5, 4)
    whole = by_distance(tile, tile)
    assert (by_distance(tile, part) == whole[3:8, 2:6]).all()
    assert even(tile, part).shape == (5, 4)
    assert whole.min() == 0.5 and whole.max() == 4.0 - 0.5
