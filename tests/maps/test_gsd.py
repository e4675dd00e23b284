"""Maps at another ground resolution than the run's: resampled where it differs, said, and refused where absurd."""

import numpy as np
import pytest
from affine import Affine
from makers import HERE, POLAND, make_indices, make_picture, write_raster
from mapped import PALETTE, opened, whole
from rasterio.crs import CRS

from sattrans.errors import OptionError
from sattrans.maps.open import open_map
from sattrans.maps.options import MapOptions
from sattrans.raster.georeference import Georeference
from sattrans.raster.gsd import measure_gsd
from sattrans.raster.window import Window

QUARTER = (0.25, 0.25)


def test_a_finer_map_takes_the_commonest_class_and_stays_in_its_place(tmp_path):
    coarse = make_indices(40, 60, 5, patch=8)
    fine = coarse.repeat(4, 0).repeat(4, 1)
    rng = np.random.default_rng(0)
    specks = rng.random(fine.shape) < 0.1  # fewer than half of any 4 × 4 pixels, almost surely
    path = write_raster(tmp_path / "map.tif", np.where(specks, 3, fine).astype(np.uint8))
    pixels, map_ = opened(path, (1.0, 1.0))
    assert (pixels == coarse).mean() > 0.99
    assert map_.georeference == Georeference.of(CRS.from_user_input(POLAND), HERE @ Affine.scale(4))
    assert not map_.has_nodata
    (notice,) = map_.notices
    assert "pixels of 0.25 m, the run was trained at 1 m: resampled to 60 wide × 40 high" in notice
    assert map_.identity["res"] == 1.0


def test_a_coarser_map_takes_the_nearest_class(tmp_path):
    indices = make_indices(30, 50, 5, patch=3)
    path = write_raster(tmp_path / "map.tif", indices)
    pixels, map_ = opened(path, (0.05, 0.05))
    assert np.array_equal(pixels, indices.repeat(5, 0).repeat(5, 1))
    assert (map_.height, map_.width, map_.has_nodata) == (150, 250, False)


@pytest.mark.parametrize("run", [QUARTER, (0.2, 0.5), (0.245, 0.245), None])
def test_a_map_like_the_runs_is_read_as_it_is_and_nothing_is_said(tmp_path, run):
    indices = make_indices(30, 50, 5)
    pixels, map_ = opened(write_raster(tmp_path / "map.tif", indices), run)
    assert np.array_equal(pixels, indices)
    assert not map_.notices and map_.identity["res"] is None


def test_of_a_run_of_several_resolutions_the_nearest_is_taken(tmp_path):
    path = write_raster(tmp_path / "map.tif", make_indices(40, 40, 5))
    for run, metres in (((0.5, 1.0), 0.5), ((0.05, 0.125), 0.125)):
        assert opened(path, run)[1].identity["res"] == metres


def test_res_overrides_the_run_and_native_keeps_pixels(tmp_path):
    path = write_raster(tmp_path / "map.tif", make_indices(40, 60, 5))
    pixels, map_ = opened(path, (1.0, 1.0), res="native")
    assert pixels.shape == (40, 60) and not map_.notices
    assert opened(path, (1.0, 1.0), res="0.5")[0].shape == (20, 30)
    assert opened(path, None, res=0.125)[0].shape == (80, 120)
    # Told, but the map's own: the same output as with nothing told.
    assert opened(path, None, res="0.25")[1].identity == opened(path, None)[1].identity


@pytest.mark.parametrize("res", ["0", "-1", "nan", "inf", "fine", ""])
def test_a_resolution_that_is_none_is_refused(tmp_path, res):
    path = write_raster(tmp_path / "map.tif", make_indices(40, 60, 5))
    with pytest.raises(OptionError, match=f"--res {res}: give a resolution in metres above 0, or native"):
        opened(path, None, res=res)


def test_a_resolution_a_hundred_times_off_is_refused_in_a_line_and_native_takes_it(tmp_path):
    path = write_raster(tmp_path / "map.tif", make_indices(40, 60, 5))
    for run in ((25.0, 25.0), (0.0025, 0.0025)):
        with pytest.raises(
            OptionError, match=r"map\.tif has pixels of 0\.25 m, the run .* by a factor of 100; .*native"
        ):
            opened(path, run)
        assert opened(path, run, res="native")[0].shape == (40, 60)
    with pytest.raises(OptionError, match="--res 25, which differ by a factor of 100"):
        opened(path, QUARTER, res="25")


def test_a_map_that_does_not_tell_its_resolution(tmp_path):
    indices = make_indices(40, 60, 5)
    bare = write_raster(tmp_path / "bare.tif", indices, None, None)
    pixels, map_ = opened(bare, (1.0, 1.0))
    assert np.array_equal(pixels, indices)
    assert map_.notices == [f"{bare} has no georeference, so the image has none"]
    local = write_raster(tmp_path / "local.tif", indices, None)
    (notice,) = opened(local, (1.0, 1.0))[1].notices
    assert notice == f"the ground resolution of {local} is unknown, so it is not resampled"
    assert opened(local, None)[1].notices == []
    with pytest.raises(OptionError, match=r"--res 2: the ground resolution of .*bare\.tif is unknown"):
        opened(bare, None, res="2")


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 300), (300, 1)])
@pytest.mark.parametrize("run", [(5.0, 5.0), (0.05, 0.05), None])
def test_the_smallest_maps_keep_at_least_a_pixel(tmp_path, height, width, run):
    pixels, map_ = opened(write_raster(tmp_path / "map.tif", np.full((height, width), 3, np.uint8)), run)
    assert (pixels == 3).all() and pixels.size >= 1
    assert not map_.has_nodata


