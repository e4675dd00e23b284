"""Tilesets, runs and outputs of manifest version 1 are still read: `data/version1/README.md` tells what they are."""

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from typer.testing import CliRunner

from sattrans.cli import app

KEPT = Path(__file__).parent / "data" / "version1"
TIME = 1_700_000_000
"""Seconds since 1970: when the inputs were last changed, by their manifests."""

TILE = ["tile", "dataset", "--size", "64", "--overlap", "16", "--edge", "shift", "--res", "1", "--seed", "3"]
TILE += ["--bounds", "23500000,6699800,23500250,6700000", "--min-share", "water=0.28"]
TILE += ["--split", "random", "--fractions", "0.5,0.25,0.25"]
GENERATE = ["--run", "runs/finished", "--overlap", "16", "--seed", "7", "--precision", "32", "--device", "cpu"]
MOSAIC = ["mosaic", "parts", "--bounds", "23500300,6699910,23500420,6700000"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the files, as they were when they had just been made; the current folder."""
    root = tmp_path.resolve() / "version1"
    shutil.copytree(KEPT, root)
    for path in root.rglob("*json*"):
        path.write_text(path.read_text(encoding="utf-8").replace("@ROOT@", str(root)), encoding="utf-8")
    for path in root.rglob("*"):
        os.utime(path, (TIME, TIME))
    monkeypatch.chdir(root)
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    return root


def run(*arguments, code=0):
    """Run a command that has to end with this exit status; return what it prints."""
    result = CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "200"})
    assert result.exit_code == code, result.output
    assert code == 0 or isinstance(result.exception, SystemExit)
    return result.output


def state(root):
    """Every file below a folder, with its bytes and the time of its last change."""
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in root.rglob("*") if path.is_file()}


def pixels(path):
    with rasterio.open(path) as src:
        return src.read()


def change_a_block(path):
    """Give another class to the upper left 16 × 16 px of a map."""
    with rasterio.open(path, "r+") as dst:
        map_ = dst.read(1)
        map_[:16, :16] = 2 if map_[0, 0] == 1 else 1
        dst.write(map_, 1)


@pytest.mark.parametrize(
    "command",
    [
        [*TILE, "-o", "tiles/finished"],
        [*MOSAIC, "--method", "mean", "-o", "mosaic.tif"],
    ],
    ids=["tile", "mosaic"],
)
def test_the_same_command_has_nothing_to_do(folder, command):
    before = state(folder)
    run(*command)
    assert state(folder) == before


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ([*TILE, "--overlap", "8", "-o", "tiles/finished"], "overlap"),
        ([*TILE, "--min-share", "water=0.03", "-o", "tiles/finished"], "min.share"),
        ([*TILE, "--overlap", "8", "-o", "tiles/unfinished"], "overlap"),
        (["generate", "map.tif", *GENERATE, "--seed", "8", "-o", "sat.tif"], "seed"),
        (["generate", "map.tif", *GENERATE, "--blend", "hann", "-o", "parts"], "blend"),
        (["generate", "tall.tif", *GENERATE, "--seed", "8", "-o", "tall-sat.tif"], "seed"),
        ([*MOSAIC, "--method", "first", "-o", "mosaic.tif"], "blend"),
    ],
)
def test_another_option_is_refused(folder, command, name):
    before = state(folder)
    told = run(*command, code=2)
    assert re.search(name, told), told
    (folder / "runs/finished/calibration.json").unlink(missing_ok=True)  # the flat field that an old run lacks
    assert state(folder) == before


@pytest.mark.slow
def test_an_unfinished_tileset_is_finished(folder):
    made, whole = folder / "tiles/unfinished", folder / "tiles/finished"
    begun = json.loads((made / "tileset.json.begun").read_text(encoding="utf-8"))["created"]
    run(*TILE, "-o", "tiles/unfinished")
    assert json.loads((made / "tileset.json").read_text(encoding="utf-8"))["created"] == begun  # it was not begun anew
    files = {path.relative_to(whole) for path in state(whole)}
    assert {path.relative_to(made) for path in state(made)} == files
    for path in files:
        if path.suffix == ".tif":
            assert np.array_equal(pixels(made / path), pixels(whole / path))


@pytest.mark.slow
def test_an_unfinished_run_is_resumed(folder):
    metrics = folder / "runs/unfinished/metrics.jsonl"
    first = metrics.read_bytes()
    run("train", "--resume", "runs/unfinished", "--device", "cpu")
    assert metrics.read_bytes().startswith(first)
    assert len(metrics.read_text().splitlines()) == 3
    assert (folder / "runs/unfinished/run.json").is_file()
    assert not (folder / "runs/unfinished/run.json.begun").exists()


@pytest.mark.slow
def test_a_run_is_shown_and_evaluated_on_its_tileset(folder):
    kept = [folder / "tiles/finished", folder / "runs"]
    before = [state(path) for path in kept]
    for name in ("finished", "unfinished"):
        assert "pix2pix" in run("runs", "show", f"runs/{name}")
        assert name in run("runs", "list")
    run("evaluate", "runs/finished", "--metrics", "mae", "--device", "cpu", "-o", "evaluation")  # where scores stand
    assert [state(path) for path in kept] == before


@pytest.mark.parametrize(
    "command", [["map.tif", "-o", "sat.tif"], ["map.tif", "-o", "parts"], ["tall.tif", "-o", "tall-sat.tif"]]
)
def test_an_image_whose_windows_started_at_the_maps_corner_is_refused_and_kept(folder, command):
    """No part of the map would have its pixels."""
    before = state(folder)
    told = run("generate", *GENERATE, *command, code=2)
    assert "was made by an older version of sattrans, whose windows started elsewhere; choose another output" in told
    (folder / "runs/finished/calibration.json").unlink()
    assert state(folder) == before
    run("generate", *command, "--overwrite")


def test_an_old_image_is_not_updated_and_tells_its_seams(folder):
    change_a_block(folder / "map.tif")
    told = run("generate", "map.tif", *GENERATE, "--update", "sat.tif", "-o", "new.tif", code=2)
    assert "--update sat.tif: it was made by an older version" in told
    assert "gradient" in run("evaluate", "sat.tif")
