import numpy as np
import pytest
from affine import Affine
from makers import HERE, POLAND, make_indices, make_picture, write_raster
from rasterio.crs import CRS

from sattrans.errors import AlignmentError, OptionError, RasterError
from sattrans.raster.alignment import TOLERANCE, check_aligned
from sattrans.raster.bands import read_image, read_valid_mask, rgb_bands
from sattrans.raster.open import open_raster
from sattrans.raster.window import Window

INDICES = make_indices(60, 80, 3)
PICTURE = make_picture(INDICES)
UNNAMED = (
    'PROJCS["unnamed",GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],PRIMEM["Greenwich",0],'
    'UNIT["degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],PARAMETER["latitude_of_origin",0],'
    'PARAMETER["central_meridian",19],PARAMETER["scale_factor",0.9993],PARAMETER["false_easting",500000],'
    'PARAMETER["false_northing",-5300000],UNIT["metre",1]]'
)
"""As the real LandCover.ai files have it: a CRS without a name or a code."""


def shifted(columns, rows):
    return HERE @ Affine.translation(columns, rows)


@pytest.fixture
def align(tmp_path):
    """Check a mask against an image; both may be given another place or size."""

    def check(mask_transform=HERE, mask_crs=POLAND, image_transform=HERE, image_crs=POLAND, mask=INDICES):
        write_raster(tmp_path / "image.tif", PICTURE, image_crs, image_transform)
        write_raster(tmp_path / "mask.tif", mask, mask_crs, mask_transform)
        with open_raster(tmp_path / "image.tif") as image, open_raster(tmp_path / "mask.tif") as map_:
            check_aligned(image, map_)

    return check


@pytest.fixture
def opened(tmp_path):
    """Open an array as a raster."""
    stack = []

    def open_(array, **profile):
        context = open_raster(write_raster(tmp_path / f"{len(stack)}.tif", array, **profile))
        stack.append(context)
        return context.__enter__()

    yield open_
    for context in stack:
        context.__exit__(None, None, None)


def test_an_image_and_its_mask_on_one_grid_pass(align):
    align()


@pytest.mark.parametrize(
    ("columns", "rows", "told"),
    [
        (1, 0, r"\+1\.00 columns and \+0\.00 rows"),
        (0, -1, r"\+0\.00 columns and -1\.00 rows"),
        (0.5, 0.5, r"\+0\.50 columns and \+0\.50 rows"),
        (0, 0.02, r"\+0\.00 columns and \+0\.02 rows"),
    ],
)
def test_a_mask_that_is_shifted_is_refused_and_told_by_how_much(align, columns, rows, told):
    with pytest.raises(AlignmentError, match=f"the map is off by {told}"):
        align(mask_transform=shifted(columns, rows))


def test_a_shift_under_the_tolerance_passes(align):
    align(mask_transform=shifted(TOLERANCE * 0.9, -TOLERANCE * 0.9))


def test_a_world_file_of_six_decimals_is_on_the_images_grid_however_wide_it_is(align, tmp_path):
    wide = np.zeros((2, 30_000), np.uint8)
    place = Affine(0.2985821417, 0, 500_000.1234567, 0, -0.2985821417, 600_000)
    rounded = Affine(*(round(number, 6) for number in place[:6]))
    off = abs(rounded.a - place.a) * 30_000 / place.a
    assert TOLERANCE < off < 0.5
    for name, transform, crs in (("image", place, POLAND), ("mask", rounded, None)):
        write_raster(tmp_path / f"{name}.tif", wide, crs, transform)
    with open_raster(tmp_path / "image.tif") as image, open_raster(tmp_path / "mask.tif") as map_:
        check_aligned(image, map_)


def test_pixels_of_another_size_are_refused_though_the_corner_is_the_same(align):
    with pytest.raises(AlignmentError, match="have different grids"):
        align(mask_transform=HERE @ Affine.scale(1.001))


def test_a_mask_upside_down_is_refused(align):
    with pytest.raises(AlignmentError, match="have different grids"):
        align(mask_transform=shifted(0, 60) @ Affine.scale(1, -1))


def test_two_south_up_rasters_on_one_grid_pass(align):
    south_up = Affine(0.25, 0, 500_000, 0, 0.25, 600_000)
    align(mask_transform=south_up, image_transform=south_up)


@pytest.mark.parametrize("shape", [(60, 81), (59, 80), (80, 60)])
def test_another_size_is_refused_and_both_are_told(align, shape):
    height, width = shape
    with pytest.raises(AlignmentError, match=f"80 wide × 60 high and {width} × {height}"):
        align(mask=np.zeros(shape, np.uint8))


def test_another_crs_is_refused(align):
    with pytest.raises(AlignmentError, match="different coordinate reference systems"):
        align(mask_crs="EPSG:32634")


def test_one_crs_said_in_two_ways_passes(align):
    align(image_crs=CRS.from_epsg(2180), mask_crs=CRS.from_wkt(CRS.from_epsg(2180).to_wkt(version="WKT2_2019")))


def test_a_crs_without_a_name_is_equal_to_itself_and_not_to_another(align):
    align(image_crs=UNNAMED, mask_crs=UNNAMED)
    with pytest.raises(AlignmentError, match="different coordinate reference systems"):
        align(image_crs=UNNAMED, mask_crs=UNNAMED.replace('"central_meridian",19', '"central_meridian",21'))


def test_a_mask_without_georeference_takes_the_images(align):
    align(mask_crs=None, mask_transform=None)
    align(image_crs=None, image_transform=None)
    align(mask_crs=None, mask_transform=None, image_crs=None, image_transform=None)


