"""What GDAL says about a raster is checked before it is read: bombs, and places that are none."""

import struct
import zlib

import numpy as np
import pytest
import rasterio
from affine import Affine
from makers import HERE, write_raster
from rasterio.crs import CRS

from sattrans.errors import RasterError
from sattrans.raster.gate import check_place
from sattrans.raster.georeference import names_a_file, parse_crs
from sattrans.raster.open import open_raster

UTM = CRS.from_epsg(32633)
LOCAL = (
    'PROJCS["x",GEOGCS["y",DATUM["z",SPHEROID["WGS 84",6378137,298.257223563],EXTENSION["PROJ4_GRIDS","GRID"]],'
    'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],'
    'PARAMETER["latitude_of_origin",0],PARAMETER["central_meridian",129],PARAMETER["scale_factor",0.9996],'
    'PARAMETER["false_easting",500000],PARAMETER["false_northing",0],UNIT["metre",1],'
    'EXTENSION["PROJ4","+proj=utm +zone=52 +ellps=WGS84 +nadgrids=GRID +units=m"]]'
)


@pytest.mark.parametrize(
    "numbers",
    [
        (np.nan, 0, 0, 0, -1, 0),
        (1, 0, np.inf, 0, -1, 0),
        (0, 0, 5, 0, -1, 5),
        (1.5e-311, 0, 0, 0, -1, 0),
        (1, 0, 1e300, 0, -1, 0),
        (1e200, 0, 0, 0, -1e200, 0),
    ],
)
def test_a_place_that_is_none_is_refused(numbers):
    with pytest.raises(RasterError, match=r"a\.tif has"):
        check_place("a.tif", UTM, Affine(*numbers))


def test_a_place_on_the_earth_is_taken():
    for numbers in ((0.1, 0, 5e5, 0, -0.1, 6e6), (1e-7, 0, 15, 0, -1e-7, 50), (1e5, 0, -2e7, 0, -1e5, 2e7)):
        assert check_place("a.tif", UTM, Affine(*numbers)).transform == numbers


@pytest.mark.parametrize("grid", ["none.gsb", "/etc/passwd", "http://127.0.0.1/a.gsb", "@none.gsb"])
def test_a_crs_that_needs_a_grid_file_is_refused(grid):
    wkt = LOCAL.replace("GRID", grid)
    with pytest.raises(RasterError, match="needs a grid file"):
        check_place("a.tif", CRS.from_wkt(wkt), HERE)
    with pytest.raises(ValueError, match="needs a grid file"):
        parse_crs(wkt)


def test_web_mercator_as_gdal_writes_it_names_no_file():
    assert not names_a_file(LOCAL.replace("GRID", "@null"))
    assert not names_a_file(CRS.from_epsg(3857).to_wkt()) and not names_a_file(CRS.from_epsg(31467).to_wkt())


@pytest.mark.parametrize("compress", ["deflate", "zstd", "lzw"])
def test_a_block_of_zeros_that_is_a_bomb_is_refused(tmp_path, compress):
    path = tmp_path / "bomb.tif"
    side = 16_384
    profile = {"tiled": True, "blockxsize": side, "blockysize": side, "compress": compress, "SPARSE_OK": "TRUE"}
    with rasterio.open(path, "w", "GTiff", side, side, 1, UTM, HERE, "uint8", **profile):
        pass
    with pytest.raises(RasterError, match="256 MiB each, too large to decode"), open_raster(path):
        pass


def test_a_jpeg_that_declares_far_more_than_it_holds_is_refused(tmp_path):
    path = write_raster(tmp_path / "a.jpg", np.zeros((3, 64, 64), np.uint8), driver="JPEG", crs=None, transform=None)
    data = path.read_bytes()
    at = data.find(b"\xff\xc0")
    path.write_bytes(data[: at + 5] + struct.pack(">HH", 40_000, 40_000) + data[at + 9 :])
    with pytest.raises(RasterError, match="40000 wide × 40000 high as JPEG, too large"), open_raster(path):
        pass


def test_a_large_mask_of_one_class_is_no_bomb(tmp_path):
    """10,000 px square in 100 kB: more than 500 times its file, but no more than people have."""
    side = 10_000

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    rows = zlib.compress(bytes((side + 1) * side), 1)
    path = tmp_path / "mask.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    with open_raster(path) as raster:
        assert (raster.height, raster.width) == (side, side)
