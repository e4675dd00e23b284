"""Images and masks as they should not be: tile refuses them in a line that says what to do, or cuts them rightly."""

import json
import struct
import time

import numpy as np
import pytest
import rasterio
from affine import Affine
from commands import refused, tile, tiled
from makers import COLORS, make_folder, make_indices, make_picture, write_raster
from rasterio.warp import transform as transform_points

UTM = "EPSG:32652"
PLACE = Affine(10, 0, 300_000, 0, -10, 4_100_000)
INDICES = make_indices(128, 192, 3)
MASK = np.array([1, 2, 3], np.uint8)[INDICES]
PICTURE = make_picture(INDICES)
SOUTH_UP = PLACE @ Affine.translation(0, 128) @ Affine.scale(1, -1)
"""The same ground with its rows from south to north."""


class Place:
    """A folder of one scene, 192 wide × 128 high, whose image and mask a test replaces."""

    def __init__(self, folder):
        self.folder = folder / "f"
        self.output = folder / "out" / "t"
        self.image = self.folder / "images" / "place0.tif"
        self.mask = self.folder / "masks" / "place0.tif"
        make_folder(self.folder, scenes=1, size=128, values=(1, 2, 3), classes_toml=True)
        self.write_image(PICTURE)
        self.write_mask(MASK)

    def write_image(self, pixels, crs=UTM, transform=PLACE, **profile):
        write_raster(self.image, pixels, crs, transform, **profile)

    def write_mask(self, pixels, crs=UTM, transform=PLACE, **profile):
        write_raster(self.mask, pixels, crs, transform, **profile)

    def refused(self, *arguments):
        line = refused(self.output, self.folder, "--size", 64, *arguments)
        assert not self.output.parent.exists()  # nor a lock
        return line

    def tiled(self, *arguments):
        return tiled(self.output, self.folder, "--size", 64, "--split", "random", *arguments)


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def rings(tileset):
    """The footprint of each tile by its id, as (longitude, latitude)."""
    index = json.loads((tileset.folder / "tiles.geojson").read_text())
    return {f["id"]: np.array(f["geometry"]["coordinates"][0]) for f in index["features"]}


def check_tiles(tileset, image, mask):
    """Every tile holds the pixels of its window; its footprint lies where they do, and runs counterclockwise."""
    for item in tileset.tiles:
        rows, cols = item.window.slices
        with rasterio.open(item.image_path(tileset.folder)) as src:
            assert np.array_equal(src.read(), image[:, rows, cols])
        with rasterio.open(item.map_path(tileset.folder)) as src:
            assert np.array_equal(src.read(1), mask[rows, cols])
        place = tileset.scenes[item.scene].georeference
        w = item.window
        corners = [
            place.affine @ at for at in ((w.col, w.row), (w.col, w.bottom), (w.right, w.bottom), (w.right, w.row))
        ]
        xs, ys = transform_points(place.rasterio_crs, "EPSG:4326", *zip(*corners, strict=True))
        ring = rings(tileset)[item.id]
        assert {tuple(p) for p in ring} == {(round(x, 7), round(y, 7)) for x, y in zip(xs, ys, strict=True)}
        assert np.array_equal(ring[0], ring[-1])
        x, y = ring.T
        assert (x[:-1] * y[1:] - x[1:] * y[:-1]).sum() > 0


@pytest.mark.parametrize(("right", "down"), [(1, 0), (0.5, 0), (0, -0.5)])
def test_a_shifted_mask(place, right, down):
    place.write_mask(MASK, transform=PLACE @ Affine.translation(right, down))
    line = place.refused()
    assert f"{place.image} and {place.mask} have different grids" in line
    assert f"off by {right:+.2f} columns and {down:+.2f} rows; --align warps the map" in line


def test_a_transposed_mask(place):
    place.write_mask(MASK.T)
    line = place.refused()
    assert "192 wide × 128 high and 128 × 192 (rows and columns swapped?); --align" in line


def test_a_mask_whose_axes_are_swapped(place):
    a, b, c, d, e, f = PLACE[:6]
    place.write_mask(MASK, transform=Affine(b, a, c, e, d, f))
    assert "another orientation (rotated, south-up, or axes swapped)" in place.refused()


def test_a_mask_that_is_south_up_under_an_image_that_is_north_up(place):
    place.write_mask(MASK[::-1], transform=SOUTH_UP)
    assert "another orientation (rotated, south-up, or axes swapped)" in place.refused()


@pytest.mark.slow
def test_both_south_up_keep_their_rows_and_lie_where_they_should(place):
    north_up, _ = place.tiled()
    there = [ring[:-1].mean(axis=0) for ring in rings(north_up).values()]
    place.write_image(PICTURE[:, ::-1], transform=SOUTH_UP)
    place.write_mask(MASK[::-1], transform=SOUTH_UP)
    tileset, notes = place.tiled("--overwrite")
    assert f"{place.image} is not north-up; its tiles keep its rows and columns" in notes
    check_tiles(tileset, PICTURE[:, ::-1], MASK[::-1])
    # A scene of whole tiles is cut along the same lines from either end.
    for ring in rings(tileset).values():
        assert min(np.abs(centre - ring[:-1].mean(axis=0)).max() for centre in there) < 1e-6


def test_a_rotated_scene(place):
    turned = PLACE @ Affine.rotation(30)
    place.write_image(PICTURE, transform=turned)
    place.write_mask(MASK, transform=turned)
    tileset, notes = place.tiled()
    assert any("is not north-up" in note for note in notes)
    check_tiles(tileset, PICTURE, MASK)


