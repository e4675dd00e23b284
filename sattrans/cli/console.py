"""What every command shares: one line an error, notices on stderr, tables on stdout."""

import errno
import functools
import logging
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

import typer
from typer.core import TyperGroup

from sattrans.errors import SattransError
from sattrans.utils.output import RESUME

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

P = ParamSpec("P")
R = TypeVar("R")

WIDTH_UNWATCHED = 160
"""Columns of a table that goes to a file or a pipe."""

UNBOUNDED = 10_000
"""Columns in which any table fits."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a system says where a disk, a quota or a file has reached its end."""


def _console(stderr: bool = False) -> "Console":
    from rich.console import Console

    watched = (sys.stderr if stderr else sys.stdout).isatty()
    width = None if watched else WIDTH_UNWATCHED
    return Console(stderr=stderr, highlight=False, soft_wrap=True, emoji=False, width=width)


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """Wrap a command: an error of ours becomes one line on stderr and the exit code its class says."""

    @functools.wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except SattransError as error:
            _fail(str(error))
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            _fail(f"stopped; {RESUME}")
            raise typer.Exit(130) from None
        except BrokenPipeError:  # whoever read us has seen enough
            raise typer.Exit(0) from None
        except OSError as error:
            if error.filename is None and error.strerror is None:
                raise
            where = f"{error.filename}: " if error.filename else ""
            remedy = "; free some space, then repeat the command" if error.errno in NO_ROOM else ""
            _fail(f"{where}{error.strerror or error}{remedy}")
            raise typer.Exit(1) from None

    return wrapper


WrongLine = cast(type[Exception], typer.BadParameter.__mro__[1])
"""What is raised for a command line that cannot be read; Typer names only this one kind of it."""


class Commands(TyperGroup):
    """Tells of a command line that cannot be read as of all else that is wrong: in one line."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that is asked for."""
        try:
            return super().invoke(ctx)
        except WrongLine as error:
            message = str(getattr(error, "format_message", lambda: "")()).replace("Value error, ", "").rstrip(".")
            where = getattr(getattr(error, "ctx", None), "command_path", ctx.command_path)
            if not message or "NoArgsIsHelp" in type(error).__name__:  # the help itself is shown
                raise
            _fail(f"{message} (see {where} --help)")
            raise typer.Exit(2) from None


def _fail(message: str) -> None:
    _console(stderr=True).print(f"[bold red]error:[/] {_line(message)}")


class _Lines(logging.Handler):
    """Prints what the verbs log, a line each, on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            notify([record.getMessage()])
        else:
            _console(stderr=True).print(f"[dim]{_line(record.getMessage())}[/]")


def listen() -> None:
    """Let what the verbs log be seen."""
    log = logging.getLogger("sattrans")
    if not log.handlers:
        log.addHandler(_Lines())
        log.setLevel(logging.INFO)
        log.propagate = False


def notify(notices: Iterable[str], head: str = "note", style: str = "yellow") -> None:
    """Print what a user should know, on stderr, a line each with a `head`."""
    console = _console(stderr=True)
    for notice in notices:
        console.print(f"[{style}]{head}:[/] {_line(notice)}")


def say(text: str) -> None:
    """Print a result, on stdout."""
    typer.echo(_visible(text))


def show_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    title: str | None = None,
    numeric: bool = False,
    narrow: Iterable[Sequence[str]] = (),
) -> None:
    """Print a table on stdout; `numeric` aligns all but the first column to the right.

    `narrow` are the same rows in cells of several lines, for where the others do not fit.
    """
    from rich.measure import Measurement

    console = _console()
    table = _table(columns, rows, title, numeric)
    if narrow and Measurement.get(console, console.options.update(max_width=UNBOUNDED), table).maximum > console.width:
        table = _table(columns, narrow, title, numeric)
    console.print(table)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None, numeric: bool) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold"
    )
    for number, column in enumerate(columns):
        table.add_column(Text(_visible(column)), justify="right" if numeric and number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_visible(cell)) for cell in row))
    return table


def _line(text: str) -> str:
    from rich.markup import escape

    return escape(_visible(" ".join(text.split("\n"))))


def _visible(text: str) -> str:
    """Return text without what a terminal takes for commands: files may be named so, by chance or with intent."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)
