"""generate --sources: which training tile each part of an image is copied from, as polygons."""

import json

import numpy as np
import pytest
import rasterio
from commands import error_line, sattrans
from makers import make_folder, write_raster
from rasterio.features import rasterize
from rasterio.warp import transform_geom

from sattrans.data.tileset import Tileset
from sattrans.errors import Interrupted, OptionError, OutputExists, RasterError, UsageError
from sattrans.generate import GenerateOptions, generate
from sattrans.generate.sources import Recorder
from sattrans.tile import TileOptions, tile
from sattrans.train import TrainOptions, train

HEIGHT, WIDTH = 100, 130


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A run of a model that copies, one of a model that does not, a map with a hole, and its image with the sources."""
    folder = tmp_path_factory.mktemp("place")
    root = make_folder(folder / "f", size=128, classes_toml=True)
    (root / "dataset.toml").write_text('licence = "CC BY 4.0"\nattribution = "City of Example"\n')
    tileset = tile(root, folder / "t", TileOptions(size=64)).tileset
    train(tileset.folder, folder / "r", TrainOptions(model="exemplar"))
    options = TrainOptions(model="pix2pix", settings={"width": 4}, steps=1, monitor="l1")
    train(tileset.folder, folder / "plain", options)
    with rasterio.open(next((root / "masks").iterdir())) as mask:
        values = np.tile(mask.read(1), (1, 2))[:HEIGHT, :WIDTH]
        values[60:, 100:] = 0
        write_raster(folder / "map.tif", values, mask.crs, mask.transform, nodata=0)
    generate(folder / "map.tif", folder / "whole.tif", options_of(folder, folder / "whole.geojson"))
    return folder


def options_of(place, sources, **more):
    return GenerateOptions(run=place / "r", sources=sources, **more)


def features_of(path):
    return json.loads(path.read_text())["features"]


def drawn(path, image, names):
    """Draw the polygons of a file on the grid of an image: the number of each pixel's tile; -1 for none."""
    with rasterio.open(image) as raster:
        placed = [
            (transform_geom("EPSG:4326", raster.crs, feature["geometry"]), names.index(feature["properties"]["tile"]))
            for feature in features_of(path)
        ]
        return rasterize(placed, raster.shape, -1, transform=raster.transform, dtype="int32")


def names_of(place):
    return [each.id for each in Tileset.open(place / "t").split("train")]


def test_each_pixel_lies_in_the_polygon_of_its_tile(place):
    numbers = drawn(place / "whole.geojson", place / "whole.tif", names_of(place))
    with rasterio.open(place / "whole.tif") as raster:
        image, valid = raster.read([1, 2, 3]), raster.read_masks(1) > 0
    assert (numbers == -1)[~valid].all()
    assert (numbers >= 0)[valid].all()
    assert len(np.unique(numbers)) > 2
    tiles = Tileset.open(place / "t").split("train")
    for number in np.unique(numbers[numbers >= 0]):  # a tile's colours, but tones are blended
        with rasterio.open(tiles[number].image_path(place / "t")) as raster:
            colors = raster.read().reshape(3, -1).astype(int)
        shown = image[:, numbers == number][:, ::7].astype(int)
        distance = np.abs(shown[:, :, None] - colors[:, None]).max(0).min(1)
        assert np.mean(distance <= 14) > 0.9


def test_the_tile_its_scene_and_the_rights_in_it_are_named(place):
    features = features_of(place / "whole.geojson")
    tiles = {each.id: each for each in Tileset.open(place / "t").split("train")}
    for feature in features:
        told = feature["properties"]
        assert told["scene"] == tiles[told["tile"]].scene
        assert (told["split"], told["licence"], told["attribution"]) == ("train", "CC BY 4.0", "City of Example")
        for number, ring in enumerate(feature["geometry"]["coordinates"]):
            x, y = (np.array(ring) - ring[0]).T
            area = (x[:-1] * y[1:] - x[1:] * y[:-1]).sum()
            assert (area > 0) == (number == 0)  # RFC 7946: outer rings counterclockwise, holes clockwise
    with rasterio.open(place / "whole.tif") as raster:
        assert raster.tags()["SATTRANS_LICENCE"] == "CC BY 4.0"
        assert raster.tags()["SATTRANS_ATTRIBUTION"] == "City of Example"


