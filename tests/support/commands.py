"""sattrans as a user runs it, and what tile says where it refuses."""

import time
from contextlib import chdir
from pathlib import Path
from typing import Any

from forks import Fork
from typer.testing import CliRunner, Result

from sattrans.cli import app
from sattrans.data.tileset import Tileset


def sattrans(*arguments: Any, cwd: Path | str = ".") -> Result:
    """Run a command in a folder."""
    with chdir(cwd):
        return CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "200"})


def tile(*arguments: Any) -> Result:
    """Run `sattrans tile`."""
    return sattrans("tile", *arguments)


def kill_when(made: Path, pattern: str, *arguments: Any) -> None:
    """Run a command in a process of its own, and kill it as soon as `made` holds a file of this pattern."""
    process = Fork(*arguments)
    while not list(made.glob(pattern)):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()


def refused(output: Path, *arguments: Any, code: int = 1) -> str:
    """Run a command that has to fail with this exit status and one line; return the line. Nothing is left behind."""
    result = tile(*arguments, "-o", output)
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    assert not output.exists()
    return error_line(result.stderr)


def error_line(told: str) -> str:
    """Return the line of what a command told on stderr that is an error; there is one, and it is the last."""
    lines = told.rstrip("\n").split("\n")
    assert [line.startswith("error: ") for line in lines] == [False] * (len(lines) - 1) + [True], told
    assert "Traceback" not in told
    return lines[-1]


def tiled(output: Path, *arguments: Any) -> tuple[Tileset, list[str]]:
    """Run a command that has to succeed; return the tileset, and what it noted."""
    result = tile(*arguments, "-o", output)
    assert result.exit_code == 0, result.output
    notes = [line.removeprefix("note: ") for line in result.stderr.splitlines() if line.startswith("note: ")]
    return Tileset.open(output), notes
