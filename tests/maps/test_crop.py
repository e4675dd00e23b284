"""Maps cut to bounds and to polygons: whole pixels inside, nothing outside, and a line where the area misses."""

import json

import numpy as np
import pytest
import shapely
from affine import Affine
from makers import HERE, POLAND, make_indices, make_picture, write_raster
from mapped import PALETTE, opened, whole
from rasterio.warp import transform as transform_points
from shapely.geometry import mapping

from sattrans.errors import ClassesError, UsageError
from sattrans.maps.open import open_map
from sattrans.maps.options import MapOptions
from sattrans.raster.palette import UNKNOWN
from sattrans.raster.window import Window

HEIGHT, WIDTH = 120, 160


@pytest.fixture
def indices():
    return make_indices(HEIGHT, WIDTH, 5, patch=5)


@pytest.fixture
def path(tmp_path, indices):
    return write_raster(tmp_path / "map.tif", indices)


def bounds(left, top, right, bottom, place=HERE):
    """Return columns and rows as bounds in the map's CRS."""
    (x, y), (x2, y2) = place @ (left, top), place @ (right, bottom)
    return f"{min(x, x2)},{min(y, y2)},{max(x, x2)},{max(y, y2)}"


def aoi(tmp_path, pixels, place=HERE):
    """Write a polygon of columns and rows as GeoJSON."""
    path = tmp_path / "area.geojson"
    fine = shapely.segmentize(pixels, 4)

    def moved(points):
        xs, ys = zip(*(place @ point for point in points), strict=True)
        return np.stack(transform_points(POLAND, "EPSG:4326", xs, ys), axis=1)

    path.write_text(json.dumps(mapping(shapely.transform(fine, moved))))
    return path


def test_bounds_on_edges_of_pixels_cut_exactly_these(path, indices):
    pixels, map_ = opened(path, bounds=bounds(13, 7, 50, 91))
    assert np.array_equal(pixels, indices[7:91, 13:50])
    assert map_.georeference.affine.almost_equals(HERE @ Affine.translation(13, 7))
    assert not map_.has_nodata


def test_bounds_leave_the_pixels_that_lie_wholly_inside(path, indices):
    pixels, _ = opened(path, bounds=bounds(12.5, 6.2, 50.8, 91.9))
    assert np.array_equal(pixels, indices[7:91, 13:50])


def test_bounds_that_reach_beyond_the_map_end_at_its_edge(path, indices):
    assert np.array_equal(opened(path, bounds=bounds(-500, -500, 500, 500))[0], indices)
    pixels, map_ = opened(path, bounds=bounds(100, -5, 500, 20))
    assert np.array_equal(pixels, indices[:20, 100:])
    assert map_.georeference.affine.almost_equals(HERE @ Affine.translation(100, 0))


@pytest.mark.parametrize("place", [Affine(0.25, 0, 500_000, 0, 0.25, 600_000), Affine(-0.25, 0, 5e5, 0, -0.25, 6e5)])
def test_bounds_of_a_south_up_map(tmp_path, indices, place):
    path = write_raster(tmp_path / "map.tif", indices, transform=place)
    assert np.array_equal(opened(path, bounds=bounds(13, 7, 50, 91, place))[0], indices[7:91, 13:50])


def test_bounds_of_a_rotated_map_stand_upright_and_are_transparent_around(tmp_path, indices):
    turned = HERE @ Affine.rotation(30)
    path = write_raster(tmp_path / "map.tif", indices, transform=turned)
    x, y = turned @ (80, 60)
    pixels, map_ = opened(path, bounds=f"{x - 8},{y - 5},{x + 8},{y + 5}")
    rows, cols = np.mgrid[: map_.height, : map_.width]
    xs, ys = map_.georeference.affine @ (cols + 0.5, rows + 0.5)
    inside = (np.abs(xs - x) < 8) & (np.abs(ys - y) < 5)
    assert map_.has_nodata and np.array_equal(map_.valid, inside)
    assert (pixels[~inside] == UNKNOWN).all() and inside[:3].any() and inside[:, -3:].any()


def test_outside_of_a_polygon_there_is_nothing(tmp_path, path, indices):
    shape = shapely.Point(80, 60).buffer(40).difference(shapely.box(70, 50, 90, 70))
    pixels, map_ = opened(path, aoi=aoi(tmp_path, shape))
    assert map_.georeference.affine.almost_equals(HERE @ Affine.translation(40, 20), 1e-3)
    assert map_.has_nodata
    whole_map = np.full_like(indices, UNKNOWN)
    whole_map[20 : 20 + map_.height, 40 : 40 + map_.width] = pixels
    rows, cols = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    far = np.hypot(cols - 80, rows - 60)
    hole = (np.abs(cols - 80) < 10) & (np.abs(rows - 60) < 10)
    sure_in, sure_out = (far < 39) & ~hole, (far > 41) | hole & (np.abs(cols - 80) < 9) & (np.abs(rows - 60) < 9)
    assert np.array_equal(whole_map[sure_in], indices[sure_in])
    assert (whole_map[sure_out] == UNKNOWN).all()
    assert np.array_equal(map_.valid, pixels != UNKNOWN)


