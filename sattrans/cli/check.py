"""The command sattrans check."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from sattrans.cli.console import present, say, show_table
from sattrans.cli.guard import guarded

if TYPE_CHECKING:
    from sattrans.cli.documents import CheckEntry

STATES = {"ok": "ok", "note": "–", "broken": "broken"}


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("check", rich_help_panel="What there is")(guarded(check, with_json=True))


def check() -> None:
    """Check the installation, and print a report to paste into an issue; exit with 1 if something is broken.

    Example: sattrans check
    """
    from sattrans.cli.documents import CheckDocument, CheckEntry
    from sattrans.cli.installation import check_installation

    entries = [CheckEntry(what=one.what, state=one.state, found=one.found) for one in check_installation()]
    broken = [entry.what for entry in entries if entry.state == "broken"]
    present(lambda: CheckDocument(ok=not broken, checks=entries), lambda: _show(entries, broken), asked=True)
    if broken:
        raise typer.Exit(1)


def _show(entries: list[CheckEntry], broken: list[str]) -> None:
    show_table(["what", "state", "found"], [[entry.what, STATES[entry.state], entry.found] for entry in entries])
    say(f"broken: {', '.join(broken)}" if broken else "nothing is broken")
