import os
import shutil
import struct
import threading
import zlib
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import rasterio
from affine import Affine
from makers import HERE, POLAND, make_indices, make_picture, write_raster
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning

from sattrans.errors import RasterError
from sattrans.grid import Window
from sattrans.raster.gate import MOST_BLOCK_BYTES, open_raster

PICTURE = make_picture(make_indices(64, 96, 4))
MINE, SECRET = 5, 77
WKT = CRS.from_user_input(POLAND).to_wkt()


def vrt_of(name, size=64):
    rect = f'xOff="0" yOff="0" xSize="{size}" ySize="{size}"'
    return (
        f'<VRTDataset rasterXSize="{size}" rasterYSize="{size}"><VRTRasterBand dataType="Byte" band="1">'
        f'<SimpleSource><SourceFilename relativeToVRT="1">{name}</SourceFilename><SourceBand>1</SourceBand>'
        f"<SrcRect {rect}/><DstRect {rect}/></SimpleSource></VRTRasterBand></VRTDataset>"
    )


def aux_xml(srs="", transform=""):
    srs = f'<SRS dataAxisToSRSAxisMapping="2,1">{srs}</SRS>' if srs else ""
    transform = f"<GeoTransform>{transform}</GeoTransform>" if transform else ""
    return f"<PAMDataset>{srs}{transform}</PAMDataset>"


def numbers(transform):
    return ", ".join(map(repr, transform.to_gdal()))


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


