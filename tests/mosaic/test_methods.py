from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sattrans.mosaic import methods
from sattrans.mosaic.methods import (
    METHODS,
    CellGrid,
    Method,
    class_map_methods,
    edge_distance_weight,
    uniform_weight,
)
from sattrans.raster.window import Window

LEFT, RIGHT = Window(0, 0, 4, 6), Window(0, 3, 4, 6)


def full(value, height=4, width=6):
    return np.full((1, height, width), value, np.uint8)


def join(method, *tiles, height=4, width=9):
    """Join tiles, each a window, its pixels and which are valid, as a mosaic does."""
    all_valid = all(valid is None for _, _, valid in tiles)
    joiner = METHODS[method].joiner(tiles[0][1].shape[0], height, width, [tile for tile, _, _ in tiles], all_valid)
    for number in joiner.order:
        tile, pixels, valid = tiles[number]
        part = joiner.visible_part(number)
        if part is not None:
            inside = Window(part.row - tile.row, part.col - tile.col, part.height, part.width).slices
            opacity = None if valid is None else valid[inside] * np.uint8(255)
            joiner.add(number, part, pixels[:, *inside], opacity)
    pixels, opacity = joiner.result()
    assert set(np.unique(opacity)) <= {0, 255}
    return pixels, opacity == 255


def join_two(method, left=10, right=40):
    return join(method, (LEFT, full(left), None), (RIGHT, full(right), None))


@pytest.mark.parametrize(
    ("method", "row"),
    [
        ("first", [10, 10, 10, 10, 10, 10, 40, 40, 40]),
        ("last", [10, 10, 10, 40, 40, 40, 40, 40, 40]),
        ("mean", [10, 10, 10, 25, 25, 25, 40, 40, 40]),
    ],
)
def test_overlaps_have_the_first_the_last_or_the_mean_value(method, row):
    pixels, filled = join_two(method)
    assert filled.all()
    assert pixels[0].tolist() == [row] * 4


def test_feather_blends_from_the_left_tile_to_the_right():
    pixels, filled = join_two("feather", left=0, right=200)
    middle = pixels[0, 1, 3:6].astype(int)
    assert filled.all()
    # Distances to the nearest edge in row 1: 1.5, 1.5, 0.5 px in the left tile, 0.5, 1.5, 1.5 in the right.
    assert middle.tolist() == [50, 100, 150]


def valid(columns):
    where = np.zeros((4, 6), bool)
    where[:, columns] = True
    return where


@pytest.mark.parametrize("method", sorted(METHODS))
def test_invalid_pixels_are_not_filled(method):
    pixels, filled = join(method, (LEFT, full(10), valid(slice(0, 2))))
    assert filled.tolist() == [[True] * 2 + [False] * 7] * 4
    assert (pixels[0][~filled] == 0).all() and (pixels[0][filled] == 10).all()


def test_first_takes_pixels_from_a_later_tile_where_the_first_is_invalid():
    pixels, _ = join("first", (LEFT, full(10), valid(slice(0, 4))), (RIGHT, full(40), None))
    assert pixels[0, 0].tolist() == [10] * 4 + [40] * 5


def test_last_keeps_earlier_pixels_where_the_last_tile_is_invalid():
    pixels, _ = join("last", (LEFT, full(10), None), (RIGHT, full(40), valid(slice(2, 6))))
    assert pixels[0, 0].tolist() == [10] * 5 + [40] * 4


@pytest.mark.parametrize(
    ("method", "value", "opacity"), [("first", 110, 224), ("last", 160, 224), ("mean", 120, 192), ("feather", 120, 192)]
)
def test_tiles_that_are_transparent_in_part_are_mixed_by_their_opacity(method, value, opacity):
    # Over: 192/255 of the upper tile and 128/255 of what is left of the lower one; mean: weighted by the opacities.
    tile = Window(0, 0, 2, 2)
    joiner = METHODS[method].joiner(1, 2, 2, [tile, tile], False)
    for number in joiner.order:
        pixels = full((80, 180)[number], 2, 2)
        joiner.add(number, tile, pixels, np.full((2, 2), (192, 128)[number], np.uint8))
    pixels, opacities = joiner.result()
    over, under = 192 / 255, 128 / 255
    if method == "last":
        over, under = under, over
    upper, lower = (180, 80) if method == "last" else (80, 180)
    both = over + under * (1 - over)
    expected = (upper * over + lower * under * (1 - over)) / both if method in ("first", "last") else value
    assert abs(int(pixels[0, 0, 0]) - expected) <= 1 and abs(int(opacities[0, 0]) - opacity) <= 1


