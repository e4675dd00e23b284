"""`generate --refine`: a run makes a coarse image, and another one sharpens it by the map at its own resolution."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from generate_command import PLACE, VALUES, made, read, refused, write_map
from makers import make_folder, make_indices, write_raster
from torch.nn import functional as F

import sattrans.generate.refine
from sattrans.data.batches import TileStore
from sattrans.errors import UsageError
from sattrans.evaluate.downstream import check_downstream
from sattrans.evaluate.images import RealTiles, RunImages, refining_notes
from sattrans.generate import GenerateOptions, generate
from sattrans.raster.bands import to_uint8
from sattrans.raster.cells import coarsened
from sattrans.raster.window import Window
from sattrans.runs.bases import APART, BaseImages
from sattrans.runs.run import Run
from sattrans.runs.translator import Translator
from sattrans.tile import TileOptions, tile
from sattrans.train import TrainOptions, train

FINE = PLACE @ Affine.translation(1.5, 0.5) @ Affine.scale(0.5)
"""Pixels of 5 m, whose squares of four do not begin at the corner of the map."""

HEIGHT, WIDTH = 151, 203


def _train(folder, base, scale):
    root = make_folder(folder / "f", size=64, classes_toml=True)
    tileset = tile(root, folder / "t", options=TileOptions(size=64, res=10 / scale)).tileset
    own = {"width": 8, "head_width": 8, "blocks": 2, "lr": 2e-3, "warmup": 3, "base": str(base), "scale": scale}
    options = TrainOptions(model="refine", settings=own, steps=5, batch_size=2, monitor="l1", ema=0)
    train(tileset.folder, folder / "r", options)


@pytest.fixture(scope="session")
def refiner(shared, styled) -> Run:
    """A run that takes images of 10 m to 5 m, real ones and those of a base."""
    return Run.open(shared("refiner", partial(_train, base=styled.folder, scale=2)) / "r")


@pytest.fixture
def refiner_by_4(shared, styled) -> Run:
    """A run that takes images of 10 m to 2.5 m."""
    return Run.open(shared("refiner by 4", partial(_train, base=styled.folder, scale=4)) / "r")


def map_at(path, place):
    return write_raster(path, VALUES[make_indices(HEIGHT, WIDTH, 3, 1)], "EPSG:32652", place)


@pytest.fixture
def map_(tmp_path):
    return map_at(tmp_path / "map.tif", FINE)


@pytest.mark.parametrize(("base", "refining"), [("run", "refiner"), ("styled", "refiner"), ("styled", "refiner_by_4")])
def test_a_part_of_a_refined_image_equals_the_whole(request, tmp_path, base, refining):
    run, refiner = request.getfixturevalue(base), request.getfixturevalue(refining)
    place = FINE if refining == "refiner" else FINE @ Affine.scale(0.5)
    map_, options = map_at(tmp_path / "map.tif", place), GenerateOptions(run=run.folder, refine=refiner.folder)
    whole = generate(map_, tmp_path / "whole.tif", options)
    assert whole.consistency < 1
    with rasterio.open(whole.output) as src:
        assert (src.height, src.width, src.transform) == (HEIGHT, WIDTH, place)
        pixels = src.read()
    for number, part in enumerate((Window(37, 81, 50, 99), Window(0, 0, 70, 203), Window(120, 150, 31, 53))):
        (left, top), (right, bottom) = place @ (part.col, part.row), place @ (part.right, part.bottom)
        one = generate(map_, tmp_path / f"{number}.tif", replace(options, bounds=f"{left},{bottom},{right},{top}"))
        assert np.array_equal(read(one.output), pixels[(slice(None), *part.slices)])


def test_a_refined_image_has_the_colours_of_its_base_and_details_of_its_own(styled, refiner, map_, tmp_path):
    options = GenerateOptions(run=styled.folder, refine=refiner.folder)
    result = generate(map_, tmp_path / "sat.tif", options)
    assert 0 < result.consistency < 0.5  # rounding alone is a quarter, and a little is clipped
    assert result.run.folder == styled.folder and result.refined.folder == refiner.folder
    record = json.loads((tmp_path / "sat.tif.json").read_text())
    assert record["consistency"] == pytest.approx(result.consistency, abs=1e-3)
    assert (record["options"]["run"], record["options"]["refine"]) == ("r", "r")
    assert [path.name for path in tmp_path.glob("*.part")] == []
    assert not generate(map_, tmp_path / "sat.tif", options).made


def test_an_interrupted_refined_image_resumes_with_its_coarse_image(styled, refiner, map_, tmp_path, monkeypatch):
    options = GenerateOptions(run=styled.folder, refine=refiner.folder)
    expected = read(generate(map_, tmp_path / "whole.tif", options).output)
    with monkeypatch.context() as patch:
        patch.setattr(sattrans.generate.refine.WriteHere, "image", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            generate(map_, tmp_path / "sat.tif", options)
    coarse = tmp_path / "sat.tif.part" / "base.tif"
    before = coarse.stat().st_mtime_ns
    seen = []
    opened = sattrans.generate.refine.open_raster
    monkeypatch.setattr(
        sattrans.generate.refine, "open_raster", lambda path: seen.append(path.stat().st_mtime_ns) or opened(path)
    )
    assert np.array_equal(read(generate(map_, tmp_path / "sat.tif", options).output), expected)
    assert set(seen) == {before}


def test_what_does_not_fit_is_refused_in_a_line(run, styled, refiner, map_, tmp_path):
    refine, out = ("--refine", refiner.folder), ("-o", tmp_path / "sat.tif")
    coarse = write_map(tmp_path / "coarse.tif", 80, 80)
    assert "has pixels of 10 m, and --refine" in refused(styled, 2, coarse, *out, *refine)
    assert "makes images of maps and sharpens none" in refused(styled, 2, map_, *out, "--refine", run.folder)
    assert "name it with --refine" in refused(refiner, 2, map_, *out)
    assert "one image" in refused(styled, 2, map_, "-o", tmp_path / "parts", *refine)
    assert "--scheduler" in refused(styled, 2, map_, *out, *refine, "--scheduler", "local")
    other = tmp_path / "other"
    other.mkdir()
    body = json.loads((styled.folder / "run.json").read_text())
    (other / "run.json").write_text(json.dumps({**body, "ground_resolution": [5.0, 5.0]}))
    assert "takes a base of 10 m" in refused(Run.open(other), 2, map_, *out, *refine)
    assert not (tmp_path / "sat.tif").exists()


def test_a_base_that_does_not_fit_the_tiles_is_refused_before_training(styled, refiner, tmp_path):
    root = make_folder(tmp_path / "f", scenes=1, size=64, classes_toml=True)
    coarse = tile(root, tmp_path / "t", options=TileOptions(size=64)).tileset.folder
    for base, error in (
        (styled.folder, "takes a base of 20 m"),
        (refiner.folder, "sharpens images itself"),
        (tmp_path / "none", "is not a run"),
    ):
        with pytest.raises(UsageError, match=error):
            train(coarse, tmp_path / "r", TrainOptions(model="refine", settings={"base": str(base)}), dry_run=True)


def test_images_of_a_base_belong_to_their_tiles(styled, refiner):
    tileset = refiner.tileset()
    store = TileStore(tileset, tileset.split("train"))
    images = BaseImages([styled], store, 2, torch.device("cpu"))([2, 0, 2])
    assert images.shape == (3, 3, 32, 32) and torch.equal(images[0], images[2])
    map_ = coarsened(store.maps([2])[0].numpy(), 2)
    window = np.pad(map_, [(0, 32), (0, 32)], mode="symmetric")[np.newaxis]
    expected = Translator(styled, "cpu").tiles(window, [(0, 2 * APART)])[0, :, :32, :32]
    assert torch.equal(images[0], torch.from_numpy(to_uint8(expected)))


def test_an_evaluation_sharpens_real_images_made_coarse_and_says_so(refiner):
    tileset = refiner.tileset()
    real = RealTiles(tileset, tileset.split("train"))
    images = torch.stack(list(RunImages(refiner, real, torch.device("cpu"), 0, 2).images([0, 1, 2]))).float()
    again, coarse = (F.avg_pool2d(each, 2) for each in (images, real.store.images([0, 1, 2]).float()))
    assert (again - coarse).abs().mean() < 1 and not torch.equal(images, real.store.images([0, 1, 2]).float())
    assert "sharpens the real images" in refining_notes([refiner])[0]
    with pytest.raises(UsageError, match="needs runs that make images of maps"):
        check_downstream(tileset, "test", [refiner])


def test_a_finer_map_is_resampled_to_what_the_refining_run_was_trained_on(styled, refiner, tmp_path):
    fine = write_map(tmp_path / "fine.tif", 256, 256, metres=2.5)
    notes = made(styled, fine, "-o", tmp_path / "sat.tif", "--refine", refiner.folder)
    assert any("resampled to 128 wide" in note for note in notes)
    assert read(tmp_path / "sat.tif").shape == (3, 128, 128)
