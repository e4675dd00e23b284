"""The report's charts: axes, bars, maps of errors, losses and pictures, at known values and as properties."""

import base64
import io
import itertools
import math
import re

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from sattrans.evaluate.report import lines
from sattrans.evaluate.report.bars import bar_chart
from sattrans.evaluate.report.examples import leaf_count
from sattrans.evaluate.report.heat import color_scale, error_scenes, text_color_on
from sattrans.evaluate.report.lines import loss_chart
from sattrans.evaluate.report.page import ClassBars, Example, Footprint, LossCurves, PageColumn, SceneMap
from sattrans.evaluate.report.pictures import embed_image, embed_map, example_row
from sattrans.evaluate.report.ticks import axis, labels, linear, number

A, B = PageColumn("a"), PageColumn("b")
NUMBERS = st.floats(-1e12, 1e12)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (24.512, "24.5"),
        (37844.4, "37844"),
        (999.7, "1000"),
        (-2.5, "−2.5"),
        (0.00003, "3×10⁻⁵"),
        (1e-5, "10⁻⁵"),
        (2.5e7, "2.5×10⁷"),
        (0.001, "0.001"),
    ],
)
def test_numbers_are_written_for_people(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0, 10, [0, 2, 4, 6, 8, 10]), (0.13, 0.98, [0, 0.2, 0.4, 0.6, 0.8, 1]), (-3, 7, [-4, -2, 0, 2, 4, 6, 8])],
)
def test_linear_axes_end_at_round_numbers(low, high, ticks):
    assert linear(low, high).ticks == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("values", "ticks"),
    [([0.04, 3], [0.1, 1]), ([1, 10_000], [1, 10, 100, 1000, 10_000]), ([2.1, 4], [2, 5]), ([7, 7], [5, 10])],
)
def test_axes_of_positive_values_are_logarithmic(values, ticks):
    found = axis([*values, None, math.nan])
    assert found.log
    assert [tick for tick in found.ticks if tick in ticks] == pytest.approx(ticks)


@given(st.lists(NUMBERS, min_size=1, max_size=6))
def test_an_axis_holds_its_values_and_its_ticks(values):
    assume(all(value == 0 or abs(value) > 1e-200 for value in values))
    found = axis(values)
    for value in [*values, *found.ticks]:
        assert -1e-9 <= found.at(value) <= 1 + 1e-9
    assert 1 <= len(found.ticks) <= 12
    assert list(found.ticks) == sorted(set(found.ticks))
    texts = labels(found.ticks)
    assert len(set(texts)) == len(texts)


def test_without_numbers_there_is_still_an_axis():
    assert axis([None, math.inf]).ticks[-1] == 1


WEIGHTS = (0.2126, 0.7152, 0.0722)


