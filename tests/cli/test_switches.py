"""Switches of every command: -q and -v, environment variables, narrow terminals, completion, and sattrans check."""

import json
import logging
import os
import subprocess
import sys

import pytest
from commands import error_line, sattrans
from makers import make_folder
from typer.testing import CliRunner

from sattrans.cli import app, installation
from sattrans.cli.completion import COMPLETIONS


@pytest.fixture
def own(tmp_path):
    make_folder(tmp_path / "own", scenes=1, size=64)
    return tmp_path


def run(*arguments, cwd, monkeypatch, **variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return sattrans(*arguments, cwd=cwd)


@pytest.mark.parametrize("arguments", [("tile", "own", "--size", "64", "-q"), ("-q", "tile", "own", "--size", "64")])
def test_quiet_prints_nothing_but_errors_and_what_was_asked_for(own, arguments):
    told = sattrans(*arguments, cwd=own)
    assert (told.exit_code, told.stdout, told.stderr) == (0, "", "")
    assert "own-64" in sattrans("tilesets", "-q", cwd=own).stdout
    assert error_line(sattrans("tile", "nothere", "-q", cwd=own).stderr)
    assert "64 px" in sattrans("tile", "own", "--size", "64", "--dry-run", "-o", "other", "-q", cwd=own).stdout


def test_verbose_tells_time_and_memory_and_where_an_error_arose(own):
    before = logging.getLogger("sattrans").level
    told = sattrans("tile", "own", "--size", "64", "-v", cwd=own)
    assert "sattrans tile took " in told.stderr and "GB of memory" in told.stderr
    lines = sattrans("tile", "nothere", "-v", cwd=own).stderr.splitlines()
    assert lines[0] == "Traceback (most recent call last):" and lines[-1].startswith("error: ")
    assert "Traceback" not in sattrans("tile", "nothere", cwd=own).stderr
    assert logging.getLogger("sattrans").level == before


@pytest.mark.parametrize(
    ("variables", "arguments", "told"),
    [
        ({"SATTRANS_WORKERS": "many"}, ("tile", "own"), "SATTRANS_WORKERS: Invalid value for '--workers'"),
        ({"SATTRANS_WORKERS": "0"}, ("tile", "own"), "SATTRANS_WORKERS: --workers must be at least 1, got 0"),
        ({"SATTRANS_DEVICE": "gpu"}, ("train",), "SATTRANS_DEVICE: --device must be one of"),
        ({"SATTRANS_RUNS": "a-file"}, ("runs",), "SATTRANS_RUNS is a-file, which is a file"),
        ({"SATTRANS_TILES": "a-file"}, ("tile", "own"), "SATTRANS_TILES is a-file, which is"),
    ],
)
def test_a_variable_with_a_wrong_value_is_named(own, monkeypatch, variables, arguments, told):
    (own / "a-file").write_text("")
    done = run(*arguments, cwd=own, monkeypatch=monkeypatch, **variables)
    assert done.exit_code == 2
    assert told in error_line(done.stderr)


def test_an_option_comes_before_a_variable(own, monkeypatch):
    done = run("tile", "own", "--size", "64", "--workers", "1", cwd=own, monkeypatch=monkeypatch, SATTRANS_WORKERS="0")
    assert done.exit_code == 0, done.stderr


def test_variables_move_the_folders_of_tilesets_and_runs(own, monkeypatch):
    told = run("tile", "own", "--size", "64", cwd=own, monkeypatch=monkeypatch, SATTRANS_TILES="t", SATTRANS_RUNS="r")
    assert told.exit_code == 0, told.stderr
    assert (own / "t" / "own-64" / "tileset.json").is_file() and not (own / "tiles").exists()
    assert "own-64" in sattrans("tilesets", cwd=own).stdout
    plan = sattrans("train", "-m", "pix2pix", "--dry-run", "--json", cwd=own)
    assert json.loads(plan.stdout)["folder"] == "r/pix2pix-own-64-1"


@pytest.mark.parametrize(
    ("what", "begun", "expected"),
    [
        ("models", "p", ["pix2pix", "projected"]),
        ("datasets", "in", ["inria"]),
        ("devices", "c", ["cpu", "cuda"]),
        ("runs", "", ["runs/a", "runs/b"]),
        ("run names", "b", ["b"]),
        ("tilesets", "tiles/", ["tiles/t"]),
        ("tileset names", "", ["t"]),
        ("classes", "", ["road", "roof"]),
        ("classes", "5=r", ["5=road", "5=roof"]),
        ("classes", "5=x", []),
    ],
)
def test_names_are_completed(tmp_path, monkeypatch, what, begun, expected):
    monkeypatch.chdir(tmp_path)
    for name, created in (("a", "2020"), ("b", "2021")):
        palette = [{"name": "road"}, {"name": "roof"}] if name == "b" else [{"name": "old"}]
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "run.json").write_text(json.dumps({"created": created, "palette": palette}))
    (tmp_path / "tiles" / "t").mkdir(parents=True)
    (tmp_path / "tiles" / "t" / "tileset.json").write_text("{}")
    context = type("Context", (), {"params": {}})()
    assert COMPLETIONS[what](context, begun) == expected


