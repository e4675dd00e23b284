from contextlib import contextmanager

import numpy as np
import pytest
import rasterio
from makers import make_indices, write_raster

from sattrans.errors import ClassesError, RasterError
from sattrans.raster.class_map import class_map
from sattrans.raster.inspect import inspect_mask
from sattrans.raster.open import Raster, open_raster
from sattrans.raster.palette import UNKNOWN, LandClass, Palette
from sattrans.raster.window import Window

PALETTE = Palette(
    (
        LandClass(0, "background", (0, 0, 0)),
        LandClass(10, "water", (0, 0, 255)),
        LandClass(38, "woodland", (38, 115, 0)),
    )
)
INDICES = make_indices(60, 80, 3, patch=8)
VALUES = PALETTE.to_values(INDICES)
RGB = PALETTE.to_rgb(INDICES)


@contextmanager
def opened(path, array, palette=PALETTE, **profile):
    with open_raster(write_raster(path / "map.tif", array, **profile)) as raster:
        yield class_map(raster, palette)


@pytest.fixture
def refused(tmp_path):
    """Read a map that is not right, and return what was said."""

    def read(array, error=ClassesError, **profile):
        with pytest.raises(error) as found, opened(tmp_path, array, **profile) as map_:
            map_.read()
        text = str(found.value)
        assert str(tmp_path / "map.tif") in text and "\n" not in text
        return text

    return read


def test_values_are_taken_by_value(tmp_path):
    with opened(tmp_path, VALUES) as map_:
        assert (map_.coding, map_.notice, map_.nodata) == ("values", "", None)
        assert (map_.read() == INDICES).all()
        assert (map_.read(Window(5, 7, 11, 13)) == INDICES[5:16, 7:20]).all()
        assert map_.read().dtype == np.uint8


def test_a_color_table_that_agrees_with_the_palette_changes_nothing(tmp_path):
    with opened(tmp_path, VALUES, colormap=PALETTE.colormap) as map_:
        assert (map_.coding, map_.notice) == ("values", "")
        assert (map_.read() == INDICES).all()


def test_a_color_table_of_other_colors_changes_nothing(tmp_path):
    with opened(tmp_path, VALUES, colormap={0: (9, 9, 9), 10: (90, 9, 9), 38: (9, 90, 9)}) as map_:
        assert map_.coding == "values"
        assert (map_.read() == INDICES).all()


def test_the_palettes_colors_at_other_values_are_taken_by_color_and_said_so(tmp_path):
    table = {5: (0, 0, 0), 6: (0, 0, 255), 7: (38, 115, 0)}
    with opened(tmp_path, INDICES + np.uint8(5), colormap=table) as map_:
        assert map_.coding == "table"
        assert "from the colours of its colour table" in map_.notice
        assert (map_.read() == INDICES).all()


def test_the_palettes_colors_exchanged_in_the_table_are_taken_by_color(tmp_path):
    table = {0: (0, 0, 0), 10: (38, 115, 0), 38: (0, 0, 255)}
    with opened(tmp_path, VALUES, colormap=table) as map_:
        assert map_.coding == "table"
        assert (map_.read() == np.array([0, 2, 1], np.uint8)[INDICES]).all()


def test_a_map_by_its_color_table_may_have_nodata(tmp_path):
    values = INDICES + np.uint8(5)
    values[3, 4] = 255
    table = {5: (0, 0, 0), 6: (0, 0, 255), 7: (38, 115, 0)}
    with opened(tmp_path, values, colormap=table, nodata=255) as map_:
        assert (map_.coding, map_.nodata) == ("table", 255)
        assert map_.read()[3, 4] == UNKNOWN
        assert (np.delete(map_.read(), 3, axis=0) == np.delete(INDICES, 3, axis=0)).all()


def test_one_value_outside_the_color_table_is_seen_however_large_the_map_is(tmp_path):
    values = np.full((2100, 2100), 6, np.uint8)
    values[1999, 2001] = 99
    palette, table = Palette(PALETTE.classes[1:]), {6: (0, 0, 255), 7: (38, 115, 0)}
    with (
        opened(tmp_path, values, palette, colormap=table, compress="deflate") as map_,
        pytest.raises(ClassesError, match="contains value 6,"),
    ):
        map_.check()


