"""Pictures that are not stored upright are refused, whatever format says so."""

import numpy as np
import pytest
import rasterio
from makers import make_indices, make_picture
from PIL import Image

from sattrans.errors import RasterError
from sattrans.raster.open import open_raster

PICTURE = np.ascontiguousarray(np.moveaxis(make_picture(make_indices(40, 60, 3)), 0, -1))


def write(path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    how = {"tiffinfo": {274: orientation}} if path.suffix == ".tif" else {"exif": exif}
    Image.fromarray(PICTURE).save(path, **how)
    return path


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
def test_a_picture_that_viewers_turn_is_refused(tmp_path, name, orientation):
    path = write(tmp_path / name, orientation)
    with pytest.raises(RasterError, match=rf"{name} has EXIF orientation {orientation}.*mogrify"), open_raster(path):
        pass


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
def test_an_upright_picture_is_read(tmp_path, name):
    with open_raster(write(tmp_path / name, 1)) as raster:
        assert raster.bands == 3


@pytest.mark.parametrize("profile", [{"ENDIANNESS": "BIG"}, {"BIGTIFF": "YES"}])
def test_a_tag_in_any_kind_of_tiff_is_found(tmp_path, profile):
    path = tmp_path / "a.tif"
    with rasterio.open(path, "w", driver="GTiff", width=60, height=40, count=3, dtype="uint8", **profile) as dst:
        dst.write(np.moveaxis(PICTURE, -1, 0))
    data = bytearray(path.read_bytes())
    # The planar configuration (284) becomes an orientation of 3: GDAL writes no orientation itself.
    order = "big" if data[:2] == b"MM" else "little"
    old, new = ((284).to_bytes(2, order) + (3).to_bytes(2, order)), ((274).to_bytes(2, order) + (3).to_bytes(2, order))
    at = data.index(old)
    data[at : at + 4] = new
    value = at + (12 if profile.get("BIGTIFF") else 8)
    data[value : value + 2] = (3).to_bytes(2, order)
    path.write_bytes(data)
    with pytest.raises(RasterError, match="has EXIF orientation 3"), open_raster(path):
        pass