def test_bounds_and_a_polygon_both_hold(tmp_path, path, indices):
    pixels, _ = opened(path, aoi=aoi(tmp_path, shapely.box(20, 10, 60, 50)), bounds=bounds(40, 30, 100, 100))
    assert np.array_equal(pixels, indices[30:50, 40:60])
    with pytest.raises(UsageError, match=r"a complete pixel|in common|is outside"):
        opened(path, aoi=aoi(tmp_path, shapely.box(20, 10, 30, 20)), bounds=bounds(40, 30, 100, 100))
    two = shapely.union_all([shapely.box(0, 0, 10, 10), shapely.box(90, 90, 99, 99)])
    with pytest.raises(UsageError, match="in common"):
        opened(path, aoi=aoi(tmp_path, two), bounds=bounds(40, 30, 60, 50))


def test_a_picture_is_cut_in_the_same_way(tmp_path):
    picture = make_picture(make_indices(HEIGHT, WIDTH, 5))
    path = write_raster(tmp_path / "map.tif", picture)
    pixels, map_ = opened(path, palette=None, aoi=aoi(tmp_path, shapely.Point(80, 60).buffer(40)))
    assert (pixels[:, ~map_.valid] == 0).all() and not map_.valid.all()
    assert np.array_equal(pixels[:, map_.valid], picture[:, 20:100, 40:120][:, map_.valid])


def test_a_cut_is_resampled_as_the_whole_map_would_be(path):
    all_of_it, _ = opened(path, (1.0, 1.0))
    pixels, map_ = opened(path, (1.0, 1.0), bounds=bounds(40, 20, 120, 100))
    assert np.array_equal(pixels, all_of_it[5:25, 10:30])
    assert map_.georeference.affine.almost_equals(HERE @ Affine.scale(4) @ Affine.translation(10, 5))


def test_only_what_is_asked_for_has_to_be_right(tmp_path, indices):
    indices[:10, :10] = 77
    path = write_raster(tmp_path / "map.tif", indices)
    for run in (None, (1.0, 1.0)):
        with pytest.raises(ClassesError, match="value 77"):
            opened(path, run)
        opened(path, run, bounds=bounds(20, 20, 100, 100))


def test_windows_of_a_cut_map_are_parts_of_the_whole(tmp_path, path):
    for run in (None, (0.6, 0.6)):
        options = MapOptions(aoi=aoi(tmp_path, shapely.Point(80, 60).buffer(50)))
        with open_map(path, options, PALETTE, run) as map_:
            map_.check()
            pixels = whole(map_)
            for row in range(0, map_.height, 17):
                for col in range(0, map_.width, 23):
                    window = Window(row, col, min(17, map_.height - row), min(23, map_.width - col))
                    valid = map_.valid(window)
                    assert np.array_equal(valid, pixels[window.slices] != UNKNOWN)
                    assert np.array_equal(map_.read(window)[valid], pixels[window.slices][valid])


def test_an_area_that_misses_the_map_is_said_in_a_line(tmp_path, path):
    far = aoi(tmp_path, shapely.box(5000, 5000, 6000, 6000))
    lies = r"is outside .*map\.tif, which covers"
    degrees = r"19\.\d+,53\.\d+,19\.\d+,53\.\d+ \(longitude and latitude\)"
    with pytest.raises(UsageError, match=rf"--aoi .*area\.geojson {lies} {degrees}$"):
        opened(path, aoi=far)
    with pytest.raises(UsageError, match=rf"--bounds 0,0,1,1 {lies} 500000,599970,500040,600000$"):
        opened(path, bounds="0,0,1,1")
    with pytest.raises(UsageError, match="does not contain a complete pixel"):
        opened(path, bounds=bounds(10.2, 10.2, 10.8, 10.8))


def test_how_much_lies_beyond_the_map_is_said(tmp_path, path):
    def told(**options):
        _, map_ = opened(path, **options)
        return [notice for notice in map_.notices if "is outside" in notice]

    (note,) = told(bounds=bounds(-40, 0, 40, HEIGHT))
    assert note.startswith("50.0% of --bounds ") and note.endswith("500000,599970,500040,600000, and is left out")
    (note,) = told(aoi=aoi(tmp_path, shapely.box(WIDTH - 10, 0, WIDTH + 30, 100)))
    assert note.startswith("75.0% of --aoi ") and note.endswith("(longitude and latitude), and is left out")
    assert not told(bounds=bounds(0, 0, WIDTH, HEIGHT))
    assert not told(aoi=aoi(tmp_path, shapely.box(0, 0, WIDTH, HEIGHT)))


def test_bounds_that_are_none_and_a_map_that_lies_nowhere(tmp_path, path, indices):
    with pytest.raises(UsageError, match="--bounds 1,2,3: give four numbers"):
        opened(path, bounds="1,2,3")
    bare = write_raster(tmp_path / "bare.tif", indices, None, None)
    for options in ({"bounds": "0,0,5,5"}, {"aoi": aoi(tmp_path, shapely.box(0, 0, 5, 5))}):
        with pytest.raises(UsageError, match=r"cannot compare .* with .*bare\.tif, which has no georeference"):
            opened(bare, **options)


def test_what_cuts_a_map_is_part_of_what_it_is(tmp_path, path):
    one = opened(path, aoi=aoi(tmp_path, shapely.box(20, 10, 60, 50)))[1].identity
    other = opened(path, aoi=aoi(tmp_path, shapely.box(20, 10, 60, 49)))[1].identity
    assert one != other != opened(path)[1].identity
    assert opened(path, bounds=bounds(1, 1, 9, 9))[1].identity["bounds"] == bounds(1, 1, 9, 9)