@contextmanager
def server():
    """A web server on this machine; gives its address and the list of paths asked for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}", asked
        httpd.shutdown()


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


def test_a_big_tiff_opens(tmp_path):
    path = write_raster(tmp_path / "big.tif", PICTURE, BIGTIFF="YES")
    assert path.read_bytes()[:4] == b"II+\0"
    assert (read(path) == PICTURE).all()


def test_windows_and_bands_are_read_as_asked(tmp_path):
    path = write_raster(tmp_path / "a.tif", PICTURE)
    with open_raster(path) as raster:
        assert (raster.read(Window(10, 20, 5, 7), (3, 1)) == PICTURE[[2, 0], 10:15, 20:27]).all()
        whole = np.concatenate([raster.read(window) for window in raster.bands_of_rows(10)], axis=1)
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


# Where it lies: its own georeference, or that of a side file.


def test_a_jpeg_named_tif_has_the_georeference_of_its_aux_xml(tmp_path):
    path = bare(tmp_path / "made.jpg", driver="JPEG").rename(tmp_path / "scene.tif")
    (tmp_path / "scene.tif.aux.xml").write_text(aux_xml(WKT, numbers(HERE)))
    assert georeference(path) == (CRS.from_user_input(POLAND), HERE)


def test_an_aux_xml_that_gdal_wrote_is_read(tmp_path):
    path = write_raster(tmp_path / "a.png", PICTURE, driver="PNG")
    assert (tmp_path / "a.png.aux.xml").exists()
    assert georeference(path) == (CRS.from_user_input(POLAND), HERE)


@pytest.mark.parametrize(
    ("name", "driver", "world"),
    [
        ("a.tif", "GTiff", "a.tfw"),
        ("a.tif", "GTiff", "a.tifw"),
        ("a.tiff", "GTiff", "a.tfw"),
        ("a.TIF", "GTiff", "a.TFW"),
        ("a.jpg", "JPEG", "a.jgw"),
        ("a.jpeg", "JPEG", "a.jgw"),
        ("a.png", "PNG", "a.pgw"),
        ("a.jp2", "JP2OpenJPEG", "a.j2w"),
        ("a.png", "PNG", "a.wld"),
    ],
)
def test_a_world_file_gives_the_centre_of_the_first_pixel(tmp_path, name, driver, world):
    path = bare(tmp_path / name, driver=driver)
    (tmp_path / f"{path.name}.aux.xml").unlink(missing_ok=True)
    (tmp_path / world).write_text("0.25\n0\n0\n-0.25\n500000.125\n599999.875\n")
    assert georeference(path) == (None, HERE)


def test_a_world_file_is_read_as_gdal_reads_it_also_when_it_turns_the_raster(tmp_path):
    path = bare(tmp_path / "a.tif")
    (tmp_path / "a.tfw").write_text("3\r\n 0.5\r\n-0.25 \r\n-2\r\n1000\r\n2000\r\n")
    with rasterio.open(path) as src:
        assert georeference(path)[1] == src.transform != Affine.identity()


def test_what_the_file_says_itself_goes_before_what_stands_beside_it(tmp_path):
    path = write_raster(tmp_path / "a.tif", PICTURE)
    other = CRS.from_epsg(32633).to_wkt()
    (tmp_path / "a.tif.aux.xml").write_text(aux_xml(other, numbers(Affine(9, 0, 9, 0, -9, 9))))
    (tmp_path / "a.tfw").write_text("7\n0\n0\n-7\n1\n1\n")
    assert georeference(path) == (CRS.from_user_input(POLAND), HERE)


def test_the_aux_xml_goes_before_the_world_file(tmp_path):
    path = bare(tmp_path / "a.tif")
    (tmp_path / "a.tif.aux.xml").write_text(aux_xml(WKT, numbers(HERE)))
    (tmp_path / "a.tfw").write_text("7\n0\n0\n-7\n1\n1\n")
    assert georeference(path)[1] == HERE


def test_a_damaged_side_file_that_nobody_needs_is_left_alone(tmp_path):
    path = write_raster(tmp_path / "a.tif", PICTURE)
    (tmp_path / "a.tif.aux.xml").write_text("<PAMDataset")
    assert georeference(path) == (CRS.from_user_input(POLAND), HERE)


@pytest.mark.parametrize("driver", ["GTiff", "PNG"])
def test_nothing_but_crs_and_transform_is_taken_from_an_aux_xml(tmp_path, driver):
    path = write_raster(tmp_path / "a", np.full((9, 9), MINE, np.uint8), driver=driver, crs=None, transform=None)
    (tmp_path / "a.aux.xml").write_text(
        '<PAMDataset><Metadata><MDI key="K">V</MDI></Metadata><PAMRasterBand band="1">'
        f"<NoDataValue>{MINE}</NoDataValue>"
        "<ColorInterp>Alpha</ColorInterp></PAMRasterBand></PAMDataset>"
    )
    with open_raster(path) as raster:
        assert (raster.nodata, raster.alpha_band) == (None, None)
        assert "K" not in raster.tags()


def test_crs_and_transform_may_come_from_two_places(tmp_path):
    path = bare(tmp_path / "a.tif")
    (tmp_path / "a.tif.aux.xml").write_text(aux_xml(WKT))
    (tmp_path / "a.tfw").write_text("0.25\n0\n0\n-0.25\n500000.125\n599999.875\n")
    assert georeference(path) == (CRS.from_user_input(POLAND), HERE)


def test_nothing_beside_it_is_no_georeference(tmp_path):
    path = bare(tmp_path / "a.tif")
    with open_raster(path) as raster:
        assert not raster.georeference.known


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.tif.aux.xml", "<PAMDataset><SRS>"),
        ("a.tif.aux.xml", aux_xml("no CRS at all")),
        ("a.tif.aux.xml", aux_xml(WKT, "1, 2, 3")),
        ("a.tif.aux.xml", aux_xml(WKT, "1, 2, 3, 4, 5, nan")),
        ("a.tif.aux.xml", " " * (5 << 20)),
        ("a.tfw", "1\n2\n3\n"),
        ("a.tfw", "one\n0\n0\n1\n0\n0\n"),
        ("a.tfw", "1\n0\n0\ninf\n0\n0\n"),
        ("a.tfw", "1\n0\n0\n-1\n0\n0é\n"),
    ],
)
def test_a_side_file_that_is_damaged_is_named(tmp_path, name, text):
    bare(tmp_path / "a.tif")
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(RasterError) as refused:
        read(tmp_path / "a.tif")
    assert str(tmp_path / name) in str(refused.value) and "\n" not in str(refused.value)


def test_a_transform_onto_a_line_is_refused(tmp_path):
    bare(tmp_path / "a.tif")
    (tmp_path / "a.tfw").write_text("0\n0\n0\n0\n5\n5\n")
    assert "one line or point" in refusal(tmp_path / "a.tif")


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
    with server() as (address, asked):
        with rasterio.open(mine, "r+") as dst:
            dst.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=f"/vsicurl/{address}/mine")
        with rasterio.Env(GDAL_HTTP_MAX_RETRY=0), rasterio.open(mine) as src:
            src.read(1, out_shape=(8, 8))
        assert asked, "GDAL itself asks for it in a reduced read"
        asked.clear()
        with open_raster(mine) as raster:
            assert (raster.read() == MINE).all()
            assert (np.concatenate([raster.read(window) for window in raster.bands_of_rows(7)], axis=1) == MINE).all()
        assert asked == []


def test_a_side_file_that_is_a_vrt_gives_no_pixels_and_no_place(mine):
    bare_one = bare(mine.with_name("bare.tif"))
    mine.with_name("bare.tif.aux.xml").write_text(vrt_of("secret.tif"))
    assert georeference(bare_one) == (None, Affine.identity())
    assert (read(bare_one) == PICTURE).all()


@pytest.mark.parametrize("kind", ["address", "path"])
def test_a_crs_that_is_an_address_or_a_path_is_not_fetched(tmp_path, kind):
    path = bare(tmp_path / "a.tif")
    (tmp_path / "secret.prj").write_text(WKT)
    with server() as (address, asked):
        srs = f"{address}/crs" if kind == "address" else str(tmp_path / "secret.prj")
        (tmp_path / "a.tif.aux.xml").write_text(aux_xml(srs))
        with pytest.raises(RasterError, match=r"a\.tif\.aux\.xml is damaged"):
            read(path)
        assert asked == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_an_entity_bomb_is_refused_in_any_encoding(tmp_path, encoding):
    path = bare(tmp_path / "a.tif")
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 5))
    bomb = f'<?xml version="1.0"?><!DOCTYPE b [<!ENTITY l0 "lol">{entities}]><PAMDataset><SRS>&l4;</SRS></PAMDataset>'
    (tmp_path / "a.tif.aux.xml").write_bytes(bomb.encode(encoding))
    with pytest.raises(RasterError, match=r"a\.tif\.aux\.xml is damaged \(it declares a document type"):
        read(path)


@pytest.mark.parametrize("name", ["mine.tif", "mine.vrt"])
def test_a_vrt_that_was_found_is_refused_whatever_its_name(mine, name):
    path = mine.with_name("found") / name
    path.parent.mkdir()
    path.write_text(vrt_of("../secret.tif"))
    assert "is a VRT, which may point anywhere" in refusal(path)


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


# What is too large, damaged, or none is refused, in a line that names it.


def test_a_block_too_large_for_memory_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "huge.tif"
    side = 32_784
    assert side * side > MOST_BLOCK_BYTES
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
    assert "60000 wide × 60000 high as PNG: too large" in refusal(tmp_path / "bomb.png")


@pytest.mark.parametrize("driver", ["GTiff", "PNG", "JPEG", "JP2OpenJPEG"])
@pytest.mark.parametrize("part", [0.02, 0.5, 0.99])
def test_a_file_cut_short_is_named_and_never_read_as_zeros(tmp_path, driver, part):
    profile = {"compress": "deflate"} if driver == "GTiff" else {}
    path = write_raster(tmp_path / "whole.jp2", make_picture(make_indices(300, 300, 5)), driver=driver, **profile)
    cut = tmp_path / "cut.tif"
    data = path.read_bytes()
    cut.write_bytes(data[: int(len(data) * part)])
    assert any(told in refusal(cut) for told in ("whole?", "cut short"))


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "is empty"), (b"hello\n", "is no GeoTIFF, PNG, JPEG or JPEG 2000"), (b"II*\0", "is it whole?")],
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
    write_raster(tmp_path / "a.bmp", PICTURE, driver="BMP", crs=None, transform=None)
    shutil.move(tmp_path / "a.bmp", tmp_path / "a.tif")
    assert "is no GeoTIFF" in refusal(tmp_path / "a.tif")


def test_an_address_where_nobody_answers_is_an_error_of_ours():
    with server() as (address, asked), rasterio.Env(GDAL_HTTP_MAX_RETRY=0):
        assert "cannot be opened" in refusal(f"{address}/none.tif")
        assert asked
