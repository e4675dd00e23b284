"""Write the tables of options into the pages, from the options themselves: `python docs/make_options.py`.

A table is between `<!-- options: sattrans.tile.options.TileOptions -->` and `<!-- end of options -->`. With `fields`
instead of `options`, it has the names and types of Python.
"""

import re
from importlib import import_module
from pathlib import Path

from sattrans.utils.option_tables import markdown_fields, markdown_table

DOCS = Path(__file__).parent
TABLE = re.compile(r"(<!-- (options|fields): ([\w.]+)\.(\w+) -->\n).*?(<!-- end of options -->)", re.DOTALL)


def with_tables(text: str) -> str:
    """Return a page with its tables written anew."""
    return TABLE.sub(lambda m: f"{m[1]}\n{_table(m[2], m[3], m[4])}\n{m[5]}", text)


def _table(kind: str, module: str, name: str) -> str:
    options = getattr(import_module(module), name)
    return markdown_fields(options) if kind == "fields" else markdown_table(options)


if __name__ == "__main__":
    for page in sorted(DOCS.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        if (anew := with_tables(text)) != text:
            page.write_text(anew, encoding="utf-8")
