"""Write `cli.md` from the command line itself: `python docs/make_cli.py`."""

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).with_name("cli.md")

HEAD = """\
<!-- Written by docs/make_cli.py from the commands' own help: change that, then run it again. -->

# Command line

Results go to stdout; notes, progress and errors go to stderr. The exit status is 0 for success, or if there is nothing
to do; 1 if the command failed; 2 if the command or its options are wrong; 128 plus the number of the signal after a
signal.
"""


def page() -> str:
    """Return the text of `cli.md`."""
    command = [sys.executable, "-m", "typer", "sattrans.cli", "utils", "docs", "--name", "sattrans"]
    text = subprocess.run(command, capture_output=True, check=True).stdout.decode()  # noqa: S603  our own command
    text = re.sub(r"<span [^>]*>|</span>", "", text).replace("&#x27;", "'")
    text = re.sub(r"^Example: (.*)$", r"Example: `\1`", text, flags=re.MULTILINE)
    # Typer cuts the list of commands off after some letters; each command's own section has the whole sentence.
    helps = dict(re.findall(r"^#+ `(sattrans .*)`\n\n(.*)$", text, flags=re.MULTILINE))
    lines = []
    here = ""
    for line in text.strip().splitlines()[1:]:
        here = (re.match(r"#+ `(.*)`$", line) or [None, here])[1] or "sattrans"
        listed = re.match(r"\* `([a-z]+)`: ", line)
        help_text = helps.get(f"{here} {listed[1]}") if listed else None
        lines.append(f"* `{listed[1]}`: {help_text}" if listed and help_text else line.rstrip())
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
