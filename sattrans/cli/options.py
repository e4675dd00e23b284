"""From a verb's options dataclass to the options of its command."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import is_dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from sattrans.cli.completion import COMPLETIONS
from sattrans.cli.guard import SWITCHES, guarded
from sattrans.utils.options import OptionField, option_fields

R = TypeVar("R")

Overwrite = Annotated[bool, typer.Option("--overwrite", metavar="", help="Replace an output that other options made.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", metavar="", help="Check everything and print the plan; write nothing.")
]

METAVARS = {bool: "", int: "N", float: "X", Path: "PATH", str: "TEXT"}
"""What `--help` calls a value of each type; a flag has none."""


def command(function: Callable[..., R], with_json: bool = False) -> Callable[..., R]:
    """Return a function for `typer.Typer.command`, with an option for each field of the options dataclass.

    `function` has a verb's shape: arguments, `output`, `options` (an options dataclass), then `overwrite` and
    `dry_run`. In place of the parameter `options` the command has the dataclass's fields; it reads them, builds the
    dataclass and calls `function`. Errors become one line.
    """
    signature = inspect.signature(function)
    kind: type = signature.parameters["options"].annotation
    assert is_dataclass(kind)
    described = option_fields(kind)
    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        if parameter.name == "options":
            parameters += [shown for entry in described for shown in _parameters(entry)]
        else:
            parameters.append(parameter)

    @functools.wraps(function)
    def run(**given: Any) -> R:
        values = {}
        for entry in described:
            texts = [given.pop(name) for name in _names(entry)]
            if (value := _value(entry, texts)) is not None:
                values[entry.name] = value
        return function(**given, options=kind(**values))

    keyword_only = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    run.__signature__ = signature.replace(parameters=keyword_only)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return guarded(run, with_json)


def _names(entry: OptionField) -> list[str]:
    """Return the names of the parameters that stand for a field: its own, and one for each alias."""
    return [entry.name, *(f"{entry.name}_{number}" for number, _ in enumerate(entry.option.aliases, 2))]


def _parameters(entry: OptionField) -> list[inspect.Parameter]:
    option = entry.option
    default = f" [dim]Default: {_escaped(option.default)}.[/dim]" if option.default else ""
    flags = [entry.flag, option.short] if option.short else [entry.flag]
    if entry.kind is bool and entry.default:
        flags[0] += f"/--no-{entry.flag[2:]}"
    metavar = METAVARS.get(_kind(entry)) if option.metavar is None else option.metavar
    visible = typer.Option(
        *flags,
        help=_escaped(option.help) + default,
        metavar=metavar,
        rich_help_panel=option.panel,
        envvar=option.variable,
        autocompletion=COMPLETIONS[option.complete] if option.complete else None,
    )
    hidden = [typer.Option(alias, hidden=True) for alias in option.aliases]
    kind, default_value = _kind(entry), entry.default if _as_text(entry.default) else None
    parameters = []
    for name, described in zip(_names(entry), [visible, *hidden], strict=True):
        preset = default_value if described is visible else None
        annotation: Any = Annotated[kind if preset is not None else kind | None, described]
        parameters.append(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=preset, annotation=annotation)
        )
    return parameters


def _kind(entry: OptionField) -> Any:
    """Return the type that Typer reads a field as: itself, or the text that is parsed here."""
    if entry.repeatable:
        return list[str]
    plain = entry.kind in (str, int, float, bool, Path) or entry.choices
    return entry.kind if plain and not entry.option.parse else str


def _as_text(value: Any) -> bool:
    """Say whether Typer can take a default as it is."""
    return isinstance(value, str | int | float | Path)


def _value(entry: OptionField, texts: list[Any]) -> Any:
    """Return the value of a field from its parameters; None when none of them was given."""
    if entry.repeatable:
        several = [text for part in texts for text in part or ()]
        return entry.read(several) if several else None
    last = next((text for text in reversed(texts) if text is not None), None)
    return entry.read(last) if isinstance(last, str) else last


def _escaped(text: str) -> str:
    """Return text in which Rich sees no markup."""
    return text.replace("[", "\\[")


def given_options(ctx: typer.Context) -> list[str]:
    """Return the names of the parameters that the command line gives, in their order, without those of output."""
    names = [name for name in ctx.params if name not in SWITCHES]
    return [name for name in names if getattr(ctx.get_parameter_source(name), "name", "") == "COMMANDLINE"]