@pytest.mark.slow
def test_pixels_that_are_not_square_are_noted_and_res_makes_them_so(place):
    tall = PLACE @ Affine.scale(1, 2)
    place.write_image(PICTURE, transform=tall)
    place.write_mask(MASK, transform=tall)
    tileset, notes = place.tiled()
    assert f"{place.image} has pixels of 10 × 20; --res makes them square" in notes
    check_tiles(tileset, PICTURE, MASK)
    square, notes = tiled(place.output.with_name("u"), place.folder, "--size", 64, "--res", 10)
    assert not any("square" in note for note in notes)
    scene = square.scenes["place0"]
    assert (scene.width, scene.height, scene.georeference.resolution) == (192, 256, (10, 10))
    assert len(square.tiles) == 3 * 4


def test_a_crs_without_a_name(place):
    # As the scenes of LandCover.ai have it: a projection that no register knows.
    local = 'PROJCS["unnamed",GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]]],'
    local += 'PROJECTION["Transverse_Mercator"],PARAMETER["central_meridian",19],PARAMETER["scale_factor",0.9993],'
    local += 'PARAMETER["false_easting",500000],PARAMETER["false_northing",-5300000],UNIT["metre",1]]'
    place.write_image(PICTURE, crs=local)
    place.write_mask(MASK, crs=local)
    tileset, _ = place.tiled()
    check_tiles(tileset, PICTURE, MASK)


def test_no_crs(place):
    place.write_image(PICTURE, crs=None)
    place.write_mask(MASK, crs=None)
    tileset, notes = place.tiled()
    assert f"{place.image} has no CRS, so its tiles have no footprint in the index" in notes
    index = json.loads((tileset.folder / "tiles.geojson").read_text())
    assert [feature["geometry"] for feature in index["features"]] == [None] * 6
    assert len(tileset.tiles) == 6


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_a_transform_of_numbers_that_are_none(place, broken):
    for path in (place.image, place.mask):
        with rasterio.open(path, "r+") as dst:
            dst.transform = Affine(10, 0, broken, 0, -10, 4_100_000)
    assert f"{place.image} has a geotransform with NaN or infinite numbers; repair it first" in place.refused()


def test_three_equal_bands_are_one_of_values(place):
    place.write_mask(np.stack([MASK] * 3))
    tileset, notes = place.tiled()
    assert f"{place.mask}: its three bands are equal, and are read as one band of class values" in notes
    check_tiles(tileset, PICTURE, MASK)


def painted():
    return np.moveaxis(np.array(COLORS[:3], np.uint8)[INDICES], -1, 0)


def test_a_mask_drawn_in_the_colours_of_the_classes(place):
    place.write_mask(painted())
    tileset, _ = place.tiled()
    check_tiles(tileset, PICTURE, MASK)


@pytest.mark.slow
def test_a_mask_drawn_with_smoothing(place):
    colors = painted().astype(np.uint16)
    place.write_mask(((colors + np.roll(colors, 1, axis=2)) // 2).astype(np.uint8))
    line = place.refused()
    assert str(place.mask) in line and "smooth" in line


@pytest.mark.parametrize("kind", ["uint16", "int16", "float32"])
def test_an_image_of_deep_pixels(place, kind):
    place.write_image(PICTURE.astype(kind))
    line = place.refused()
    assert f"{place.image} has {kind} pixels, not 8-bit ones" in line
    assert "such as --scale 0,3000" in line
    tileset, _ = place.tiled("--scale", "0,255")
    check_tiles(tileset, PICTURE, MASK)


@pytest.mark.parametrize("scale", [[], ["--scale", "0,255"]])
def test_an_image_of_complex_numbers(place, scale):
    place.write_image(PICTURE.astype(np.complex64))
    assert f"{place.image} has complex64 pixels" in place.refused(*scale)


@pytest.mark.parametrize("kind", ["float32", "float64", "complex64"])
@pytest.mark.parametrize("told", [True, False])
def test_a_mask_of_numbers_that_are_no_classes(place, kind, told):
    place.write_mask((MASK + 0.5).astype(kind))
    if not told:
        (place.folder / "classes.toml").unlink()
    assert f"{place.mask} has {kind} pixels" in place.refused()


@pytest.mark.slow
@pytest.mark.parametrize("what", ["image", "mask", "both"])
def test_a_file_that_declares_a_size_no_memory_holds(place, what):
    # 200,000 × 200,000 in a single compressed strip, of which four bytes are there.
    side = 200_000
    tags = [(256, 4, 1, side), (257, 4, 1, side), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1)]
    tags += [(273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, side), (279, 4, 1, 4)]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    for path in {"image": [place.image], "mask": [place.mask], "both": [place.image, place.mask]}[what]:
        path.write_bytes(b"II*\0" + struct.pack("<IIH", 12, 0, len(tags)) + entries + bytes(4))
    begin = time.monotonic()
    line = place.refused("--size", 1024, "--edge", "pad")
    assert ("damaged or cut short" if what == "both" else "differ in size") in line
    assert time.monotonic() - begin < 15


@pytest.mark.slow
def test_a_large_scene_in_blocks_opens_quickly(place):
    shape = {"height": 40_000, "width": 40_000, "dtype": "uint8", "driver": "GTiff", "tiled": True, "SPARSE_OK": True}
    for path, count in ((place.image, 3), (place.mask, 1)):
        with rasterio.open(
            path, "w", **shape, count=count, blockxsize=512, blockysize=512, crs=UTM, transform=PLACE, nodata=0
        ):
            pass
    begin = time.process_time()
    result = tile(place.folder, "--size", 512, "--dry-run", "-o", place.output)
    assert result.exit_code == 0, result.output
    assert "6084 tiles of 512 px from 1 scene," in result.stdout  # 78 × 78
    assert time.process_time() - begin < 20  # reading its 6 GB takes a minute
    assert not place.output.parent.exists()
