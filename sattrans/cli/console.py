"""Output of all commands: errors in one line, notices on stderr, tables on stdout."""

import errno
import functools
import logging
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

import typer
from typer.core import TyperGroup

from sattrans.errors import SattransError
from sattrans.utils.options import EMPTY

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

P = ParamSpec("P")
R = TypeVar("R")

WIDTH_WITHOUT_TERMINAL = 160
"""Width, in columns, of a table that is written to a file or a pipe."""

UNBOUNDED = 10_000
"""A width, in columns, in which any table fits."""

EMPTY_OPTION = re.compile("--[a-z][a-z-]*=")
"""An option whose value is an empty text."""

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a full disk, an exhausted quota or a file that has reached the largest size allowed."""


def _console(stderr: bool = False) -> "Console":
    from rich.console import Console

    is_terminal = (sys.stderr if stderr else sys.stdout).isatty()
    width = None if is_terminal else WIDTH_WITHOUT_TERMINAL
    return Console(stderr=stderr, highlight=False, soft_wrap=True, emoji=False, width=width)


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """Wrap a command so that a `SattransError` becomes one line on stderr and the exit code of its class."""

    @functools.wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except SattransError as error:
            _fail(str(error), error.details)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            from sattrans.utils.output import RESUME  # slow to import, for a line that is seldom printed

            _fail(f"stopped; {RESUME}")
            raise typer.Exit(130) from None
        except BrokenPipeError:  # the reader of a pipe, such as head, has closed it
            raise typer.Exit(0) from None
        except OSError as error:
            if error.filename is None and error.strerror is None:
                raise
            where = f"{error.filename}: " if error.filename else ""
            remedy = "; free some space, then repeat the command" if error.errno in NO_SPACE else ""
            _fail(f"{where}{error.strerror or error}{remedy}")
            raise typer.Exit(1) from None

    return wrapper


WrongCommandLine = cast(type[Exception], typer.BadParameter.__mro__[1])
"""The base class of errors in the command line; Typer exports only its subclass BadParameter."""


class Commands(TyperGroup):
    """A command group that reports errors in the command line as all other errors: in one line."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, whose `--help` shows no type for itself."""
        found = super().get_command(ctx, cmd_name)
        for command in (found, *getattr(found, "commands", {}).values()):
            if command and (option := command.get_help_option(ctx)):
                option.metavar = ""
        return found

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Refuse empty texts in the command line, and read the options before a command's name."""
        _check_filled(args)
        with _one_line(ctx):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command given on the command line."""
        with _one_line(ctx):
            return super().invoke(ctx)


def _check_filled(args: Sequence[str]) -> None:
    """Refuse an empty text, as an unset variable of a shell leaves it: as a path, it would be the current folder."""
    for number, text in enumerate(args):
        if not text.strip() or EMPTY_OPTION.fullmatch(text):
            what = f"the argument after {args[number - 1]}" if number else "the first argument"
            _fail(f"{text[:-1] if text.strip() else what} {EMPTY}")
            raise typer.Exit(2)


@contextmanager
def _one_line(ctx: Any) -> Iterator[None]:
    """Report an error in the command line in one line."""
    try:
        yield
    except WrongCommandLine as error:
        message = str(getattr(error, "format_message", lambda: "")()).replace("Value error, ", "").rstrip(".")
        where = getattr(getattr(error, "ctx", None), "command_path", ctx.command_path)
        if not message or "NoArgsIsHelp" in type(error).__name__:  # the help itself is shown
            raise
        _fail(f"{message} (see {where} --help)")
        raise typer.Exit(2) from None


def _fail(message: str, details: Iterable[str] = ()) -> None:
    console = _console(stderr=True)
    console.print(f"[bold red]error:[/] {_line(message)}")
    for line in details:
        console.print(f"  {_line(line)}")


class _LineHandler(logging.Handler):
    """Prints log messages on stderr, one line each."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            notify([record.getMessage()])
        else:
            _console(stderr=True).print(f"[dim]{_line(record.getMessage())}[/]")


def listen() -> None:
    """Print the log messages of sattrans on stderr."""
    log = logging.getLogger("sattrans")
    if not log.handlers:
        log.addHandler(_LineHandler())
        log.setLevel(logging.INFO)
        log.propagate = False


def notify(notices: Iterable[str], head: str = "note", style: str = "yellow") -> None:
    """Print notices for the user on stderr, one line each, with `head` in front."""
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
    """Print a table on stdout; `numeric` aligns all columns but the first to the right.

    `narrow` are the same rows with cells of several lines, used if the table is wider than the terminal.
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
    """Replace the control characters in a text: the name of a file may contain commands to the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)
