import os
import signal
import subprocess
import sys
from warnings import catch_warnings, simplefilter

import pytest
import rasterio
from affine import Affine
from makers import HERE, POLAND, make_indices, make_picture
from rasterio.crs import CRS
from rasterio.enums import ColorInterp

from sattrans.raster.georeference import Georeference
from sattrans.raster.geotiff import write_geotiff
from sattrans.raster.open import open_raster
from sattrans.raster.palette import LandClass, Palette

PALETTE = Palette((LandClass(0, "background", (1, 2, 3)), LandClass(10, "water", (0, 0, 255))))
PLACE = Georeference.of(CRS.from_user_input(POLAND), HERE)
INDICES = make_indices(64, 64, 2)
VALUES = PALETTE.to_values(INDICES)
PICTURE = make_picture(INDICES)

DIE = """
import os, signal, sys
from pathlib import Path
import numpy as np
from affine import Affine
from sattrans.raster.georeference import Georeference
from sattrans.raster.geotiff import write_geotiff
target = Path(sys.argv[1])
path = type(target)
if sys.argv[2] == "nameless":
    os.link = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
else:
    del os.O_TMPFILE
    path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
write_geotiff(target, np.zeros((3, 64, 64), np.uint8), Georeference.of(None, Affine.identity()))
"""


def test_an_image_tile_comes_back_with_its_pixels_and_its_place(tmp_path):
    write_geotiff(tmp_path / "deep" / "a.tif", PICTURE, PLACE, tags={"SATTRANS_VERSION": "1"})
    with rasterio.open(tmp_path / "deep" / "a.tif") as src:
        assert (src.read() == PICTURE).all()
        assert (src.crs, src.transform) == (CRS.from_user_input(POLAND), HERE)
        assert src.colorinterp == (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        assert src.nodata is None
        assert src.tags()["SATTRANS_VERSION"] == "1"


def test_a_map_tile_keeps_its_values_and_shows_its_colors(tmp_path):
    write_geotiff(tmp_path / "a.tif", VALUES, PLACE, PALETTE)
    with open_raster(tmp_path / "a.tif") as raster:
        assert (raster.read()[0] == VALUES).all()
        assert {value: raster.colormap()[value] for value in PALETTE.values} == PALETTE.colormap
        assert raster.nodata is None  # 0 is a class
        assert raster.georeference == PLACE


def test_tiles_are_compressed_without_loss_by_zstd(tmp_path):
    write_geotiff(tmp_path / "image.tif", PICTURE, PLACE)
    write_geotiff(tmp_path / "map.tif", VALUES, PLACE, PALETTE)
    for name, predictor in (("image.tif", "2"), ("map.tif", None)):
        with rasterio.open(tmp_path / name) as src:
            assert src.tags(ns="IMAGE_STRUCTURE")["COMPRESSION"] == "ZSTD"
            assert src.tags(ns="IMAGE_STRUCTURE").get("PREDICTOR") == predictor


def test_a_tile_without_georeference_gets_none(tmp_path):
    with catch_warnings():
        simplefilter("error")
        write_geotiff(tmp_path / "a.tif", VALUES, Georeference.of(None, Affine.identity()))
    with open_raster(tmp_path / "a.tif") as raster:
        assert not raster.georeference.known


def test_a_place_without_a_crs_and_a_crs_without_a_code_are_kept(tmp_path):
    local = 'PROJCS["unnamed",GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]]],'
    local += 'PROJECTION["Transverse_Mercator"],PARAMETER["central_meridian",19],PARAMETER["scale_factor",0.9993],'
    local += 'PARAMETER["false_easting",500000],PARAMETER["false_northing",-5300000],UNIT["metre",1]]'
    for crs in (None, CRS.from_wkt(local)):
        write_geotiff(tmp_path / "a.tif", VALUES, Georeference.of(crs, HERE))
        with open_raster(tmp_path / "a.tif") as raster:
            assert (raster.georeference.rasterio_crs, raster.georeference.affine) == (crs, HERE)


def test_the_same_tile_has_the_same_bytes(tmp_path):
    for name in ("a.tif", "b.tif"):
        write_geotiff(tmp_path / name, VALUES, PLACE, PALETTE)
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="files without a name are Linux's")
@pytest.mark.parametrize(("way", "left"), [("nameless", []), ("part", ["a.tif.part"])])
def test_a_process_killed_before_the_last_step_leaves_no_tile(tmp_path, monkeypatch, way, left):
    done = subprocess.run([sys.executable, "-c", DIE, str(tmp_path / "a.tif"), way], check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert os.listdir(tmp_path) == left  # noqa: PTH208
    if way == "part":
        monkeypatch.delattr(os, "O_TMPFILE")
    write_geotiff(tmp_path / "a.tif", PICTURE, PLACE)
    assert os.listdir(tmp_path) == ["a.tif"]  # noqa: PTH208
    with open_raster(tmp_path / "a.tif") as raster:
        assert (raster.read() == PICTURE).all()


FULL = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from affine import Affine
from sattrans.raster.georeference import Georeference
from sattrans.raster.geotiff import write_geotiff
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
noise = np.random.default_rng(0).integers(0, 256, (3, 256, 256), np.uint8)
try:
    write_geotiff(Path(sys.argv[1]), noise, Georeference.of(None, Affine.identity()))
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("most", [0, 100_000, 197_000])
def test_a_full_disk_is_an_error_and_leaves_the_tile_that_was_there(tmp_path, most):
    write_geotiff(tmp_path / "a.tif", VALUES, PLACE)
    before = (tmp_path / "a.tif").read_bytes()
    command = [sys.executable, "-c", FULL, str(tmp_path / "a.tif"), str(most)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout == f"OSError [Errno 27] File too large: '{tmp_path / 'a.tif'}'\n", done.stderr
    assert os.listdir(tmp_path) == ["a.tif"]  # noqa: PTH208
    assert (tmp_path / "a.tif").read_bytes() == before
