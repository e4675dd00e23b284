"""evaluate: scores of generated tiles per image and on average, its files, and its errors."""

import csv
import json
import re
import shutil
import time

import numpy as np
import pytest
import rasterio
import torch
from commands import error_line, sattrans
from forks import COMMAND, Fork
from makers import make_folder, make_indices, make_picture, write_raster
from parsed import parsed, said
from PIL import Image

from sattrans.errors import NothingToUse, UsageError
from sattrans.evaluate import EvaluateOptions, evaluate, kid_lite
from sattrans.evaluate.setwise import SlicedWasserstein
from sattrans.generate import GenerateOptions, generate
from sattrans.metrics.pixel import mae
from sattrans.runs.run import Run
from sattrans.tile import TileOptions, tile
from sattrans.train import TrainOptions, train


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("place")
    root = make_folder(folder / "f", size=256, classes_toml=True)
    tileset = tile(root, folder / "t", options=TileOptions(size=64)).tileset
    for name, model, steps in (("a", "pix2pix", 30), ("b", "resse", 1)):
        train(
            tileset.folder,
            folder / name,
            TrainOptions(model=model, settings={"width": 4}, steps=steps, ema=0.5, monitor="l1"),
        )
    return folder


def test_scores_are_those_of_the_generated_tiles(place, tmp_path):
    result = evaluate([place / "a"], tmp_path / "e")
    tileset = Run.open(place / "a").tileset()
    tiles = tileset.split("test")
    assert set(result.columns[0].scores.images) == {t.id for t in tiles}
    # The same tile through generate: one window, so nothing is blended.
    options = GenerateOptions(run=place / "a", batch_size=8, precision="32", flat_field=False)
    fake = generate(tiles[0].map_path(tileset.folder), tmp_path / "f.tif", options)
    with rasterio.open(fake.output) as one, rasterio.open(tiles[0].image_path(tileset.folder)) as other:
        expected = mae(torch.from_numpy(one.read()), torch.from_numpy(other.read()))
    assert result.columns[0].scores.images[tiles[0].id]["mae"] == pytest.approx(expected, abs=0.02)


