"""Run the commands of a page and write what they print into its blocks: `python docs/make_prints.py tutorial`.

Blocks titled `prints` are written anew, with as many lines as they have. They must differ in their numbers only; if
a command prints something else, edit the page first. The tutorial takes a few CPU minutes.
"""

import os
import re
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).parent.resolve()
sys.path.insert(0, str(DOCS.parent / "tests" / "support"))

from makers import make_folder  # noqa: E402
from pages import BLOCK, PRINTS, levelled, run_line, write_files  # noqa: E402

PROGRESS = re.compile(r"\(\d+%\), .* passed, about .* left")
"""A line that long work logs on a slow machine."""


def make_prints(page: Path) -> str:
    """Run the commands of a page in the current folder, and return the page with what they print."""
    printed = ""

    def written(match) -> str:
        nonlocal printed
        language, title, text = match.groups()
        if language == "bash":
            printed = "".join(run_line(line) for line in text.splitlines())
        elif title == PRINTS:
            lines = [line.rstrip() for line in printed.splitlines() if line.strip() and not PROGRESS.search(line)]
            lines = lines[-len(levelled(text)) :]
            if levelled("\n".join(lines)) != levelled(text):
                raise SystemExit(f"{page.name}: other lines than on the page\n{printed}")
            return match[0].replace(text, "\n".join(lines) + "\n")
        return match[0]

    return BLOCK.sub(written, page.read_text(encoding="utf-8"))


def main() -> None:
    """Write the pages that are named."""
    for name in sys.argv[1:]:
        page = DOCS / f"{name}.md"
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            write_files(page, Path(folder))
            make_folder(Path("place"), scenes=2, size=128, classes_toml=True)  # the reader's own data
            text = make_prints(page)
            os.chdir(DOCS)
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