def test_a_mask_with_a_place_but_no_crs_must_still_lie_on_the_images_grid(align):
    align(mask_crs=None)
    with pytest.raises(AlignmentError, match="have different grids"):
        align(mask_crs=None, mask_transform=shifted(3, 0))


def test_both_files_are_named(align, tmp_path):
    with pytest.raises(AlignmentError) as refused:
        align(mask_transform=shifted(1, 1))
    assert str(tmp_path / "image.tif") in str(refused.value) and str(tmp_path / "mask.tif") in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_first_three_bands_are_red_green_blue_unless_others_are_chosen(opened):
    image = opened(np.concatenate([PICTURE, PICTURE[:1]]), photometric="MINISBLACK")
    assert rgb_bands(image, None) == (1, 2, 3)
    assert rgb_bands(image, (4, 2, 1)) == (4, 2, 1)


def test_chosen_bands_are_read_in_their_order(opened):
    image = opened(PICTURE)
    assert (read_image(image, Window(5, 6, 7, 8), (3, 2, 1))[0] == PICTURE[::-1, 5:12, 6:14]).all()


def test_one_band_stands_for_three(opened):
    image = opened(PICTURE[0])
    assert rgb_bands(image, None) == (1, 1, 1)
    assert (read_image(image, image.window, (1, 1, 1))[0] == np.stack([PICTURE[0]] * 3)).all()


def test_a_grey_image_with_alpha_is_grey(opened):
    image = opened(PICTURE[:2], alpha="YES")
    assert image.alpha_band == 2
    assert rgb_bands(image, None) == (1, 1, 1)


@pytest.mark.parametrize(
    ("chosen", "told"),
    [((1, 2), "names 2 bands; give three"), ((1, 2, 4), "has bands 1 to 3"), ((0, 1, 2), "has bands 1 to 3")],
)
def test_bands_that_are_not_there_are_refused(opened, chosen, told):
    with pytest.raises(OptionError, match=told):
        rgb_bands(opened(PICTURE), chosen)


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_an_image_that_is_not_8_bit_is_refused_and_told_how_to_scale(opened, dtype):
    with pytest.raises(RasterError, match=f"{dtype} pixels, not 8-bit ones.*--scale 0,3000"):
        rgb_bands(opened(PICTURE.astype(dtype)), None)


def test_pixels_that_would_be_read_as_a_negative_or_as_black_are_refused(opened):
    with pytest.raises(RasterError, match="stores white as 0"):
        rgb_bands(opened(PICTURE[0].astype(np.uint16), photometric="MINISWHITE"), None, scaled=True)
    bits = opened(PICTURE[0] // 16, nbits=4)
    with pytest.raises(RasterError, match="4-bit pixels.*--scale 0,15"):
        rgb_bands(bits, None)
    assert rgb_bands(bits, None, scaled=True) == (1, 1, 1)


def test_a_negative_is_read_as_it_is_shown(opened):
    image = opened(PICTURE[0], photometric="MINISWHITE")
    assert (read_image(image, image.window, rgb_bands(image, None))[0] == 255 - PICTURE[0]).all()


@pytest.mark.parametrize("photometric", ["MINISBLACK", "MINISWHITE"])
def test_a_bitmap_is_black_and_white_as_it_is_shown(opened, photometric):
    image = opened(PICTURE[0] // 128, nbits=1, photometric=photometric)
    shown = 255 * (PICTURE[0] // 128)
    rgb, _ = read_image(image, image.window, rgb_bands(image, None))
    assert (rgb == (shown if photometric == "MINISBLACK" else 255 - shown)).all()


def test_an_image_that_is_numbers_of_a_color_table_has_the_tables_colours(opened):
    colors = np.array([(9, 9, 9), (200, 0, 0), (3, 4, 5)], np.uint8)
    image = opened(INDICES, colormap={value: tuple(map(int, color)) for value, color in enumerate(colors)})
    rgb, valid = read_image(image, image.window, rgb_bands(image, None))
    assert valid is None or valid.all()
    assert (rgb == np.moveaxis(colors[INDICES], -1, 0)).all()
    for how in ({"bidx": (1, 1, 1)}, {"bidx": None, "scaled": True}):
        with pytest.raises(OptionError, match="indices of a colour table"):
            rgb_bands(image, **how)


def test_nothing_says_what_is_empty_without_nodata_and_alpha(opened):
    image = opened(PICTURE)
    assert read_valid_mask(image, image.window, PICTURE) is None


def test_a_pixel_is_empty_where_every_band_has_the_nodata_value(opened):
    pixels = PICTURE.copy()
    pixels[:, 0, 0] = 0
    pixels[0, 1, 1] = 0  # black in one band only is a colour
    image = opened(pixels, nodata=0)
    valid = read_valid_mask(image, image.window, pixels)
    assert not valid[0, 0] and valid.sum() == valid.size - 1


def test_a_pixel_is_empty_where_alpha_is_0_and_real_black_is_not(opened):
    alpha = np.full((1, 60, 80), 255, np.uint8)
    alpha[0, 2:4, 3] = 0
    alpha[0, 9, 9] = 254
    pixels = np.concatenate([np.zeros_like(PICTURE), alpha])
    image = opened(pixels, photometric="RGB", alpha="YES", nodata=0)
    window = Window(2, 0, 20, 20)
    valid = read_valid_mask(image, window, pixels[:3, *window.slices])
    assert sorted(zip(*np.nonzero(~valid), strict=True)) == [(0, 3), (1, 3)]
