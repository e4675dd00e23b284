"""Vector labels: drawn on the image's grid, one file for all images or one for each."""

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from makers import make_indices, make_picture, write_raster
from makers_vectors import UTM, at, box, in_degrees, write_layer, write_osm

from sattrans.errors import DatasetNotFound, OptionError, RasterError
from sattrans.maps import ogr
from sattrans.raster.open import open_raster
from sattrans.tile import TileOptions, tile

LEFT, TOP = at(0, 0)
HOUSES = [box(8, 4, 16, 8), box(72, 16, 8, 8)]
"""A house on the first image and one on the second, in metres from the corner of the first."""


def image(path, east=0):
    place = Affine(0.5, 0, LEFT + east, 0, -0.5, TOP)
    return write_raster(path, make_picture(make_indices(64, 64, 2)), UTM, place)


def tiles(root, out, **options):
    result = tile(root, out, options=TileOptions(size=64, **options))
    maps = {}
    for made in result.tileset.tiles:
        with open_raster(made.map_path(out)) as map_:
            maps[made.scene] = map_.read()[0]
    return result, maps


def expected(x, y, width, height):
    pixels = np.zeros((64, 64), np.uint8)
    pixels[2 * y : 2 * (y + height), 2 * x : 2 * (x + width)] = 1
    return pixels


FORMATS = [("town.gpkg", "GPKG"), ("town.geojson", "GeoJSON"), ("town.fgb", "FlatGeobuf")]


@pytest.mark.parametrize(("name", "driver"), FORMATS)
def test_one_file_labels_all_images(tmp_path, name, driver):
    root = tmp_path / "town"
    image(root / "ortho" / "a.tif")
    image(root / "ortho" / "b.tif", east=64)
    write_layer(root / name, HOUSES, driver=driver, building=["yes", "house"])
    result, maps = tiles(root, tmp_path / "t", rules="osm")
    assert (maps["a"] == expected(8, 4, 16, 8)).all()
    assert (maps["b"] == expected(8, 16, 8, 8)).all()
    assert result.tileset.palette.names == ("background", "building", "woodland", "water", "road")
    assert any("ortho/a.tif and 1 more with labels " + name in note for note in result.notices)
    again = tile(root, tmp_path / "t", options=TileOptions(size=64, rules="osm"))
    assert not again.made


def test_a_file_for_each_image_and_the_name_of_a_class(tmp_path):
    root = tmp_path / "town"
    for number, name in enumerate("ab"):
        image(root / f"{name}.tif", east=64 * number)
        (root / "labels").mkdir(exist_ok=True)
        write_layer(root / "labels" / f"{name}.geojson", HOUSES[number : number + 1], driver="GeoJSON", uid=["1"])
    _, maps = tiles(root, tmp_path / "t", rules="building")
    assert (maps["a"] == expected(8, 4, 16, 8)).all() and (maps["b"] == expected(8, 16, 8, 8)).all()
    (root / "labels" / "b.geojson").rename(root / "labels" / "c.geojson")
    with pytest.raises(DatasetNotFound, match=r"image .*b\.tif has no partner in .*labels"):
        tiles(root, tmp_path / "u", rules="building")
    _, maps = tiles(root, tmp_path / "u", rules="building", images="b.tif", masks="labels/c.geojson")
    assert (maps["b"] == expected(8, 16, 8, 8)).all()


def test_other_rules_and_labels_elsewhere_are_told(tmp_path):
    root = tmp_path / "town"
    image(root / "a.tif", east=5000)
    write_layer(root / "town.gpkg", HOUSES, kind=["house", "hut"])
    result, maps = tiles(root, tmp_path / "t", rules="building")
    assert not maps["a"].any()
    assert any("a.tif: no feature of" in note and "lies here" in note for note in result.notices)
    with pytest.raises(OptionError, match=r"no rule applies to .*kind.*sattrans rules init"):
        tiles(root, tmp_path / "u", rules="osm")
    (root / "town.gpkg").unlink()
    with pytest.raises(DatasetNotFound, match="has no vector files that --rules could be for"):
        tiles(root, tmp_path / "u", rules="building")


def test_an_image_without_a_place_has_no_labels(tmp_path):
    root = tmp_path / "town"
    write_raster(root / "a.tif", make_picture(make_indices(64, 64, 2)), None, None)
    write_layer(root / "town.gpkg", HOUSES, kind=["house", "hut"])
    with pytest.raises(RasterError, match="no CRS or no transform"):
        tiles(root, tmp_path / "t", rules="building")


def write_town(path, house):
    write_layer(path, [in_degrees(house)], None, "GeoJSON", "EPSG:4326", building=["yes"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["town.osm", "town.geojson"])
def test_labels_of_many_images_are_read_once(tmp_path, name, monkeypatch):
    root = tmp_path / "town"
    for number in range(4):
        image(root / f"{number}.tif", east=32 * number)
    if name.endswith(".osm"):
        write_osm(root / name)
    else:
        write_town(root / name, box(8, 4, 16, 8))
    read, whole = ogr._call_pyogrio, []

    def counting(function, file, **arguments):
        if function == "raw.read" and arguments.get("columns"):
            whole.append(arguments["layer"])
        return read(function, file, **arguments)

    monkeypatch.setattr(ogr, "_call_pyogrio", counting)
    _, maps = tiles(root, tmp_path / "t", rules="osm", workers=2)
    assert maps["0"].any() and not maps["3"].any()
    assert len(whole) == len(set(whole))
    if name.endswith(".geojson"):  # and again if it has changed
        write_town(root / name, box(100, 4, 20, 8))
        _, maps = tiles(root, tmp_path / "u", rules="osm", workers=2)
        assert maps["3"].any() and not maps["0"].any() and len(whole) == 2


@pytest.mark.parametrize("rules", ["osm", "house", "rules.toml"])
def test_dataset_toml_names_the_rules(tmp_path, rules, monkeypatch):
    root = tmp_path / "town"
    image(root / "a.tif")
    write_town(root / "town.geojson", box(8, 4, 16, 8))
    (root / "rules.toml").write_text('background = "none"\n[[rule]]\nclass = "house"\n')
    (root / "dataset.toml").write_text(f'rules = "{rules}"\n')
    monkeypatch.chdir(tmp_path)
    Path("house").mkdir()  # a folder with the name of a class
    result, maps = tiles(Path("town"), tmp_path / "t")
    assert (maps["a"] == expected(8, 4, 16, 8)).all()
    assert result.tileset.palette.names[1] == ("building" if rules == "osm" else "house")
    assert result.tileset.palette.names[0] == ("none" if rules == "rules.toml" else "background")
    told, _ = tiles(Path("town"), tmp_path / "u", rules="lake")  # the command line goes before
    assert told.tileset.palette.names[1] == "lake"
