"""Options as tables in Markdown, for the documentation."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from sattrans.utils.options import OptionField, option_fields


def markdown_table(options: type) -> str:
    """Return a table in Markdown: a row for each option of the command line, with its values, default and meaning."""
    rows = []
    for entry in option_fields(options):
        flags = ", ".join(f"`{flag}`" for flag in (entry.flag, entry.option.short) if flag)
        rows.append((flags, _values(entry), _default(entry), entry.option.help))
    return _table(("Option", "Values", "Default", "Meaning"), rows)


def markdown_fields(options: type) -> str:
    """Return a table in Markdown: a row for each field, with its Python type, default and meaning."""
    rows = []
    for entry in option_fields(options):
        explained = f": {entry.option.default}" if entry.default is None and entry.option.default else ""
        rows.append(
            (f"`{entry.name}`", f"`{_python_type(entry.kind)}`", f"`{entry.default!r}`{explained}", entry.option.help)
        )
    return _table(("Field", "Type", "Default", "Meaning"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _python_type(kind: Any) -> str:
    if isinstance(kind, type) and not get_args(kind):
        return kind.__name__
    return str(kind).replace("typing.", "").replace("collections.abc.", "")


def _values(entry: OptionField) -> str:
    if entry.choices:
        return ", ".join(f"`{choice}`" for choice in entry.choices)
    several = ", repeatable" if entry.repeatable else ""
    if entry.option.metavar:
        return f"`{entry.option.metavar}`{several}"
    names = {int: "whole number", float: "number", bool: "flag", Path: "path"}
    return names.get(entry.kind, "text") + several


def _default(entry: OptionField) -> str:
    if entry.option.default:
        return entry.option.default
    if entry.kind is bool:
        return "on" if entry.default else "off"
    return f"`{entry.default}`" if entry.default not in (None, (), {}, "") else "none"
