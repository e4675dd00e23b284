"""train: learns, repeats, resumes to the same bytes, saves the best generator, and stops with one line."""

import random
import signal
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from forks import Fork
from killed import kill_before_second_save
from makers import make_folder
from safetensors.torch import load_file

from sattrans.data import batches, crops
from sattrans.data.batches import Batches, TileStore
from sattrans.data.crops import Crops
from sattrans.errors import NothingToUse, OptionError, TrainingError, UsageError
from sattrans.runs.run import Run
from sattrans.tile import TileOptions, tile
from sattrans.train import TrainOptions, resume, train
from sattrans.train.loop import Loop
from sattrans.train.settings import SCHEDULES

SMALL = {"width": 4}


def cut(folder, size):
    root = make_folder(folder / "f", size=size)
    return tile(root, folder / "t", options=TileOptions(size=64)).tileset


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    return cut(tmp_path_factory.mktemp("few"), size=128)


@pytest.fixture(scope="module")
def many_tiles(tmp_path_factory):
    """Enough to learn from."""
    return cut(tmp_path_factory.mktemp("many"), size=256)


def test_training_lowers_the_validation_loss(many_tiles, tmp_path):
    own = {**SMALL, "source": "onehot", "lr": 2e-3}
    options = TrainOptions(model="pix2pix", settings=own, epochs=6, batch_size=4, monitor="l1")
    result = train(many_tiles.folder, tmp_path / "r", options)
    values = [line["val"]["l1"] for line in result.run.metrics()]
    assert len(values) == 6
    assert values[-1] < 0.7 * values[0]
    assert result.run.manifest["summary"]["best"] == min(values)


def test_one_seed_gives_the_same_weights_and_another_seed_others(tiles, tmp_path):
    weights = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run = train(
            tiles.folder, tmp_path / name, TrainOptions(model="resse", settings=SMALL, steps=3, seed=seed, monitor="l1")
        ).run
        weights.append(load_file(run.checkpoint("best")))
    first, same, other = weights
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_another_seed_draws_other_weights_before_anything_is_learned(tiles, tmp_path):
    weights = []
    for seed in (1, 2):
        options = TrainOptions(model="pix2pix", settings={**SMALL, "lr": 1e-12}, steps=1, seed=seed, monitor="l1")
        weights.append(load_file(train(tiles.folder, tmp_path / str(seed), options).run.checkpoint("last")))
    names = [name for name in weights[0] if name.startswith("model.generator") and weights[0][name].ndim == 4]
    assert names
    assert not any(torch.allclose(weights[0][name], weights[1][name], atol=1e-6) for name in names)


OWN = {
    "cyclegan": {**SMALL, "blocks": 1, "pool": 2},
    "exemplar": {},
    "pix2pix": SMALL,
    "projected": {"width": 8, "head_width": 8},
    "resse": SMALL,
    "spade": {**SMALL, "discriminator": "projected"},
    "wgan": {**SMALL, "warmup": 1},
}


RARELY = ("cyclegan", "pix2pix", "spade")
"""Models that the conformance suite resumes as well, and that keep no more state than the others."""


@pytest.mark.parametrize(
    "model", [pytest.param(model, marks=[pytest.mark.faults] if model in RARELY else []) for model in OWN]
)
def test_a_killed_run_resumes_to_the_same_bytes(tiles, tmp_path, monkeypatch, model):
    """One is killed in a process of its own; the others end like a killed one."""
    monkeypatch.setattr(crops, "MIN_STEPS", 1)  # for epochs of a step
    options = {"model": model, "settings": OWN[model], "epochs": 3, "batch_size": 4, "seed": 3}
    options["monitor"] = {"projected": "joint_kid", "exemplar": "unlike"}.get(model, "l1")
    whole = train(tiles.folder, tmp_path / "whole", TrainOptions(**options)).run
    if model == "resse":
        kill_before_second_save(tiles.folder, tmp_path / "killed", **options)
    else:
        _end_after_first_epoch(tiles, tmp_path / "killed", TrainOptions(**options), monkeypatch)
    killed = Run.open(tmp_path / "killed")
    assert not killed.finished
    resumed = resume(tmp_path / "killed").run
    for which in ("best", "last"):
        one, other = load_file(resumed.checkpoint(which)), load_file(whole.checkpoint(which))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
    strip = [{k: v for k, v in line.items() if k != "images_per_second"} for line in resumed.metrics()]
    assert strip == [{k: v for k, v in line.items() if k != "images_per_second"} for line in whole.metrics()]


class Killed(BaseException):
    """Caught by nobody."""


def _end_after_first_epoch(tiles, folder, options, monkeypatch):
    save = Loop.save

    def save_and_end(loop):
        save(loop)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "save", save_and_end)
        with pytest.raises(Killed):
            train(tiles.folder, folder, options)
    torch.manual_seed(99)  # another process would begin with other random numbers, too
    np.random.seed(99)
    random.seed(99)


