"""Renders a page as a single HTML file that needs neither other files nor a network."""

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

from sattrans.evaluate.report.bars import bar_chart
from sattrans.evaluate.report.heat import error_scenes
from sattrans.evaluate.report.lines import loss_chart
from sattrans.evaluate.report.page import Page, ScoreCell, ScoreRow
from sattrans.evaluate.report.pictures import example_row
from sattrans.utils.atomic import write_bytes
from sattrans.utils.shown import escape_directions

HERE = Path(__file__).parent
BETTER = {"↓": "lower is better", "↑": "higher is better", "→ real": "nearer to real is better"}

LEGEND = ("best", "interval", "spread")
"""What a cell may show besides its value; each is explained above the table if any cell has it."""

UNFIT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | 0xFFFE) + chr(plane << 16 | 0xFFFF) for plane in range(17))
    + "]"
)
"""Characters that HTML cannot contain: control characters, halves of surrogate pairs, noncharacters."""

HASH = re.compile(r"(sha256:)?[0-9a-fA-F]{16,}")


@dataclass(frozen=True, slots=True)
class FullRow:
    """A row of the table with a cell for each column, and a value for each baseline."""

    row: ScoreRow
    cells: Sequence[ScoreCell]
    baselines: Sequence[str]


def write_report(path: Path, page: Page) -> None:
    """Write a page as a single HTML file, atomically; the same page gives the same bytes.

    All names are written as text, whatever they contain: nothing in them is run, and nothing is fetched.
    """
    write_bytes(path, render(page).encode())


def render(page: Page) -> str:
    """Return a page as HTML."""
    baselines = list(dict.fromkeys(title for row in page.rows for title in row.baselines))
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            page=page,
            baselines=baselines,
            table=[_full_row(row, len(page.columns), baselines) for row in page.rows],
            legend={part: any(getattr(cell, part) for row in page.rows for cell in row.cells) for part in LEGEND},
            methods=[(number, row) for number, row in enumerate(page.rows, 1) if row.method],
            better=BETTER,
            bars=[bar_chart(classes, page.columns) for classes in page.classes],
            examples=[example_row(example, page.columns) for example in page.examples],
            tiles=[example_row(tile, page.columns, lossless=False) for tile in page.tiles],
            errors=error_scenes(page.scenes, page.columns),
            curves=[loss_chart(curves) for curves in page.curves if curves.epochs],
            about=[(title, list(values.items())) for title, values in page.about.items() if values],
        )
    )


def _full_row(row: ScoreRow, columns: int, baselines: Sequence[str]) -> FullRow:
    cells = [*row.cells, *[ScoreCell("")] * (columns - len(row.cells))]
    return FullRow(row, cells, [row.baselines.get(title, "") for title in baselines])


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
    # The hashes allow this style and this script only, so that injected markup could do nothing.
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
    """Replace the characters of text that HTML cannot contain, and show marks that would turn text around."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return UNFIT.sub("\ufffd", escape_directions(value.replace("\r\n", "\n").replace("\r", "\n")))
    return value
