"""Vector maps drawn by rules: place, order, width, windows, and the forms that OpenStreetMap comes in."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from makers_vectors import UTM, at, box, in_degrees, line, make_town, write_geofabrik, write_layer, write_tags
from mapped import HALF_METRE, PALETTE, opened, whole

from sattrans.maps.open import open_map
from sattrans.maps.options import MapOptions
from sattrans.raster.palette import UNKNOWN, LandClass, Palette
from sattrans.raster.window import Window

BACKGROUND, BUILDING, WOODLAND, WATER, ROAD = range(5)


def rules(tmp_path, text, background="background"):
    path = tmp_path / "rules.toml"
    path.write_text(f'background = "{background}"\n{text}')
    return path


KINDS = """
[[rule]]
class = "woodland"
where = { kind = ["wood", "orchard"] }
[[rule]]
class = "road"
where = { kind = "road" }
width = 4
[[rule]]
class = "building"
where = { kind = "house" }
"""


@pytest.fixture
def map_(tmp_path):
    """A wood of 20 × 10 m whose corner is the map's, a road of 4 m below, and a house on it."""
    shapes = [box(0, 0, 20, 10), line((0, 15), (40, 15)), box(10, 14, 5, 6), box(30, 0, 10, 20)]
    return write_layer(tmp_path / "map.gpkg", shapes, kind=["wood", "road", "house", "meadow"])


def expected(metres=0.5):
    pixels = np.zeros((int(20 / metres), int(40 / metres)), np.uint8)

    def paint(x, y, width, height, value):
        rows, cols = (slice(round(a / metres), round((a + n) / metres)) for a, n in ((y, height), (x, width)))
        pixels[rows, cols] = value

    paint(0, 0, 20, 10, WOODLAND)
    paint(0, 13, 40, 4, ROAD)
    paint(10, 14, 5, 6, BUILDING)
    return pixels


@pytest.mark.parametrize("metres", [0.25, 0.5, 1.0])
def test_rules_paint_in_their_order_where_things_lie(tmp_path, map_, metres):
    pixels, told = opened(map_, (metres, metres), rules=rules(tmp_path, KINDS))
    assert np.array_equal(pixels, expected(metres))
    assert told.georeference.transform == (metres, 0, 500_000, 0, -metres, 5_500_000)
    assert not told.has_nodata
    assert told.notices == [f"{map_}: rasterized at {metres:g} m in WGS 84 / UTM zone 33N"]


def test_the_other_order_paints_the_house_under_the_road(tmp_path, map_):
    first, second, third = KINDS.strip().split("[[rule]]")[1:]
    turned = "".join(f"[[rule]]{part}\n" for part in (third, second, first))
    pixels, _ = opened(map_, HALF_METRE, rules=rules(tmp_path, turned))
    assert (pixels[26:34] == ROAD).all()


@pytest.mark.slow
def test_every_form_of_a_town_becomes_the_same_map(tmp_path):
    town = make_town()
    maps = [
        write_geofabrik(tmp_path / "town.gpkg", town),
        write_geofabrik(tmp_path / "town", town),
        write_tags(tmp_path / "town.geojson", town),
        write_geofabrik(tmp_path / "utm.gpkg", town, degrees=False),
    ]
    drawn = [opened(path, HALF_METRE, rules="osm") for path in maps]
    for pixels, told in drawn:
        assert np.array_equal(pixels, drawn[0][0])
        assert told.georeference.transform == pytest.approx(drawn[0][1].georeference.transform)
    pixels = drawn[0][0]
    assert pixels.shape == (256, 256)

    def looked(x, y):
        return pixels[int(y * 256), int(x * 256)]

    assert looked(0.25, 0.75) == WOODLAND and looked(0.75, 0.25) == WATER and looked(0.75, 0.9) == WATER
    assert looked(0.1, 0.5) == ROAD and looked(0.5, 0.1) == ROAD and looked(0.07, 0.12) == BUILDING
    assert looked(0.75, 0.75) == BACKGROUND and looked(0.3, 0.3) == BACKGROUND  # meadow, a footway
    # The residential street is 5 m wide, the primary road 10 m, to a pixel's edge.
    assert abs((pixels[:, 30] == ROAD).sum() * 0.5 - 5) <= 0.5
    assert abs((pixels[100] == ROAD).sum() * 0.5 - 10) <= 0.5


