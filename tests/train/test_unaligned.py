"""train with an unaligned model, on a tileset of pairs and of images without maps."""

import shutil

import pytest
import torch
from killed import kill_before_second_save
from makers import make_inria
from safetensors.torch import load_file
from unaligned_model import install_unaligned

from sattrans.runs.run import Run
from sattrans.tile import TileOptions, tile
from sattrans.train import TrainOptions, resume, train

OPTIONS = {"epochs": 4, "batch_size": 2, "seed": 5, "monitor": "l1"}


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    """8 training tiles, 4 of val, and 12 without a map."""
    root = make_inria(tmp_path_factory.mktemp("data") / "inria", cities=("austin",), numbers=(1, 6, 7), size=128)
    data = root / "AerialImageDataset"
    for number in (6, 7, 1):
        there = data / "test" / "images" / f"tyrol{number}.tif"
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(data / "train" / "images" / f"austin{number}.tif", there)
    return tile(root, root.parent / "t", options=TileOptions(size=64)).tileset


@pytest.fixture(autouse=True)
def _installed(tmp_path, monkeypatch):
    install_unaligned(tmp_path / "site", monkeypatch)


def same_tensors(one, other):
    one, other = load_file(one), load_file(other)
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_it_trains_on_images_without_maps_and_says_how_many(tiles, tmp_path, caplog):
    counts = tiles.manifest["tiles"]
    assert (counts["train"], counts["val"], counts["unpaired"]) == (8, 4, 12)
    with caplog.at_level("INFO", "sattrans"):
        run = train(tiles.folder, tmp_path / "r", TrainOptions(model="unaligned", settings={"width": 4}, **OPTIONS)).run
    assert run.finished
    assert [line["step"] for line in run.metrics()] == [4, 8, 12, 16]
    (told,) = [record.getMessage() for record in caplog.records if "model unaligned" in record.getMessage()]
    assert "(8 training tiles and 12 images without maps of 64 px)" in told


def test_it_needs_no_images_without_maps(tiles, tmp_path, caplog):
    root = tiles.folder.parent / "inria"
    paired = tile(root, tmp_path / "t", options=TileOptions(size=64, unpaired=False)).tileset
    with caplog.at_level("INFO", "sattrans"):
        train(
            paired.folder, tmp_path / "r", TrainOptions(model="unaligned", settings={"width": 4}, steps=2, monitor="l1")
        )
        train(
            tiles.folder,
            tmp_path / "aligned",
            TrainOptions(model="pix2pix", settings={"width": 4}, steps=1, monitor="l1"),
        )
    assert caplog.text.count("(8 training tiles of 64 px)") == 2


@pytest.mark.faults
def test_a_killed_run_resumes_to_the_same_bytes(tiles, tmp_path):
    whole = train(
        tiles.folder, tmp_path / "whole", TrainOptions(model="unaligned", settings={"width": 4}, **OPTIONS)
    ).run
    killed = tmp_path / "killed"
    kill_before_second_save(tiles.folder, killed, model="unaligned", settings={"width": 4}, **OPTIONS)
    assert not Run.open(killed).finished
    resumed = resume(killed).run
    for which in ("best", "last"):
        assert same_tensors(resumed.checkpoint(which), whole.checkpoint(which))


def test_a_run_stopped_within_an_epoch_resumes_to_the_same_bytes(tiles, tmp_path, monkeypatch):
    from sattrans.train.loop import Loop

    whole = train(
        tiles.folder, tmp_path / "whole", TrainOptions(model="unaligned", settings={"width": 4}, **OPTIONS)
    ).run
    step = Loop.train_step

    def stop(loop):
        if loop.step == 11:  # within the images' second pass and the maps' third epoch
            loop.save()
            raise KeyboardInterrupt
        return step(loop)

    monkeypatch.setattr(Loop, "train_step", stop)
    with pytest.raises(Exception, match="stopped"):
        train(tiles.folder, tmp_path / "r", TrainOptions(model="unaligned", settings={"width": 4}, **OPTIONS))
    monkeypatch.setattr(Loop, "train_step", step)
    resumed = resume(tmp_path / "r").run
    for which in ("best", "last"):
        assert same_tensors(resumed.checkpoint(which), whole.checkpoint(which))