def test_nodata_and_a_class_of_its_value_are_told_apart_when_resampled(tmp_path):
    indices = make_indices(80, 80, 5, patch=16)
    holes = indices.copy()
    holes[:40, :40] = 255
    path = write_raster(tmp_path / "map.tif", holes, nodata=255)
    pixels, map_ = opened(path, (1.0, 1.0))
    assert map_.has_nodata and (pixels[:10, :10] == 255).all()
    assert np.array_equal(pixels[10:], indices[2::4, 2::4][10:])
    as_class = write_raster(tmp_path / "class.tif", indices, nodata=0)  # 0 is the run's background
    pixels, map_ = opened(as_class, (1.0, 1.0))
    assert not map_.has_nodata and np.array_equal(pixels, indices[2::4, 2::4])


@pytest.mark.parametrize("coding", ["table", "colors"])
def test_every_coding_is_resampled_to_the_classes_that_were_there(tmp_path, coding):
    indices = make_indices(80, 80, 5, patch=16)
    if coding == "table":
        table = {value + 10: color for value, color in enumerate(PALETTE.colors)}
        path = write_raster(tmp_path / "map.tif", indices + np.uint8(10), colormap=table)
    else:
        path = write_raster(tmp_path / "map.tif", PALETTE.to_rgb(indices))
    assert np.array_equal(opened(path, (1.0, 1.0))[0], indices[2::4, 2::4])


def test_pictures_are_averaged_on_the_way_down_and_interpolated_on_the_way_up(tmp_path):
    picture = make_picture(make_indices(80, 120, 5))
    path = write_raster(tmp_path / "map.tif", picture)
    half, map_ = opened(path, (0.5, 0.5), palette=None)
    means = picture.reshape(3, 40, 2, 60, 2).mean(axis=(2, 4))
    assert np.abs(half - means).max() <= 1
    assert not map_.has_nodata
    double, _ = opened(path, (0.125, 0.125), palette=None)
    assert double.shape == (3, 160, 240)
    assert np.abs(double[:, ::2, ::2].astype(int) - picture).mean() < 5


def test_a_map_in_degrees_gets_pixels_that_are_square_on_the_ground(tmp_path):
    crs, there = "EPSG:4326", Affine(1e-5, 0, 20, 0, -1e-5, 60)
    path = write_raster(tmp_path / "map.tif", make_indices(200, 200, 5), crs, there)
    _, map_ = opened(path, (1.1141, 1.1141))
    assert (map_.height, map_.width) == (200, 100)
    assert measure_gsd(map_.georeference, map_.height, map_.width) == pytest.approx((1.1141, 1.1141), rel=1e-3)


@pytest.mark.parametrize(
    ("crs", "place", "run"),
    [
        ("EPSG:2180", Affine(0.3, 0, 500_000.1, 0, -0.3, 600_000.2), 0.25),
        ("EPSG:2180", Affine(0.3, 0, 500_000.1, 0, -0.3, 600_000.2), 1.0),
        ("EPSG:3857", Affine(0.5, 0, 2_000_000.3, 0, -0.5, 8_000_000.7), 0.2),
        ("EPSG:4326", Affine(1e-5, 0, 20.00007, 0, -1e-5, 60.00003), 1.5),
    ],
)
def test_grids_of_neighbouring_sheets_continue_each_other(tmp_path, crs, place, run):
    indices = make_indices(90, 160, 5, patch=10)
    whole = opened(write_raster(tmp_path / "whole.tif", indices, crs, place), (run, run))
    parts = []
    for name, row, col in (("a", 0, 0), ("b", 0, 70), ("c", 40, 0), ("d", 40, 70)):
        part = indices[row : (40 if row == 0 else 90), col : (70 if col == 0 else 160)]
        path = write_raster(tmp_path / f"{name}.tif", part, crs, place @ Affine.translation(col, row))
        parts.append(opened(path, (run, run)))
    steps = {map_.georeference.resolution for _, map_ in [whole, *parts]}
    assert len(steps) == 1
    width, height = steps.pop()
    joined = np.full_like(whole[0], 99)
    left, top = whole[1].georeference.transform[2], whole[1].georeference.transform[5]
    for pixels, map_ in parts:
        col, row = (map_.georeference.transform[2] - left) / width, (top - map_.georeference.transform[5]) / height
        assert (col, row) == pytest.approx((round(col), round(row)), abs=1e-3)
        place_of_part = slice(round(row), round(row) + map_.height), slice(round(col), round(col) + map_.width)
        assert (joined[place_of_part] == 99).all()  # each pixel is in one sheet
        joined[place_of_part] = pixels
    assert (joined != 99).all()
    if run < 1:  # by nearest neighbour, a pixel does not depend on what lies beyond the sheet's edge
        assert (joined == whole[0]).all()


def test_a_rotated_map_stays_rotated(tmp_path):
    turned = HERE @ Affine.rotation(30)
    coarse = make_indices(40, 60, 5, patch=8)
    path = write_raster(tmp_path / "map.tif", coarse.repeat(4, 0).repeat(4, 1), transform=turned)
    pixels, map_ = opened(path, (1.0, 1.0))
    assert np.array_equal(pixels, coarse)
    assert map_.georeference.affine.almost_equals(turned @ Affine.scale(4))


def test_windows_of_a_resampled_map_are_parts_of_the_whole(tmp_path):
    path = write_raster(tmp_path / "map.tif", make_indices(300, 260, 5, patch=7))
    with open_map(path, MapOptions(), PALETTE, (0.6, 0.6)) as map_:
        map_.check()
        pixels = whole(map_)
        for row in range(0, map_.height, 50):
            for col in range(0, map_.width, 33):
                window = Window(row, col, min(50, map_.height - row), min(33, map_.width - col))
                assert np.array_equal(map_.read(window), pixels[window.slices])