def test_files_hold_every_image_and_the_means(place, tmp_path):
    result = evaluate([place / "a", place / "b"], tmp_path / "e")
    rows = list(csv.DictReader((tmp_path / "e" / "scores.csv").open()))
    assert len(rows) == 2 * len(result.columns[0].scores.images)
    scores = json.loads((tmp_path / "e" / "scores.json").read_text())
    assert [column["runs"][0]["model"] for column in scores["columns"]] == ["pix2pix", "resse"]
    for column in scores["columns"]:
        own = [float(row["ssim"]) for row in rows if row["run"] == column["name"]]
        assert column["means"]["ssim"] == pytest.approx(np.mean(own), abs=1e-5)
    sheet = Image.open(tmp_path / "e" / "sheet.png")
    assert sheet.width > 4 * 64  # map, two runs, real
    page = parsed((tmp_path / "e" / "report.html").read_text())
    assert len(page.query(".leaves .example")) == min(24, len(rows) // 2)
    assert {said(e) for e in page.query_one(".classes").query("li")} <= set(
        Run.open(place / "a").tileset().palette.names
    )


def test_the_longer_trained_run_scores_better(place, tmp_path):
    options = EvaluateOptions(metrics=["mae", "psnr"])
    result = evaluate([place / "a", place / "b"], tmp_path / "e", options)
    trained, fresh = (column.scores.metrics for column in result.columns)
    assert trained["mae"].value < fresh["mae"].value
    assert trained["psnr"].value > fresh["psnr"].value


def test_the_same_inputs_give_the_same_bytes(place, tmp_path):
    for name in ("one", "two"):
        evaluate([place / "a"], tmp_path / name)
    for file in ("scores.json", "scores.csv", "scores.md", "sheet.png", "report.html"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_without_test_tiles_val_is_scored_with_a_note(place, tmp_path):
    root = make_folder(tmp_path / "f", scenes=1, size=128)
    tileset = tile(root, tmp_path / "t", options=TileOptions(size=64)).tileset
    data = (tileset.folder / "tiles.geojson").read_text().replace('"split": "test"', '"split": "val"')
    (tileset.folder / "tiles.geojson").write_text(data)
    train(tileset.folder, tmp_path / "r", TrainOptions(model="pix2pix", settings={"width": 4}, steps=1, monitor="l1"))
    result = evaluate([tmp_path / "r"], tmp_path / "e", EvaluateOptions(metrics=["mae"]))
    assert result.split == "val"
    assert any("no test tiles" in note for note in result.notes)
    with pytest.raises(UsageError, match="no test tiles"):
        evaluate([tmp_path / "r"], tmp_path / "x", EvaluateOptions(split="test"))


def test_runs_that_cannot_be_compared_are_refused(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NothingToUse, match="sattrans train, or name one as in sattrans evaluate RUN"):
        evaluate()
    with pytest.raises(UsageError, match="is not a run"):
        evaluate([tmp_path])
    other = tile(make_folder(tmp_path / "f", scenes=2), tmp_path / "t", options=TileOptions(size=64)).tileset
    train(other.folder, tmp_path / "r", TrainOptions(model="pix2pix", settings={"width": 4}, steps=1, monitor="l1"))
    with pytest.raises(UsageError, match="only runs of the same tileset"):
        evaluate([place / "a", tmp_path / "r"])
    tile(tmp_path / "f", tmp_path / "t", options=TileOptions(size=128), overwrite=True)
    with pytest.raises(UsageError, match="made again"):
        evaluate([tmp_path / "r"])


def test_baselines_are_beside_the_scores(place, tmp_path):
    result = evaluate([place / "a", place / "b"], tmp_path / "e")
    told = json.loads((tmp_path / "e" / "scores.json").read_text())
    assert told["floors"]["real"]["mae"] == 0
    assert told["floors"]["real"]["ssim"] == pytest.approx(1)
    assert 0 < told["floors"]["class_colors"]["mae"] < told["columns"][1]["means"]["mae"]  # untrained
    assert told["floors"]["real"]["class_color"] < told["floors"]["real"]["nearest"]
    for run in told["columns"]:
        for name, ends in run["intervals"].items():
            assert (ends is None) == (run["means"][name] is None) == (name == "line_recall"), name  # it has no lines
            assert ends is None or ends[0] - 1e-9 <= run["means"][name] <= ends[1] + 1e-9, name
    trained = result.columns[0].scores
    assert trained.distinguishes_pairs("swd") is None
    assert "swd" not in told["columns"][0]["shuffled"]
    apart = told["differences"][0]["by"]["mae"]
    assert apart["apart"]
    assert apart["interval"][1] < 0  # the first one errs less


def test_scores_do_not_depend_on_the_batch_size(place, tmp_path):
    one, other = (
        evaluate([place / "a"], tmp_path / str(size), EvaluateOptions(batch_size=size)).columns[0].scores.metrics
        for size in (1, 5)
    )
    known = {name: score.value for name, score in one.items() if name != "line_recall"}  # the maps have no lines
    assert {name: other[name].value for name in known} == pytest.approx(known, rel=1e-6)


def test_metrics_by_name(place, tmp_path):
    result = evaluate([place / "a"], tmp_path / "e", EvaluateOptions(metrics=["ssim", "swd"]))
    assert set(result.columns[0].scores.metrics) == {"ssim", "swd"}
    with pytest.raises(UsageError, match="did you mean 'ssim'"):
        evaluate([place / "a"], tmp_path / "x", EvaluateOptions(metrics=["sim"]))
    with pytest.raises(UsageError, match="cannot compute ms_ssim: it needs tiles of 176 px"):
        evaluate([place / "a"], tmp_path / "x", EvaluateOptions(metrics=["ms_ssim"]))
    assert not (tmp_path / "x").exists()


def test_example_tiles_are_sorted_by_a_selected_metric(place, tmp_path):
    for metric in ("psnr", "mae"):
        evaluate([place / "a"], tmp_path / metric, EvaluateOptions(metrics=[metric]))
    page = (tmp_path / "psnr" / "report.html").read_text()
    assert [f"<bdi>{title}</bdi></h3>" in page for title in ("Best", "Worst")] == [True, True]
    rows = list(csv.DictReader((tmp_path / "psnr" / "scores.csv").open()))
    assert set(rows[0]) == {"run", "tile", "psnr"}
    best, worst = (pick(rows, key=lambda row: float(row["psnr"]))["tile"] for pick in (max, min))
    assert page.index(f"Tile <bdi>{best}</bdi>") < page.index(f"Tile <bdi>{worst}</bdi>")


def test_a_run_counts_once_however_often_it_is_given(place, tmp_path):
    shutil.copytree(place / "a", tmp_path / "copy")
    runs = (place / "a", place / "t" / ".." / "a", tmp_path / "copy")
    done = sattrans("evaluate", *runs, "--metrics", "mae", "-o", tmp_path / "e")
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "e" / "scores.json").read_text())
    assert [len(column["runs"]) for column in told["columns"]] == [1]
    assert told["columns"][0]["name"] == "a"
    assert "given more than once: it counts once" in done.stderr
    assert f"{tmp_path}/copy has the same weights as {place}/a" in done.stderr


