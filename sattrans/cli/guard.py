"""Around every command: its switches for output, and errors in one line with an exit code."""

import errno
import functools
import inspect
import logging
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, TypeVar, cast

import typer
from typer.core import TyperGroup

from sattrans.cli.console import Mode, fail, mode_of
from sattrans.errors import SattransError
from sattrans.utils.options import EMPTY

R = TypeVar("R")

NAMED_VARIABLE = re.compile(r" \(env var: '\w+'\)")
"""What Typer says of every option that a variable may set, whether or not that one has set it."""

PLAIN = {
    "Input should be a valid integer, unable to parse string as an integer": "must be a whole number",
    "Input should be a valid number, unable to parse string as a number": "must be a number",
}
"""What the libraries say of a value, and how we say it."""

EMPTY_OPTION = re.compile("--[a-z][a-z-]*=")
"""An option whose value is an empty text."""

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a full disk, an exhausted quota or a file that has reached the largest size allowed."""

AS_JSON = "sattrans.json"
"""Where the context of the command line says that a document is asked for, before the command itself has read it."""

Quiet = Annotated[bool, typer.Option("--quiet", "-q", metavar="", help="Print errors only: no notes, no progress.")]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", metavar="", help="Also print time, memory, warnings of libraries, tracebacks."),
]
Json = Annotated[bool, typer.Option("--json", metavar="", help="Print the result as one JSON document.")]

SWITCHES: dict[str, Any] = {"quiet": Quiet, "verbose": Verbose, "as_json": Json}
"""The parameters of every command that say how much it prints; `as_json` only where there is a document."""

log = logging.getLogger("sattrans")


def guarded(command: Callable[..., R], with_json: bool = False) -> Callable[..., R]:
    """Return a command with `--quiet` and `--verbose`, and with `--json` if it has a document.

    An error becomes one line on stderr and the exit code of its class.
    """
    signature = inspect.signature(command, eval_str=True)
    kept = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in signature.parameters.values()]
    own_context = next((p.name for p in kept if p.annotation is typer.Context), None)

    @functools.wraps(command)
    def wrapper(*, quiet: bool = False, verbose: bool = False, as_json: bool = False, **given: Any) -> R:
        context = given[own_context] if own_context else given.pop("context")
        root = context.find_root().params
        mode = Mode(as_json, quiet or root.get("quiet", False), verbose or root.get("verbose", False))
        with mode_of(mode) as mode:
            return _run(functools.partial(command, **given), context, mode)

    kinds = {name: kind for name, kind in SWITCHES.items() if with_json or name != "as_json"}
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
        for name, kind in kinds.items()
    ]
    if not own_context:
        added.append(inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context))
    wrapper.__signature__ = signature.replace(parameters=[*kept, *added])  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in (*kept, *added)}
    return wrapper


def group(text: str, listing: Callable[[], None], **commands: Callable[..., None]) -> typer.Typer:
    """Return a group of commands that have a document.

    Args:
        text: What the group is for.
        listing: What it does without a command's name, and as its command `list`.
        commands: Its other commands.
    """

    def list_default(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            listing()

    made = typer.Typer(help=text, invoke_without_command=True)
    made.callback(help=text)(guarded(list_default, with_json=True))
    for name, command in {"list": listing, **commands}.items():
        made.command(name)(guarded(command, with_json=True))
    return made


def _run(command: Callable[[], R], context: Any, mode: Mode) -> R:
    """Run a command, and end it with one line for an error."""
    begun = time.monotonic()
    try:
        result = command()
    except SattransError as error:
        fail(_with_variable(str(error), context), error.exit_code, error.details)
    except KeyboardInterrupt:
        from sattrans.utils.output import RESUME  # slow to import, for a line that is seldom printed

        fail(f"stopped; {RESUME}", 130)
    except BrokenPipeError:  # the reader of a pipe, such as head, has closed it
        raise typer.Exit(0) from None
    except OSError as error:
        if error.filename is None and error.strerror is None:
            raise
        where = f"{error.filename}: " if error.filename else ""
        remedy = "; free some space, then repeat the command" if error.errno in NO_SPACE else ""
        fail(f"{where}{error.strerror or error}{remedy}", 1)
    if mode.verbose:
        from sattrans.utils.process import peak_memory

        seconds, gigabytes = time.monotonic() - begun, peak_memory() / 1e9
        log.debug("%s took %.1f s and at most %.2f GB of memory", context.command_path, seconds, gigabytes)
    return result


def _with_variable(message: str, context: Any) -> str:
    """Return a message about an option with the environment variable that set it in front."""
    for parameter in context.command.params if context else ():
        source = getattr(context.get_parameter_source(parameter.name), "name", "")
        if source == "ENVIRONMENT" and any(flag in message for flag in parameter.opts):
            return f"{parameter.envvar}: {message}"
    return message


WrongCommandLine = cast(type[Exception], typer.BadParameter.__mro__[1])
"""The base class of errors in the command line; Typer exports only its subclass BadParameter."""


class Commands(TyperGroup):
    """A command group that reports errors in the command line as all other errors: in one line."""

    def get_params(self, ctx: Any) -> Any:
        """Return the options before a command's name; `--help` shows no type for a flag."""
        found = super().get_params(ctx)
        for parameter in found:
            if getattr(parameter, "is_flag", False):
                parameter.metavar = ""
        return found

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, whose `--help` shows no type for itself."""
        found = super().get_command(ctx, cmd_name)
        for command in (found, *getattr(found, "commands", {}).values()):
            if command and (option := command.get_help_option(ctx)):
                option.metavar = ""
        return found

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Refuse empty texts in the command line, and read the options before a command's name."""
        ctx.meta[AS_JSON] = "--json" in (args[: args.index("--")] if "--" in args else args)
        with _one_line(ctx):
            _check_filled(args)
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
            fail(f"{text[:-1] if text.strip() else what} {EMPTY}", 2)


@contextmanager
def _one_line(ctx: Any) -> Iterator[None]:
    """Report an error in the command line in one line, or as a document."""
    with mode_of(Mode(json=ctx.meta[AS_JSON])):
        try:
            yield
        except WrongCommandLine as error:
            message = str(getattr(error, "format_message", lambda: "")()).replace("Value error, ", "").rstrip(".")
            message = NAMED_VARIABLE.sub("", message)
            for words, plain in PLAIN.items():
                message = message.replace(words, plain)
            inner = getattr(error, "ctx", None)
            if not message or "NoArgsIsHelp" in type(error).__name__:  # the help itself is shown
                raise
            where = getattr(inner, "command_path", ctx.command_path)
            fail(f"{_with_variable(message, inner)} (see {where} --help)", 2)
