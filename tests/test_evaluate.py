"""evaluate: the metrics of the generated tiles, per image and in the mean, the same each time."""

import csv
import json

import numpy as np
import pytest
import rasterio
import torch
from commands import sattrans
from makers import make_folder
from PIL import Image

from sattrans.errors import NothingToUse, UsageError
from sattrans.evaluate import EvaluateOptions, evaluate
from sattrans.generate import GenerateOptions, generate
from sattrans.metrics.pixel import mae
from sattrans.run import Run
from sattrans.tile import TileOptions, tile
from sattrans.train import TrainOptions, train


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("place")
    root = make_folder(folder / "f", size=256, classes_toml=True)
    tileset = tile(root, folder / "t", options=TileOptions(size=64)).tileset
    for name, model, steps in (("a", "pix2pix", 30), ("b", "resse", 1)):
        train(tileset.folder, model, {"width": 4}, TrainOptions(steps=steps, ema=0.5), output=folder / name)
    return folder


def test_scores_are_those_of_the_generated_tiles(place, tmp_path):
    result = evaluate([place / "a"], output=tmp_path / "e")
    tileset = Run.open(place / "a").tileset()
    tiles = tileset.split("test")
    assert set(result.columns[0].scored.images) == {t.id for t in tiles}
    # The same tile through generate: one window, so nothing is blended.
    fake = generate(tiles[0].map_path(tileset.folder), tmp_path / "f.tif", place / "a", GenerateOptions(batch_size=8))
    with rasterio.open(fake.output) as one, rasterio.open(tiles[0].image_path(tileset.folder)) as other:
        expected = mae(torch.from_numpy(one.read()), torch.from_numpy(other.read()))
    assert result.columns[0].scored.images[tiles[0].id]["mae"] == pytest.approx(expected, abs=0.02)


def test_files_hold_every_image_and_the_means(place, tmp_path):
    result = evaluate([place / "a", place / "b"], output=tmp_path / "e")
    rows = list(csv.DictReader((tmp_path / "e" / "scores.csv").open()))
    assert len(rows) == 2 * len(result.columns[0].scored.images)
    scores = json.loads((tmp_path / "e" / "scores.json").read_text())
    assert [column["runs"][0]["model"] for column in scores["columns"]] == ["pix2pix", "resse"]
    for column in scores["columns"]:
        own = [float(row["ssim"]) for row in rows if row["run"] == column["name"]]
        assert column["means"]["ssim"] == pytest.approx(np.mean(own), abs=1e-5)
    sheet = Image.open(tmp_path / "e" / "sheet.png")
    assert sheet.width > 4 * 64  # map, two runs, real


def test_the_longer_trained_run_scores_better(place, tmp_path):
    trained, fresh = (c.scored.scores for c in evaluate([place / "a", place / "b"], output=tmp_path / "e").columns)
    assert trained["mae"].value < fresh["mae"].value
    assert trained["psnr"].value > fresh["psnr"].value


def test_the_same_inputs_give_the_same_bytes(place, tmp_path):
    for name in ("one", "two"):
        evaluate([place / "a"], output=tmp_path / name)
    for file in ("scores.json", "scores.csv", "scores.md", "sheet.png", "report.html"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_without_test_tiles_val_is_scored_and_said(place, tmp_path):
    root = make_folder(tmp_path / "f", scenes=1, size=128)
    tileset = tile(root, tmp_path / "t", options=TileOptions(size=64)).tileset
    data = (tileset.folder / "tiles.geojson").read_text().replace('"split": "test"', '"split": "val"')
    (tileset.folder / "tiles.geojson").write_text(data)
    train(tileset.folder, "pix2pix", {"width": 4}, TrainOptions(steps=1), output=tmp_path / "r")
    result = evaluate([tmp_path / "r"], output=tmp_path / "e")
    assert result.split == "val"
    assert any("no test tiles" in note for note in result.notes)
    with pytest.raises(UsageError, match="no test tiles"):
        evaluate([tmp_path / "r"], EvaluateOptions(split="test"), tmp_path / "x")


def test_what_cannot_be_compared_is_refused(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NothingToUse, match="sattrans train"):
        evaluate()
    with pytest.raises(UsageError, match="is no run"):
        evaluate([tmp_path])
    other = tile(make_folder(tmp_path / "f", scenes=2), tmp_path / "t", options=TileOptions(size=64)).tileset
    train(other.folder, "pix2pix", {"width": 4}, TrainOptions(steps=1), output=tmp_path / "r")
    with pytest.raises(UsageError, match="only runs of one tileset"):
        evaluate([place / "a", tmp_path / "r"])
    tile(tmp_path / "f", tmp_path / "t", options=TileOptions(size=128), overwrite=True)
    with pytest.raises(UsageError, match="made again"):
        evaluate([tmp_path / "r"])


def test_floors_stand_beside_the_scores(place, tmp_path):
    result = evaluate([place / "a", place / "b"], output=tmp_path / "e")
    told = json.loads((tmp_path / "e" / "scores.json").read_text())
    assert told["floors"]["real"]["mae"] == 0
    assert told["floors"]["real"]["ssim"] == pytest.approx(1)
    assert 0 < told["floors"]["class_colors"]["mae"] < told["columns"][1]["means"]["mae"]  # untrained
    assert told["floors"]["real"]["class_color"] < told["floors"]["real"]["nearest"]
    for run in told["columns"]:
        for name, (low, high) in run["intervals"].items():
            assert low - 1e-9 <= run["means"][name] <= high + 1e-9 or name in ("swd", "spectrum", "class_spread")
    trained = result.columns[0].scored
    assert trained.tells_pairs("swd") is None
    assert "swd" not in told["columns"][0]["shuffled"]
    apart = told["differences"][0]["by"]["mae"]
    assert apart["apart"]
    assert apart["interval"][1] < 0  # the first one errs less


def test_scores_do_not_depend_on_the_batch_size(place, tmp_path):
    one, other = (
        evaluate([place / "a"], EvaluateOptions(batch_size=size), tmp_path / str(size)).columns[0].scored.scores
        for size in (1, 5)
    )
    for name, score in one.items():
        assert other[name].value == pytest.approx(score.value, rel=1e-6), name


def test_metrics_by_name(place, tmp_path):
    result = evaluate([place / "a"], EvaluateOptions(metrics=["ssim", "swd"]), tmp_path / "e")
    assert set(result.columns[0].scored.scores) == {"ssim", "swd"}
    with pytest.raises(UsageError, match="did you mean 'ssim'"):
        evaluate([place / "a"], EvaluateOptions(metrics=["sim"]), tmp_path / "x")
    with pytest.raises(UsageError, match="ms_ssim cannot be had: it needs tiles of 176 px"):
        evaluate([place / "a"], EvaluateOptions(metrics=["ms_ssim"]), tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_the_table_says_what_is_missing(place, tmp_path):
    done = sattrans("evaluate", place / "a", "-o", tmp_path / "e")
    assert done.exit_code == 0, done.output
    rows = {line.split("  ")[0]: line for line in done.stdout.splitlines()}
    assert "needs tiles of 176 px" in rows["MS-SSIM ↑"]
    assert " to " in rows["MAE ↓"]
    assert rows["SWD × 10³ ↓"].split()[-3] == "="