def test_a_run_that_is_not_finished_is_scored_with_a_note(place, tmp_path):
    run = shutil.copytree(place / "a", tmp_path / "r")
    manifest = json.loads((run / "run.json").read_text())
    del manifest["summary"]
    manifest["settings"]["steps"] = 3000
    (run / "run.json").unlink()
    (run / "run.json.begun").write_text(json.dumps(manifest))
    only_mae = EvaluateOptions(metrics=["mae"])
    result = evaluate([run], tmp_path / "e", only_mae)
    (note,) = (note for note in result.notes if "not finished" in note)
    assert note == f"{run} is not finished (it is at step 30 of 3000): sattrans train --resume {run}"
    assert note in (tmp_path / "e" / "report.html").read_text()
    assert not any("not finished" in note for note in evaluate([place / "a"], tmp_path / "f", only_mae).notes)


@pytest.mark.parametrize(("split", "expected"), [("train", "nothing about new areas"), ("val", "also chose")])
def test_a_split_that_the_runs_have_seen_is_noted(place, tmp_path, split, expected):
    result = evaluate([place / "a"], tmp_path / "e", EvaluateOptions(split=split, metrics=["mae"]))
    assert any(expected in note for note in result.notes)


def test_seeds_of_one_recipe_are_shown_with_their_spread(place, tmp_path):
    train(
        place / "t",
        tmp_path / "b-2",
        TrainOptions(model="resse", settings={"width": 4}, steps=1, ema=0.5, seed=1, monitor="l1"),
    )
    metrics = ("--metrics", "mae,ssim")
    runs = (place / "a", place / "b", tmp_path / "b-2")
    done = sattrans("evaluate", *runs, *metrics, "-o", tmp_path / "e")
    assert done.exit_code == 0, done.output
    assert "in square brackets: the lowest and the highest seed" in done.stdout
    (row,) = (line for line in done.stdout.splitlines() if line.startswith("MAE"))
    assert re.search(r"[\d.]+ \([\d.]+ to [\d.]+\) \[[\d.]+ to [\d.]+\]", row)
    assert "square" not in sattrans("evaluate", place / "a", *metrics, "-o", tmp_path / "f").stdout
    page = parsed((tmp_path / "e" / "report.html").read_text())
    assert [said(e)[:6] for e in page.query("small.spread") if e.parent.name == "td"] == ["seeds "] * 2
    (hint,) = (said(e) for e in page.query(".hint") if said(e).startswith("The tiles with"))
    assert hint.endswith("the image is from the first seed, and the score is the mean of all.")


def test_the_table_says_which_metrics_are_missing(place, tmp_path):
    done = sattrans("evaluate", place / "a", "-o", tmp_path / "e")
    assert done.exit_code == 0, done.output
    rows = {line.split("  ")[0]: line for line in done.stdout.splitlines()}
    assert "needs tiles of 176 px" in rows["MS-SSIM ↑"]
    assert " to " in rows["MAE ↓"]
    assert rows["SWD × 10³ ↓"].split()[-3] == "="


def make_pairs(folder, count=3, size=64, suffix="png", **others):
    """Write folders `real` and those named, images with noise of so many grey levels."""
    draw = np.random.default_rng(1)
    for number in range(count):
        real = make_picture(make_indices(size, size, 3, number, 16), number)
        for name, strength in {"real": 0, **others}.items():
            noise = draw.normal(0, strength, real.shape) if strength else 0
            path = folder / name / f"{number}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.clip(real + noise, 0, 255).astype(np.uint8).transpose(1, 2, 0)).save(path)


