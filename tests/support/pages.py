"""The pages of the documentation: their blocks, written and run as a user would."""

import io
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import torch
from typer.testing import CliRunner, Result

from sattrans.cli import app

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)

PRINTS = "prints"
"""The title of a block that holds what the commands before it print."""


SWITCHES = {"--help", "--quiet", "--verbose", "--json"}
"""What every command has; the page for scripts tells of them."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its title (a path, or what it is), its text."""

    language: str
    title: str
    text: str


def blocks(page: Path, language: str = "") -> list[Block]:
    found = [Block(*match) for match in BLOCK.findall(page.read_text(encoding="utf-8"))]
    return [block for block in found if language in ("", block.language)]


def write_files(page: Path, folder: Path) -> None:
    """Write the blocks that are titled with a path."""
    for block in blocks(page):
        if block.title and block.title != PRINTS:
            path = folder / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")


def sattrans(line: str) -> Result:
    command, *arguments = shlex.split(line)
    assert command == "sattrans"
    return CliRunner().invoke(app, arguments)


def run_page(page: Path) -> None:
    """Run a page's commands in their order in the current folder, and compare what they print with what it says."""
    printed = ""
    for block in blocks(page):
        if block.language == "bash":
            printed = ""
            for line in block.text.splitlines():
                printed += run_line(line)
        elif block.title == PRINTS:
            expected = levelled(block.text)
            assert levelled(printed)[-len(expected) :] == expected, f"{page.name}: another output\n{printed}"


def run_line(line: str) -> str:
    """Run a line of a page as a user would, and return what it prints."""
    if line.startswith("sattrans "):
        result = sattrans(line)
        assert result.exit_code == 0, f"{line}\n{result.output}"
        return result.output
    if line.startswith("pip install --editable "):
        install(Path(line.split()[-1]))
        return ""
    assert line.startswith("python "), f"no test knows how to run: {line}"
    script = line.removeprefix("python ")
    if Path(script).is_file():  # in this process, which has loaded torch
        with redirect_stdout(io.StringIO()) as printed:
            runpy.run_path(script, run_name="__main__")
        return printed.getvalue()
    done = subprocess.run([sys.executable, *shlex.split(line)[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


def install(package: Path) -> None:
    """Install a package into `site`, which the test has put on the path; without the network."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-build-isolation", "--no-deps", "--target", "site", f"./{package}"], check=True)


FROM_NUMBERS = {
    r"-?\d+(\.\d+)?": "0",
    r"^seams: [a-z ]+ \(": "seams: (",
    r"(?<=\S) [*~]+(?=  |$)": "",  # what a table of scores marks
    r"^By KID .*": "By KID",
    r"(?<= flat class colours score better than )(\S+) by .*(?=: )": r"\1 by SCORES",
}
"""What a machine computes in its own way, and what is concluded from that: patterns, and what stands for each."""


FROM_TIME = re.compile(r"^.+ \(\d+%\), [\d:]+ passed.*$|^.*\bthe last step in about .*$", re.MULTILINE)
"""Lines about progress, which a slow machine prints and a quick one does not."""


def levelled(text: str) -> list[str]:
    """Return the lines without their numbers and conclusions, and without those about progress."""
    text = FROM_TIME.sub("", text)
    for pattern, same in FROM_NUMBERS.items():
        text = re.sub(pattern, same, text, flags=re.MULTILINE)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    return [line for line in lines if line]


@contextmanager
def one_thread() -> Iterator[None]:
    # Tests run on all cores already: threads that wait for each other only slow them down.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def section(page: Path, title: str) -> str:
    """Return what stands under a second-level heading."""
    return page.read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]
