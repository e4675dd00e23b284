"""Vector maps and rule files that are not right: each is said in one line, with what to do."""

import sqlite3
import sys
from contextlib import closing

import numpy as np
import pytest
import shapely
from makers import make_indices, write_raster
from makers_vectors import at, box, line, make_town, write_geofabrik, write_layer, write_tags
from mapped import HALF_METRE, PALETTE, opened

from sattrans.errors import ClassesError, OptionError, RasterError, SattransError, UsageError
from sattrans.maps.area import read_area
from sattrans.maps.rules import BUILT_IN, read_rules
from sattrans.raster.palette import LandClass, Palette

HOUSES = '[[rule]]\nclass = "building"\nwhere = { kind = "house" }\n'


def rules(tmp_path, text=HOUSES, head='background = "background"\n'):
    path = tmp_path / "rules.toml"
    path.write_text(head + text)
    return path


@pytest.fixture
def map_(tmp_path):
    return write_layer(tmp_path / "map.gpkg", [box(0, 0, 20, 10)], kind=["house"])


def refused(error, path, run=HALF_METRE, palette=PALETTE, **options):
    with pytest.raises(error) as told:
        opened(path, run, palette, **options)
    assert "\n" not in str(told.value)
    return str(told.value)


def test_a_vector_map_needs_rules_and_a_run_of_classes(tmp_path, map_):
    assert "needs --rules, which give each feature a class" in refused(OptionError, map_)
    assert "the run needs pictures" in refused(OptionError, map_, palette=None, rules="osm")
    raster = write_raster(tmp_path / "map.tif", make_indices(20, 20, 5))
    assert "map.tif is a raster" in refused(OptionError, raster, rules="osm")


def test_a_vector_map_needs_metres(tmp_path, map_):
    file = rules(tmp_path)
    assert "a vector map has no pixels; give metres" in refused(OptionError, map_, rules=file, res="native")
    assert "a vector map needs --res" in refused(OptionError, map_, None, rules=file)
    assert opened(map_, None, rules=file, res="1")[0].shape == (10, 20)


def test_a_map_of_two_million_pixels_is_refused_and_bounds_make_it_possible(tmp_path):
    path = write_layer(tmp_path / "map.gpkg", [box(0, 0, 5, 5), box(499_995, 0, 5, 5)], kind=["house"] * 2)
    file = rules(tmp_path)
    told = refused(OptionError, path, (0.25, 0.25), rules=file)
    assert "would be 2000000 wide × 20 high at 0.25 m" in told and "--bounds, or use a coarser --res" in told
    (left, top), (right, bottom) = at(0, 0), at(10, 5)
    pixels, _ = opened(path, (0.25, 0.25), rules=file, bounds=f"{left},{bottom},{right},{top}")
    assert pixels.shape == (20, 40) and (pixels[:, :20] == 1).all()


def test_a_layer_or_attribute_that_is_not_there_is_named_with_what_is(tmp_path, map_):
    text = '[[rule]]\nclass = "road"\nlayer = "roads"\n'
    assert "rule 2 (road): " in (told := refused(OptionError, map_, rules=rules(tmp_path, HOUSES + text)))
    assert "has no layer roads, it has map" in told
    told = refused(OptionError, map_, rules=rules(tmp_path, HOUSES.replace("kind", "sort")))
    assert "has no attribute sort, it has map (kind)" in told
    optional = 'background = "background"\noptional = true\n'
    assert opened(map_, HALF_METRE, rules=rules(tmp_path, HOUSES + text, optional))[0].any()
    told = refused(OptionError, map_, rules="osm")
    assert "no rule applies" in told and "map (kind)" in told


def test_an_empty_result_is_no_map(tmp_path, map_):
    told = refused(ClassesError, map_, rules=rules(tmp_path, HOUSES.replace("house", "castle")))
    assert "rules.toml select no feature (layers map)" in told
    empty = write_layer(tmp_path / "empty.gpkg", [], geometry_type="Polygon", kind=[])
    assert "has no feature with a geometry" in refused(RasterError, empty, rules=rules(tmp_path))
    # Within bounds, too: a corner that holds nothing that a rule means.
    two = write_layer(tmp_path / "two.gpkg", [box(0, 0, 5, 5), box(50, 0, 5, 5)], kind=["house", "field"])
    (left, top), (right, bottom) = at(40, 0), at(60, 5)
    assert "select no feature" in refused(
        ClassesError, two, rules=rules(tmp_path), bounds=f"{left},{bottom},{right},{top}"
    )


def test_features_without_geometry_are_left_out_and_counted(tmp_path):
    shapes = [box(0, 0, 20, 10), None, None]
    path = write_layer(tmp_path / "map.gpkg", shapes, kind=["house", "house", "field"])
    pixels, told = opened(path, HALF_METRE, rules=rules(tmp_path))
    assert (pixels == 1).all()
    assert f"{path}: 1 feature without geometry left out" in told.notices
    bare = write_layer(tmp_path / "bare.gpkg", [None, None], kind=["house", "house"])
    assert "has no feature with a geometry" in refused(RasterError, bare, rules=rules(tmp_path))
    table = write_layer(tmp_path / "table.gpkg", [None], kind=["house"])
    with closing(sqlite3.connect(table)) as database, database:
        database.execute("UPDATE gpkg_contents SET data_type = 'attributes'")
        database.execute("DELETE FROM gpkg_geometry_columns")
    assert "there is nothing to rasterize" in refused(RasterError, table, rules=rules(tmp_path))