def test_a_signal_saves_within_a_step_and_says_how_to_resume(tiles, tmp_path):
    command = ["train", "-m", "pix2pix", "--set", "width=4", "-d", tiles.folder]
    process = Fork(*command, "-o", tmp_path / "r", "--epochs", "5000", "--monitor", "l1")
    while not (tmp_path / "r" / "checkpoints" / "last.safetensors").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate()
    assert process.poll() == 128 + signal.SIGTERM
    assert f"--resume {tmp_path / 'r'}" in stderr.splitlines()[-1]
    assert "Traceback" not in stderr
    run = Run.open(tmp_path / "r")
    assert not run.finished


def test_a_loss_that_is_not_finite_stops_in_one_line_and_leaves_no_run(tiles, tmp_path):
    with pytest.raises(TrainingError, match=r"step \d+ .*nan.*on tiles place\d_\d+"):
        train(
            tiles.folder,
            tmp_path / "r",
            TrainOptions(model="pix2pix", settings={**SMALL, "lr": 1e30}, steps=200, ema=0, monitor="l1"),
        )
    assert not (tmp_path / "r").exists()


def test_early_stopping_keeps_the_best_and_stops_after_patience(many_tiles, tmp_path):
    options = TrainOptions(epochs=50, patience=2, monitor="l1", batch_size=8)
    run = train(
        many_tiles.folder, tmp_path / "r", replace(options, model="pix2pix", settings={**SMALL, "lr": 0.05})
    ).run
    summary = run.manifest["summary"]
    values = [line["val"]["l1"] for line in run.metrics()]
    assert summary["stopped_early"]
    assert len(values) == summary["best_epoch"] + 2
    assert summary["best"] == min(values) == values[summary["best_epoch"] - 1]


def test_unknown_monitor_is_refused_with_what_there_is(tiles, tmp_path):
    with pytest.raises(OptionError, match="validates l1, generator, joint_kid, kid"):
        train(tiles.folder, tmp_path / "r", TrainOptions(model="pix2pix", settings=SMALL, steps=1, monitor="l2"))
    assert not (tmp_path / "r").exists()


def test_options_that_are_not_given_are_the_models_defaults(tiles, tmp_path):
    run = train(tiles.folder, tmp_path / "r", TrainOptions(model="resse", settings=SMALL, steps=1)).run
    settings = run.manifest["settings"]
    assert (settings["patience"], settings["monitor"], settings["batch_size"]) == (10, "joint_kid", 1)
    assert (settings["ema"], settings["schedule"]) == (0.999, "constant")
    assert run.manifest["options"]["source"] == "onehot"  # "auto", where there are classes
    (line,) = run.metrics()
    assert {"joint_kid", "kid", "l1", "generator"} == line["val"].keys()
    assert run.manifest["summary"]["best"] == line["val"]["joint_kid"]


def test_bf16_trains_to_finite_losses(tiles, tmp_path):
    run = train(
        tiles.folder,
        tmp_path / "r",
        TrainOptions(model="pix2pix", settings=SMALL, steps=2, precision="bf16", monitor="l1"),
    ).run
    assert all(value == value for value in run.metrics()[0]["train"].values())


def test_tiles_that_are_not_cached_are_read_ahead_and_train_the_same(tiles, tmp_path, monkeypatch):
    weights = []
    for name, part in (("kept", 0.4), ("read", 0.0)):
        monkeypatch.setattr(batches, "CACHE_SHARE", part)
        run = train(
            tiles.folder,
            tmp_path / name,
            TrainOptions(model="pix2pix", settings=SMALL, epochs=2, batch_size=2, monitor="l1"),
        ).run
        weights.append(load_file(run.checkpoint("last")))
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_run_without_val_tiles_is_validated_on_training_tiles_and_says_so(tmp_path):
    tileset = tile(make_folder(tmp_path / "f", scenes=1, size=64), tmp_path / "t", options=TileOptions(size=64)).tileset
    result = train(tileset.folder, tmp_path / "r", TrainOptions(model="pix2pix", settings=SMALL, steps=1, monitor="l1"))
    assert any("no val tiles" in notice for notice in result.notices)


def test_wrong_requests_are_refused_before_anything_is_made(tiles, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NothingToUse, match="sattrans tile"):
        train()
    with pytest.raises(UsageError, match="not a tileset"):
        train(tmp_path)
    with pytest.raises(OptionError, match="did you mean 'width'"):
        train(tiles.folder, options=TrainOptions(model="pix2pix", settings={"widht": 3}))
    with pytest.raises(OptionError, match="option width must be an integer, got 'none'"):
        train(tiles.folder, options=TrainOptions(model="pix2pix", settings={"width": "none"}))
    with pytest.raises(OptionError, match="exclude each other"):
        TrainOptions(steps=1, epochs=1)
    with pytest.raises(NothingToUse, match="no unfinished run"):
        resume("last")
    assert list(tmp_path.iterdir()) == []


def test_a_run_never_writes_into_another(tiles, tmp_path):
    train(tiles.folder, tmp_path / "r", TrainOptions(model="pix2pix", settings=SMALL, steps=1, monitor="l1"))
    with pytest.raises(UsageError, match="is a run already; .*--resume"):
        train(tiles.folder, tmp_path / "r", TrainOptions(model="pix2pix", settings=SMALL, steps=1, monitor="l1"))
    with pytest.raises(UsageError, match="is finished"):
        resume(tmp_path / "r")


