"""The formats of vector maps and areas: what is read gives the same map, the rest is refused with what to do."""

import numpy as np
import pytest
import shapely
from makers_vectors import UTM, box, line, write_layer, write_osm, write_pbf
from mapped import HALF_METRE, PALETTE, opened

from sattrans.errors import ClassesError, OptionError, RasterError, UsageError
from sattrans.maps.area import read_area
from sattrans.maps.ogr import driver_of, vector_files
from sattrans.maps.rules_init import starting_rules
from sattrans.raster.georeference import parse_crs

TOWN = [box(0, 0, 20, 10), box(30, 0, 10, 20)]


@pytest.fixture
def rules(tmp_path):
    path = tmp_path / "rules.toml"
    path.write_bytes(b'\xef\xbb\xbfbackground = "background"\r\n[[rule]]\r\nclass = "building"\r\n')
    return path


@pytest.fixture
def expected(tmp_path, rules):
    return opened(write_layer(tmp_path / "town.gpkg", TOWN, kind=["a", "b"]), HALF_METRE, rules=rules)[0]


def test_flatgeobuf_and_shapefiles_in_capitals_give_the_same_map(tmp_path, rules, expected):
    fgb = write_layer(tmp_path / "town.fgb", TOWN, driver="FlatGeobuf", kind=["a", "b"])
    assert (opened(fgb, HALF_METRE, rules=rules)[0] == expected).all()
    small = tmp_path / "small"
    small.mkdir()
    write_layer(small / "town.shp", TOWN, driver="ESRI Shapefile", kind=["a", "b"])
    upper = tmp_path / "upper"
    upper.mkdir()
    for path in small.iterdir():
        path.rename(upper / path.name.upper())
    (upper / "._TOWN.SHP").write_bytes(b"\0\x05\x16\x07")
    assert [path.name for path in vector_files(upper)] == ["TOWN.SHP"]
    for map_ in (upper, upper / "TOWN.SHP"):
        assert (opened(map_, HALF_METRE, rules=rules)[0] == expected).all()


@pytest.mark.slow
@pytest.mark.parametrize(("write", "name"), [(write_osm, "town.osm"), (write_pbf, "town.osm.pbf")])
def test_an_osm_file_is_read_by_its_tags(tmp_path, write, name):
    pixels, _ = opened(write(tmp_path / name), HALF_METRE, rules="osm")
    assert abs(int((pixels == 1).sum()) - 40 * 20) <= 60


@pytest.mark.parametrize("smuggled", ["<!-- <OGRVRTDataSource> -->", "<kml/>", '<OGRVRTLayer name="x"/>'])
def test_an_osm_file_that_names_another_format_is_no_osm_file(tmp_path, smuggled):
    path = write_osm(tmp_path / "a.osm", foot=smuggled)
    with pytest.raises(RasterError, match="begins with words of another format"):
        opened(path, HALF_METRE, rules="osm")
    assert driver_of(write_osm(tmp_path / "b.osm", head=smuggled)) is None


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (b"PK\x03\x04rest", "is a zip archive; unpack it, and give a file of it .*GeoPackage"),
        (b'<?xml version="1.0"?><kml xmlns="x"/>', "another format than GeoPackage, GeoJSON.*ogr2ogr map.gpkg"),
        (b"<gpx/>", "another format than GeoPackage"),
        (b"nothing", "--rules are for vector maps: GeoPackage"),
        (b"\0\0\0\x0d\x0a\x09OSMHeader\x18\x7c", "cannot read .*or convert it to a GeoPackage"),
    ],
)
def test_other_formats_are_refused_with_those_that_are_read(tmp_path, rules, start, message):
    path = tmp_path / "map.any"
    path.write_bytes(start)
    with pytest.raises(RasterError, match=message):
        opened(path, HALF_METRE, rules=rules)


