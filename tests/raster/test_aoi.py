"""Areas of interest: the tiles that lie wholly within bounds, or within the polygons of a GeoJSON file."""

import json

import numpy as np
import pytest
import shapely
from affine import Affine
from makers import HERE, POLAND, write_raster
from makers_scenes import make_scene
from rasterio.warp import transform as transform_points
from shapely.geometry import mapping

from sattrans.errors import OptionError, UsageError
from sattrans.tile import TileOptions, tile

SIZE, TILE = 256, 32
ROTATED = HERE @ Affine.rotation(20)
RANDOM = {"split": "random", "size": TILE}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("area")
    make_scene(folder, size=SIZE)
    return folder


@pytest.fixture(scope="module")
def turned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("turned")
    make_scene(folder, size=SIZE, place=ROTATED)
    return folder


def ids(root, output, **options):
    return {t.id for t in tile(root, output, options=TileOptions(**RANDOM, **options)).tileset.tiles}


def cells(*rows_and_columns, side=SIZE // TILE):
    return {f"place_{row * side + col}" for row, col in rows_and_columns}


def lonlat(pixels, place=HERE, crs=POLAND):
    """Return (column, row) pairs as longitude and latitude."""
    xs, ys = zip(*(place @ point for point in pixels), strict=True)
    return list(zip(*transform_points(crs, "EPSG:4326", xs, ys), strict=True))


def rectangle(left, top, right, bottom, place=HERE):
    """Return a rectangle of pixels as a polygon in longitude and latitude, its edges followed closely."""
    ring = shapely.segmentize(shapely.box(left, top, right, bottom), 4).exterior.coords
    return shapely.Polygon(lonlat(ring, place))


def aoi(tmp_path, value):
    path = tmp_path / "area.geojson"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def feature(geometry):
    return {"type": "Feature", "properties": {}, "geometry": mapping(geometry) if geometry else None}


@pytest.mark.slow
def test_bounds_keep_the_tiles_wholly_within_under_the_ids_of_the_full_run(root, tmp_path):
    left, top = HERE @ (40, 30)
    right, bottom = HERE @ (130, 127)
    kept = ids(root, tmp_path / "t", bounds=f"{left},{bottom},{right},{top}")
    # Columns 64 to 128 lie between 40 and 130; of rows 30 to 127 the last pixel row of the cells from 96 is missing.
    assert kept == cells((1, 2), (1, 3), (2, 2), (2, 3))
    assert kept < ids(root, tmp_path / "all")


def test_bounds_equal_to_a_tiles_footprint_keep_it_and_it_alone(root, tmp_path):
    left, top = HERE @ (64, 32)
    right, bottom = HERE @ (96, 64)
    assert ids(root, tmp_path / "t", bounds=f"{left} {bottom} {right} {top}") == cells((1, 2))


def test_bounds_on_a_rotated_scene_are_upright_on_the_ground(turned, tmp_path):
    x, y = ROTATED @ (128, 128)
    kept = ids(turned, tmp_path / "t", bounds=f"{x - 20},{y - 20},{x + 20},{y + 20}")
    expected = set()
    for k in range((SIZE // TILE) ** 2):
        row, col = k // 8 * TILE, k % 8 * TILE
        corners = [ROTATED @ (col + dx, row + dy) for dx in (0, TILE) for dy in (0, TILE)]
        if all(abs(cx - x) <= 20 and abs(cy - y) <= 20 for cx, cy in corners):
            expected.add(f"place_{k}")
    assert kept == expected != set()


@pytest.mark.parametrize("text", ["1,2,3", "1,2,3,4,5", "a,b,c,d", "3,2,1,4", "1,4,3,2", "1,1,nan,5", "0,0,inf,1"])
def test_bounds_that_are_none_are_refused_in_a_line(root, tmp_path, text):
    with pytest.raises(OptionError, match=f"--bounds {text}: ") as refused:
        ids(root, tmp_path / "t", bounds=text)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "t").exists()


@pytest.mark.slow
@pytest.mark.parametrize("metres", [0.05, 0.25, 10])
def test_an_aoi_equal_to_a_tiles_footprint_in_the_index_keeps_it(tmp_path, metres):
    root = tmp_path / "f"
    make_scene(root, size=1024, place=Affine(metres, 0, 700_000, 0, -metres, 400_000))
    tileset = tile(root, tmp_path / "all", options=TileOptions(size=512, split="random")).tileset
    index = json.loads((tileset.folder / "tiles.geojson").read_text())
    for one in index["features"]:
        options = TileOptions(size=512, split="random", aoi=aoi(tmp_path, one))
        assert [t.id for t in tile(root, tmp_path / one["id"], options=options).tileset.tiles] == [one["id"]]


@pytest.mark.parametrize("place", [HERE, ROTATED])
def test_an_aoi_in_degrees_keeps_the_tiles_within_it_on_upright_and_rotated_scenes(root, turned, tmp_path, place):
    scene = root if place is HERE else turned
    around = feature(rectangle(31.5, 63.5, 97, 130, place))
    assert ids(scene, tmp_path / "t", aoi=aoi(tmp_path, around)) == cells((2, 1), (2, 2), (3, 1), (3, 2))


def test_the_hole_of_a_polygon_is_left_out(root, tmp_path):
    ring = rectangle(0, 0, 96, 96).exterior
    hole = rectangle(40, 40, 50, 50).exterior
    kept = ids(root, tmp_path / "t", aoi=aoi(tmp_path, mapping(shapely.Polygon(ring, [hole]))))
    assert kept == cells(*((row, col) for row in range(3) for col in range(3) if (row, col) != (1, 1)))


def test_many_polygons_hold_what_lies_in_one_or_across_two_that_share_an_edge(root, tmp_path):
    one, two, far = rectangle(0, 0, 48, 32), rectangle(48, 0, 96, 32), rectangle(224, 224, 256, 256)
    expected = cells((0, 0), (0, 1), (0, 2), (7, 7))
    several = mapping(shapely.MultiPolygon([one.union(two), far]))
    assert ids(root, tmp_path / "a", aoi=aoi(tmp_path, several)) == expected
    collection = {"type": "FeatureCollection", "features": [feature(g) for g in (one, None, two, far)]}
    assert ids(root, tmp_path / "b", aoi=aoi(tmp_path, collection)) == expected
    geometries = {"type": "GeometryCollection", "geometries": [mapping(g) for g in (one, two, far)]}
    assert ids(root, tmp_path / "c", aoi=aoi(tmp_path, geometries)) == expected


@pytest.mark.parametrize("name", ["EPSG:2180", "urn:ogc:def:crs:EPSG::2180"])
def test_an_old_file_that_names_its_crs_is_in_that_crs(root, tmp_path, name):
    left, top = HERE @ (32, 32)
    box = mapping(shapely.box(left, top - 32 * 0.25, left + 64 * 0.25, top))
    old = {**box, "crs": {"type": "name", "properties": {"name": name}}}
    assert ids(root, tmp_path / "t", aoi=aoi(tmp_path, old)) == cells((1, 1), (1, 2))


def test_heights_and_a_byte_order_mark_do_no_harm(root, tmp_path):
    ring = [[x, y, 120.0] for x, y in rectangle(0, 0, 33, 33).exterior.coords]
    text = "\ufeff" + json.dumps({"type": "Polygon", "coordinates": [ring]})
    assert ids(root, tmp_path / "t", aoi=aoi(tmp_path, text)) == cells((0, 0))


@pytest.mark.slow
def test_an_area_that_spans_the_world_holds_all_of_a_scene_and_its_edge_is_straight_in_degrees(root, tmp_path):
    everything = ids(root, tmp_path / "all")
    assert ids(root, tmp_path / "a", aoi=aoi(tmp_path, mapping(shapely.box(-180, -90, 180, 90)))) == everything
    # An edge 40 degrees long through the scene, four pixels below a row of cells: it bends by metres in a projection.
    latitude = lonlat([(128, 100)])[0][1]
    kept = ids(root, tmp_path / "b", aoi=aoi(tmp_path, mapping(shapely.box(0.1, latitude, 40, 60))))
    assert kept == cells(*((row, col) for row in range(3) for col in range(8)))


def test_bounds_and_aoi_both_hold(root, tmp_path):
    left, top = HERE @ (0, 0)
    right, bottom = HERE @ (64, 256)
    area = aoi(tmp_path, mapping(rectangle(32, 0, 256, 33)))
    assert ids(root, tmp_path / "t", bounds=f"{left},{bottom},{right},{top}", aoi=area) == cells((0, 1))


def test_an_area_that_misses_everything_is_said_in_a_line(root, tmp_path):
    far = aoi(tmp_path, mapping(rectangle(5000, 5000, 6000, 6000)))
    with pytest.raises(UsageError, match=r"no tile of .* is left: none lies wholly within --aoi .*area.geojson"):
        ids(root, tmp_path / "t", aoi=far)
    with pytest.raises(UsageError, match="none lies wholly within --bounds 0,0,1,1"):
        ids(root, tmp_path / "t", bounds="0,0,1,1")


BOWTIE = {"type": "Polygon", "coordinates": [[[19, 52], [20, 53], [20, 52], [19, 53], [19, 52]]]}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"type": "Point", "coordinates": [19, 52]}, "a Point has no area"),
        ({"type": "LineString", "coordinates": [[19, 52], [20, 53]]}, "a LineString has no area"),
        (BOWTIE, "crosses itself"),
        ({"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": BOWTIE}]}, "crosses itself"),
        ({"type": "FeatureCollection", "features": []}, "contains no polygon"),
        ({"type": "Polygon", "coordinates": []}, "contains no polygon"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}, "not a GeoJSON of polygons"),
        ({"type": "Polygon", "coordinates": [[["a", 0], [1, 1], [1, 0], [0, 0]]]}, "not a GeoJSON of polygons"),
        ({"type": "Polygon"}, r"not a GeoJSON of polygons \(coordinates is missing\)"),
        (
            {"type": "Polygon", "coordinates": [[["0", "0"], [0, 1], [1, 0]]]},
            r"coordinates 1 1 1 must be a number, got",
        ),
        ({"type": "Polygon", "coordinates": [[[1], [1, 1], [1, 0], [0, 0]]]}, "coordinates 1 1 must have at least 2"),
        ({"type": ["Polygon"]}, "a part of it has no type"),
        ({"type": "FeatureCollection", "features": [3]}, "a part of it has no type"),
        ('{"type": "Polygon", "coordinates": [[[NaN, 0], [1, 1], [1, 0], [NaN, 0]]]}', "area.geojson"),
        ("[]", "not a vector file; give polygons"),
        ("{", "not a GeoJSON of polygons"),
        ("", "not a vector file; give polygons"),
        ('{"type": "FeatureCollection", "features": null}', "not a GeoJSON of polygons"),
        (mapping(shapely.box(500_000, 599_000, 501_000, 600_000)), "are not degrees"),
        ({**BOWTIE, "crs": {"type": "name", "properties": {"name": "/etc/passwd"}}}, "unknown CRS"),
        ({**BOWTIE, "crs": {"type": "name", "properties": {}}}, "properties.name is missing"),
        ({**BOWTIE, "crs": "EPSG:2180"}, "must be a table, got 'EPSG:2180'"),
    ],
)
def test_what_is_no_area_is_refused_in_a_line(root, tmp_path, value, told):
    path = aoi(tmp_path, value)
    with pytest.raises(UsageError, match=told) as refused:
        ids(root, tmp_path / "t", aoi=path)
    assert f"--aoi {path}" in str(refused.value) and "\n" not in str(refused.value)
    assert not (tmp_path / "t").exists()