def test_red_green_blue_are_taken_by_color(tmp_path):
    with opened(tmp_path, RGB) as map_:
        assert (map_.coding, map_.notice) == ("colors", "")
        assert (map_.read() == INDICES).all()


def test_alpha_beside_colors_is_not_a_color(tmp_path):
    rgba = np.concatenate([RGB, np.full((1, 60, 80), 255, np.uint8)])
    with opened(tmp_path, rgba, photometric="RGB", alpha="YES") as map_:
        assert (map_.read() == INDICES).all()


def test_alpha_beside_values_is_not_a_value(tmp_path):
    bands = np.stack([VALUES, np.full((60, 80), 255, np.uint8)])
    with opened(tmp_path, bands, alpha="YES") as map_:
        assert map_.coding == "values"
        assert (map_.read() == INDICES).all()


def test_three_equal_bands_are_values_and_said_so(tmp_path):
    with opened(tmp_path, np.stack([VALUES] * 3)) as map_:
        assert map_.coding == "values"
        assert "three bands are equal" in map_.notice
        assert (map_.read() == INDICES).all()


@pytest.mark.parametrize("color", [(38, 115, 0), (0, 0, 255)])
def test_one_colored_pixel_makes_a_large_black_map_one_of_colors(tmp_path, color):
    # 38 is a value of the palette too: taken by its red band, the pixel would be right only by chance.
    rgb = np.zeros((3, 2100, 2100), np.uint8)
    rgb[:, 1501, 1999] = color
    with opened(tmp_path, rgb, compress="deflate") as map_:
        assert map_.coding == "colors"
        assert map_.read(Window(1501, 1999, 1, 1)).item() == PALETTE.colors.index(color)


def test_16_bit_values_are_taken_by_value(tmp_path):
    with opened(tmp_path, VALUES.astype(np.uint16)) as map_:
        assert (map_.read() == INDICES).all()


def test_values_beyond_a_byte_are_listed_as_they_are_and_never_wrap(refused):
    values = VALUES.astype(np.int16)
    values[0, :4] = (-9999, -1, 256, 10 + 256)
    assert "contains values -9999, -1, 256, 266, which are not among the classes" in refused(values)


def test_negative_nodata_is_empty(tmp_path):
    values = VALUES.astype(np.int16)
    values[7, 8] = -9999
    with opened(tmp_path, values, nodata=-9999) as map_:
        assert map_.nodata == -9999
        indices = map_.read()
        assert indices[7, 8] == UNKNOWN
        assert (indices == UNKNOWN).sum() == 1


def test_nodata_that_is_a_class_is_that_class(tmp_path):
    with opened(tmp_path, VALUES, nodata=0) as map_:
        assert map_.nodata is None
        assert (map_.read() == INDICES).all()


def test_a_nodata_value_that_no_pixel_can_have_is_none(tmp_path):
    path = write_raster(tmp_path / "map.tif", VALUES, nodata=255)
    path.write_bytes(path.read_bytes().replace(b"255\0", b"2.5\0"))
    with rasterio.open(path) as src:
        assert src.nodata == 2.5
    with open_raster(path) as raster:
        assert class_map(raster, PALETTE).nodata is None


def test_unknown_values_are_listed_with_what_is_expected(refused):
    values = VALUES.copy()
    values[0, :3] = (7, 9, 7)
    text = refused(values)
    assert "contains values 7, 9, which are not among the classes 0 background, 10 water, 38 woodland" in text


def test_many_unknown_values_are_listed_in_part(refused):
    assert "50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61 and 28 more" in refused(
        np.arange(50, 90, dtype=np.uint8).reshape(5, 8)
    )


def test_unknown_colors_are_listed_with_what_is_expected(refused):
    rgb = RGB.copy()
    rgb[:, 0, 0] = (255, 128, 1)
    text = refused(rgb)
    assert "contains colours #ff8001, which are not among the expected" in text
    assert "#267300 woodland" in text and "without smoothing" in text