def test_a_part_has_the_sources_of_the_whole(place, tmp_path):
    with rasterio.open(place / "whole.tif") as raster:
        left, top = raster.transform @ (30, 20)
        right, bottom = raster.transform @ (90, 80)
    options = options_of(place, tmp_path / "part.geojson", bounds=f"{left},{bottom},{right},{top}")
    generate(place / "map.tif", tmp_path / "part.tif", options)
    whole, part = (
        drawn(*paths, names_of(place))
        for paths in (
            (place / "whole.geojson", place / "whole.tif"),
            (tmp_path / "part.geojson", tmp_path / "part.tif"),
        )
    )
    assert np.array_equal(part, whole[20:80, 30:90])


def test_sources_change_no_pixel_and_can_be_asked_for_later(place, tmp_path):
    generate(place / "map.tif", tmp_path / "a.tif", GenerateOptions(run=place / "r"))
    generated = generate(place / "map.tif", tmp_path / "a.tif", options_of(place, tmp_path / "a.geojson"))
    assert not generated.made
    assert (tmp_path / "a.tif").read_bytes() == (place / "whole.tif").read_bytes()
    assert (tmp_path / "a.geojson").read_bytes() == (place / "whole.geojson").read_bytes()
    assert not list(tmp_path.glob("*.windows"))


def test_what_was_found_before_an_interruption_is_kept(place, tmp_path, monkeypatch):
    own, count = Recorder.keep, []

    def interrupted(self, windows, origins):
        own(self, windows, origins)
        count.append(len(origins))
        if len(count) == 2:
            raise KeyboardInterrupt

    options = options_of(place, tmp_path / "a.geojson", batch_size=1)
    monkeypatch.setattr(Recorder, "keep", interrupted)
    with pytest.raises((KeyboardInterrupt, Interrupted)):
        generate(place / "map.tif", tmp_path / "a.tif", options)
    assert not (tmp_path / "a.geojson").exists()
    kept = list(tmp_path.glob("a.geojson.windows/*/*.z"))
    assert len(kept) >= 2
    before = {path: path.stat().st_mtime_ns for path in kept}
    monkeypatch.setattr("sattrans.generate.sources.remove", lambda _: None)
    monkeypatch.setattr(Recorder, "keep", own)
    generate(place / "map.tif", tmp_path / "a.tif", options)
    assert {path: path.stat().st_mtime_ns for path in kept} == before
    assert features_of(tmp_path / "a.geojson") == features_of(place / "whole.geojson")


def test_what_cannot_have_sources_is_refused(place, tmp_path):
    def refused(error, message, map_=place / "map.tif", **options):
        with pytest.raises(error, match=message):
            generate(map_, tmp_path / "x.tif", GenerateOptions(**{"run": place / "r"} | options))
        assert not (tmp_path / "x.tif").exists()

    path = tmp_path / "x.geojson"
    refused(UsageError, "model 'pix2pix' copies no pixels", run=place / "plain", sources=path)
    refused(OptionError, "a name that ends in .geojson", sources=tmp_path / "x.csv")
    refused(OptionError, "leave out --update, --refine and --variants", sources=path, variants=2)
    refused(OutputExists, "made for another image", sources=place / "whole.geojson", seed=1)
    path.write_text('{"type": "FeatureCollection", "features": []}')
    refused(OutputExists, "was not made by sattrans", sources=path)
    with rasterio.open(place / "map.tif") as raster:
        write_raster(tmp_path / "nowhere.tif", raster.read(1), None, raster.transform, nodata=0)
    refused((UsageError, RasterError), "no CRS", map_=tmp_path / "nowhere.tif", sources=tmp_path / "y.geojson")
    (place / "t").rename(place / "gone")
    try:
        refused(UsageError, "needs the tileset that .* was trained on", sources=tmp_path / "y.geojson")
    finally:
        (place / "gone").rename(place / "t")
    done = sattrans("generate", place / "map.tif", "-o", tmp_path / "folder", "--sources", tmp_path / "y.geojson")
    assert (done.exit_code, "need one image" in error_line(done.stderr)) == (2, True)
