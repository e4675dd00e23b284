"""A map at a coarser resolution: squares of pixels of a finer one, the same whatever part is selected."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from in_memory import Part

from sattrans.maps.coarse_map import CoarseMap
from sattrans.raster.cells import cell_modes
from sattrans.raster.georeference import Georeference
from sattrans.raster.palette import UNKNOWN
from sattrans.raster.window import Window

METRES = 5.0
SCALES = st.sampled_from([2, 4])


def fine_map(pixels, first, part):
    """A map in memory whose first pixel lies so many (rows, columns) from the origin of the CRS."""
    map_ = Part(pixels, part)
    corner = (METRES, 0, (first[1] + part.col) * METRES, 0, -METRES, -(first[0] + part.row) * METRES)
    map_.georeference, map_.identity = Georeference(None, corner), {}
    return map_


@given(st.data(), SCALES, st.integers(0, 9))
def test_a_part_has_the_squares_of_the_whole(data, scale, margin):
    size = data.draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    first = data.draw(st.tuples(st.integers(-99, 99), st.integers(-99, 99)))
    (top, bottom), (left, right) = (
        sorted(data.draw(st.lists(st.integers(0, length), min_size=2, max_size=2, unique=True))) for length in size
    )
    pixels = np.random.default_rng(0).integers(0, 3, size, dtype=np.uint8)
    everything, part = Window(0, 0, *size), Window(top, left, bottom - top, right - left)
    whole, some = (CoarseMap(fine_map(pixels, first, area), scale, margin) for area in (everything, part))
    assert whole.whole == Window(0, 0, whole.height, whole.width)
    assert (whole.whole.height, whole.whole.width) == (some.whole.height, some.whole.width)
    all_squares = whole.read(whole.whole)
    assert np.array_equal(some.read(some.whole), all_squares)
    at = Window(-some.whole.row, -some.whole.col, some.height, some.width)
    assert np.array_equal(some.read(Window(0, 0, some.height, some.width)), all_squares[at.slices])
    # It covers the part and its margin, as far as the map goes, with squares at multiples of the scale.
    row, col = (scale * number for number in some.georeference.first_pixel)
    assert (row, col) == (first[0] + top + some.offset[0], first[1] + left + some.offset[1])
    assert row <= max(first[0], first[0] + top - margin)
    assert row + scale * some.height >= min(first[0] + size[0], first[0] + bottom + margin)
    assert some.georeference.resolution == (METRES * scale, METRES * scale)


def test_edges_repeat_the_last_pixels_and_pictures_are_averaged():
    pixels = np.array([[1, 2, 2], [0, 2, 1], [0, 0, 1]], np.uint8)
    map_ = CoarseMap(fine_map(pixels, (1, 0), Window(0, 0, 3, 3)), 2, 0)
    assert map_.offset == (-1, 0)
    assert map_.read(Window(0, 0, 2, 2)).tolist() == [[1, 2], [0, 1]]
    picture = np.stack([pixels * 10] * 3)
    assert (
        CoarseMap(fine_map(picture, (1, 0), Window(0, 0, 3, 3)), 2, 0).read(Window(1, 0, 1, 1)).tolist() == [[[5]]] * 3
    )


@pytest.mark.parametrize("cell", [2, 4])
def test_the_mode_of_a_cell_is_its_most_frequent_known_class(cell):
    classes = np.random.default_rng(1).choice(np.array([0, 3, 4, UNKNOWN], np.uint8), (cell * 9, cell * 7))
    classes[:cell, :cell] = UNKNOWN
    found = cell_modes(classes, cell)
    for row in range(9):
        for col in range(7):
            block = classes[row * cell : (row + 1) * cell, col * cell : (col + 1) * cell].ravel()
            counts = Counter(block[block != UNKNOWN].tolist())
            best = min((value for value in counts if counts[value] == max(counts.values())), default=UNKNOWN)
            assert found[row, col] == best
