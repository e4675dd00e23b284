"""Names as other programs show them, in spreadsheets and on pages: they are read as text, and command nothing."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from sattrans.utils.atomic import write_bytes

DIRECTIONS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Marks that turn the direction of the text around them, and are not seen: `a\u202egpj.tif` is shown as `afit.jpg`."""

FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")
"""What a spreadsheet takes for a formula, also in the full width of East Asian letters."""


def escape_directions(text: str) -> str:
    r"""Return a text with its marks of direction as their codes, such as `\u202e`."""
    return DIRECTIONS.sub(lambda mark: f"\\u{ord(mark[0]):04x}", text)


def csv_cell(text: str) -> str:
    """Return a text that a spreadsheet shows instead of computing it: what begins as a formula gets an apostrophe."""
    shown = escape_directions(text)
    return f"'{shown}" if FORMULA.match(shown) else shown


def write_csv(path: Path, head: Sequence[str], rows: Iterable[Sequence[str | float | None]]) -> None:
    """Write a table atomically: texts as `csv_cell` returns them, numbers as they are, None as an empty cell."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    for row in (head, *rows):
        table.writerow([_cell(cell) for cell in row])
    write_bytes(path, text.getvalue().encode())


def _cell(value: str | float | None) -> str:
    if isinstance(value, str):
        return csv_cell(value)
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
