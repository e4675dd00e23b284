import numpy as np
import pytest
import rasterio
from affine import Affine
from makers import HERE, POLAND, make_indices, make_picture, web_server, write_raster
from rasterio.crs import CRS

from sattrans.errors import RasterError
from sattrans.raster.open import open_raster
from sattrans.raster.sidecar import side_files, with_side_files

PICTURE = make_picture(make_indices(64, 96, 4))
WKT = CRS.from_user_input(POLAND).to_wkt()


def aux_xml(srs="", transform=""):
    srs = f'<SRS dataAxisToSRSAxisMapping="2,1">{srs}</SRS>' if srs else ""
    transform = f"<GeoTransform>{transform}</GeoTransform>" if transform else ""
    return f"<PAMDataset>{srs}{transform}</PAMDataset>"


def numbers(transform):
    return ", ".join(map(repr, transform.to_gdal()))


def bare(path, **profile):
    return write_raster(path, PICTURE, crs=None, transform=None, **profile)


def georeference(source):
    with open_raster(source) as raster:
        place = raster.georeference
        return place.rasterio_crs, place.affine


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
    path = write_raster(tmp_path / "a", np.full((9, 9), 5, np.uint8), driver=driver, crs=None, transform=None)
    (tmp_path / "a.aux.xml").write_text(
        '<PAMDataset><Metadata><MDI key="K">V</MDI></Metadata><PAMRasterBand band="1">'
        "<NoDataValue>5</NoDataValue>"
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
        georeference(tmp_path / "a.tif")
    assert str(tmp_path / name) in str(refused.value) and "\n" not in str(refused.value)


def test_a_transform_onto_a_line_is_refused(tmp_path):
    bare(tmp_path / "a.tif")
    (tmp_path / "a.tfw").write_text("0\n0\n0\n0\n5\n5\n")
    with pytest.raises(RasterError, match=r"a\.tif has a geotransform that maps all pixels to a line or point"):
        georeference(tmp_path / "a.tif")


@pytest.mark.parametrize("kind", ["address", "path"])
def test_a_crs_that_is_an_address_or_a_path_is_not_fetched(tmp_path, kind):
    path = bare(tmp_path / "a.tif")
    (tmp_path / "secret.prj").write_text(WKT)
    with web_server() as (address, asked):
        srs = f"{address}/crs" if kind == "address" else str(tmp_path / "secret.prj")
        (tmp_path / "a.tif.aux.xml").write_text(aux_xml(srs))
        with pytest.raises(RasterError, match=r"a\.tif\.aux\.xml is damaged"):
            georeference(path)
        assert asked == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_an_entity_bomb_is_refused_in_any_encoding(tmp_path, encoding):
    path = bare(tmp_path / "a.tif")
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 5))
    bomb = f'<?xml version="1.0"?><!DOCTYPE b [<!ENTITY l0 "lol">{entities}]><PAMDataset><SRS>&l4;</SRS></PAMDataset>'
    (tmp_path / "a.tif.aux.xml").write_bytes(bomb.encode(encoding))
    with pytest.raises(RasterError, match=r"a\.tif\.aux\.xml is damaged \(it declares a document type"):
        georeference(path)


def test_side_files_are_those_that_are_read_with_a_raster(tmp_path):
    rasters = [tmp_path / name for name in ("a.tif", "b.jpeg", "c.png")]
    for name in ("a.tif.msk", "a.tif.ovr", "a.tfw", "a.tif.aux.xml", "b.jgw", "b.txt", "c.tfw", "d.tif.msk"):
        (tmp_path / name).touch()
    found = {path.name: [file.name for file in beside] for path, beside in side_files(rasters).items()}
    assert found == {"a.tif": ["a.tif.msk", "a.tif.aux.xml", "a.tfw"], "b.jpeg": ["b.jgw"]}
    assert side_files([tmp_path / "nowhere" / "a.tif"]) == {}
    assert len(with_side_files(rasters)) == 3 + 4
