"""Write the tables of options into the pages, from the options themselves: `python docs/make_options.py`.

A table stands between `<!-- options: sattrans.tile.options.TileOptions -->` and `<!-- end of options -->`.
"""

import re
from importlib import import_module
from pathlib import Path

from sattrans.utils.options import markdown_table

DOCS = Path(__file__).parent
TABLE = re.compile(r"(<!-- options: ([\w.]+)\.(\w+) -->\n).*?(<!-- end of options -->)", re.DOTALL)


def with_tables(text: str) -> str:
    """Return a page with its tables written anew."""
    return TABLE.sub(lambda m: m[1] + "\n" + markdown_table(getattr(import_module(m[2]), m[3])) + "\n" + m[4], text)


if __name__ == "__main__":
    for page in sorted(DOCS.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        if (anew := with_tables(text)) != text:
            page.write_text(anew, encoding="utf-8")