@pytest.mark.parametrize("suffix", ["gpkg", "geojson", "shp"])
def test_invalid_geometry_is_mended_and_counted(tmp_path, suffix):
    bow = shapely.Polygon([at(0, 0), at(20, 20), at(20, 0), at(0, 20)])
    driver = {"gpkg": "GPKG", "geojson": "GeoJSON", "shp": "ESRI Shapefile"}[suffix]
    path = write_layer(
        tmp_path / f"map.{suffix}", [bow, box(30, 0, 5, 5)], driver=driver, geometry_type="Polygon", kind=["house"] * 2
    )
    pixels, told = opened(path, HALF_METRE, rules=rules(tmp_path))
    if suffix != "shp":  # that driver mends it
        assert f"{path}: 1 feature with invalid geometry repaired" in told.notices
    assert (pixels == 1).mean() * pixels.size * 0.25 == pytest.approx(200 + 25, rel=0.06)
    assert pixels[20, 4] == pixels[20, 36] == 1 and pixels[2, 20] == 0


def test_a_file_without_a_crs_is_refused(tmp_path):
    path = write_layer(
        tmp_path / "map.shp",
        [box(0, 0, 9, 9)],
        driver="ESRI Shapefile",
        crs=None,
        geometry_type="Polygon",
        kind=["house"],
    )
    assert "map.shp has no CRS; add one" in refused(RasterError, path, rules=rules(tmp_path))


@pytest.mark.parametrize("coordinate", [np.nan, np.inf, -1e300, 1e13])
@pytest.mark.parametrize(
    ("name", "driver"), [("map.gpkg", "GPKG"), ("map.fgb", "FlatGeobuf"), ("map.shp", "ESRI Shapefile")]
)
@pytest.mark.parametrize("shape", [shapely.LineString, shapely.Polygon])
def test_coordinates_that_lie_nowhere_are_refused(tmp_path, coordinate, name, driver, shape):
    other = shape([at(0, 0), at(9, 0), at(9, 9)])
    damaged = shape([at(0, 0), at(9, 0), (coordinate, at(9, 9)[1]), at(0, 9)])
    if driver == "ESRI Shapefile":  # GDAL writes none of these as text, nor as the extent of a shapefile
        damaged = shapely.transform(damaged, lambda xy: np.clip(np.nan_to_num(xy, nan=1e300), -1e300, 1e300))
    path = write_layer(tmp_path / name, [other, damaged], driver=driver, kind=["house", "house"])
    told = refused(RasterError, path, rules=rules(tmp_path))
    assert told == f"{path}: layer map has coordinates that are not finite, or lie nowhere on earth; repair the file"
    with pytest.raises(UsageError, match="coordinates that are not finite"):
        read_area(path)


def test_a_geojson_with_coordinates_of_1e300_is_refused(tmp_path):
    path = write_layer(tmp_path / "map.geojson", [shapely.box(15, 50, 15.1, 50.1)], None, "GeoJSON", "EPSG:4326")
    path.write_text(path.read_text().replace("50.1", "1e300"))
    assert "lie nowhere on earth" in refused(RasterError, path, rules="building")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("cut.gpkg", None),
        ("zeros.gpkg", b"SQLite format 3\0" + bytes(4096)),
        ("other.geojson", b'{"type": "Topology"}'),
        ("broken.geojson", b'{"type": "FeatureCollection", "features": [{'),
        ("magic.shp", b"\0\0\x27\x0a" + bytes(200)),
        ("text.json", b"{ hello"),
    ],
)
def test_damaged_files_are_refused(tmp_path, map_, name, data):
    path = tmp_path / name
    path.write_bytes(map_.read_bytes()[:5000] if data is None else data)
    assert name in refused(RasterError, path, rules=rules(tmp_path))


def test_what_only_looks_like_a_map_is_not_opened_by_another_driver(tmp_path):
    """A virtual data source may point anywhere; one in a text that is no GeoJSON is not followed."""
    path = tmp_path / "map.gpkg"
    path.write_text("<OGRVRTDataSource><OGRVRTLayer name='a'><SrcDataSource>/etc/passwd</SrcDataSource></OGRVRTLayer>")
    assert "is not a GeoTIFF, PNG, JPEG, JPEG 2000, WebP or BMP" in refused(RasterError, path, rules=rules(tmp_path))


