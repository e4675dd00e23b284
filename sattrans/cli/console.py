"""Output of all commands: errors in one line, notices on stderr, tables on stdout; or one JSON document instead."""

import json
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

import typer

from sattrans.utils.addresses import spelled

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from sattrans.cli.documents import Document

WIDTH_WITHOUT_TERMINAL = 160
"""Width, in columns, of a table that is written to a file or a pipe."""

UNBOUNDED = 10_000
"""A width, in columns, in which any table fits."""


@dataclass
class Mode:
    """How much a command prints.

    Attributes:
        json: One document instead of text.
        quiet: Errors only, and what the command was asked to show.
        verbose: Also how long it took, warnings of libraries, and the traceback of an error.
        notes: The notes so far, which a document holds.
    """

    json: bool = False
    quiet: bool = False
    verbose: bool = False
    notes: list[str] = field(default_factory=list)


_mode = Mode()


def current_mode() -> Mode:
    """Return how much the running command prints."""
    return _mode


@contextmanager
def mode_of(asked: Mode) -> Iterator[Mode]:
    """Print as `asked` within the block; a command that runs within another prints no more than that one."""
    global _mode
    outer, log = _mode, logging.getLogger("sattrans")
    _mode = Mode(asked.json or outer.json, asked.quiet or outer.quiet, asked.verbose or outer.verbose)
    level = log.level
    if _mode.json or _mode.quiet:
        log.setLevel(logging.WARNING if _mode.json else logging.ERROR)
    elif _mode.verbose:
        from sattrans.utils.process import show_warnings

        log.setLevel(logging.DEBUG)
        show_warnings()
    try:
        yield _mode
    finally:
        _mode = outer
        log.setLevel(level)


def fail(message: str, exit_code: int, details: Iterable[str] = ()) -> NoReturn:
    """Print an error, and end the command."""
    if _mode.verbose:
        import traceback

        typer.echo(traceback.format_exc(), err=True)
    if _mode.json:
        from sattrans.cli.documents import ErrorDocument

        _print(ErrorDocument(error=message, details=list(details), exit_code=exit_code), err=True)
    else:
        console = _console(stderr=True)
        console.print(f"[bold red]error:[/] {_line(message)}")
        for line in details:
            console.print(f"  {_line(line)}")
    raise typer.Exit(exit_code) from None


def present(document: "Callable[[], Document]", text: Callable[[], None], asked: bool = False) -> None:
    """Print a command's result: as text, or as a document with `--json`.

    Args:
        document: Makes the document.
        text: Prints the text.
        asked: Whether the text is what the command is for, such as a list, and not a line about what it wrote. Then it
            is printed with `--quiet`, too.
    """
    if _mode.json:
        _print(document())
    elif asked or not _mode.quiet:
        text()


def _print(document: "Document", err: bool = False) -> None:
    document.notes = [*document.notes, *dict.fromkeys(note for note in _mode.notes if note not in document.notes)]
    # In ASCII, because a character that the encoding of a pipe lacks would be replaced.
    typer.echo(spelled(json.dumps(document.to_json(), indent=2)), err=err)


def _console(stderr: bool = False) -> "Console":
    from rich.console import Console

    is_terminal = (sys.stderr if stderr else sys.stdout).isatty()
    width = None if is_terminal else WIDTH_WITHOUT_TERMINAL
    return Console(stderr=stderr, highlight=False, soft_wrap=True, emoji=False, width=width)


class _LineHandler(logging.Handler):
    """Prints log messages on stderr, one line each."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            notify([record.getMessage()])
        elif not _mode.json:
            _console(stderr=True).print(f"[dim]{_line(record.getMessage())}[/]")


def listen() -> None:
    """Print the log messages of sattrans on stderr."""
    log = logging.getLogger("sattrans")
    if not log.handlers:
        log.addHandler(_LineHandler())
        log.propagate = False
    log.setLevel(logging.INFO)


def notify(notices: Iterable[str], head: str = "note", style: str = "yellow") -> None:
    """Print notices for the user on stderr, one line each, with `head` in front."""
    if _mode.json:
        _mode.notes += notices
    if _mode.json or _mode.quiet:
        return
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
    """Replace the control characters in a text: the name of a file may contain commands to the terminal.

    The folders that stand for addresses are shown as these.
    """
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in spelled(text))
