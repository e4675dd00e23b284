"""sattrans generate as a user runs it on other inputs: resampled, cut, told its classes, or vector maps."""

import json

import numpy as np
import pytest
import rasterio
from affine import Affine
from generate_command import PLACE, RULES, VALUES, generate, made, read, refused, write_map
from makers import make_indices, make_picture, write_raster
from makers_pictures import draw_map, make_tileset
from makers_vectors import UTM, box, write_layer

from sattrans.runs.run import Run
from sattrans.runs.translator import Translator
from sattrans.train import TrainOptions, train


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Run:
    """A run whose maps are pictures."""
    folder = tmp_path_factory.mktemp("pictures")
    return train(
        make_tileset(folder / "t").folder,
        folder / "pictures",
        TrainOptions(model="pix2pix", settings={"width": 1}, steps=1, monitor="l1"),
    ).run


def test_a_map_of_another_resolution_is_brought_to_the_runs_and_it_is_said(run, tmp_path):
    map_ = write_map(tmp_path / "map.tif", metres=2.5)
    (note,) = made(run, map_, "-o", tmp_path / "sat.tif")
    assert note == f"{map_} has pixels of 2.5 m, the run was trained at 10 m: resampled to 30 wide × 22 high"
    with rasterio.open(tmp_path / "sat.tif") as out:
        assert (out.height, out.width, out.count, out.res) == (22, 30, 3, (10, 10))
    assert not made(run, map_, "-o", tmp_path / "native.tif", "--res", "native")
    assert read(tmp_path / "native.tif").shape == (3, 90, 120)
    assert "res: 10.0 before, none now" in refused(run, 2, map_, "-o", tmp_path / "sat.tif", "--res", "native")
    told = refused(run, 2, write_map(tmp_path / "far.tif", metres=0.1), "-o", tmp_path / "far.out.tif")
    assert "has pixels of 0.1 m, the run was trained at 10 m, which differ by a factor of 100" in told
    assert not (tmp_path / "far.out.tif").exists()


def test_bounds_and_polygons_cut_the_image(run, tmp_path):
    map_ = write_map(tmp_path / "map.tif")
    made(run, map_, "-o", tmp_path / "sat.tif", "--bounds", "411200,3899500,411700,3899900")
    with rasterio.open(tmp_path / "sat.tif") as out:
        assert (out.height, out.width, out.count) == (40, 50, 3)
        assert tuple(out.bounds) == (411_200, 3_899_500, 411_700, 3_899_900)
    ring = [[411_000, 3_900_000], [411_000, 3_899_500], [411_500, 3_900_000], [411_000, 3_900_000]]
    area = {"type": "Polygon", "coordinates": [ring], "crs": {"type": "name", "properties": {"name": "EPSG:32652"}}}
    (tmp_path / "area.geojson").write_text(json.dumps(area))
    made(run, map_, "-o", tmp_path / "cut.tif", "--aoi", tmp_path / "area.geojson")
    image = read(tmp_path / "cut.tif")
    assert image.shape == (4, 50, 50)
    rows, cols = np.mgrid[:50, :50]
    sure = rows + cols != 49  # of a pixel whose centre lies on the edge, either may be
    assert np.array_equal(image[3][sure] == 255, (rows + cols < 49)[sure])
    assert (image[:3, image[3] == 0] == 0).all()
    told = refused(run, 2, map_, "-o", tmp_path / "none.tif", "--bounds", "0,0,1,1")
    assert told.startswith("error: --bounds 0,0,1,1 is outside ")
    assert "--bounds" not in refused(run, 2, map_, "-o", tmp_path / "none.tif", "--aoi", tmp_path / "no.geojson")


def test_a_folder_of_tiles_is_cut_and_resampled_alike(run, tmp_path):
    map_ = write_map(tmp_path / "map.tif", metres=5.0, height=300, width=300)
    made(run, map_, "-o", tmp_path / "parts", "--bounds", "411200,3899000,412000,3899900")
    made(run, map_, "-o", tmp_path / "sat.tif", "--bounds", "411200,3899000,412000,3899900")
    with rasterio.open(tmp_path / "sat.tif") as out:
        assert (out.height, out.width) == (90, 80)
        places = {(out.transform.c, out.transform.f, 10.0)}
    for path in (tmp_path / "parts").glob("*_000000_000000.tif"):
        with rasterio.open(path) as part:
            assert {(part.transform.c, part.transform.f, part.transform.a)} == places


