import os
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from makers import HERE, make_indices, make_picture, web_server, write_raster
from makers_scenes import vrt_of
from PIL import Image
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning

from sattrans.errors import RasterError
from sattrans.raster.gate import MAX_BLOCK_BYTES
from sattrans.raster.open import open_raster
from sattrans.raster.window import Window

PICTURE = make_picture(make_indices(64, 96, 4))
MINE, SECRET = 5, 77


def bare(path, **profile):
    return write_raster(path, PICTURE, crs=None, transform=None, **profile)


def read(source):
    with open_raster(source) as raster:
        return raster.read()


def georeference(source):
    with open_raster(source) as raster:
        place = raster.georeference
        return place.rasterio_crs, place.affine


def refusal(source):
    with pytest.raises(RasterError) as refused:
        read(source)
    text = str(refused.value)
    assert str(source) in text and "\n" not in text
    return text


@pytest.fixture
def mine(tmp_path):
    """A raster of fives, and beside it a secret one of seventy-sevens."""
    write_raster(tmp_path / "secret.tif", np.full((64, 64), SECRET, np.uint8))
    return write_raster(tmp_path / "mine.tif", np.full((64, 64), MINE, np.uint8))


# What it is, its first bytes tell.


@pytest.mark.parametrize("driver", ["GTiff", "PNG", "JPEG", "JP2OpenJPEG"])
@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.dat", "a"])
def test_a_raster_is_opened_as_what_it_is_whatever_its_suffix(tmp_path, driver, name):
    path = bare(tmp_path / "made.jp2", driver=driver).rename(tmp_path / name)
    with open_raster(path) as raster:
        assert raster.src.driver == driver
        assert (raster.height, raster.width, raster.bands, raster.dtype) == (64, 96, 3, "uint8")
        if driver in ("GTiff", "PNG"):
            assert (raster.read() == PICTURE).all()


@pytest.mark.parametrize(("name", "driver"), [("a.bmp", "BMP"), ("a.webp", "WEBP")])
def test_pictures_of_more_formats_are_read(tmp_path, name, driver):
    how = {"lossless": True} if driver == "WEBP" else {}
    Image.fromarray(np.ascontiguousarray(np.moveaxis(PICTURE, 0, -1))).save(tmp_path / name, **how)
    with open_raster(tmp_path / name) as raster:
        assert raster.src.driver == driver and not raster.lossy
        assert (raster.read() == PICTURE).all()


def test_a_sound_is_no_webp(tmp_path):
    (tmp_path / "a.webp").write_bytes(b"RIFF\x24\0\0\0WAVEfmt " + bytes(40))
    assert "is not a GeoTIFF, PNG, JPEG, JPEG 2000, WebP or BMP" in refusal(tmp_path / "a.webp")


def test_a_big_tiff_opens(tmp_path):
    path = write_raster(tmp_path / "big.tif", PICTURE, BIGTIFF="YES")
    assert path.read_bytes()[:4] == b"II+\0"
    assert (read(path) == PICTURE).all()


def test_windows_and_bands_are_read_as_asked(tmp_path):
    path = write_raster(tmp_path / "a.tif", PICTURE)
    with open_raster(path) as raster:
        assert (raster.read(Window(10, 20, 5, 7), (3, 1)) == PICTURE[[2, 0], 10:15, 20:27]).all()
        whole = np.concatenate([raster.read(window) for window in raster.strips(10)], axis=1)
        assert (whole == PICTURE).all()


def test_nodata_alpha_colors_and_tags_are_told(tmp_path):
    rgba = np.concatenate([PICTURE, PICTURE[:1]])
    write_raster(tmp_path / "rgba.tif", rgba, photometric="RGB", alpha="YES")
    table = {0: (1, 2, 3), 4: (5, 6, 7)}
    write_raster(tmp_path / "mask.tif", PICTURE[0], nodata=255, colormap=table, tags={"MADE": "here"})
    with open_raster(tmp_path / "rgba.tif") as raster:
        assert (raster.alpha_band, raster.nodata, raster.colormap()) == (4, None, None)
    with open_raster(tmp_path / "mask.tif") as raster:
        assert (raster.alpha_band, raster.nodata, raster.tags()["MADE"]) == (None, 255, "here")
        assert {value: raster.colormap()[value] for value in table} == table