def test_overwrite_keeps_the_old_run_out_of_sight_until_the_new_one_has_trained(tiles, tmp_path, monkeypatch):
    folder, options = tmp_path / "runs" / "r", TrainOptions(model="pix2pix", settings=SMALL, steps=1, monitor="l1")
    old = train(tiles.folder, folder, options).run.checkpoint("last").read_bytes()
    seen = []

    def fail(*_):
        seen.extend(path.name for path in folder.parent.iterdir())
        assert [run.folder for run in Run.all(folder.parent)] == [folder]
        raise TrainingError("no step")

    with monkeypatch.context() as patch:
        patch.setattr("sattrans.train.api._train", fail)
        with pytest.raises(TrainingError, match="no step"):
            train(tiles.folder, folder, replace(options, seed=1), overwrite=True)
    assert ".r.before" in seen
    assert Run.open(folder).checkpoint("last").read_bytes() == old
    new = train(tiles.folder, folder, replace(options, seed=1), overwrite=True).run
    assert new.finished and new.checkpoint("last").read_bytes() != old
    assert [path.name for path in folder.parent.iterdir()] == ["r"]


def test_a_corrupt_tile_stops_training_with_its_name(tmp_path):
    tileset = tile(make_folder(tmp_path / "f", size=128), tmp_path / "t", options=TileOptions(size=64)).tileset
    spoiled = tileset.split("train")[0].image_path(tileset.folder)
    spoiled.write_bytes(spoiled.read_bytes()[:-20])
    with pytest.raises(TrainingError, match=spoiled.name):
        train(tileset.folder, tmp_path / "r", TrainOptions(model="pix2pix", settings=SMALL, epochs=1, monitor="l1"))


def test_the_linear_schedule_is_constant_for_half_and_then_falls_to_zero():
    factors = [SCHEDULES["linear"](done) for done in (0, 0.25, 0.5, 0.75, 1)]
    assert factors == [1, 1, 1, 0.5, 0]


def test_the_late_schedule_is_constant_for_three_fifths_and_then_falls_to_zero():
    factors = [SCHEDULES["late"](done) for done in (0, 0.3, 0.6, 0.8, 1)]
    assert factors == pytest.approx([1, 1, 1, 0.5, 0])


def test_each_epoch_sees_each_tile_once_in_another_order(tiles):
    store = TileStore(tiles, tiles.split("train"))
    drawn = Batches(store, "color", 1, torch.device("cpu"), seed=5)
    epochs = [[drawn.maps_of(e * drawn.per_epoch + i)[0] for i in range(drawn.per_epoch)] for e in range(2)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(len(store)))
    assert epochs[0] != epochs[1]


def test_jitter_moves_image_and_map_together():
    indices = torch.zeros(6, 64, 64, dtype=torch.uint8)
    indices[:, 20:40, 10:30] = 1
    images = (indices * 255)[:, None].repeat(1, 3, 1, 1)
    whole = Crops(64)
    drawn = whole.draw(6, torch.Generator().manual_seed(0))
    image, map_ = whole.take(images, drawn), whole.take(indices, drawn)
    assert image.shape == (6, 3, 64, 64)
    assert map_.shape == (6, 64, 64)
    # Inside and outside agree wherever bilinear interpolation has not mixed the two.
    assert torch.equal((image[:, 0] > 254.9) & (map_ == 1), image[:, 0] > 254.9)
    assert torch.equal((image[:, 0] < 0.1) & (map_ == 0), image[:, 0] < 0.1)
    assert len({tuple(m.flatten().tolist()) for m in map_}) > 1


def test_sources_are_colours_or_one_channel_a_class(tiles):
    store = TileStore(tiles, tiles.split("train"))
    indices = store[0][1][None]
    color = Batches(store, "color", 1, torch.device("cpu")).encode(indices)
    onehot = Batches(store, "onehot", 1, torch.device("cpu")).encode(indices)
    assert color.shape == (1, 3, 64, 64)
    assert onehot.shape == (1, 3, 64, 64)  # three classes
    expected = torch.tensor(tiles.palette.colors, dtype=torch.float32) / 127.5 - 1
    assert torch.allclose(color[0, :, 5, 7], expected[int(indices[0, 5, 7])])
    assert torch.equal(onehot.argmax(1), indices.long())
    assert torch.equal(onehot.sum(1), torch.ones(1, 64, 64))


def test_the_validated_generator_has_statistics_of_plain_training_tiles(tiles, tmp_path):
    run = train(
        tiles.folder, tmp_path / "r", TrainOptions(model="pix2pix", settings=SMALL, steps=4, batch_size=4, monitor="l1")
    ).run
    best = load_file(run.checkpoint("best"))
    counts = {int(value) for name, value in best.items() if name.endswith("num_batches_tracked")}
    assert counts == {len(tiles.split("train")) // 4}