def test_values_are_told_their_classes(run, tmp_path):
    indices = make_indices(70, 80, 3)
    ours = write_raster(tmp_path / "ours.tif", VALUES[indices], "EPSG:32652", PLACE)
    theirs = write_raster(tmp_path / "theirs.tif", indices + np.uint8(1), "EPSG:32652", PLACE)
    told = refused(run, 1, theirs, "-o", tmp_path / "b.tif")
    assert "such as --class-map 1=10 (the classes of run" in told
    (tmp_path / "classes.toml").write_text('2 = "class30"\n3 = 50\n')
    made(run, ours, "-o", tmp_path / "a.tif")
    made(run, theirs, "-o", tmp_path / "b.tif", "--class-map", "1=10", "--class-map", tmp_path / "classes.toml")
    assert np.array_equal(read(tmp_path / "a.tif"), read(tmp_path / "b.tif"))
    assert "classes: 1 10, 2 30, 3 50 before" in refused(
        run, 2, theirs, "-o", tmp_path / "b.tif", "--class-map", "1=30"
    )
    assert "--class-map gives 1 twice" in refused(
        run, 2, theirs, "-o", tmp_path / "c.tif", "--class-map", "1=10", "--class-map", "1=30"
    )


def test_a_run_for_other_bands_says_what_it_needs(run, pictures, tmp_path):
    classes = write_map(tmp_path / "classes.tif")
    picture = write_raster(tmp_path / "picture.tif", draw_map(make_indices(70, 80, 3)), "EPSG:32652", PLACE)
    photo = write_raster(tmp_path / "photo.tif", make_picture(make_indices(70, 80, 3)), "EPSG:32652", PLACE)
    two = write_raster(tmp_path / "two.tif", make_picture(make_indices(70, 80, 3))[:2], "EPSG:32652", PLACE)
    output = tmp_path / "sat.tif"
    assert "has 1 band and no colour table, but a map that is a picture" in refused(pictures, 1, classes, "-o", output)
    assert "contains colours #" in refused(run, 1, picture, "-o", output)
    assert "it is a picture" in refused(run, 1, photo, "-o", output)
    for one in (run, pictures):
        assert "has 2 bands" in refused(one, 1, two, "-o", output)
    assert "which have no classes" in refused(pictures, 2, picture, "-o", output, "--class-map", "1=2")
    assert "the run needs pictures" in refused(pictures, 2, wood(tmp_path), "-o", output, "--rules", "osm")
    assert not output.exists()


def test_without_georeference_it_works_and_says_so(run, tmp_path):
    map_ = write_raster(tmp_path / "map.tif", VALUES[make_indices(40, 50, 3)], None, None)
    assert made(run, map_, "-o", tmp_path / "sat.tif") == [f"{map_} has no georeference, so the image has none"]
    assert read(tmp_path / "sat.tif").shape == (3, 40, 50)


def test_one_pixel_and_a_rotated_map(run, tmp_path):
    made(run, write_map(tmp_path / "one.tif", 1, 1), "-o", tmp_path / "1.tif")
    assert read(tmp_path / "1.tif").shape == (3, 1, 1)
    turned = PLACE @ Affine.rotation(33)
    map_ = write_raster(tmp_path / "turned.tif", VALUES[make_indices(70, 80, 3)], "EPSG:32652", turned)
    assert not made(run, map_, "-o", tmp_path / "2.tif")
    with rasterio.open(tmp_path / "2.tif") as out:
        assert out.transform.almost_equals(turned)


def wood(tmp_path):
    shapes = [box(0, 0, 700, 600), box(100, 100, 200, 150)]
    return write_layer(tmp_path / "wood.gpkg", shapes, None, "GPKG", UTM, kind=["wood", "house"])


def test_a_vector_map_becomes_the_image_of_the_map_it_draws(run, tmp_path):
    (tmp_path / "rules.toml").write_text(RULES)
    notes = made(run, wood(tmp_path), "-o", tmp_path / "sat.tif", "--rules", tmp_path / "rules.toml")
    assert notes == [f"{tmp_path}/wood.gpkg: rasterized at 10 m in WGS 84 / UTM zone 33N"]
    drawn = np.full((60, 70), 30, np.uint8)
    drawn[10:25, 10:30] = 50
    place = Affine(10, 0, 500_000, 0, -10, 5_500_000)
    same = write_raster(tmp_path / "same.tif", drawn, UTM, place)
    made(run, same, "-o", tmp_path / "same.out.tif")
    with rasterio.open(tmp_path / "sat.tif") as one, rasterio.open(tmp_path / "same.out.tif") as other:
        assert one.transform == other.transform and one.crs == other.crs
        assert np.array_equal(one.read(), other.read())
    again = generate(run, wood(tmp_path), "-o", tmp_path / "sat.tif", "--rules", tmp_path / "rules.toml")
    assert "nothing to do" in again.stdout  # the file was written anew, with the same in it
    told = refused(run, 1, wood(tmp_path), "-o", tmp_path / "b.tif", "--rules", "osm")
    assert "none of which is a class of the run, which has 10 class10" in told