@pytest.mark.parametrize("profile", [{}, {"BIGTIFF": "YES"}, {"ENDIANNESS": "BIG"}])
def test_each_raster_has_its_own_crs_whichever_was_opened_before(tmp_path, profile):
    wanted = ["EPSG:2180", "EPSG:2180", "EPSG:32633", None, "EPSG:32633", "EPSG:4326", "EPSG:2180"]
    for number, crs in enumerate(wanted):
        path = write_raster(tmp_path / f"{number}.tif", PICTURE, crs, HERE, **profile)
        assert georeference(path)[0] == (crs and CRS.from_user_input(crs))
        assert georeference(path)[1] == HERE


# What a file smuggles in is not followed.


def test_an_overview_file_that_is_a_vrt_is_not_followed(mine):
    mine.with_name("mine.tif.ovr").write_text(vrt_of("secret.tif"))
    with rasterio.open(mine) as src:
        assert src.overviews(1), "GDAL itself follows it: else this test shows nothing"
    with open_raster(mine) as raster:
        assert raster.src.overviews(1) == []
        assert (raster.read() == MINE).all()


def test_a_mask_file_that_is_a_vrt_is_not_followed(mine):
    mine.with_name("mine.tif.msk").write_text(vrt_of("secret.tif"))
    with rasterio.open(mine) as src:
        assert str(mine.with_name("secret.tif")) in src.files, "GDAL itself follows it"
    with open_raster(mine) as raster:
        assert raster.src.files == [str(mine)]


def test_an_aux_xml_that_points_to_an_overview_is_not_followed(mine):
    mine.with_name("o.vrt").write_text(vrt_of("secret.tif", 32))
    mine.with_name("mine.tif.aux.xml").write_text(
        '<PAMDataset><Metadata domain="OVERVIEWS">'
        '<MDI key="OVERVIEW_FILE">:::BASE:::o.vrt</MDI></Metadata></PAMDataset>'
    )
    with rasterio.open(mine) as src:
        assert src.overviews(1), "GDAL itself follows it"
    with open_raster(mine) as raster:
        assert raster.src.overviews(1) == []


def test_an_overview_file_named_inside_the_tiff_is_never_asked_for(mine):
    with web_server() as (address, asked):
        with rasterio.open(mine, "r+") as dst:
            dst.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=f"/vsicurl/{address}/mine")
        with rasterio.Env(GDAL_HTTP_MAX_RETRY=0), rasterio.open(mine) as src:
            src.read(1, out_shape=(8, 8))
        assert asked, "GDAL itself asks for it in a reduced read"
        asked.clear()
        with open_raster(mine) as raster:
            assert (raster.read() == MINE).all()
            assert (np.concatenate([raster.read(window) for window in raster.strips(7)], axis=1) == MINE).all()
        assert asked == []


def test_a_side_file_that_is_a_vrt_gives_no_pixels_and_no_place(mine):
    bare_one = bare(mine.with_name("bare.tif"))
    mine.with_name("bare.tif.aux.xml").write_text(vrt_of("secret.tif"))
    assert georeference(bare_one) == (None, Affine.identity())
    assert (read(bare_one) == PICTURE).all()


@pytest.mark.parametrize("name", ["mine.tif", "mine.vrt"])
def test_a_vrt_that_was_found_is_refused_whatever_its_name(mine, name):
    path = mine.with_name("found") / name
    path.parent.mkdir()
    path.write_text(vrt_of("../secret.tif"))
    assert "is a VRT, which may refer to any file" in refusal(path)


def test_a_vrt_named_tif_is_refused_also_when_it_was_typed(mine):
    path = mine.with_name("other.tif")
    path.write_text(vrt_of("secret.tif"))
    assert "is a VRT" in refusal(str(path))


@pytest.mark.parametrize("head", ["", '<?xml version="1.0" encoding="UTF-8"?>\n', "\n  <!-- made by hand -->\n"])
def test_a_vrt_that_was_typed_is_read(mine, head):
    path = mine.with_name("typed.vrt")
    path.write_text(head + vrt_of("secret.tif"))
    assert (read(str(path)) == SECRET).all()