def test_a_file_that_is_not_there_or_no_text_is_said(root, tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        ids(root, tmp_path / "t", aoi=tmp_path / "none.geojson")
    (tmp_path / "b").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not a vector file; give polygons"):
        ids(root, tmp_path / "t", aoi=tmp_path / "b")


@pytest.mark.parametrize("far", [1e13, 1e160, 1e300])
def test_an_area_beyond_the_earth_is_refused_or_covers_nothing(root, tmp_path, far):
    polygon = mapping(shapely.Polygon([(500_000, 600_000), (500_000, far), (far, far)]))
    area = aoi(tmp_path, {**polygon, "crs": {"type": "name", "properties": {"name": "EPSG:2180"}}})
    for how in ({"aoi": area}, {"bounds": f"{-far},{-far},{far - 1e6},0"}):
        with pytest.raises(UsageError, match=r"--aoi|--bounds") as refused:
            ids(root, tmp_path / "t", **how)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("place", [None, HERE])
def test_a_scene_that_lies_nowhere_on_earth_is_refused_by_name(tmp_path, place):
    root = tmp_path / "f"
    make_scene(root, crs=None, place=place)
    with pytest.raises(OptionError, match=r"images/place\.tif") as refused:
        ids(root, tmp_path / "t", aoi=aoi(tmp_path, mapping(rectangle(0, 0, 9, 9))))
    assert "\n" not in str(refused.value)
    left, top = HERE @ (0, 0)
    bounds = f"{left},{top - 8},{left + 16},{top}"
    if place is None:
        with pytest.raises(OptionError, match=r"images/place\.tif"):
            ids(root, tmp_path / "t", bounds=bounds)
    else:  # bounds are in the scene's own units, whatever these are
        assert ids(root, tmp_path / "t", bounds=bounds) == cells((0, 0), (0, 1), side=4)


def test_an_aoi_is_asked_of_each_scene_in_its_own_crs(tmp_path):
    root = tmp_path / "f"
    make_scene(root, "a", size=64)
    centre = lonlat([(32, 32)])[0]
    (x,), (y,) = transform_points("EPSG:4326", "EPSG:32634", [centre[0]], [centre[1]])
    make_scene(root, "b", size=64, crs="EPSG:32634", place=Affine(0.25, 0, x - 8, 0, -0.25, y + 8))
    write_raster(root / "masks" / "b.tif", np.full((64, 64), 10, np.uint8), None, None)
    kept = ids(root, tmp_path / "t", aoi=aoi(tmp_path, mapping(rectangle(-40, -40, 100, 32.1))))
    # Both have their upper half north of the line; the second's grid is turned by some degrees.
    assert {"a_0", "a_1"} <= kept and not {"a_2", "a_3", "b_2", "b_3"} & kept
