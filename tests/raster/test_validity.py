"""What of a raster is valid: alpha, masks in the file or beside it, nodata, NaN and transparent colours, all alike."""

from dataclasses import replace

import numpy as np
import pytest
import rasterio
from makers import make_indices, make_picture, write_raster
from PIL import Image
from rasterio.enums import ColorInterp

from sattrans.errors import RasterError
from sattrans.raster.alignment import target_grid, warp_to_grid
from sattrans.raster.bands import choose_bands, read_image
from sattrans.raster.class_map import class_map
from sattrans.raster.inspect import inspect_mask
from sattrans.raster.open import open_raster
from sattrans.raster.palette import UNKNOWN, LandClass, Palette
from sattrans.raster.rgb_map import rgb_map
from sattrans.raster.validity import OPAQUE, describe, read_with_alpha
from sattrans.raster.window import Window

INDICES = make_indices(64, 96, 3, patch=8)
PICTURE = make_picture(INDICES)
HOLE = np.zeros((64, 96), bool)
HOLE[8:24, 40:80] = True
PALETTE = Palette(tuple(LandClass(value, f"class_{value}", (value, 50, 200)) for value in range(3)))


def masked(path, array, inside=True, **profile):
    write_raster(path, array, **profile)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=inside), rasterio.open(path, "r+") as raster:
        raster.write_mask(~HOLE)
    assert path.with_name(path.name + ".msk").exists() is not inside
    return path


def with_alpha(path, array, alpha):
    bands = array if array.ndim == 3 else array[np.newaxis]
    how = {"photometric": "RGB"} if len(bands) == 3 else {}
    return write_raster(path, np.concatenate([bands, alpha[np.newaxis]]), alpha="YES", **how)


def holed(kind, path, array):
    """Write an array with the hole that `kind` says."""
    array = array.copy()
    if kind == "alpha":
        return with_alpha(path, array, np.where(HOLE, 0, 255).astype(np.uint8))
    if kind in ("internal", "beside"):
        return masked(path, array, kind == "internal")
    array[..., HOLE] = 255
    return write_raster(path, array, nodata=255)


@pytest.mark.parametrize("kind", ["alpha", "internal", "beside", "nodata"])
def test_images_class_maps_and_pictures_have_the_same_hole(tmp_path, kind):
    with open_raster(holed(kind, tmp_path / "image.tif", PICTURE)) as raster:
        assert (~read_image(raster, raster.window, choose_bands(raster).bands)[1] == HOLE).all()
        window = Window(4, 30, 20, 40)
        assert (~read_image(raster, window, choose_bands(raster).bands)[1] == HOLE[window.slices]).all()
        picture = rgb_map(raster)
        assert picture.has_nodata and (picture.valid() == ~HOLE).all() and (picture.read()[:, HOLE] == 0).all()
    with open_raster(holed(kind, tmp_path / "map.tif", INDICES)) as raster:
        classes = class_map(raster, PALETTE)
        assert classes.has_nodata and (classes.read() == np.where(HOLE, UNKNOWN, INDICES)).all()
    assert inspect_mask(tmp_path / "map.tif").values == (0, 1, 2)


@pytest.mark.parametrize("kind", ["alpha", "internal", "nodata"])
def test_a_hole_stays_one_if_the_image_is_resampled(tmp_path, kind):
    with open_raster(holed(kind, tmp_path / "a.tif", PICTURE)) as raster:
        nodata = 255 if kind == "nodata" else None
        with warp_to_grid(raster, target_grid(raster, 0.5), "average", nodata, within=True) as warped:
            pixels, valid = read_image(warped, warped.window, (1, 2, 3))
    assert (~valid == HOLE[::2, ::2]).all()
    means = PICTURE.reshape(3, 32, 2, 48, 2).mean((2, 4))
    assert np.abs(pixels - means)[:, valid].max() <= 1  # nothing of the hole is mixed in


def test_a_mask_beside_a_raster_is_not_resampled_but_named(tmp_path):
    path = masked(tmp_path / "a.tif", PICTURE, inside=False)
    with (
        open_raster(path) as raster,
        pytest.raises(RasterError, match=r"a\.tif\.msk cannot be resampled"),
        warp_to_grid(raster, target_grid(raster, 0.5), "average", None),
    ):
        pass


@pytest.mark.parametrize("wrong", ["size", "bands", "kind"])
def test_a_mask_file_that_is_none_is_refused_by_name(tmp_path, wrong):
    path, mask = write_raster(tmp_path / "a.tif", PICTURE), tmp_path / "a.tif.msk"
    if wrong == "kind":
        Image.fromarray(INDICES).save(mask, "PNG")
    else:
        write_raster(mask, PICTURE if wrong == "bands" else INDICES[:-1])
    with open_raster(path) as raster, pytest.raises(RasterError, match=r"a\.tif\.msk .*repair or remove it"):
        read_image(raster, raster.window, (1, 2, 3))