def test_gdal_settings_of_the_user_stand_after_a_raster_was_open(mine):
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="FALSE", GDAL_PAM_ENABLED="YES"):
        read(mine)
        assert rasterio.env.getenv()["GDAL_DISABLE_READDIR_ON_OPEN"] == "FALSE"
        assert rasterio.env.getenv()["GDAL_PAM_ENABLED"] == "YES"


@pytest.mark.parametrize("name", ["file:mine.tif", "zip:mine.tif", "PORT", "VRT:mine.tif", "GTIFF_DIR:1:mine.tif"])
@pytest.mark.parametrize("kind", [str, Path])
def test_a_file_named_like_an_address_is_that_file(mine, monkeypatch, name, kind):
    """Also where its name is that of another file with something before it."""
    monkeypatch.chdir(mine.parent)
    with web_server() as (address, asked):
        found = Path(name.replace("PORT", address.replace("//", "") + "?mine.tif"))
        write_raster(mine.parent / found, np.full((64, 64), SECRET, np.uint8))
        assert (read(kind(found)) == SECRET).all() and asked == []


# What is too large, damaged, or none is refused, in a line that names it.


def test_a_block_too_large_for_memory_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "huge.tif"
    side = 32_784
    assert side * side > MAX_BLOCK_BYTES
    profile = {"tiled": True, "blockxsize": side, "blockysize": side, "compress": "deflate", "SPARSE_OK": "TRUE"}
    with (
        pytest.warns(NotGeoreferencedWarning),
        rasterio.open(path, "w", driver="GTiff", width=side, height=side, count=1, dtype="uint8", **profile),
    ):
        pass
    assert path.stat().st_size < 10_000
    assert "convert it to a tiled GeoTIFF" in refusal(path)


def test_a_giant_in_small_blocks_opens_and_streams(tmp_path):
    path = tmp_path / "giant.tif"
    profile = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "SPARSE_OK": "TRUE"}
    with rasterio.open(
        path, "w", driver="GTiff", width=200_000, height=200_000, count=3, dtype="uint8", transform=HERE, **profile
    ):
        pass
    with open_raster(path) as raster:
        assert raster.read(Window(150_000, 150_000, 10, 10)).shape == (3, 10, 10)


def test_a_png_bomb_is_refused(tmp_path):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    data = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )
    (tmp_path / "bomb.png").write_bytes(data)
    assert "60000 wide × 60000 high as PNG, too large" in refusal(tmp_path / "bomb.png")


@pytest.mark.parametrize("driver", ["GTiff", "PNG", "JPEG", "JP2OpenJPEG"])
@pytest.mark.parametrize("part", [0.02, 0.5, 0.99])
def test_a_file_cut_short_is_named_and_never_read_as_zeros(tmp_path, driver, part):
    profile = {"compress": "deflate"} if driver == "GTiff" else {}
    path = write_raster(tmp_path / "whole.jp2", make_picture(make_indices(300, 300, 5)), driver=driver, **profile)
    cut = tmp_path / "cut.tif"
    data = path.read_bytes()
    cut.write_bytes(data[: int(len(data) * part)])
    assert any(told in refusal(cut) for told in ("complete?", "cut short"))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"hello\n", "is not a GeoTIFF, PNG, JPEG, JPEG 2000, WebP or BMP; convert a raster of another format first"),
        (b"II*\0", "is it complete?"),
    ],
)
def test_what_is_no_raster_is_refused(tmp_path, content, told):
    (tmp_path / "a.tif").write_bytes(content)
    assert told in refusal(tmp_path / "a.tif")


def test_what_is_not_there_and_what_is_a_folder_are_told_apart(tmp_path):
    assert "no such file" in refusal(tmp_path / "a.tif")
    assert "is a folder" in refusal(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_said_so(tmp_path):
    path = bare(tmp_path / "a.tif")
    path.chmod(0)
    assert "Permission denied" in refusal(path)


def test_a_raster_of_another_format_is_refused(tmp_path):
    write_raster(tmp_path / "a.img", PICTURE, driver="HFA", crs=None, transform=None)
    shutil.move(tmp_path / "a.img", tmp_path / "a.tif")
    assert "is not a GeoTIFF" in refusal(tmp_path / "a.tif")


def test_an_address_where_nobody_answers_is_an_error_of_ours():
    with web_server() as (address, asked), rasterio.Env(GDAL_HTTP_MAX_RETRY=0):
        assert "cannot open" in refusal(f"{address}/none.tif")
        assert asked
