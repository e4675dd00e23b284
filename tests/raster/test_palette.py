import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sattrans.errors import ClassesError
from sattrans.raster.palette import UNKNOWN, LandClass, Palette, distinct_colors, pack_rgb

LANDCOVER = Palette(
    (
        LandClass(0, "background", (0, 0, 0)),
        LandClass(1, "building", (97, 74, 74)),
        LandClass(2, "woodland", (38, 115, 0)),
    )
)

values = st.lists(st.integers(0, 255), min_size=1, max_size=255, unique=True)


@st.composite
def palettes(draw):
    chosen = draw(values)
    channel = st.integers(0, 255)
    colors = draw(
        st.lists(st.tuples(channel, channel, channel), min_size=len(chosen), max_size=len(chosen), unique=True)
    )
    return Palette(tuple(LandClass(v, f"class {v}", c) for v, c in zip(chosen, colors, strict=True)))


@given(palettes())
def test_values_and_indices_are_inverse_and_all_else_is_unknown(palette):
    everything = np.arange(256, dtype=np.uint8)
    indices = palette.from_values(everything)
    known = indices != UNKNOWN
    assert set(everything[known]) == set(palette.values)
    assert (palette.to_values(indices[known]) == everything[known]).all()


@given(palettes(), st.randoms(use_true_random=False))
def test_colors_and_indices_are_inverse(palette, random):
    indices = np.array([[random.randrange(len(palette)) for _ in range(7)] for _ in range(5)], np.uint8)
    rgb = palette.to_rgb(indices)
    assert rgb.shape == (3, 5, 7)
    assert (palette.from_rgb(rgb) == indices).all()


@given(palettes())
def test_a_palette_comes_back_from_json(palette):
    assert Palette.from_json(json.loads(json.dumps(palette.to_json()))) == palette


def test_the_index_of_a_class_is_its_position_not_its_value():
    palette = Palette((LandClass(50, "water", (0, 0, 255)), LandClass(10, "forest", (0, 255, 0))))
    assert palette.from_values(np.array([10, 50, 0], np.uint8)).tolist() == [1, 0, UNKNOWN]
    assert palette.to_values(np.array([0, 1], np.uint8)).tolist() == [50, 10]
    assert palette.colormap == {50: (0, 0, 255), 10: (0, 255, 0)}


def test_a_color_one_level_off_is_unknown():
    rgb = np.array([97, 74, 75], np.uint8).reshape(3, 1, 1)
    assert LANDCOVER.from_rgb(rgb).item() == UNKNOWN


@pytest.mark.parametrize(
    ("classes", "told"),
    [
        ([(1, "a", (0, 0, 0)), (1, "b", (1, 1, 1))], "'a' and 'b' share the value 1"),
        ([(1, "a", (0, 0, 0)), (2, "a", (1, 1, 1))], "share the name a"),
        ([(1, "a", (9, 9, 9)), (2, "b", (9, 9, 9))], r"'a' and 'b' share the color \(9, 9, 9\)"),
        ([], "1 to 255 classes, got 0"),
    ],
)
def test_classes_that_cannot_be_told_apart_are_refused(classes, told):
    with pytest.raises(ClassesError, match=told):
        Palette(tuple(LandClass(*c) for c in classes))


def test_256_classes_are_refused_since_one_index_means_unknown():
    classes = [LandClass(v, str(v), (v, 0, 0)) for v in range(256)]
    assert len(Palette(tuple(classes[:255]))) == 255
    with pytest.raises(ClassesError, match="got 256"):
        Palette(tuple(classes))


@pytest.mark.parametrize("value", [-1, 256])
def test_a_value_no_mask_can_hold_is_refused(value):
    with pytest.raises(ClassesError, match=f"'x' has value {value}"):
        LandClass(value, "x", (0, 0, 0))


@pytest.mark.parametrize("color", [(0, 0), (0, 0, 256), (-1, 0, 0), (0, 0, 0, 255)])
def test_a_color_that_is_none_is_refused(color):
    with pytest.raises(ClassesError, match="three numbers 0 to 255"):
        LandClass(0, "x", color)


def test_a_palette_reads_as_its_values_and_names_and_as_its_colors():
    assert str(LANDCOVER) == "0 background, 1 building, 2 woodland"
    assert LANDCOVER.describe_colors() == "#000000 background, #614a4a building, #267300 woodland"


def test_distinct_colors_never_repeat_and_the_first_ones_do_not_depend_on_how_many():
    most = distinct_colors(255)
    assert len(set(most)) == 255
    assert all(0 <= band <= 255 for color in most for band in color)
    assert distinct_colors(7) == most[:7]


def test_pack_rgb_puts_red_highest():
    assert pack_rgb(np.array([[[255]], [[128]], [[1]]], np.uint8)).item() == 0xFF8001