@pytest.mark.slow
def test_pairs_of_folders_are_scored_with_what_needs_no_map(tmp_path):
    make_pairs(tmp_path, fine=3, coarse=30)
    folders = [tmp_path / name for name in ("real", "fine", "coarse")]
    done = sattrans("evaluate", "--pairs", *folders, "-o", tmp_path / "e")
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "e" / "scores.json").read_text())
    assert [column["name"] for column in told["columns"]] == ["fine", "coarse"]
    assert told["best"]["mae"] == "fine"
    assert told["missing"]["class_color"].startswith("needs maps")
    assert told["missing"]["nearest"] == "needs training tiles"
    page = parsed((tmp_path / "e" / "report.html").read_text())
    assert said(page.query_one(".subtitle")) == "3 pairs of images"
    selection = "The tiles with the best, the median and the worst MAE, in grey levels, by the mean of the 2 columns."
    assert selection in [said(hint) for hint in page.query(".hint")]
    assert said(page.query_one(".example figcaption")).startswith("fine MAE ")
    again = sattrans("evaluate", "--pairs", tmp_path / "real", tmp_path / "real", "-o", tmp_path / "same")
    assert again.exit_code == 0
    assert json.loads((tmp_path / "same" / "scores.json").read_text())["columns"][0]["means"]["mae"] == 0


@pytest.mark.slow
def test_names_of_images_command_neither_spreadsheet_nor_page(tmp_path):
    make_pairs(tmp_path, 1, 32, **{"@fake\u202e": 3})
    for folder in ("real", "@fake\u202e"):
        (tmp_path / folder / "0.png").rename(tmp_path / folder / "=1+1\u202egnp.png")
    folders = [tmp_path / "real", tmp_path / "@fake\u202e"]
    assert sattrans("evaluate", "--pairs", *folders, "--metrics", "mae", "-o", tmp_path / "e").exit_code == 0
    with (tmp_path / "e" / "scores.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["run"], row["tile"]) == ("'@fake\\u202e", "'=1+1\\u202egnp")
    assert float(row["mae"]) > 0
    for name in ("report.html", "scores.md"):
        text = (tmp_path / "e" / name).read_text(encoding="utf-8")
        assert "\u202e" not in text and "u202e" in text


def test_pairs_that_do_not_match_are_refused_in_one_line(tmp_path):
    make_pairs(tmp_path, fine=3)
    make_pairs(tmp_path / "small", size=32, fine=3)
    make_pairs(tmp_path / "few", count=2, fine=3)
    (tmp_path / "empty").mkdir()
    real = tmp_path / "real"
    write_raster(tmp_path / "deep" / "0.tif", np.full((3, 64, 64), np.nan, np.float32))
    write_raster(tmp_path / "deep real" / "0.tif", np.zeros((3, 64, 64), np.uint8))
    for folders, expected in (
        ([real], "at least two folders"),
        ([real, tmp_path / "small" / "fine"], "all images must have the same size"),
        ([real, tmp_path / "few" / "fine"], "has no image named 2; both folders need images of the same names"),
        (
            [tmp_path / "few" / "real", tmp_path / "fine"],
            "has no image named 2; both folders need images of the same names",
        ),
        ([real, tmp_path / "empty"], "has no images"),
        ([real, tmp_path / "nowhere"], "is not a folder"),
        ([tmp_path / "deep real", tmp_path / "deep"], "has float32 pixels"),
        (
            [real, tmp_path / "fine", "--segmenter", "train"],
            "--segmenter needs a tileset and cannot be used with --pairs",
        ),
        ([real, tmp_path / "fine", "--data", tmp_path], "--data needs a tileset and cannot be used with --pairs"),
        ([real, tmp_path / "fine", "--split", "val"], "--split needs a tileset and cannot be used with --pairs"),
    ):
        done = sattrans("evaluate", "--pairs", *folders, "-o", tmp_path / "x")
        assert done.exit_code in (1, 2), done.output
        assert expected in error_line(done.stderr)
    assert not (tmp_path / "x").exists()


def test_flat_images_and_a_single_one_have_scores(tmp_path):
    for name, level in (("real", 100), ("fake", 101)):
        write_raster(tmp_path / name / "0.tif", np.full((3, 64, 64), level, np.uint8))
    done = sattrans("evaluate", "--pairs", tmp_path / "real", tmp_path / "fake", "-o", tmp_path / "e")
    assert done.exit_code == 0, done.output
    assert "there is only 1 image" in done.stderr
    means = json.loads((tmp_path / "e" / "scores.json").read_text())["columns"][0]["means"]
    assert means["psnr"] == pytest.approx(48.1308, abs=1e-4)
    assert means["spectrum"] == pytest.approx(0, abs=1e-6)


def test_errors_are_reported_before_anything_is_measured(place, tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "early").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "sheet.png").write_text("mine")
    shutil.copy(place / "a" / "run.json", tmp_path / "early")
    for arguments, expected in (
        ([place / "a", "-o", tmp_path / "file"], "is a file; give a folder"),
        ([place / "a", "-o", tmp_path / "mine"], "holds files that sattrans did not make"),
        ([place / "a", "--seed", "-1", "-o", tmp_path / "e"], "--seed must be at least 0, got -1"),
        ([place / "a", "--metrics", "", "-o", tmp_path / "e"], "the argument after --metrics is empty"),
        ([place / "a", "--metrics", "mae, ", "-o", tmp_path / "e"], "--metrics is empty; give a value"),
        ([place / "a", "--metrics", "MAE", "-o", tmp_path / "e"], "unknown metric 'MAE'; did you mean 'mae'?"),
        ([tmp_path / "early", "-o", tmp_path / "e"], "sattrans train --resume"),
        ([tmp_path / "none.tif"], "no such file"),
        ([place / "a", "--weights", f"vgg19={tmp_path / 'file'}", "-o", tmp_path / "e"], "contains no weights"),
    ):
        done = sattrans("evaluate", *arguments)
        assert done.exit_code in (1, 2)
        assert expected in error_line(done.stderr)
    assert (tmp_path / "file").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["early", "file", "mine"]
    assert (tmp_path / "mine" / "sheet.png").read_text() == "mine"