def test_without_pyogrio_the_line_says_how_to_get_it(tmp_path, map_, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("pyogrio")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyogrio", None)
    told = refused(SattransError, map_, rules=rules(tmp_path))
    assert "map.gpkg is a vector map, and pyogrio" in told and "pip install 'sattrans[vector]'" in told
    raster = write_raster(tmp_path / "map.tif", make_indices(20, 20, 5))
    assert opened(raster)[0].shape == (20, 20)


def test_a_run_that_has_none_of_the_classes_is_refused(tmp_path):
    path = write_tags(tmp_path / "town.geojson", make_town())
    other = Palette((LandClass(3, "crops", (0, 0, 0)), LandClass(8, "ice", (1, 1, 1))))
    told = refused(ClassesError, path, palette=other, rules="osm")
    assert "draw building, road, water, woodland, none of which is a class of the run, which has 3 crops, 8 ice" in told
    assert "--class-map building=8" in told
    told = refused(OptionError, path, palette=other, rules="osm", class_map={"forest": "ice"})
    assert "--class-map forest=ice: the rules have no class 'forest'" in told
    assert "the run has no class 'snow'" in refused(
        OptionError, path, palette=other, rules="osm", class_map={"building": "snow"}
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "rule is missing"),
        ("rule = []", "rule must have at least 1 item, got a list of 0"),
        ("rule = 5", "rule must be a list, got 5"),
        ("[[rule]]\nlayer = 'a'", "rule 1: class is missing"),
        ("[[rule]]\nclass = 'a'\n[[rule]]\nclass = 1", "rule 2: class must be a string, got 1"),
        ("[[rule]]\nclass = 'a'\nwith = 3", "rule 1 has the unknown key 'with'; did you mean 'width'"),
        ("[[rule]]\nclass = 'a'\nland_class = 'b'", "rule 1 has the unknown key 'land_class'; did you mean 'class'"),
        ("[[rule]]\nclass = 'a'\nwidth = 0", "rule 1: width must be above 0, got 0"),
        ("[[rule]]\nclass = 'a'\nwidth = 1e300", r"rule 1: width must be at most 100000, got 1e\+300"),
        ("[[rule]]\nclass = 'a'\nwidth = inf", "a number must be finite, got inf"),
        ("[[rule]]\nclass = 'a'\nwidth = true", "rule 1: width must be a number, got True"),
        ("[[rule]]\nclass = 'a'\nwhere = 'b'", "rule 1: where must be a table, got 'b'"),
        ("[[rule]]\nclass = 'a'\nwhere = { b = false }", "rule 1: where.b must be a text or number, .*, got False"),
        ("[[rule]]\nclass = 'a'\nwhere = { b = [] }", "rule 1: where.b must be .* got a list of 0"),
        ("[[rule]]\nclass = 'a'\nwhere = { b = ['c', true] }", "rule 1: where.b must be"),
        ("[[rule]]\nclass = 'a'\nlacking = 'fclass'", "rule 1: lacking must be a list, got 'fclass'"),
        ("[[rules]]\nclass = 'a'", "unknown key 'rules'; did you mean 'rule'"),
        ("optional = 1\n[[rule]]\nclass = 'a'", "optional must be a boolean, got 1"),
        ("[[rule]\n", "is not valid TOML"),
    ],
)
def test_rule_files_that_are_not_right(tmp_path, text, why):
    path = rules(tmp_path, text)
    with pytest.raises(OptionError, match=why) as told:
        read_rules(path)
    assert f"--rules {path}" in str(told.value) and "\n" not in str(told.value)


def test_rules_that_are_not_there_or_name_no_background(tmp_path):
    with pytest.raises(OptionError, match=r"no such file, nor built-in rules \(osm\)"):
        read_rules("oms")
    with pytest.raises(OptionError, match="cannot be read: Is a directory"):
        read_rules(tmp_path)
    with pytest.raises(OptionError, match="background is missing"):
        read_rules(rules(tmp_path, head=""))


@pytest.mark.parametrize("name", list(BUILT_IN))
def test_the_rules_that_come_along_fit_every_form(tmp_path, name):
    """Each rule fits a layer of a Geofabrik extract, or tags, or is for layers without them."""
    made = read_rules(name)
    assert made.classes == ("background", "woodland", "water", "road", "building") and made.optional
    town = write_geofabrik(tmp_path / "town", make_town())
    tags = write_tags(tmp_path / "town.geojson", make_town())
    from sattrans.maps.features import match_layers
    from sattrans.maps.ogr import layers_of

    fits = {
        place
        for path, files in ((town, sorted(town.glob("*.shp"))), (tags, [tags]))
        for source in match_layers(made, layers_of(files), str(path))
        for place in source.rules
    }
    assert fits == {place for place, rule in enumerate(made.rules) if not rule.lacking}


def test_a_line_across_the_world_does_not_fit_one_zone(tmp_path):
    path = write_layer(
        tmp_path / "map.geojson",
        [shapely.LineString([(-179, -89), (179, 89)]), line((0, 0), (1, 1))],
        driver="GeoJSON",
        crs="EPSG:4326",
        kind=["house", "house"],
    )
    with pytest.raises(SattransError) as told:
        opened(path, HALF_METRE, rules=rules(tmp_path))
    assert "map.geojson" in str(told.value) and "\n" not in str(told.value)