def test_colors_of_16_bits_are_refused(refused):
    assert "convert them to 8 bits" in refused(RGB.astype(np.uint16), error=RasterError)


def test_pixels_that_are_not_whole_numbers_are_refused(refused):
    assert "has float32 pixels such as 38.5" in refused(VALUES.astype(np.float32) + np.float32(0.5), error=RasterError)


@pytest.mark.parametrize(("nodata", "hole"), [(None, np.nan), (np.nan, np.nan), (-9999, -9999), (-3.4e38, -3.4e38)])
def test_whole_numbers_that_are_stored_as_floats_are_classes_and_holes_are_none(tmp_path, nodata, hole):
    values = VALUES.astype(np.float32)
    values[3, 4] = hole
    with opened(tmp_path, values, nodata=nodata) as map_:
        expected = INDICES.copy()
        expected[3, 4] = UNKNOWN
        assert map_.has_nodata and (map_.read() == expected).all()
    assert inspect_mask(tmp_path / "map.tif").values == PALETTE.values


def test_an_infinite_class_or_one_that_is_unknown_is_refused_in_floats_too(refused):
    values = VALUES.astype(np.float32)
    values[3, 4] = 7
    assert "contains value 7, which is not one of" in refused(values)


def test_two_bands_are_refused(refused):
    assert "has 2 bands" in refused(np.stack([VALUES, VALUES]), error=RasterError)


def test_check_reads_all_of_a_map(tmp_path):
    values = np.zeros((2500, 40), np.uint8)
    with opened(tmp_path, values) as map_:
        map_.check()
    values[-1, -1] = 99
    with opened(tmp_path, values) as map_, pytest.raises(ClassesError, match="contains value 99"):
        map_.check()


def test_a_mask_that_is_cut_short_is_a_raster_error(tmp_path):
    path = write_raster(tmp_path / "map.tif", np.random.default_rng(0).choice([0, 10, 38], (200, 200)).astype(np.uint8))
    path.write_bytes(path.read_bytes()[:-500])
    with open_raster(path) as raster, pytest.raises(RasterError, match="cut short"):
        class_map(raster, PALETTE).check()


def test_inspecting_a_mask_finds_its_values_and_its_table(tmp_path):
    values = np.zeros((1500, 30), np.uint8)
    values[1200, 3], values[1499, 29] = 17, 255
    facts = inspect_mask(write_raster(tmp_path / "a.tif", values))
    assert (facts.values, facts.colormap) == ((0, 17, 255), None)
    assert facts.palette().names == ("class_0", "class_17", "class_255")
    table = {0: (0, 0, 0), 17: (1, 2, 3), 255: (4, 5, 6)}
    facts = inspect_mask(write_raster(tmp_path / "b.tif", values, colormap=table))
    assert facts.palette().colors == ((0, 0, 0), (1, 2, 3), (4, 5, 6))


def test_a_table_that_draws_two_values_alike_gives_no_colors(tmp_path):
    facts = inspect_mask(write_raster(tmp_path / "a.tif", VALUES, colormap={0: (9, 9, 9), 10: (9, 9, 9)}))
    assert not facts.table_fits
    assert len(set(facts.palette().colors)) == 3


@pytest.mark.parametrize("value", [-1, 256])
def test_inspecting_a_mask_of_other_values_than_a_byte_holds_is_refused(tmp_path, value):
    path = write_raster(tmp_path / "a.tif", np.array([[0, value]], np.int16))
    with pytest.raises(RasterError, match="a mask has 0 to 255"):
        inspect_mask(path)


def test_a_raster_is_never_asked_for_more_than_a_band_of_rows_at_once(tmp_path, monkeypatch):
    asked = []
    plain = Raster.read
    monkeypatch.setattr(Raster, "read", lambda self, *args: asked.append(args[0].height) or plain(self, *args))
    with opened(tmp_path, np.zeros((3, 3000, 8), np.uint8)) as map_:
        map_.check()
    assert max(asked) <= 1024
