import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from makers import make_indices, make_picture, write_raster
from rasterio.enums import Resampling

from sattrans.raster.cog.overviews import downsample

PICTURE = make_picture(make_indices(70, 90, 4))


def by_gdal(folder, pixels, how, **profile):
    """The first overview that GDAL makes, in the size that GDAL gives it: even sizes are the same as ours."""
    path = write_raster(folder / "g.tif", pixels, **profile)
    with rasterio.open(path, "r+") as dst:
        dst.build_overviews([2], how)
    with rasterio.open(path, overview_level=0) as src:
        return src.read()


def test_the_mean_of_four_is_gdals(tmp_path):
    assert np.array_equal(downsample(PICTURE, "average"), by_gdal(tmp_path, PICTURE, Resampling.average))


def test_nearest_is_gdals(tmp_path):
    indices = make_indices(64, 96, 5, patch=3)[np.newaxis]
    assert np.array_equal(downsample(indices, "nearest"), by_gdal(tmp_path, indices, Resampling.nearest))


def test_a_mean_leaves_out_what_alpha_says_is_empty(tmp_path):
    alpha = (np.random.default_rng(1).random((1, 70, 90)) < 0.5).astype(np.uint8) * 255
    pixels = np.concatenate([np.where(alpha, PICTURE, 99), alpha]).astype(np.uint8)
    halved = downsample(pixels, "average", alpha=True)
    expected = by_gdal(tmp_path, pixels, Resampling.average, photometric="RGB", ALPHA="YES")
    there = expected[3] > 0
    assert np.array_equal(halved[3] > 0, there) and 0.8 < there.mean() < 1
    assert np.abs(halved[:3, there].astype(int) - expected[:3, there]).max() <= 1
    assert (halved[:3, ~there] == 0).all()


def test_a_mean_leaves_out_nodata_and_keeps_it_where_there_is_nothing_else():
    pixels = np.array([[[7, 7, 7, 100], [7, 7, 7, 200]]], np.uint8)
    assert downsample(pixels, "average", nodata=7).tolist() == [[[7, 150]]]


def test_black_is_a_colour_where_nothing_says_otherwise():
    pixels = np.array([[[0, 0], [0, 100]]], np.uint8)
    assert downsample(pixels, "average").tolist() == [[[25]]]


@pytest.mark.parametrize(
    ("four", "most"),
    [((1, 2, 2, 3), 2), ((1, 1, 2, 2), 1), ((3, 2, 1, 1), 1), ((1, 2, 3, 4), 1), ((1, 2, 3, 2), 2), ((5, 5, 5, 5), 5)],
)
def test_the_mode_is_the_value_that_most_of_four_have(four, most):
    assert downsample(np.array(four, np.uint8).reshape(1, 2, 2), "mode").tolist() == [[[most]]]


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from(["average", "nearest", "mode"]))
def test_an_odd_edge_stands_for_itself(height, width, how):
    pixels = np.random.default_rng(height * 41 + width).integers(0, 256, (2, height, width), np.uint8)
    halved = downsample(pixels, how)
    assert halved.shape == (2, -(-height // 2), -(-width // 2))
    if height % 2 and width % 2:
        assert (halved[:, -1, -1] == pixels[:, -1, -1]).all()
    assert halved.min() >= pixels.min() and halved.max() <= pixels.max()
