"""The ground resolution: what a georeference says of it, and how many metres a pixel covers on the ground."""

import json

import numpy as np
import pytest
import rasterio
from affine import Affine
from makers import make_folder, write_raster
from makers_pictures import make_tileset
from rasterio.crs import CRS
from typer.testing import CliRunner

from sattrans.cli import app
from sattrans.raster.georeference import Georeference
from sattrans.raster.gsd import measure_gsd
from sattrans.runs.run import Run
from sattrans.tile import TileOptions, tile
from sattrans.train import TrainOptions, train


@pytest.mark.parametrize(
    ("crs", "size", "expected"),
    [
        ("EPSG:32652", 10, (10, "m")),
        ("EPSG:2263", 1, (pytest.approx(0.3048, rel=1e-4), "m")),  # feet
        ("EPSG:4326", 0.0001, (0.0001, "degrees")),
        (None, 0.5, (0.5, "map units")),
    ],
)
def test_a_pixel_is_told_in_metres_where_they_are_known(crs, size, expected):
    place = Georeference.of(CRS.from_user_input(crs) if crs else None, Affine(size, 0, 5, 0, -size / 2, 6))
    assert place.ground_resolution == expected


def test_without_a_transform_there_is_no_resolution():
    assert Georeference.of(None, Affine.identity()).ground_resolution is None


def place(crs, *transform):
    return Georeference.of(CRS.from_user_input(crs) if crs else None, Affine(*transform))


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (place("EPSG:2180", 0.25, 0, 500_000, 0, -0.25, 600_000), (0.25, 0.25)),
        (
            place("EPSG:32633", 10, 0, 500_000, 0, -20, 5_500_000),
            (10, 20),
        ),  # off by 0.04 % on the ground
        (place("EPSG:2263", 1, 0, 980_000, 0, -1, 200_000), (1200 / 3937, 1200 / 3937)),  # feet
        # Half a degree of arc at 60° north: half as long east as north, to the flattening of the earth.
        (place("EPSG:4326", 1e-5, 0, 20, 0, -1e-5, 60), (0.55800, 1.11412)),
        (place("EPSG:4326", 1e-5, 0, 20, 0, -1e-5, 0), (1.11320, 1.10574)),
        # Web Mercator stretches the ground by 1/cos(latitude): 2 at 60° north.
        (place("EPSG:3857", 1, 0, 2_000_000, 0, -1, 8_399_737.9), (0.5013, 0.5004)),
        (place("EPSG:2180", 0, -0.5, 500_000, -0.25, 0, 600_000), (0.25, 0.5)),  # turned by a quarter
    ],
)
def test_a_pixel_is_told_in_metres_on_the_ground(where, expected):
    assert measure_gsd(where, 0, 0) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    "where",
    [
        place(None, 0.25, 0, 500_000, 0, -0.25, 600_000),
        place("EPSG:2180", 1, 0, 0, 0, 1, 0),
        place(None, 1, 0, 0, 0, 1, 0),
        place("EPSG:4326", 1e-5, 0, 20, 0, -1e-5, 120),
    ],
)
def test_what_tells_no_metres_is_not_guessed(where):
    assert measure_gsd(where, 0, 0) is None


def test_degrees_are_converted_at_the_middle_of_the_map():
    # From the equator to 60° north: at 30° a degree of longitude is cos(30°) of one at the equator.
    degrees = place("EPSG:4326", 0.5, 0, 20, 0, -0.5, 60)
    across, _ = measure_gsd(degrees, 120, 10)
    assert across == pytest.approx(0.5 * 111_320 * np.cos(np.radians(30)), rel=2e-3)


def test_a_tileset_tells_the_finest_and_the_coarsest_of_its_scenes(tmp_path):
    root = make_folder(tmp_path / "f", scenes=2, size=128, classes_toml=True)
    options = TileOptions(size=64, split="random")
    assert tile(root, tmp_path / "one", options=options).tileset.ground_resolution == (10.0, 10.0)
    for kind in ("images", "masks"):
        path = root / kind / "place1.tif"
        with rasterio.open(path) as src:
            pixels, finer = src.read(), src.transform @ Affine.scale(0.5)
        write_raster(path, pixels, "EPSG:32652", finer)
    assert tile(root, tmp_path / "two", options=options).tileset.ground_resolution == (5.0, 10.0)


def test_a_run_remembers_it_and_one_of_an_earlier_version_knows_none(tmp_path):
    root = make_folder(tmp_path / "f", size=128, classes_toml=True)
    tileset = tile(root, tmp_path / "t", options=TileOptions(size=64)).tileset
    run = train(
        tileset.folder, tmp_path / "r", TrainOptions(model="pix2pix", settings={"width": 1}, steps=1, monitor="l1")
    ).run
    assert run.ground_resolution == (10.0, 10.0)
    shown = CliRunner().invoke(app, ["runs", "show", str(run.folder)]).output
    assert "10 m" in next(line for line in shown.splitlines() if "ground resolution" in line)
    manifest = {key: value for key, value in run.manifest.items() if key != "ground_resolution"}
    (run.folder / "run.json").write_text(json.dumps(manifest))
    assert Run.open(run.folder).ground_resolution is None


def test_tiles_that_lie_nowhere_tell_none(tmp_path):
    assert make_tileset(tmp_path / "t").ground_resolution is None