@given(st.sampled_from(sorted(METHODS)), st.integers(0, 255), st.integers(1, 6))
def test_tiles_that_agree_are_joined_without_a_seam(method, value, shift):
    tiles = [(Window(0, col, 8, 8), np.full((3, 8, 8), value, np.uint8), None) for col in (0, shift)]
    pixels, filled = join(method, *tiles, height=8, width=8 + shift)
    assert filled.all() and (pixels == value).all()


def by_pixels(method, tiles, height, width):
    """Join tiles pixel by pixel, with all tiles of each pixel: slow, but easy to verify."""
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


@pytest.mark.parametrize("max_cells", [0, methods.MAX_CELLS])
@given(st.data())
def test_any_tiles_are_joined_as_by_a_pixel_by_pixel_reference(max_cells, data):
    height, width = 9, 11
    method = data.draw(st.sampled_from(sorted(METHODS)))
    holes = data.draw(st.booleans())
    tiles = []
    for number in range(data.draw(st.integers(1, 5))):
        row, col = data.draw(st.integers(-4, height - 1)), data.draw(st.integers(-4, width - 1))
        high, wide = (data.draw(st.integers(max(1, 1 - start), 8)) for start in (row, col))
        rng = np.random.default_rng(number)
        valid = rng.random((high, wide)) < 0.7 if holes else None
        tiles.append((Window(row, col, high, wide), rng.integers(0, 256, (1, high, wide), np.uint8), valid))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(methods, "MAX_CELLS", max_cells)
        pixels, filled = join(method, *tiles, height=height, width=width)
    expected, there = by_pixels(method, tiles, height, width)
    assert (filled == there).all()
    # A mean that is half-way between two levels may go to either.
    assert np.abs(pixels.astype(int) - expected).max() <= (method in ("mean", "feather"))


@given(st.data())
def test_windows_of_cells_cover_the_selected_ones_once(data):
    windows = [
        Window(*(data.draw(st.integers(0, 6)) for _ in range(2)), *(data.draw(st.integers(1, 5)) for _ in range(2)))
        for _ in range(data.draw(st.integers(1, 4)))
    ]
    cells = CellGrid(windows)
    count = np.zeros(cells.shape, int)
    pixels = np.zeros((12, 12), int)
    for window in windows:
        count[cells.span(window)] += 1
        pixels[window.slices] += 1
    covered = np.zeros((12, 12), int)
    for window in cells.windows(count > 1, tuple(slice(0, n) for n in cells.shape)):
        covered[window.slices] += 1
    assert (covered == (pixels > 1)).all()


def test_a_tile_that_others_hide_is_not_read():
    joiner = METHODS["first"].joiner(3, 10, 20, [Window(0, 0, 10, 12), Window(0, 8, 10, 12), Window(2, 2, 5, 9)], True)
    assert [joiner.visible_part(number) for number in (0, 1, 2)] == [Window(0, 0, 10, 12), Window(0, 12, 10, 8), None]


def test_the_weights_of_a_part_are_those_of_the_whole_tile():
    tile, part = Window(10, 20, 8, 9), Window(13, 22, 5, 4)
    whole = edge_distance_weight(tile, tile)
    assert (edge_distance_weight(tile, part) == whole[3:8, 2:6]).all()
    assert uniform_weight(tile, part).shape == (5, 4)
    assert whole.min() == 0.5 and whole.max() == 4.0 - 0.5


def test_every_method_has_an_entry_and_averages_as_it_says():
    assert tuple(METHODS) == get_args(Method)
    for method in METHODS:
        pixels, _ = join_two(method, left=10, right=41)
        assert (set(np.unique(pixels)) <= {10, 41}) is (method in class_map_methods())