def test_a_tileset_that_moved_is_pointed_to(place, tmp_path):
    shutil.copytree(place / "a", tmp_path / "r")
    manifest = json.loads((tmp_path / "r" / "run.json").read_text())
    manifest["data"]["folder"] = str(tmp_path / "gone")
    (tmp_path / "r" / "run.json").write_text(json.dumps(manifest))
    done = sattrans("evaluate", tmp_path / "r", "-o", tmp_path / "e")
    assert done.exit_code == 2
    assert "give its folder with --data" in error_line(done.stderr)
    moved = ("--data", place / "t", "--metrics", "mae")
    assert sattrans("evaluate", tmp_path / "r", *moved, "-o", tmp_path / "e").exit_code == 0
    other = tile(make_folder(tmp_path / "f", scenes=2), tmp_path / "t", options=TileOptions(size=64)).tileset
    done = sattrans("evaluate", tmp_path / "r", "--data", other.folder, "-o", tmp_path / "e")
    assert done.exit_code == 2
    assert "is not the tileset" in error_line(done.stderr)


def test_seams_of_generated_images(place, tmp_path):
    indices = make_indices(900, 900, 3)
    map_ = write_raster(tmp_path / "map.tif", np.array([10, 30, 50], np.uint8)[indices])
    options = GenerateOptions(run=place / "a", res="native", overlap="25%")
    made = generate(map_, tmp_path / "sat.tif", options)
    done = sattrans("evaluate", tmp_path / "sat.tif")
    assert done.exit_code == 0, done.output
    gradient, detail = (float(word) for word in done.stdout.splitlines()[1].split()[-2:])
    assert gradient == pytest.approx(made.seams.gradient, abs=6e-4)
    assert detail == pytest.approx(made.seams.detail, abs=6e-4)
    done = sattrans("evaluate", map_)
    assert done.exit_code == 2
    assert "sattrans generate made" in error_line(done.stderr)
    assert sattrans("evaluate", map_, place / "a").exit_code == 2
    for name, value in (("metrics", "mae"), ("output", tmp_path / "e"), ("data", tmp_path), ("weights", "a=b")):
        done = sattrans("evaluate", tmp_path / "sat.tif", f"--{name}", value)
        assert done.exit_code == 2
        assert f"for their seams alone, without --{name}" in error_line(done.stderr)


def test_a_killed_evaluation_resumes_and_gives_the_same_bytes(place, tmp_path):
    evaluate([place / "a", place / "b"], tmp_path / "whole")
    command = ["evaluate", place / "a", place / "b", "-o", tmp_path / "e"]
    few = f"""
from sattrans.evaluate import kid_lite
from sattrans.evaluate.setwise import SlicedWasserstein
kid_lite.SCALE_TILES = {kid_lite.SCALE_TILES}
SlicedWasserstein.resamples = {SlicedWasserstein.resamples}
{COMMAND}
"""
    cache = tmp_path / "e.part"
    process = Fork(*command, code=few)
    while process.poll() is None and not list(cache.glob("*/*.npz")):
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert Fork(*command, code=few).wait() == 0
    assert not cache.exists()
    for file in ("scores.json", "scores.csv", "scores.md", "sheet.png", "report.html"):
        assert (tmp_path / "e" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), file
