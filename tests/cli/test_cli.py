"""The command line: quick to answer, one line an error, results on stdout, and the three lines of the README."""

import json
import re
import subprocess
import sys

import pytest
import rasterio
import typer
from commands import error_line, sattrans
from makers import make_folder, make_landcover
from rich.text import Text
from typer.testing import CliRunner

from sattrans.cli import app
from sattrans.cli.console import show_table

COMMANDS = (
    "tile",
    "colorize",
    "train",
    "generate",
    "mosaic",
    "evaluate",
    "demo",
    "datasets",
    "models",
    "runs",
    "tilesets",
    "plugins",
    "rules",
    "check",
)


def process(*args, cwd):
    """Run a command that has to succeed, in a process of its own; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "sattrans", *map(str, args)], cwd=cwd, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def runs(*args, cwd):
    """Run a command that has to succeed in this process."""
    done = sattrans(*args, cwd=cwd)
    assert done.exit_code == 0, done.output
    return done


def fails(*args, cwd, code, match):
    before = sorted(cwd.rglob("*"))
    done = sattrans(*args, cwd=cwd)
    assert isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code == code, done.output
    line = error_line(done.stderr)
    assert re.search(match, line), line
    assert done.stdout == ""
    assert sorted(p for p in cwd.rglob("*") if not p.name.endswith(".lock")) == before


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, tmp_path):
    assert "Usage" in runs(command, "--help", cwd=tmp_path).stdout


def _helps(command, name="sattrans"):
    for text in (command.help, *(getattr(parameter, "help", None) for parameter in command.params)):
        yield name, text or ""
    for part, below in getattr(command, "commands", {}).items():
        yield from _helps(below, f"{name} {part}")


def test_no_help_loses_what_stands_in_brackets():
    told = list(_helps(typer.main.get_command(app)))
    assert any("its table \\[train]" in text for _, text in told)
    for name, text in told:
        styled = re.sub(r"\[/?dim\]", "", text)
        assert Text.from_markup(text).plain == styled.replace("\\[", "["), name


def test_the_commands_are_known_without_what_they_load():
    heavy = ("torch", "rasterio", "numpy", "pydantic", "rich", "tqdm")
    code = f"import sys, sattrans.cli; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


@pytest.mark.parametrize(("columns", "lines"), [(2, 1), (6, 2)])
def test_a_table_that_is_too_wide_is_taken_in_cells_of_several_lines(capsys, columns, lines):
    """Else a score would be broken in the middle of its interval, wherever a line ends."""
    interval = "(10.0123 to 12.3456)"
    wide, narrow = ([["MAE", *[f"11.1{sign}{interval}"] * columns]] for sign in " \n")
    show_table(["score", *"abcdef"[:columns]], wide, numeric=True, narrow=narrow)
    told = capsys.readouterr().out.splitlines()[1:]
    assert len(told) == lines
    assert sum(line.count(interval) for line in told) == columns


@pytest.mark.faults
def test_the_three_lines_of_the_readme(tmp_path):
    # At full width and 30 epochs training takes hours: the line is the README's, its end is cut short.
    make_landcover(tmp_path / "landcover", scenes=1, height=1100, width=1100)
    out = process("tile", "landcover/", "--size", "512", cwd=tmp_path)
    assert "tiles/landcover-512: 4 tiles of 512 px" in out
    process("train", "--model", "resse", "--steps", "1", "--set", "width=2", cwd=tmp_path)
    (tmp_path / "map.tif").write_bytes(next((tmp_path / "landcover/masks").glob("*.tif")).read_bytes())
    out = process("generate", "map.tif", "-o", "sat.tif", cwd=tmp_path)
    assert "sat.tif: 1100 wide × 1100 high" in out
    with rasterio.open(tmp_path / "sat.tif") as sat, rasterio.open(tmp_path / "map.tif") as map_:
        assert (sat.transform, sat.crs) == (map_.transform, map_.crs)
    out = process("evaluate", cwd=tmp_path)
    assert "resse-landcover-512-1" in out
    assert "SSIM" in out
    listed = runs("runs", "list", cwd=tmp_path).stdout
    assert "resse-landcover-512-1" in listed
    shown = runs("runs", "show", "resse-landcover-512-1", cwd=tmp_path).stdout
    assert re.search(r"options.width +2\b", shown)
    assert "nothing to do" in runs("tile", "landcover/", "--size", "512", cwd=tmp_path).stdout
    assert "nothing to do" in runs("generate", "map.tif", "-o", "sat.tif", cwd=tmp_path).stdout


def test_what_was_taken_by_default_is_said_on_stderr(tmp_path):
    make_folder(tmp_path / "f", size=128)
    done = runs("tile", "f", "--size", "64", cwd=tmp_path)
    assert "dataset folder in f" in done.stderr
    done = runs("train", "--steps", "1", "--set", "width=2", cwd=tmp_path)
    assert "model projected on tiles/f-64" in done.stderr
    assert "runs/projected-f-64-1" in done.stdout


@pytest.mark.slow
def test_options_files_and_set(tmp_path):
    make_folder(tmp_path / "f", size=128)
    runs("tile", "f", "--size", "64", cwd=tmp_path)
    (tmp_path / "o.toml").write_text('width = 3\nsource = "onehot"\n')
    runs("train", "--options", "o.toml", "--set", "width=2", "--steps", "1", "-o", "r", cwd=tmp_path)
    options = json.loads((tmp_path / "r" / "run.json").read_text())["options"]
    assert (options["width"], options["source"]) == (2, "onehot")


@pytest.mark.slow
def test_wrong_turns_are_one_line_each_and_leave_nothing(tmp_path):
    make_folder(tmp_path / "f", size=128)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.tif").write_text("hello")
    wrong = [
        (("tile", "nowhere"), 2, "no such folder"),
        (("tile", "f", "--dataset", "inira"), 2, "did you mean 'inria'"),
        (("tile", "f", "--size", "999"), 2, "larger than every scene"),
        (("tile", "f", "--size", "0"), 2, "at least 1"),
        (("tile", "f", "--size", "64", "--overlap", "64"), 2, "overlap of tiles of 64 px"),
        (("tile", "f", "--bidx", "a,b"), 2, "--bidx .*got a,b"),
        (("tile", "f", "-o", "text.tif"), 2, "is a file"),
        (("train", "--seed", "-1"), 2, "--seed must be at least 0, got -1"),
        (("demo", "--seed", "-1"), 2, "--seed must be at least 0, got -1"),
        (("tile", "f", "--size", "64", "--workers", "many"), 2, "--workers.: must be a whole number"),
        (("tile", "f", "--size", "64", "-o", "text.tif/t"), 2, "text.tif is a file, not a folder; choose"),
        (("train",), 2, "no tileset in tiles/; make one with sattrans tile"),
        (("train", "--data", "f"), 2, "is not a tileset"),
        (("train", "--model", "pix3pix"), 2, "no tileset|did you mean"),
        (("train", "--resume", "last"), 2, "no unfinished run in runs/"),
        (("train", "--resume", "last", "--seed", "3"), 2, "leave out --seed"),
        (("train", "--set", "width"), 2, "--set must be name=value, got width"),
        (("train", "--options", "none.toml"), 2, "(?i)no such file"),
        (("generate", "text.tif", "-o", "sat.tif"), 2, "no run in runs/; make one with sattrans train"),
        (("generate", "nope.tif", "-o", "sat.tif"), 1, "nope.tif: no such file"),
        (("generate", "map.tif", "-o", "sat.png"), 2, "sat.png: the image is a GeoTIFF"),
        (("mosaic", "empty", "-o", "m.tif"), 2, "no rasters"),
        (("evaluate",), 2, "no run in runs/"),
        (("colorize", "text.tif"), 1, "not a GeoTIFF"),
        (("runs", "show", "x"), 2, "is not a run"),
        (("models", "show", "gan"), 2, "unknown model 'gan'"),
        (("datasets", "show", "x"), 2, "unknown dataset 'x'"),
    ]
    for args, code, match in wrong:
        fails(*args, cwd=tmp_path, code=code, match=match)


def test_a_folder_that_is_not_recognised_is_told_on_lines_of_their_own(tmp_path):
    (tmp_path / "empty").mkdir()
    done = sattrans("tile", "empty", cwd=tmp_path)
    first, *looked, found, todo = done.stderr.splitlines()
    assert (done.exit_code, first, found) == (2, "error: no dataset recognises empty", "  found: nothing")
    assert all(line.startswith("  looked for ") for line in looked)
    assert todo.startswith("  to do: ")


WRONG_LINES = [
    (("mosaic", "t", "-o", "m.tif", "--method", "banana"), "'--method': 'banana' is not one of 'first', 'last'"),
    (("generate", "map.tif", "-o", "x.tif", "--blnd", "none"), "No such option: --blnd"),
    (("generate", "map.tif", "-o", "x.tif", "--batch-size", "many"), "'--batch-size': must be a whole number"),
    (("generate", "a.tif", "b.tif", "-o", "x.tif"), "unexpected extra argument"),
    (("genrate", "map.tif"), "No such command 'genrate'"),
    (("runs", "shw", "x"), "No such command 'shw'"),
]


@pytest.mark.parametrize(("arguments", "told"), WRONG_LINES)
def test_a_command_line_that_cannot_be_read_is_one_line(arguments, told):
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert told in error_line(result.stderr)
    assert "Value error" not in result.stderr and "--help)" in result.stderr


CHEAP = [
    ("--overlap", "50.5", "--overlap 50.5: write whole pixels"),
    ("--overlap", "a lot", "--overlap a lot: write a number of pixels, or a percentage"),
    ("--batch-size", "0", "--batch-size must be at least 1, got 0"),
    ("--workers", "0", "--workers must be at least 1, got 0"),
    ("--bounds", "1,2,3", "--bounds 1,2,3: give four numbers"),
    ("--res", "fine", "--res fine: give a resolution in metres"),
    ("--aoi", "no.geojson", "cannot read --aoi no.geojson"),
    ("--class-map", "5=", "give a value of the map and a class of the run"),
    ("--co", "COMPRES=ZSTD", "did you mean 'COMPRESS'?"),
    ("--preview", "p.jpg", "the preview is a PNG"),
    ("--update", "no.tif", "no such image"),
    ("-o", "sat.tfi", "-o sat.tfi: an image ends in .tif"),
]


def test_what_is_wrong_with_an_argument_is_said_before_torch_is_loaded(tmp_path):
    (tmp_path / "map.tif").write_text("never read")
    code = (
        "import sys; from typer.testing import CliRunner; from sattrans.cli import app\n"
        "for option, value in eval(sys.argv[1]):\n"
        "    result = CliRunner().invoke(app, ['generate', 'map.tif', '-o', 'sat.tif', option, value])\n"
        "    print(result.exit_code, 'torch' in sys.modules, result.stderr, end='')"
    )
    asked = repr([case[:2] for case in CHEAP])
    told = subprocess.check_output([sys.executable, "-c", code, asked], text=True, cwd=tmp_path).splitlines()
    for line, (option, value, expected) in zip(told, CHEAP, strict=True):
        assert line.startswith("2 False error: ") and expected in line, (option, value, line)


def test_version(tmp_path):
    from sattrans import __version__

    assert process("--version", cwd=tmp_path) == f"sattrans {__version__}\n"


def test_a_refused_command_ends_its_process_with_a_line_and_its_exit_status(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "sattrans", "tile", "nowhere"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "no such folder" in error_line(done.stderr) and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (("train", "--model", ""), "the argument after --model"),
        (("train", "--resume="), "--resume"),
        (("generate", "map.tif", "--style", " "), "the argument after --style"),
        (("tile", ""), "the argument after tile"),
        (("datasets", "show", ""), "the argument after show"),
        (("mosaic", "tiles", "-o", ""), "the argument after -o"),
        (("",), "the first argument"),
    ],
)
def test_an_empty_argument_is_refused(line, what, tmp_path):
    fails(*line, cwd=tmp_path, code=2, match=f"^error: {what} is empty; give a value, or leave it out$")


def test_an_empty_value_in_a_recipe_is_refused(tmp_path):
    (tmp_path / "recipe.toml").write_text('[train]\nmodel = ""\n')
    line = r"^error: --options recipe.toml: \[train\]: model is empty; give a value, or leave it out$"
    fails("train", "--options", "recipe.toml", cwd=tmp_path, code=2, match=line)
