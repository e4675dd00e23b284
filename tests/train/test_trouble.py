"""Trouble in training: gradients that are not finite, memory that runs out, a discriminator that has won."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from makers import make_folder
from makers_pictures import make_tileset
from PIL import Image
from safetensors.torch import load_file

from sattrans.errors import NothingToUse, SattransError, TrainingError, UsageError
from sattrans.runs.run import Run
from sattrans.tile import TileOptions, tile
from sattrans.train import TrainOptions, resume, train
from sattrans.train.api import build_loop
from sattrans.train.loggers import write_curves
from sattrans.train.loop import Loop
from sattrans.train.oom import fitting_batch, out_of_memory

SMALL = {"width": 4}


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return tile(make_folder(folder / "f", size=256), folder / "t", options=TileOptions(size=64)).tileset


@pytest.fixture
def loop(tiles, tmp_path):
    """A loop at its beginning."""
    run = train(
        tiles.folder, tmp_path / "r", TrainOptions(model="pix2pix", settings=SMALL, steps=1, batch_size=2, monitor="l1")
    ).run
    return build_loop(run, torch.device("cpu"))


def test_a_gradient_that_is_not_finite_is_found_before_it_reaches_a_weight(loop):
    weight = next(loop.model.discriminator.parameters())
    weight.register_hook(lambda gradient: gradient * float("nan"))
    before = {name: tensor.clone() for name, tensor in loop.model.named_parameters()}
    with pytest.raises(
        TrainingError, match=r"at step 0 the gradient of the discriminator is nan, on tiles place\d_\d+"
    ):
        loop.train_step()
    assert all(torch.equal(before[name], tensor) for name, tensor in loop.model.named_parameters())


@pytest.mark.parametrize("message", ["CUDA out of memory", "DefaultCPUAllocator: can't allocate memory: you tried"])
def test_out_of_memory_is_reported_with_a_batch_that_fits(tiles, tmp_path, message):
    options = TrainOptions(steps=1, batch_size=8, monitor="l1")
    run = train(tiles.folder, tmp_path / "r", replace(options, model="pix2pix", settings=SMALL)).run
    loop = build_loop(run, torch.device("cpu"))

    def run_out(network, inputs):
        if len(inputs[0]) > 3:
            raise torch.OutOfMemoryError(message) if "CUDA" in message else RuntimeError(message)

    loop.model.generator.register_forward_pre_hook(run_out)
    with pytest.raises(
        TrainingError, match="out of memory at step 0 with 8 tiles of 64 px a step: --batch-size 2 fits"
    ):
        loop.run()


def test_out_of_memory_with_more_crops_than_tiles_is_reported_too(tmp_path):
    one = make_tileset(tmp_path / "t", None, {"train": 1})
    own = {"width": 8, "head_width": 8}
    options = TrainOptions(model="projected", settings=own, steps=1, batch_size=8, monitor="l1")
    loop = build_loop(train(one.folder, tmp_path / "r", options).run, torch.device("cpu"))

    def run_out(network, inputs):
        if len(inputs[0]) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")

    loop.model.generator.register_forward_pre_hook(run_out)
    with pytest.raises(TrainingError, match="with 8 tiles of 64 px a step: --batch-size 2 fits"):
        loop.run()


@pytest.mark.slow
def test_the_largest_half_that_fits_is_found_and_other_errors_are_not_swallowed():
    tried = []

    def attempt(size):
        tried.append(size)
        if size > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")

    assert fitting_batch(25, attempt) == 3
    assert tried == [12, 6, 3]
    assert fitting_batch(1, attempt) == 0
    with pytest.raises(RuntimeError, match="another"):
        fitting_batch(4, lambda size: (_ for _ in ()).throw(RuntimeError("another")))
    assert not out_of_memory(RuntimeError("shapes do not fit"))


def test_a_discriminator_that_has_won_is_reported(loop):
    (remark,) = loop.model.remarks({"d_real": 0.01, "d_fake": 0.02})
    assert "the discriminator has won (d_real + d_fake is 0.03 over the epoch)" in remark
    assert not list(loop.model.remarks({"d_real": 0.6, "d_fake": 0.7}))


def test_remarks_stand_in_the_metrics(tiles, tmp_path):
    # A generator that stands still is soon told from real images.
    own = {**SMALL, "lr": 5e-3, "l1_weight": 0}
    options = TrainOptions(epochs=4, batch_size=4, ema=0, monitor="l1")
    run = train(tiles.folder, tmp_path / "r", replace(options, model="pix2pix", settings=own)).run
    for line in run.metrics():
        won = line["train"]["d_real"] + line["train"]["d_fake"] < 0.05
        assert won == any("has won" in remark for remark in line.get("remarks", []))


def test_a_run_starts_from_another_runs_weights(tiles, tmp_path):
    first = train(
        tiles.folder, tmp_path / "a", TrainOptions(model="pix2pix", settings=SMALL, steps=5, seed=1, monitor="l1")
    ).run
    options = TrainOptions(steps=1, seed=2, init=tmp_path / "a", monitor="l1")
    second = train(tiles.folder, tmp_path / "b", replace(options, model="pix2pix", settings={**SMALL, "lr": 1e-12})).run
    one, two = (load_file(run.checkpoint("last")) for run in (first, second))
    names = [name for name in one if name.startswith("model.") and name.endswith("weight")]
    assert all(torch.allclose(one[name], two[name], atol=1e-6) for name in names)
    assert Run.open(second.folder).manifest["init"] == str(tmp_path / "a")
    with pytest.raises(UsageError, match="weights do not fit"):
        train(tiles.folder, tmp_path / "c", replace(options, model="pix2pix", settings={"width": 5}))


def test_a_refused_init_leaves_no_run_for_resume_to_take_up(tiles, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train(tiles.folder, tmp_path / "first", TrainOptions(model="pix2pix", settings=SMALL, steps=1, monitor="l1"))
    (tmp_path / "damaged" / "checkpoints").mkdir(parents=True)
    (tmp_path / "damaged" / "checkpoints" / "last.safetensors").write_bytes(b"no tensors")
    for name in ("damaged", "unsaved"):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "run.json").write_bytes((tmp_path / "first" / "run.json").read_bytes())
    for init, width, told in (
        ("nope", 4, "--init nope is not a run"),
        ("unsaved", 4, "--init unsaved: it was stopped before its first checkpoint"),
        ("damaged", 4, "is damaged"),
        ("first", 5, "weights do not fit"),
    ):
        with pytest.raises(SattransError, match=told):
            train(
                tiles.folder,
                options=TrainOptions(
                    model="pix2pix", settings={"width": width}, steps=1, init=Path(init), monitor="l1"
                ),
            )
        with pytest.raises(NothingToUse, match="no unfinished run"):
            resume("last")


def test_the_curves_of_a_run_are_a_picture(loop):
    write_curves(loop.output)
    with Image.open(loop.output.folder / "losses.png") as picture:
        assert picture.format == "PNG" and picture.width > 400


def test_tensorboard_has_the_scalars_and_the_sheet(loop):
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = event_accumulator.EventAccumulator(str(loop.output.folder / "tensorboard"))
    events.Reload()
    (line,) = loop.output.metrics()
    assert {f"val/{name}" for name in line["val"]} <= set(events.Tags()["scalars"])
    (point,) = events.Scalars("val/l1")
    assert (point.step, point.value) == (line["step"], pytest.approx(line["val"]["l1"]))
    assert events.Tags()["images"] == ["samples"]


def test_a_run_that_fails_before_its_first_checkpoint_is_removed_a_later_one_stays(tiles, tmp_path, monkeypatch):
    def fail(loop):
        if loop.step == failing:
            loop._check({"l1": float("nan")})
        return step(loop)

    step = Loop.train_step
    monkeypatch.setattr(Loop, "train_step", fail)
    options = TrainOptions(epochs=2, batch_size=8, monitor="l1")
    for failing, kept in ((1, False), (len(tiles.split("train")) // 8, True)):
        with pytest.raises(TrainingError, match=f"at step {failing} l1 is nan") as caught:
            train(tiles.folder, tmp_path / "r", replace(options, model="pix2pix", settings=SMALL))
        assert (tmp_path / "r").exists() == kept == ("is untouched" in str(caught.value))
    assert Run.open(tmp_path / "r").checkpoint("last").is_file()