def test_a_pixel_that_is_transparent_in_part_is_not_valid(tmp_path):
    alpha = np.full((64, 96), 255, np.uint8)
    alpha[0, :4] = 1, 128, OPAQUE - 1, OPAQUE
    with open_raster(with_alpha(tmp_path / "a.tif", PICTURE, alpha)) as raster:
        assert read_image(raster, raster.window, (1, 2, 3))[1][0, :5].tolist() == [False, False, False, True, True]
        assert rgb_map(raster).valid()[0, :5].tolist() == [False, False, False, True, True]
        assert (read_with_alpha(raster, raster.window, (1, 2, 3))[3] == alpha).all()
    with open_raster(with_alpha(tmp_path / "m.tif", INDICES, alpha)) as raster:
        assert (class_map(raster, PALETTE).read()[0, :3] == UNKNOWN).all()


@pytest.mark.parametrize(("dtype", "opaque"), [(np.uint16, 65535), (np.uint16, 255), (np.float32, 1)])
def test_alpha_of_deep_images(tmp_path, dtype, opaque):
    alpha = np.where(HOLE, 0, opaque).astype(dtype)
    with open_raster(with_alpha(tmp_path / "a.tif", PICTURE.astype(dtype), alpha)) as raster:
        assert (~read_image(raster, raster.window, (1, 2, 3))[1] == HOLE).all()


def test_values_that_a_colour_table_shows_as_transparent_are_no_classes(tmp_path):
    drawn = Image.fromarray(INDICES)
    drawn.putpalette([channel for value in range(4) for channel in (value, 50, 200)])
    drawn.save(tmp_path / "m.png", transparency=bytes([0, 255, 0, 255]))
    assert inspect_mask(tmp_path / "m.png").values == (1,)
    only = Palette((LandClass(1, "one", (1, 50, 200)),))
    with open_raster(tmp_path / "m.png") as raster:
        classes = class_map(raster, only)
        assert classes.has_nodata and (classes.read() == np.where(INDICES == 1, 0, UNKNOWN)).all()
        assert classes.invalid_by == "transparent colour of value 0, 2"
        assert (rgb_map(raster).valid() == (INDICES == 1)).all()
        assert (class_map(raster, PALETTE).read() == INDICES).all()  # a class is a class, however it is shown


def test_a_float_that_is_not_finite_is_not_valid(tmp_path):
    picture = PICTURE.astype(np.float32)
    picture[1, HOLE] = np.nan
    with open_raster(write_raster(tmp_path / "a.tif", picture)) as raster:
        assert (~read_image(raster, raster.window, (1, 2, 3))[1] == HOLE).all()


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("alpha", "alpha band 4"),
        ("internal", "internal mask"),
        ("beside", "mask file a.tif.msk"),
        ("nodata", "nodata value 255"),
    ],
)
def test_what_a_raster_declares_is_described(tmp_path, kind, told):
    with open_raster(holed(kind, tmp_path / "a.tif", PICTURE)) as raster:
        assert describe(raster, raster.nodata) == told


def test_infrared_that_is_labelled_alpha_is_no_alpha_if_it_is_named(tmp_path):
    infrared = np.where(HOLE, 0, 90).astype(np.uint8)
    with open_raster(with_alpha(tmp_path / "a.tif", PICTURE, infrared)) as raster:
        named = replace(raster, named=frozenset((4, 1, 2)))
        pixels, valid = read_image(named, named.window, (4, 1, 2))
        assert valid is None and (pixels == np.stack([infrared, PICTURE[0], PICTURE[1]])).all()
        with warp_to_grid(named, target_grid(named, 0.5), "average", None) as warped:
            pixels, valid = read_image(warped, warped.window, (4, 1, 2))
        assert valid is None and (pixels[0][HOLE[::2, ::2]] == 0).all() and (pixels[1] > 0).all()


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (("blue", "green", "red"), (3, 2, 1)),
        (("alpha", "red", "green", "blue"), (2, 3, 4)),
        (("blue", "green", "red", "nir"), (3, 2, 1)),
        (("gray", "undefined", "undefined"), (1, 2, 3)),
        (("gray", "undefined", "undefined", "undefined"), (1, 2, 3)),
        (("gray", "undefined"), (1, 1, 1)),
        (("nir",), (1, 1, 1)),
    ],
)
def test_bands_are_what_the_file_says(tmp_path, said, wanted):
    path = write_raster(tmp_path / "a.tif", np.stack([INDICES] * len(said)), photometric="MINISBLACK")
    with rasterio.open(path, "r+") as raster:
        raster.colorinterp = [ColorInterp[name] for name in said]
    with open_raster(path) as raster:
        assert raster.band_colors == said
        choice = choose_bands(raster)
        assert choice.bands == wanted
        data = tuple(number for number, name in enumerate(said, 1) if name != "alpha")
        assert bool(choice.notice) == (wanted != data and len(data) > 1)  # only a choice is told
        assert choose_bands(raster, (1, 1, 1)).bands == (1, 1, 1)


@pytest.mark.parametrize(
    "said", [("nir", "red", "green"), ("cyan", "magenta", "yellow", "black"), ("red", "red", "nir")]
)
def test_bands_that_are_not_red_green_and_blue_are_not_guessed(tmp_path, said):
    path = write_raster(tmp_path / "a.tif", np.stack([INDICES] * len(said)), photometric="MINISBLACK")
    with rasterio.open(path, "r+") as raster:
        raster.colorinterp = [ColorInterp[name] for name in said]
    with open_raster(path) as raster, pytest.raises(RasterError, match=f"has bands {', '.join(said)}"):
        choose_bands(raster)
