"""Options: from one field its flag, check, record, name in a file, and row in the documentation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import pytest
import typer
from typer.testing import CliRunner

from sattrans.cli.options import DryRun, Overwrite, command
from sattrans.errors import OptionError
from sattrans.utils.option_tables import markdown_fields, markdown_table
from sattrans.utils.options import (
    Option,
    Seed,
    Workers,
    check,
    from_mapping,
    option_fields,
    recorded,
)


def share(text):
    name, _, value = text.partition("=")
    return {name: float(value)}


@dataclass(frozen=True, slots=True)
class Options:
    kind: Annotated[Literal["first", "last"], Option("Which one.", short="-k")] = "first"
    part: Annotated[float, Option("A part.", minimum=0, below=1, recorded_as="fraction")] = 0.5
    res: Annotated[float | None, Option("Metres.", above=0, default="the map's own")] = None
    bands: Annotated[tuple[int, ...] | None, Option("Bands.", parse=lambda text: tuple(map(int, text.split(","))))] = (
        None
    )
    names: Annotated[tuple[str, ...], Option("Names.")] = ()
    shares: Annotated[Mapping[str, float], Option("Shares.", parse=share, maximum=1)] = field(default_factory=dict)
    class_map: Annotated[str | None, Option("Classes.", aliases=("--map",))] = None
    compile_: Annotated[bool, Option("Compile.", name="--compile")] = False
    flat: Annotated[bool, Option("Flat.")] = True
    aoi: Annotated[Path | None, Option("A file, [or] none | both.", metavar="FILE")] = None
    seed: Seed = 0
    workers: Workers = None
    licence: Annotated[str, Option("The licence.", decides_bytes=False)] = ""
    python_only: int = 3

    def __post_init__(self):
        check(self)


def run(*arguments):
    """Return what the command built of these options got, and its result."""
    got = []

    def verb(
        source: Annotated[str, typer.Argument(help="What to read.")],
        output: Annotated[Path | None, typer.Option("--output", "-o")] = None,
        options: Options = Options(),
        *,
        dry_run: DryRun = False,
        overwrite: Overwrite = False,
    ) -> None:
        """Do it."""
        got.append((source, output, options, dry_run, overwrite))

    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(command(verb))
    result = CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "200"})
    return (got or [None])[0], result


def test_without_an_option_a_command_has_the_defaults():
    got, result = run("a.tif")
    assert result.exit_code == 0, result.output
    assert got == ("a.tif", None, Options(), False, False)


def test_each_option_arrives_as_the_type_of_its_field():
    line = "a.tif -o b.tif -k last --part 0.25 --res 2 --bands 3,2,1 --names x --names y --shares a=0.5 --shares b=1"
    line += " --class-map 1=2 --compile --no-flat --aoi c.json --seed 7 --workers 2 --dry-run --overwrite"
    got, result = run(*line.split())
    assert result.exit_code == 0, result.output
    expected = Options(
        kind="last",
        part=0.25,
        res=2.0,
        bands=(3, 2, 1),
        names=("x", "y"),
        shares={"a": 0.5, "b": 1.0},
        class_map="1=2",
        compile_=True,
        flat=False,
        aoi=Path("c.json"),
        seed=7,
        workers=2,
    )
    assert got == ("a.tif", Path("b.tif"), expected, True, True)


def test_an_alias_is_accepted_and_not_shown():
    got, _ = run("a.tif", "--map", "3=4")
    assert got[2].class_map == "3=4"
    shown = run("--help")[1].stdout
    assert "--class-map" in shown and "--map " not in shown


def test_help_shows_choices_defaults_and_brackets():
    shown = " ".join(run("--help")[1].stdout.split())
    for text in ("<first|last>", "default: first", "Default: the map's own.", "A file, [or] none | both.", "FILE"):
        assert text in shown
    assert "python" not in shown


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kind": "middle"}, "--kind must be one of first, last, got middle"),
        ({"part": 1.0}, "--part must be at least 0 and below 1, got 1"),
        ({"part": float("nan")}, "--part must be at least 0 and below 1, got nan"),
        ({"res": 0.0}, "--res must be above 0, got 0"),
        ({"res": float("inf")}, "--res must be above 0 and finite, got inf"),
        ({"shares": {"a": 2.0}}, "--shares must be at most 1, got a=2"),
        ({"seed": -1}, "--seed must be at least 0, got -1"),
        ({"seed": 1 << 64}, "--seed must be below 2^62, got a number of 65 bits"),
        ({"workers": 0}, "--workers must be at least 1, got 0"),
        ({"class_map": ""}, "--class-map is empty; give a value, or leave it out"),
        ({"names": ("x", " ")}, "--names is empty; give a value, or leave it out"),
        ({"shares": {"": 0.5}}, "--shares is empty; give a value, or leave it out"),
    ],
)
def test_a_value_that_cannot_be_is_refused_in_one_wording(given, message):
    with pytest.raises(OptionError) as refused:
        Options(**given)
    assert str(refused.value) == message


def test_the_command_line_says_the_same_in_one_line():
    got, result = run("a.tif", "--workers", "0")
    assert got is None and result.exit_code == 2
    assert result.stderr == "error: --workers must be at least 1, got 0\n"


def test_a_part_of_a_mapping_is_given_once():
    _, result = run("a.tif", "--shares", "a=0.5", "--shares", "a=0.25")
    assert result.stderr == "error: --shares gives a twice, as 0.5 and as 0.25\n"
    assert run("a.tif", "--shares", "a=0.5", "--shares", "a=0.5")[1].exit_code == 0


def test_a_manifest_records_what_decides_the_output():
    options = Options(bands=(1, 2), aoi=Path("a.json"), workers=4, shares={"a": 0.5})
    assert recorded(options) == {
        "kind": "first",
        "fraction": 0.5,
        "res": None,
        "bands": [1, 2],
        "names": [],
        "shares": {"a": 0.5},
        "class_map": None,
        "compile_": False,
        "flat": True,
        "aoi": "a.json",
        "seed": 0,
    }


def test_a_table_of_a_file_gives_options():
    given = {"part": 0.25, "aoi": "a.json", "bands": [1, 2], "licence": ""}
    options = from_mapping(Options, given, "x.toml")
    assert options == Options(part=0.25, aoi=Path("a.json"), bands=(1, 2))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"prt": 1}, "x.toml: unknown option 'prt'; did you mean 'part'?"),
        ({"seed": 1}, "x.toml: unknown option 'seed'"),
        ({"python_only": 1}, "x.toml: unknown option 'python_only'"),
        ({"part": "much"}, "x.toml: part must be a number, got 'much'"),
        ({"part": "0.5"}, "x.toml: part must be a number, got '0.5'"),
        ({"part": True}, "x.toml: part must be a number, got True"),
        ({"flat": 1}, "x.toml: flat must be a boolean, got 1"),
        ({"bands": [1, 2.5]}, "x.toml: bands 2 must be an integer, got 2.5"),
        ({"kind": "middle"}, "x.toml: kind must be 'first' or 'last', got 'middle'"),
        ({"aoi": ""}, "x.toml: aoi is empty; give a value, or leave it out"),
        ({"class_map": " "}, "x.toml: class_map is empty; give a value, or leave it out"),
        ({"names": ["x", ""]}, "x.toml: names is empty; give a value, or leave it out"),
        ({"part": 2}, "x.toml: part must be at least 0 and below 1, got 2"),
    ],
)
def test_what_a_file_cannot_say_is_refused(given, message):
    with pytest.raises(OptionError) as refused:
        from_mapping(Options, given, "x.toml", without=("seed",))
    assert str(refused.value).startswith(message)


def test_a_table_for_the_documentation_has_a_row_for_each_option():
    rows = markdown_table(Options).splitlines()
    assert len(rows) == 2 + len(option_fields(Options)) == 2 + 13
    assert rows[2] == "| `--kind`, `-k` | `first`, `last` | `first` | Which one. |"
    assert rows[4] == "| `--res` | number | the map's own | Metres. |"
    assert "| `--aoi` | `FILE` | none | A file, [or] none \\| both. |" in rows


def test_a_table_of_fields_has_the_types_and_defaults_of_python():
    rows = markdown_fields(Options).splitlines()
    assert rows[2] == "| `kind` | `Literal['first', 'last']` | `'first'` | Which one. |"
    assert rows[4] == "| `res` | `float` | `None`: the map's own | Metres. |"
    assert "| `shares` | `Mapping[str, float]` | `{}` | Shares. |" in rows
