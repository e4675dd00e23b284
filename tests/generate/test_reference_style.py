"""generate with the style of a reference image: `--style photo.tif`."""

import json
import shutil

import numpy as np
import pytest
from generate_command import PLACE, made, read, refused, write_map
from makers import make_folder, write_raster

from sattrans.generate.update import record_path
from sattrans.runs.run import Run
from sattrans.tile import TileOptions, tile
from sattrans.train import TrainOptions, train


@pytest.fixture(scope="module")
def encoding(tmp_path_factory) -> Run:
    """A run of `spade`, hardly trained."""
    folder = tmp_path_factory.mktemp("spade")
    root = make_folder(folder / "f", scenes=3, size=64, classes_toml=True)
    tileset = tile(root, folder / "t", options=TileOptions(size=64)).tileset
    options = TrainOptions(model="spade", settings={"width": 2}, steps=1, batch_size=1, monitor="l1", ema=0)
    return train(tileset.folder, folder / "r", options).run


def photo(path, level):
    pixels = np.random.default_rng(level).integers(level, level + 30, (3, 80, 80))
    return write_raster(path, pixels.astype(np.uint8), "EPSG:32652", PLACE)


def style_of(image):
    return json.loads(record_path(image).read_text())["options"]["style"]


def test_a_reference_image_gives_its_style_and_is_recorded_by_its_content(encoding, tmp_path):
    map_, bright, dark = write_map(tmp_path / "map.tif"), photo(tmp_path / "b.tif", 220), photo(tmp_path / "d.tif", 5)
    made(encoding, map_, "-o", tmp_path / "o.tif", "--style", bright)
    made(encoding, map_, "-o", tmp_path / "dark.tif", "--style", dark)
    made(encoding, map_, "-o", tmp_path / "scene.tif", "--style", encoding.spec.scenes[0])
    first = read(tmp_path / "o.tif")
    for other in ("dark.tif", "scene.tif"):
        assert not np.array_equal(first, read(tmp_path / other))
    recorded = style_of(tmp_path / "o.tif")
    assert recorded.startswith("b.tif (SHA-256 ")
    made(encoding, map_, "-o", tmp_path / "o.tif", "--style", bright)  # nothing to do
    photo(bright, 100)
    error = refused(encoding, 2, map_, "-o", tmp_path / "o.tif", "--style", bright)
    assert f"style: {recorded} before, b.tif (SHA-256 " in error


def test_an_image_without_a_style_is_refused_and_nothing_is_made(encoding, styled, tmp_path):
    map_ = write_map(tmp_path / "map.tif")
    error = refused(encoding, 2, map_, "-o", tmp_path / "o.tif", "--style", map_)
    assert error == f"error: --style {map_}: it has fewer than three bands; give an image of red, green and blue"
    error = refused(styled, 2, map_, "-o", tmp_path / "o.tif", "--style", map_)
    assert "model 'projected' takes no style from an image; name a training scene" in error
    assert [path.name for path in tmp_path.iterdir()] == ["map.tif"]


def test_a_run_without_its_encoder_has_no_styles_and_one_image_of_a_map(encoding, tmp_path):
    folder = tmp_path / "r"
    shutil.copytree(encoding.folder, folder)
    body = json.loads((folder / "run.json").read_text())
    body["options"]["encoder"] = False
    (folder / "run.json").write_text(json.dumps(body))
    map_, run = write_map(tmp_path / "map.tif"), Run.open(folder)
    error = refused(run, 2, map_, "-o", tmp_path / "o.tif", "--style", encoding.spec.scenes[0])
    assert "model 'spade' has no styles; leave the option out" in error
    error = refused(run, 2, map_, "-o", tmp_path / "o.tif", "--variants", "2")
    assert "model 'spade' makes one image of a map" in error
