"""Render: a page as one HTML file that needs no other, and no network."""

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from sattrans.evaluate.report import bars, heat, lines, pictures
from sattrans.evaluate.report.page import Cell, Page, Row
from sattrans.utils.atomic import write_bytes

HERE = Path(__file__).parent
BETTER = {"↓": "lower is better", "↑": "higher is better", "→ real": "nearer to real is better"}

KEY = ("best", "interval", "spread")
"""What a cell may show beside its value; said above the table where any cell does."""

UNFIT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | 0xFFFE) + chr(plane << 16 | 0xFFFF) for plane in range(17))
    + "]"
)
"""Characters that HTML cannot hold: control characters, halves of surrogate pairs, what is no character."""

HASH = re.compile(r"(sha256:)?[0-9a-fA-F]{16,}")


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the table with a cell for each column, and for each title that stands beside them."""

    row: Row
    cells: Sequence[Cell]
    beside: Sequence[str]


def write_report(path: Path, page: Page) -> None:
    """Write a page as one file of HTML, atomically; the same page gives the same bytes.

    Whatever its names hold, they are text: nothing in them is run, and nothing is fetched.
    """
    write_bytes(path, render(page).encode())


def render(page: Page) -> str:
    """Return a page as HTML."""
    beside = list(dict.fromkeys(title for row in page.rows for title in row.beside))
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            page=page,
            beside=beside,
            table=[_line(row, len(page.columns), beside) for row in page.rows],
            key={what: any(getattr(cell, what) for row in page.rows for cell in row.cells) for what in KEY},
            how=[(number, row) for number, row in enumerate(page.rows, 1) if row.how],
            better=BETTER,
            bars=[bars.chart(classes, page.columns) for classes in page.classes],
            examples=[pictures.row(example, page.columns) for example in page.examples],
            heat=heat.heat(page.scenes, page.columns),
            curves=[lines.chart(curves) for curves in page.curves if curves.epochs],
            about=[(title, list(values.items())) for title, values in page.about.items() if values],
        )
    )


def _line(row: Row, columns: int, beside: Sequence[str]) -> Line:
    cells = [*row.cells, *[Cell("")] * (columns - len(row.cells))]
    return Line(row, cells, [row.beside.get(title, "") for title in beside])


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_fit,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    style, script = ((HERE / name).read_text(encoding="utf-8") for name in ("style.css", "script.js"))
    # The hashes let these two in and nothing else, so that even markup that slipped through could do nothing.
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    )
    environment.globals.update(style=Markup(style), script=Markup(script), policy=policy)  # noqa: S704  our own files
    environment.tests["hash"] = lambda text: bool(HASH.fullmatch(text))
    return environment


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _fit(value: Any) -> Any:
    """Return what is written for a value: text without the characters that HTML cannot hold."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return UNFIT.sub("\ufffd", value.replace("\r\n", "\n").replace("\r", "\n"))
    return value