def luminance(color):
    values = np.array([int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return float(np.dot(np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4), WEIGHTS))


@pytest.mark.parametrize("count", range(2, 11))
def test_colours_grow_lighter_step_by_step_and_their_ink_is_read(count):
    colors = color_scale(count)
    lights = [luminance(color) for color in colors]
    assert len(set(colors)) == count
    assert lights == sorted(lights)
    for color, light in zip(colors, lights, strict=True):
        ink = luminance(text_color_on(color))
        assert (max(ink, light) + 0.05) / (min(ink, light) + 0.05) >= 4.5


def test_bars_start_at_zero_and_the_largest_fills_the_room():
    told = ClassBars("t", "u", "↓", {"road": {"a": 5.0, "b": 10.0}, "water": {"a": None}, "wood": {"b": math.nan}})
    road, water, wood = bar_chart(told, [A, B]).groups
    assert road[0] == "road"
    assert [(bar.text, bar.left, bar.width) for bar in road[1]] == [("5", 0, 50), ("10", 0, 100)]
    assert [(bar.text, bar.width) for _, group in (water, wood) for bar in group] == [("–", 0)] * 4


def test_bars_below_zero_go_to_the_left_of_it():
    (group,) = bar_chart(ClassBars("t", "", "", {"x": {"a": -1.0, "b": 3.0}}), [A, B]).groups
    assert [(bar.text, bar.left, bar.width) for bar in group[1]] == [("−1", 0, 25), ("3", 25, 75)]


def test_errors_have_one_scale_over_all_scenes_and_columns():
    scenes = [
        SceneMap("s", "EPSG:1", 100, 200, [Footprint("s_0", 0, 0, 100, 100, {"a": 0.0, "b": 7.0})]),
        SceneMap("t", "", 100, 100, [Footprint("t_0", 0, 0, 10, 10, {"a": 3.5, "b": math.nan})]),
    ]
    found = error_scenes(scenes, [A, B])
    assert found.edges == ["0", "1", "2", "3", "4", "5", "6", "7"]
    assert found.colors == color_scale(7)
    (first, second), (third, fourth) = ([scene.maps[0].boxes[0], scene.maps[1].boxes[0]] for scene in found.scenes)
    assert (first.fill, second.fill, third.fill) == (found.colors[0], found.colors[6], found.colors[3])
    assert (fourth.fill, fourth.text) == ("", "no value")
    assert first.text_color
    assert third.text_color == ""  # too small for its number
    assert [m.summary for m in found.scenes[0].maps] == ["0 (s_0)", "7 (s_0)"]
    assert found.scenes[1].maps[1].summary == "no values"


def test_without_any_error_there_is_no_map_of_errors():
    assert error_scenes([], [A]) is None
    assert error_scenes([SceneMap("s", "", 9, 9, [Footprint("t", 0, 0, 9, 9, {"a": math.nan})])], [A]) is None


def test_losses_are_lines_from_the_first_epoch_to_the_last():
    told = LossCurves("run", [1, 2, 3], {"l1": [100.0, 10.0, 1.0]}, {"l1": [1.0, None, 2.0]}, "l1", best_epoch=3)
    found = loss_chart(told)
    train, val = found.panels
    assert train.log
    assert train.lines[0].path == "M0.0 0.0L500.0 500.0L1000.0 1000.0"
    assert val.lines[0].path.count("M") == 2  # broken where there is no number
    assert (train.lines[0].letter, train.lines[0].series) == (val.lines[0].letter, val.lines[0].series)
    assert [(tick.at, tick.text) for tick in train.ticks][:: len(train.ticks) - 1] == [(100, "1"), (0, "100")]
    assert [(tick.at, tick.text) for tick in found.epochs] == [(0, "1"), (50, "2"), (100, "3")]
    assert found.best == 100
    assert found.summary == "Best checkpoint: epoch 3, with a validation l1 of 2."


def test_a_loss_at_or_below_zero_makes_the_axis_linear():
    (panel,) = loss_chart(LossCurves("run", [1, 2], {"critic": [-1.0, 1.0]}, {}, "l1")).panels
    assert not panel.log


def test_one_epoch_is_a_dot_in_the_middle():
    found = loss_chart(LossCurves("run", [7], {"l1": [0.5]}, {}, "l1", 7))
    assert re.fullmatch(r"M500\.0 \d+\.\dh0", found.panels[0].lines[0].path)
    assert [(tick.at, tick.text) for tick in found.epochs] == [(50, "7")]


@given(st.lists(st.floats(0.01, 1000), min_size=2, max_size=30))
def test_letters_at_the_ends_of_lines_stand_apart(ends):
    losses = {f"loss {number}": [1.0, end] for number, end in enumerate(ends)}
    (panel,) = loss_chart(LossCurves("run", [1, 2], losses, {}, "x")).panels
    places = sorted(line.end for line in panel.lines)
    least = min(lines.MIN_DISTANCE, 100 / len(places))
    assert all(after - before >= least - 0.11 for before, after in itertools.pairwise(places))
    assert places[0] >= -0.1
    assert places[-1] <= 100.1


def decoded(shown):
    kind, data = re.fullmatch(r"data:image/(\w+);base64,(.+)", shown.uri).groups()
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert picture.format.lower() == kind
    assert picture.size == (shown.width, shown.height)
    return picture


def noise(height, width, colors=None):
    rng = np.random.default_rng(3)
    if colors is None:
        return rng.integers(0, 256, (3, height, width), dtype=np.uint8)
    table = rng.integers(0, 256, (colors, 3), dtype=np.uint8)
    return np.moveaxis(table[rng.integers(0, colors, (height, width))], -1, 0)


def pixels(picture):
    return np.moveaxis(np.asarray(picture.convert("RGB")), -1, 0)


@pytest.mark.parametrize("colors", [1, 2, 5, 200, None])
def test_maps_keep_every_pixel_and_are_paletted_where_their_colours_are_few(colors):
    picture = noise(40, 70, colors)
    found = decoded(embed_map(picture))
    assert found.format == "PNG"
    assert found.mode == ("RGB" if colors is None else "P")
    assert np.array_equal(pixels(found), picture)


def test_small_photos_keep_every_pixel():
    picture = noise(256, 200)
    assert np.array_equal(pixels(decoded(embed_image(picture))), picture)


def test_large_photos_are_jpeg_with_all_of_their_colours():
    rows, cols = np.mgrid[0:300, 0:257]
    picture = np.stack([rows % 256, cols % 256, (rows + cols) % 256]).astype(np.uint8)
    found = decoded(embed_image(picture))
    assert found.format == "JPEG"
    assert [part[1:3] for part in found.layer] == [(1, 1)] * 3
    assert np.abs(pixels(found).astype(int) - picture).mean() < 4


def test_photos_to_leaf_through_are_jpeg_and_huge_pictures_are_reduced():
    assert decoded(embed_image(noise(64, 64), lossless=False)).format == "JPEG"
    huge = np.kron(noise(17, 12, 5), np.ones((1, 64, 64), np.uint8))  # 1088 × 768, in squares of 64 px
    row = example_row(Example("", "t", huge, {"a": huge}, huge), [A])
    assert row.reduction == 2
    assert {(p.height, p.width) for p in (row.map, row.real, row.generated[0].picture)} == {(544, 384)}
    assert len(decoded(row.map).getcolors()) == 5  # classes are never mixed


def test_an_example_shows_the_columns_it_has_in_the_order_of_the_page():
    image = noise(8, 8)
    told = Example("best", "t_1", None, {"b": image, "a": image}, image, {"a": "MAE 3", "built": "40 %"})
    row = example_row(told, [A, B, PageColumn("c")])
    assert [(pair.column, pair.score) for pair in row.generated] == [("a", "MAE 3"), ("b", "")]
    assert row.scores == [("built", "40 %")]
    assert row.map is None


@pytest.mark.parametrize(
    ("count", "side", "columns", "leaves"),
    [(2, 64, 1, 2), (16, 256, 1, 16), (500, 256, 1, 24), (500, 512, 3, 8), (9, 4096, 9, 3)],
)
def test_a_page_has_so_many_tiles_to_leaf_through_as_keep_it_small(count, side, columns, leaves):
    assert leaf_count(count, side * side, columns) == leaves
