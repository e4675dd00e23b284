"""The ground resolution a georeference gives: metres wherever the CRS can tell them."""

import pytest
from affine import Affine
from rasterio.crs import CRS

from sattrans.raster.georeference import Georeference


@pytest.mark.parametrize(
    ("crs", "size", "expected"),
    [
        ("EPSG:32652", 10, (10, "m")),
        ("EPSG:2263", 1, (pytest.approx(0.3048, rel=1e-4), "m")),  # feet
        ("EPSG:4326", 0.0001, (0.0001, "degrees")),
        (None, 0.5, (0.5, "map units")),
    ],
)
def test_a_pixel_is_told_in_metres_where_they_are_known(crs, size, expected):
    place = Georeference.of(CRS.from_user_input(crs) if crs else None, Affine(size, 0, 5, 0, -size / 2, 6))
    assert place.ground_resolution == expected


def test_without_a_transform_there_is_no_resolution():
    assert Georeference.of(None, Affine.identity()).ground_resolution is None