def test_the_name_of_a_class_is_a_rule_for_a_map_of_one_layer(tmp_path, expected):
    map_ = write_layer(tmp_path / "ids.geojson", TOWN, driver="GeoJSON", osm_id=["1", "2"])
    pixels, _ = opened(map_, HALF_METRE, rules="building")
    assert (pixels == expected).all()
    with pytest.raises(ClassesError, match="--rules castle draw castle, none of which is a class of the run"):
        opened(map_, HALF_METRE, rules="castle")
    two = write_layer(tmp_path / "two.gpkg", TOWN, "a", kind=["a", "b"])
    write_layer(two, TOWN, "b", append=True, kind=["a", "b"])
    with pytest.raises(OptionError, match=r"one layer, .*two.gpkg has a, b; sattrans rules init .*two.gpkg"):
        opened(two, HALF_METRE, rules="building")


def test_osm_takes_layers_by_their_names_if_no_attribute_says_more(tmp_path):
    path = write_layer(tmp_path / "town.gpkg", TOWN, "Buildings", uid=["1", "2"])
    write_layer(path, [line((0, 30), (40, 30))], "streets", geometry_type="LineString", append=True, uid=["1"])
    pixels, _ = opened(path, HALF_METRE, rules="osm")
    road = PALETTE.names.index("road")
    assert set(np.unique(pixels)) == {0, 1, road}
    assert (pixels[:, 20] == road).sum() == 5  # half of 5 m, at the edge of the map
    tagged = write_layer(tmp_path / "tagged.gpkg", TOWN, "buildings", building=["yes", None])
    assert (opened(tagged, HALF_METRE, rules="osm")[0] == 1).sum() == 40 * 20


def test_rules_to_start_from_draw_the_map_that_they_were_made_of(tmp_path):
    path = write_layer(tmp_path / "town.gpkg", TOWN, "all", kind=["building", 'the "water"'], name=["x", "y"])
    write_layer(path, TOWN[:1], "road", append=True, uid=["1"])
    text = starting_rules(path)
    assert 'where = { "kind" = "the \\"water\\"" }' in text
    assert "# Layer all: kind, name" in text and 'class = "road"\nlayer = "road"' in text
    file = tmp_path / "start.toml"
    file.write_text(text.replace('class = "the \\"water\\""', 'class = "water"'))
    assert {1, PALETTE.names.index("water")} & set(np.unique(opened(path, HALF_METRE, rules=file)[0]))


@pytest.mark.parametrize(("name", "driver"), [("a.gpkg", "GPKG"), ("a.shp", "ESRI Shapefile"), ("a.fgb", "FlatGeobuf")])
def test_areas_are_read_from_vector_files_in_their_crs(tmp_path, name, driver):
    area = read_area(write_layer(tmp_path / name, TOWN, driver=driver, kind=["a", "b"]))
    assert area.crs == parse_crs(UTM)
    assert shapely.equals(shapely.normalize(area.geometry), shapely.normalize(shapely.union_all(TOWN)))


def test_an_area_that_is_none_is_refused(tmp_path):
    two = write_layer(tmp_path / "two.gpkg", TOWN, "a", kind=["a", "b"])
    write_layer(two, TOWN, "b", append=True, kind=["a", "b"])
    lines = write_layer(tmp_path / "lines.gpkg", [line((0, 0), (9, 9))], geometry_type="LineString", kind=["a"])
    zipped = tmp_path / "a.zip"
    zipped.write_bytes(b"PK\x03\x04")
    text = tmp_path / "a.txt"
    text.write_text("no polygons")
    for path, message in (
        (two, "one layer of polygons, it has a, b"),
        (lines, "it has none"),
        (zipped, "zip archive"),
        (text, "is not a vector file; give polygons as GeoPackage, GeoJSON"),
        (tmp_path / "no.gpkg", "cannot read --aoi .*No such file"),
    ):
        with pytest.raises(UsageError, match=message):
            read_area(path)
