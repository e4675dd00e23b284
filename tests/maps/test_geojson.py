"""A GeoJSON brings no connection: what GDAL would fetch for it is refused before GDAL opens it."""

import json

import pytest
from makers import web_server
from makers_vectors import box, in_degrees, write_layer
from mapped import HALF_METRE, opened

from sattrans.errors import RasterError
from sattrans.maps.geojson import check_geojson
from sattrans.maps.ogr import layers_of

RULES = 'background = "background"\n[[rule]]\nclass = "building"\nwhere = { kind = "house" }\n'


@pytest.fixture
def town(tmp_path):
    path = write_layer(
        tmp_path / "town.geojson", [in_degrees(box(0, 0, 20, 10))], None, "GeoJSON", "EPSG:4326", kind=["house"]
    )
    return json.loads(path.read_text())


LINKS = [
    '{"type":"link","properties":{"href":"ADDRESS"}}',
    '{"type":"url","properties":{"url":"ADDRESS"}}',
    '{"type":"LINK","properties":{"href":"ADDRESS"}}',
    '{"type":"name","type":"link","properties":{"name":"EPSG:4326","href":"ADDRESS"}}',
    '{"type":"name","properties":{"name":"ADDRESS"}}',
    '{"type":"name","properties":{"name":"/etc/passwd"}}',
    '/* */ {"type":"link","properties":{"href":"ADDRESS"}}',
]


@pytest.mark.parametrize("value", LINKS)
def test_a_crs_that_is_an_address_is_refused_before_gdal_sees_it(tmp_path, town, value):
    del town["crs"]
    text, path = json.dumps(town), tmp_path / "linked.geojson"
    with web_server() as (address, asked):
        for name in ('"crs"', '"CRS"', r'"\u0063rs"', r'"c\u0052s"', "'crs'", '"crs" /* */ '):
            member = f"{name}:{value.replace('ADDRESS', address)}"
            for linked in (f"{{{member},{text[1:]}", f"{text[:-1]},{member}}}"):
                path.write_text(linked)
                with pytest.raises(RasterError, match="follows no link") as refused:
                    layers_of([path])
                assert str(path) in str(refused.value) and "\n" not in str(refused.value)
        assert asked == []


WORDS = [
    '{<OGRVRTDataSource><OGRVRTLayer name="x"><SrcDataSource>/vsicurl/ADDRESS/a</SrcDataSource></OGRVRTLayer>',
    '{"type":"gdal_streamed_alg","command_line":"gdal vector pipeline ! read /vsicurl/ADDRESS/b ! write x"}',
    '{"a":"<OGRWFSDataSource><URL>ADDRESS</URL></OGRWFSDataSource>"}',
    '{"conformsTo":["[ogc-json-fg-1-0.1:core]"],"type":"FeatureCollection","features":[],"coordRefSys":"ADDRESS"}',
]


@pytest.mark.parametrize("text", WORDS)
def test_the_words_of_another_format_in_a_geojson_are_not_followed(tmp_path, text):
    with web_server() as (address, asked):
        path = tmp_path / "map.geojson"
        path.write_text(text.replace("ADDRESS", address))
        with pytest.raises(RasterError):
            layers_of([path])
        assert asked == []


@pytest.mark.parametrize(
    "name",
    [
        "EPSG:2180",
        "urn:ogc:def:crs:EPSG::2180",
        "urn:ogc:def:crs:OGC:1.3:CRS84",
        "http://www.opengis.net/def/crs/OGC/1.3/CRS84",
    ],
)
def test_a_crs_by_its_name_is_read(tmp_path, town, name):
    town["crs"] = {"type": "name", "properties": {"name": name}}
    path = tmp_path / "named.geojson"
    path.write_text(json.dumps(town))
    (layer,) = layers_of([path])
    assert layer.crs


@pytest.mark.parametrize("value", ["EPSG:2180", 5, None, ["a"], 'a "crs": {"type": "link"}'])
def test_an_attribute_named_crs_is_an_attribute(tmp_path, town, value):
    town["features"][0]["properties"] = {"kind": "house", "crs": value}
    path = tmp_path / "town.geojson"
    path.write_text(json.dumps(town))
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES)
    assert opened(path, HALF_METRE, rules=rules)[0].shape == (20, 40)


def test_a_file_that_has_changed_is_checked_again(tmp_path, town):
    path = tmp_path / "town.geojson"
    path.write_text(json.dumps(town))
    check_geojson(path)
    town["crs"] = {"type": "link", "properties": {"href": "http://127.0.0.1:9/"}}
    path.write_text(json.dumps(town))
    with pytest.raises(RasterError):
        check_geojson(path)


def test_the_file_of_an_odd_name_is_read_and_no_other(tmp_path, town, monkeypatch):
    """pyogrio takes what follows an exclamation mark for a name in an archive, what precedes a colon for a scheme."""
    monkeypatch.chdir(tmp_path)
    for name in ("http:127.0.0.1:9", "file:town.geojson", "zip:a.geojson", "a!town.geojson", "a;b?c.geojson"):
        path = tmp_path / name
        path.write_text(json.dumps({**town, "name": "mine"}))
        assert [layer.name for layer in layers_of([path.relative_to(tmp_path)])] == ["mine"]
    package = write_layer(tmp_path / "a.gpkg", [box(0, 0, 9, 9)], kind=["house"])
    package.rename("b!a.gpkg")
    with pytest.raises(RasterError, match="rename it"):
        layers_of([tmp_path / "b!a.gpkg"])
