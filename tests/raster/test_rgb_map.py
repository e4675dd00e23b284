"""Maps that are pictures: three bands or a colour table, read as colours; what holds nothing is known."""

import numpy as np
import pytest
from makers import make_indices, write_raster
from makers_pictures import INKS, draw_map
from PIL import Image

from sattrans.errors import RasterError
from sattrans.raster.open import open_raster
from sattrans.raster.rgb_map import rgb_map
from sattrans.raster.window import Window

INDICES = make_indices(40, 50, 4, patch=10)
COLORS = draw_map(INDICES)


def read(path, window=None):
    with open_raster(path) as raster:
        map_ = rgb_map(raster)
        map_.check()
        return map_.read(window), map_.valid(window), map_.has_nodata


def test_three_bands_are_the_colours_as_they_are(tmp_path):
    colors, valid, partial = read(write_raster(tmp_path / "m.tif", COLORS))
    assert np.array_equal(colors, COLORS)
    assert valid.all()
    assert not partial


@pytest.mark.parametrize("driver", ["GTiff", "PNG"])
def test_a_colour_table_is_expanded(tmp_path, driver):
    path = write_raster(tmp_path / "m", INDICES, None, None, colormap=dict(enumerate(INKS)), driver=driver)
    colors, valid, partial = read(path)
    assert np.array_equal(colors, COLORS)
    assert valid.all()
    assert not partial
    with open_raster(path) as raster:
        assert "colour table" in rgb_map(raster).notice


def test_a_window_is_that_part(tmp_path):
    colors, valid, _ = read(write_raster(tmp_path / "m.tif", COLORS), Window(3, 7, 20, 30))
    assert np.array_equal(colors, COLORS[:, 3:23, 7:37])
    assert valid.shape == (20, 30)


def test_transparent_pixels_hold_nothing_and_are_black(tmp_path):
    alpha = np.full((1, 40, 50), 255, np.uint8)
    alpha[0, :10] = 0
    path = write_raster(tmp_path / "m.tif", np.concatenate([COLORS, alpha]), photometric="RGB", ALPHA="YES")
    colors, valid, partial = read(path)
    assert partial
    assert np.array_equal(valid, alpha[0] > 0)
    assert (colors[:, :10] == 0).all()
    assert np.array_equal(colors[:, 10:], COLORS[:, 10:])


def test_nodata_is_a_colour_equal_in_every_band_or_a_value_of_the_table(tmp_path):
    holed = COLORS.copy()
    holed[:, :10] = 255
    colors, valid, partial = read(write_raster(tmp_path / "m.tif", holed, nodata=255))
    assert partial
    # One of the inks is 255 in its red band only, and is kept.
    assert np.array_equal(valid, np.arange(40)[:, np.newaxis].repeat(50, 1) >= 10)
    assert (colors[:, :10] == 0).all()
    path = write_raster(tmp_path / "t.tif", INDICES, colormap=dict(enumerate(INKS)), nodata=2)
    colors, valid, partial = read(path)
    assert partial
    assert np.array_equal(valid, INDICES != 2)
    assert (colors[:, ~valid] == 0).all()
    assert np.array_equal(colors[:, valid], COLORS[:, valid])


def test_colours_that_a_table_makes_transparent_hold_nothing(tmp_path):
    picture = Image.fromarray(INDICES)
    picture.putpalette([band for ink in INKS for band in ink])
    picture.save(tmp_path / "m.png", transparency=bytes([255, 0, 0, 255]))
    colors, valid, partial = read(tmp_path / "m.png")
    assert partial
    assert np.array_equal(valid, (INDICES == 0) | (INDICES == 3))
    assert (colors[:, ~valid] == 0).all()
    assert np.array_equal(colors[:, valid], COLORS[:, valid])


def test_more_bands_than_three_are_left_out(tmp_path):
    four = np.concatenate([COLORS, COLORS[:1]])
    assert np.array_equal(read(write_raster(tmp_path / "m.tif", four, photometric="MINISBLACK"))[0], COLORS)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (INDICES, r"m\.tif has 1 band and no colour table.*draw it in colours"),
        (COLORS[:2], r"m\.tif has 2 bands and no colour table"),
        (COLORS.astype(np.uint16), r"m\.tif has uint16 pixels, not 8-bit colours"),
    ],
)
def test_what_is_no_picture_is_refused_in_words(tmp_path, pixels, message):
    path = write_raster(tmp_path / "m.tif", pixels)
    with open_raster(path) as raster, pytest.raises(RasterError, match=message):
        rgb_map(raster)


def test_a_damaged_picture_is_found_before_it_is_used(tmp_path):
    path = write_raster(tmp_path / "m.tif", COLORS, compress="deflate")
    path.write_bytes(path.read_bytes()[:-200])
    with open_raster(path) as raster, pytest.raises(RasterError, match="damaged or cut short"):
        rgb_map(raster).check()
