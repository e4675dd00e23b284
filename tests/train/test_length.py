"""The length of a training: validated more often than each epoch, and trained further when it has finished."""

import pytest
import torch
from makers import make_folder
from safetensors.torch import load_file

from sattrans.data import crops
from sattrans.errors import OptionError, UsageError
from sattrans.tile import TileOptions, tile
from sattrans.train import TrainOptions, resume, train

OPTIONS = {"model": "wgan", "settings": {"width": 4}, "batch_size": 4, "monitor": "l1"}


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiles")
    return tile(make_folder(folder / "f", size=128), folder / "t", options=TileOptions(size=64)).tileset.folder


@pytest.fixture
def steps_of_an_epoch(monkeypatch):
    monkeypatch.setattr(crops, "MIN_STEPS", 1)
    return 1


def test_a_short_training_is_validated_and_sampled_as_often_as_one_asks(tiles, tmp_path):
    run = train(tiles, tmp_path / "r", TrainOptions(**OPTIONS, steps=5, sample_every=2)).run
    assert [line["step"] for line in run.metrics()] == [2, 4, 5]
    sheets = sorted(path.name for path in (run.folder / "samples").iterdir())
    summary = run.manifest["summary"]
    assert summary["best"] == next(line["val"]["l1"] for line in run.metrics() if line["step"] == summary["best_step"])
    assert sheets == ["step-000002.png", "step-000004.png", "step-000005.png"]


def test_a_finished_run_trained_further_is_the_run_of_that_length(tiles, tmp_path, steps_of_an_epoch):
    options = {**OPTIONS, "settings": {"width": 4, "warmup": 1}, "balance": "auto", "warp": 3}
    whole = train(tiles, tmp_path / "whole", TrainOptions(**options, epochs=3)).run
    run = train(tiles, tmp_path / "r", TrainOptions(**options, epochs=1)).run
    further = resume(run.folder, epochs=3).run
    assert further.finished and further.manifest["summary"] == whole.manifest["summary"]
    assert further.manifest["settings"] == whole.manifest["settings"]
    one, other = (load_file(made.checkpoint("last")) for made in (further, whole))
    assert all(torch.equal(one[name], other[name]) for name in other)


def test_a_run_that_stopped_early_goes_on_if_it_is_trained_further(tiles, tmp_path, steps_of_an_epoch, monkeypatch):
    run = train(tiles, tmp_path / "r", TrainOptions(**OPTIONS, epochs=1, patience=1)).run
    monkeypatch.setattr("sattrans.train.loop.Loop._is_better", lambda loop, value: loop.state["best"] is None)
    assert resume(run.folder, epochs=6).run.manifest["summary"]["epochs"] == 2  # patience counts anew


def test_what_has_trained_that_long_is_refused(tiles, tmp_path, steps_of_an_epoch):
    run = train(tiles, tmp_path / "r", TrainOptions(**OPTIONS, epochs=2)).run
    before = {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match=r"is finished, after 2 steps: train it further .*--steps 4 or in --epochs"):
        resume(run.folder)
    with pytest.raises(UsageError, match=r"has trained that long already \(2 steps, 2 epochs\): give a larger number"):
        resume(run.folder, steps=2)
    with pytest.raises(OptionError, match="exclude each other"):
        resume(run.folder, epochs=3, steps=9)
    assert {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()} == before