def test_a_shell_asks_for_completions_in_its_own_way(tmp_path):
    variables = {"_SATTRANS_COMPLETE": "complete_bash", "COMP_WORDS": "sattrans train --model pro", "COMP_CWORD": "3"}
    done = CliRunner().invoke(app, [], env=variables, prog_name="sattrans")
    assert done.stdout.split() == ["projected"]


def test_narrow_terminals_and_streams_without_colour(own):
    environment = {**os.environ, "COLUMNS": "40", "NO_COLOR": "1", "TERM": "dumb"}
    done = subprocess.run(
        [sys.executable, "-m", "sattrans", "models"], capture_output=True, text=True, env=environment, cwd=own
    )
    assert done.returncode == 0 and "\x1b" not in done.stdout + done.stderr
    assert "pix2pix" in done.stdout


def test_check_tells_what_is_broken_and_goes_on(tmp_path, monkeypatch):
    assert "nothing is broken" in sattrans("check", cwd=tmp_path).stdout

    def fails():
        raise OSError("its data\nis gone")

    monkeypatch.setitem(installation.CHECKS, "PROJ", fails)
    done = sattrans("check", cwd=tmp_path)
    assert done.exit_code == 1
    assert "OSError: its data is gone" in done.stdout and done.stdout.rstrip().endswith("broken: PROJ")
    assert "projected" in done.stdout


@pytest.mark.parametrize(
    ("name", "value", "told", "code"),
    [
        ("SATTRANS_DEVICE", "gpu", "--device must be one of", 1),
        ("SATTRANS_WORKERS", "x", "SATTRANS_WORKERS is x, not a number", 1),
        ("SATTRANS_DEVISE", "cpu", "SATTRANS_DEVISE: sattrans reads no such variable", 0),
    ],
)
def test_check_looks_at_the_values_of_variables(tmp_path, monkeypatch, name, value, told, code):
    done = run("check", cwd=tmp_path, monkeypatch=monkeypatch, **{name: value})
    assert done.exit_code == code
    assert told in done.stdout


@pytest.mark.parametrize("command", [("tile", "own"), ("mosaic", "own"), ("generate", "own.tif")])
def test_every_command_with_workers_follows_the_variable(own, monkeypatch, command):
    done = run(*command, cwd=own, monkeypatch=monkeypatch, SATTRANS_WORKERS="0")
    assert "SATTRANS_WORKERS: --workers must be at least 1, got 0" in error_line(done.stderr)


def test_check_says_which_extra_is_missing(tmp_path, monkeypatch):
    own = installation._installed
    monkeypatch.setattr(installation, "_installed", lambda name: name != "pyogrio" and own(name))
    done = sattrans("check", cwd=tmp_path)
    assert done.exit_code == 0 and "pip install 'sattrans[vector]' for vector maps" in done.stdout
