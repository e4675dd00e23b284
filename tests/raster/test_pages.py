"""Further pages of a TIFF, and rasters that are placed by points."""

import numpy as np
import pytest
import rasterio
from makers import HERE, POLAND, make_indices, make_picture, write_raster
from PIL import Image
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

from sattrans.errors import RasterError
from sattrans.raster.open import open_raster

PICTURE = make_picture(make_indices(40, 60, 3))


def pages(path, *arrays):
    first, *others = (Image.fromarray(array) for array in arrays)
    first.save(path, save_all=True, append_images=others)
    return path


def test_pages_of_one_size_are_refused(tmp_path):
    with (
        pytest.raises(RasterError, match=r"a\.tif has 3 pages of 60 wide × 40 high"),
        open_raster(pages(tmp_path / "a.tif", *PICTURE)),
    ):
        pass


def test_a_page_of_another_size_is_named_and_left_out(tmp_path):
    with open_raster(pages(tmp_path / "a.tif", PICTURE[0], PICTURE[0, ::4, ::4])) as raster:
        assert (raster.read()[0] == PICTURE[0]).all()
        assert raster.notices == (f"{tmp_path / 'a.tif'} has 2 pages; the first is read, the others are left out",)


def test_overviews_and_masks_are_no_pages(tmp_path):
    path = write_raster(tmp_path / "a.tif", PICTURE, tiled=True, blockxsize=16, blockysize=16)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as raster:
        raster.write_mask(np.ones((40, 60), bool))
        raster.build_overviews([2, 4])
    with open_raster(path) as raster:
        assert raster.notices == ()


def with_points(path, bend=0.0):
    points = []
    for row, col in ((0, 0), (0, 60), (40, 0), (40, 60)):
        x, y = HERE @ (col, row)
        points.append(GroundControlPoint(row, col, x + bend * row * col, y))
    write_raster(path, PICTURE, None, None)
    with rasterio.open(path, "r+") as raster:
        raster.gcps = points, CRS.from_user_input(POLAND)
    return path


def test_points_on_a_grid_are_a_place(tmp_path):
    with open_raster(with_points(tmp_path / "a.tif")) as raster:
        assert raster.georeference.crs_name == POLAND
        assert np.allclose(raster.georeference.transform, HERE[:6], atol=1e-6)
        assert raster.notices == ()


def test_points_that_no_transform_fits_are_told(tmp_path):
    with open_raster(with_points(tmp_path / "a.tif", bend=0.001)) as raster:
        assert "4 ground control points" in raster.notices[0]
        assert not raster.georeference.known