def _replaced(map_, other):
    other.replace(map_)


def _removed(map_, other):
    map_.unlink()


@pytest.mark.parametrize("output", ["sat.tif", "parts"])
@pytest.mark.parametrize("change", [_replaced, _removed])
def test_a_map_that_changes_while_it_is_read_makes_no_image(run, tmp_path, monkeypatch, output, change):
    map_, other = write_map(tmp_path / "map.tif"), write_map(tmp_path / "other.tif", seed=2)
    with monkeypatch.context() as patch:
        _change_while_translating(patch, lambda: change(map_, other))
        told = refused(run, 1, map_, "-o", tmp_path / output)
    assert f"{map_} changed while it was read; make the image again with --overwrite" in told
    assert not (tmp_path / "sat.tif").exists() and not (tmp_path / "parts" / "generated.json").exists()
    map_ = write_map(tmp_path / "map.tif", seed=2)
    made(run, map_, "-o", tmp_path / output, "--overwrite")
    if output == "sat.tif":
        made(run, map_, "-o", tmp_path / "anew.tif")
        assert np.array_equal(read(tmp_path / "sat.tif"), read(tmp_path / "anew.tif"))


def test_a_part_of_a_shapefile_that_changes_while_it_is_read_is_noticed(run, tmp_path, monkeypatch):
    (tmp_path / "rules.toml").write_text(RULES)
    (tmp_path / "wood").mkdir()
    map_ = write_layer(tmp_path / "wood" / "wood.shp", [box(0, 0, 700, 600)], driver="ESRI Shapefile", kind=["wood"])
    table = map_.with_suffix(".dbf")
    with monkeypatch.context() as patch:
        _change_while_translating(patch, lambda: table.write_bytes(table.read_bytes().replace(b"wood", b"lake")))
        told = refused(run, 1, map_, "-o", tmp_path / "sat.tif", "--rules", tmp_path / "rules.toml")
    assert "wood.dbf changed while it was read" in told and not (tmp_path / "sat.tif").exists()


@pytest.mark.parametrize("change", ["replaced", "removed", "added"])
@pytest.mark.parametrize("name", ["map.tif.msk", "map.tif.aux.xml", "map.tfw"])
def test_a_file_beside_the_map_that_changes_while_it_is_read_is_noticed(run, tmp_path, monkeypatch, name, change):
    map_ = write_map(tmp_path / "map.tif")
    if name.endswith("msk"):
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(map_, "r+") as raster:
            raster.write_mask(np.arange(raster.width)[np.newaxis].repeat(raster.height, 0) < 60)
    else:
        (tmp_path / name).write_text("<PAMDataset/>" if name.endswith("xml") else "10 0 0 -10 500000 5500000")
    beside = tmp_path / name
    data = beside.read_bytes()
    if change == "added":
        beside.unlink()

    def changing():
        beside.unlink(missing_ok=True)
        if change != "removed":
            beside.write_bytes(data)

    with monkeypatch.context() as patch:
        _change_while_translating(patch, changing)
        told = refused(run, 1, map_, "-o", tmp_path / "sat.tif")
    assert f"{beside} changed while it was read" in told and not (tmp_path / "sat.tif").exists()


def test_an_image_is_made_anew_when_the_mask_beside_its_map_has_changed(run, tmp_path):
    map_ = write_map(tmp_path / "map.tif")
    made(run, map_, "-o", tmp_path / "sat.tif")
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(map_, "r+") as raster:
        raster.write_mask(np.arange(raster.width)[np.newaxis].repeat(raster.height, 0) < 60)
    assert "map" in refused(run, 2, map_, "-o", tmp_path / "sat.tif")
    made(run, map_, "-o", tmp_path / "sat.tif", "--overwrite")
    assert read(tmp_path / "sat.tif").shape[0] == 4


def _change_while_translating(patch, change):
    """Have the first batch of windows, which is translated as ever, change the map."""
    translate, changes = Translator.__call__, [change]

    def changing(self, *given):
        if changes:
            changes.pop()()
        return translate(self, *given)

    patch.setattr(Translator, "__call__", changing)
