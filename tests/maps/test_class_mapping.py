"""Which class is which: values told by --map, by number, by name, from a file, and what is refused."""

import numpy as np
import pytest
from makers import make_indices, make_picture, write_raster
from mapped import PALETTE, opened

from sattrans.errors import ClassesError, OptionError
from sattrans.maps.class_mapping import parse_class_mapping


@pytest.fixture
def corine(tmp_path):
    """A map of values 111 to 115."""
    return write_raster(tmp_path / "corine.tif", make_indices(60, 80, 5) + np.uint8(111))


ALL = {"111": "0", "112": "building", "113": "2", "114": "water", "115": "4"}


def test_values_become_the_classes_told_by_value_or_name(corine):
    pixels, map_ = opened(corine, class_map=ALL)
    assert np.array_equal(pixels, make_indices(60, 80, 5))
    assert map_.identity["classes"] == {"111": 0, "112": 1, "113": 2, "114": 3, "115": 4}
    swapped, _ = opened(corine, class_map={**ALL, "111": "road", "115": "background"})
    assert np.array_equal(swapped == 4, make_indices(60, 80, 5) == 0)


def test_values_that_are_not_told_keep_their_meaning(tmp_path):
    path = write_raster(tmp_path / "map.tif", np.array([[0, 1, 2, 3, 4, 5]], np.uint8))
    assert opened(path, class_map={"5": "2", "1": "3"})[0].tolist() == [[0, 3, 2, 3, 4, 2]]


def test_what_lacks_a_class_is_refused_with_the_option_that_helps(corine):
    with pytest.raises(
        ClassesError, match=r"values 111, 112.* or give the class of each value, such as --class-map 111=0"
    ):
        opened(corine)
    with pytest.raises(ClassesError, match=r"value 115, which is not .*--class-map 115=0"):
        opened(corine, class_map={k: v for k, v in ALL.items() if k != "115"})


def test_a_colour_table_and_three_equal_bands_are_values_when_values_are_told(tmp_path):
    indices = make_indices(60, 80, 3) + np.uint8(7)
    told = {"7": "water", "8": "road", "9": "building"}
    expected = np.array([3, 4, 1], np.uint8)[indices - 7]
    table = write_raster(tmp_path / "table.tif", indices, colormap={7: PALETTE.colors[1], 8: (1, 2, 3), 9: (4, 5, 6)})
    three = write_raster(tmp_path / "three.tif", np.stack([indices] * 3))
    wide = write_raster(tmp_path / "wide.tif", indices.astype(np.int16))
    for path in (table, three, wide):
        assert np.array_equal(opened(path, class_map=told)[0], expected)


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_codes_over_255_are_told_their_classes(tmp_path, dtype):
    codes = np.array([111, 312, 523], dtype)[make_indices(60, 80, 3)]
    path = write_raster(tmp_path / "map.tif", codes, nodata=999)
    pixels, _ = opened(path, class_map={"111": "building", "312": "woodland", "523": "water"})
    assert np.array_equal(pixels, make_indices(60, 80, 3) + 1)
    with pytest.raises(ClassesError, match=r"contains value 523.*--class-map 523=0"):
        opened(path, class_map={"111": "building", "312": "woodland"})


def test_a_value_that_is_declared_nodata_may_be_told_a_class(tmp_path):
    path = write_raster(tmp_path / "map.tif", np.array([[0, 255, 1]], np.uint8), nodata=255)
    assert opened(path)[0].tolist() == [[0, 255, 1]]
    pixels, map_ = opened(path, class_map={"255": "water"})
    assert pixels.tolist() == [[0, 3, 1]] and not map_.has_nodata


def test_colours_have_no_values_to_tell(tmp_path):
    path = write_raster(tmp_path / "map.tif", PALETTE.to_rgb(make_indices(60, 80, 5)))
    with pytest.raises(ClassesError, match="contains colours, but --class-map"):
        opened(path, class_map={"5": "2"})
    picture = write_raster(tmp_path / "picture.tif", make_picture(make_indices(60, 80, 5)))
    with pytest.raises(OptionError, match="trained on maps that are pictures"):
        opened(picture, palette=None, class_map={"5": "2"})


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"65536": "2"}, "--class-map 65536=2: a map has values 0 to 65535, got 65536"),
        ({"-1": "2"}, "--class-map -1=2: a map has values 0 to 65535, got -1"),
        ({"forest": "2"}, "--class-map forest=2: a map has values 0 to 65535, got forest"),
        ({"5": "9"}, "--class-map 5=9: the run has no class '9', it has 0 background, 1 building"),
        ({"5": "forest"}, "--class-map 5=forest: the run has no class 'forest'"),
        ({"5": "1", "05": "2"}, "--class-map maps 5 twice, to building and to 2"),
    ],
)
def test_what_cannot_be_told_is_refused_in_a_line(corine, told, why):
    with pytest.raises(OptionError, match=why) as refused:
        opened(corine, class_map=told)
    assert "\n" not in str(refused.value)


def test_pairs_and_files_are_read_together(tmp_path):
    file = tmp_path / "classes.toml"
    file.write_text('5 = 2\n6 = "woodland"\n"7" = "inland water"\n')
    assert parse_class_mapping(["1=building", str(file)]) == {
        "1": "building",
        "5": "2",
        "6": "woodland",
        "7": "inland water",
    }
    assert parse_class_mapping(["5=2", str(file)])["5"] == "2"
    assert parse_class_mapping([]) == {}


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        (["5=2", "5=3"], "--class-map maps 5 twice, to 2 and to 3"),
        (["5=3", "FILE"], "--class-map maps 5 twice, to 3 and to 2"),
        (["=3"], "give a value of the map and a class of the run"),
        (["5="], "give a value of the map and a class of the run"),
        (["5"], "no such file; for a single value, give its class, such as 5=2"),
        (["BAD"], "is not valid TOML"),
        (["TABLE"], "table: 5 must be a class of the run, by its value or name, as in 5 = 2, got 2.5"),
        (["FOLDER"], "folder cannot be read: Is a directory"),
    ],
)
def test_pairs_that_are_none_are_refused(tmp_path, texts, why):
    names = {name: tmp_path / name.lower() for name in ("FILE", "BAD", "TABLE", "FOLDER")}
    names["FILE"].write_text("5 = 2\n")
    names["BAD"].write_text("5 : 2\n")
    names["TABLE"].write_text("5 = 2.5\n")
    names["FOLDER"].mkdir()
    with pytest.raises(OptionError, match=why) as refused:
        parse_class_mapping([str(names.get(text, text)) for text in texts])
    assert "\n" not in str(refused.value)