@pytest.mark.slow
@settings(max_examples=settings.default.max_examples // 3)  # each draws a map
@given(st.integers(0, 10_000))
def test_windows_of_a_drawn_map_are_parts_of_the_whole(tmp_path_factory, seed):
    folder = tmp_path_factory.mktemp("drawn")
    rng = np.random.default_rng(seed)
    shapes = []
    for _ in range(12):
        x, y = rng.uniform(0, 60, 2)
        kind = rng.integers(3)
        if kind == 0:
            shapes.append(shapely.Point(at(x, y)).buffer(rng.uniform(1, 15), quad_segs=3))
        else:
            shapes.append(line((x, y), *rng.uniform(0, 60, (2, 2))))
    kinds = rng.choice(["wood", "road", "house"], len(shapes)).tolist()
    path = write_layer(folder / "map.gpkg", shapes, kind=kinds)
    options = MapOptions(rules=rules(folder, KINDS))  # lines of woods and houses are a pixel wide
    with open_map(path, options, PALETTE, HALF_METRE) as map_:
        map_.check()
        pixels = whole(map_)
        step_down, step_across = rng.integers(7, 50, 2).tolist()
        for row in range(0, map_.height, step_down):
            for col in range(0, map_.width, step_across):
                window = Window(row, col, min(step_down, map_.height - row), min(step_across, map_.width - col))
                assert np.array_equal(map_.read(window), pixels[window.slices])


def test_lines_without_a_width_are_a_pixel_wide_and_points_are_discs_or_nothing(tmp_path):
    shapes = [box(0, 0, 40, 40), line((0, 10.25), (40, 10.25)), shapely.Point(at(20, 30)), shapely.Point(at(35, 35))]
    path = write_layer(tmp_path / "map.gpkg", shapes, kind=["frame", "path", "pond", "tree"])
    text = """
[[rule]]
class = "road"
where = { kind = "path" }
[[rule]]
class = "water"
where = { kind = "pond" }
width = 10
[[rule]]
class = "woodland"
where = { kind = "tree" }
"""
    pixels, _ = opened(path, HALF_METRE, rules=rules(tmp_path, text))
    assert (pixels[20] == ROAD).all() and (pixels == ROAD).sum() == 80
    assert (pixels == WATER).sum() * 0.25 == pytest.approx(np.pi * 25, rel=0.05)
    assert not (pixels == WOODLAND).any()


def test_tests_of_attributes(tmp_path):
    names = ["a", "b", "c", None, ""]
    shapes = [box(10 * i, 0, 10, 10) for i in range(5)]
    path = write_layer(
        tmp_path / "map.gpkg", shapes, name=names, levels=[1, 2, 3, 4, 5], height=[1.5, 2.0, np.nan, 4.0, 0.1]
    )

    def drawn(where):
        text = f'[[rule]]\nclass = "building"\nwhere = {where}'
        return (opened(path, (10.0, 10.0), rules=rules(tmp_path, text))[0][0] == BUILDING).tolist()

    assert drawn('{ name = "a" }') == [True, False, False, False, False]
    assert drawn('{ name = ["a", "c"] }') == [True, False, True, False, False]
    assert drawn("{ name = true }") == [True, True, True, False, False]
    assert drawn("{ levels = [2, 5] }") == [False, True, False, False, True]
    assert drawn("{ height = [1.5, 2, 4] }") == [True, True, False, True, False]
    assert drawn("{ name = true, levels = 3 }") == [False, False, True, False, False]
    assert drawn("{}") == [True] * 5


def test_rules_look_at_the_layers_they_name(tmp_path):
    path = write_layer(tmp_path / "map.gpkg", [box(0, 0, 10, 10)], "Houses", kind=["x"])
    write_layer(path, [box(10, 0, 10, 10)], "lakes_2024", append=True, kind=["x"])
    text = '[[rule]]\nclass = "building"\nlayer = "houses"\n[[rule]]\nclass = "water"\nlayer = "lakes_*"\n'
    assert opened(path, (10.0, 10.0), rules=rules(tmp_path, text))[0].tolist() == [[BUILDING, WATER]]


def test_layers_of_several_systems_meet_on_one_grid(tmp_path):
    path = write_layer(tmp_path / "map.gpkg", [box(0, 0, 10, 10)], "a", kind=["house"])
    write_layer(path, [in_degrees(box(10, 0, 10, 10))], "b", crs="EPSG:4326", append=True, kind=["wood"])
    drawn = opened(path, (1.0, 1.0), rules=rules(tmp_path, KINDS.replace('"road"', '"house"')))[0]
    assert (drawn[1:-1, 1:9] == BUILDING).all() and (drawn[1:-1, 11:19] == WOODLAND).all()


@pytest.mark.parametrize("crs", ["EPSG:3857", "EPSG:2263"])
def test_a_pixel_is_as_many_metres_on_the_ground_as_was_asked(tmp_path, crs):
    """In Web Mercator at 60° north a unit is half a metre, in feet three tenths."""
    left, bottom, unit = (2_000_000, 8_399_737, 0.5013) if crs == "EPSG:3857" else (980_000, 200_000, 0.3048)
    shape = shapely.box(left, bottom, left + 100, bottom + 100)
    path = write_layer(tmp_path / "map.gpkg", [shape], crs=crs, kind=["wood"])
    text = '[[rule]]\nclass = "woodland"'
    _, told = opened(path, (0.25, 0.25), rules=rules(tmp_path, text))
    assert abs(told.width - 100 * unit / 0.25) <= 2


def test_bounds_and_polygons_cut_what_is_drawn(tmp_path, map_):
    (left, top), (right, bottom) = at(10, 5), at(30, 18)
    file = rules(tmp_path, KINDS)
    pixels, told = opened(map_, HALF_METRE, rules=file, bounds=f"{left},{bottom},{right},{top}")
    assert np.array_equal(pixels, expected()[10:36, 20:60]) and not told.has_nodata
    area = tmp_path / "area.geojson"
    area.write_text(shapely.to_geojson(in_degrees(shapely.segmentize(box(10, 5, 20, 13), 1))))
    cut, told = opened(map_, HALF_METRE, rules=file, aoi=area)
    assert told.has_nodata and np.array_equal(cut[told.valid], pixels.ravel())


def test_bounds_of_a_map_in_degrees_are_degrees_and_leave_no_transparent_wedge(tmp_path):
    path = write_tags(tmp_path / "town.geojson", make_town())
    west, south, east, north = in_degrees(box(20, 20, 60, 40)).bounds
    pixels, told = opened(path, HALF_METRE, rules="osm", bounds=f"{west},{south},{east},{north}")
    all_of_it, _ = opened(path, HALF_METRE, rules="osm")
    assert not told.has_nodata and np.array_equal(pixels, all_of_it[40:120, 40:160])


@pytest.mark.parametrize(("far", "zones"), [(23.0, (33, 33)), (63.0, (33, 41))])
def test_parts_share_the_zone_of_the_map_unless_it_is_too_wide_for_one(tmp_path, far, zones):
    houses = [shapely.box(x, 50, x + 0.001, 50.001) for x in (12.0, far)]
    path = write_layer(tmp_path / "map.gpkg", houses, crs="EPSG:4326", kind=["house"] * 2)
    file = rules(tmp_path, KINDS)
    for x, zone in zip((12.0, far), zones, strict=True):
        pixels, told = opened(path, HALF_METRE, rules=file, bounds=f"{x},50,{x + 0.001},50.001")
        assert told.notices == [f"{path}: rasterized at 0.5 m in WGS 84 / UTM zone {zone}N"]
        assert (pixels == BUILDING).mean() > 0.5


def test_classes_the_run_lacks_become_background_and_it_is_said(tmp_path):
    path = write_tags(tmp_path / "town.geojson", make_town())
    fewer = Palette((LandClass(7, "background", (0, 0, 0)), LandClass(9, "building", (1, 1, 1))))
    pixels, told = opened(path, HALF_METRE, fewer, rules="osm")
    assert set(np.unique(pixels)) == {0, 1}
    assert "the run has no class road, water, woodland: drawn as background" in told.notices
    mapped, told = opened(path, HALF_METRE, fewer, rules="osm", class_map={"road": "building"})
    assert (mapped == 1).sum() > (pixels == 1).sum()
    assert "the run has no class water, woodland: drawn as background" in told.notices


def test_a_run_without_the_background_gets_a_transparent_one(tmp_path):
    path = write_tags(tmp_path / "town.geojson", make_town())
    other = Palette((LandClass(7, "land", (0, 0, 0)), LandClass(9, "building", (1, 1, 1))))
    pixels, told = opened(path, HALF_METRE, other, rules="osm")
    assert told.has_nodata and set(np.unique(pixels)) == {1, UNKNOWN}
    assert any(
        "pixels without a feature are transparent; --class-map background=7 gives them a class" in n
        for n in told.notices
    )
    pixels, told = opened(path, HALF_METRE, other, rules="osm", class_map={"background": "land"})
    assert not told.has_nodata and set(np.unique(pixels)) == {0, 1}


@pytest.mark.slow
def test_large_files_are_read_by_box(tmp_path, monkeypatch):
    """Of many houses only those near a window are read, but from GeoJSON, which is read once."""
    from sattrans.maps import features

    houses = [box(4 * x, 4 * y, 2, 2) for x in range(100) for y in range(50)]
    kinds = {"kind": ["house"] * len(houses)}
    path = write_layer(tmp_path / "map.gpkg", houses, **kinds)
    counts = []
    read = features.read_box

    def counted(*how):
        found = read(*how)
        counts.append(len(found.geometry))
        return found

    monkeypatch.setattr(features, "read_box", counted)
    text = rules(tmp_path, KINDS)
    with open_map(path, MapOptions(rules=text), PALETTE, HALF_METRE) as map_:
        map_.check()
        assert not counts
        assert (map_.read(Window(0, 0, 40, 40)) == BUILDING).sum() == 25 * 16
        assert 25 <= counts[-1] <= 60
    many = write_layer(tmp_path / "map.geojson", [in_degrees(h) for h in houses], None, "GeoJSON", "EPSG:4326", **kinds)
    counts.clear()
    with open_map(many, MapOptions(rules=text), PALETTE, HALF_METRE) as map_:
        map_.check()
        for row in range(0, 80, 20):
            map_.read(Window(row, 0, 20, 40))
        assert counts == [len(houses)]


def test_what_decides_the_pixels_is_part_of_what_a_map_is(tmp_path):
    town = make_town()
    path = write_geofabrik(tmp_path / "town", town)
    first = opened(path, HALF_METRE, rules="osm")[1].identity
    assert first["rules"].startswith("osm (") and first["res"] == 0.5
    table = next(path.glob("*buildings*.dbf"))
    table.write_bytes(table.read_bytes() + b"\x1a")
    assert opened(path, HALF_METRE, rules="osm")[1].identity["map"] != first["map"]
    one = rules(tmp_path, KINDS)
    map_ = write_layer(tmp_path / "map.gpkg", [box(0, 0, 9, 9)], crs=UTM, kind=["wood"])
    before = opened(map_, HALF_METRE, rules=one)[1].identity
    rules(tmp_path, KINDS.replace("width = 4", "width = 5"))
    assert opened(map_, HALF_METRE, rules=one)[1].identity["rules"] != before["rules"]
