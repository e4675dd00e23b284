"""sattrans colorize."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sattrans.cli.console import notify, present, say
from sattrans.cli.options import DryRun, Overwrite, command
from sattrans.colorize.options import ColorizeOptions

if TYPE_CHECKING:
    from sattrans.cli.documents import ColorizeDocument
    from sattrans.colorize import ColorizeResult


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("colorize", rich_help_panel="The path from map to image")(command(colorize, with_json=True))


def colorize(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A mask, a folder of masks, a dataset or a tileset.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="A file or a folder. [dim]Default: <name>.color.tif, <folder>-color/.[/dim]",
        ),
    ] = None,
    options: ColorizeOptions = ColorizeOptions(),
    *,
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
) -> None:
    """Turn masks into maps a person can read; writes copies.

    Example: sattrans colorize landcover/
    """
    from sattrans.colorize import colorize as run

    result = run(path, output, options, overwrite=overwrite, dry_run=dry_run)
    notify(result.notices)
    present(lambda: _document(result, dry_run), lambda: _show(result, path, dry_run), asked=dry_run)


def _document(result: "ColorizeResult", dry_run: bool) -> "ColorizeDocument":
    from sattrans.cli.documents import ColorizeDocument

    return ColorizeDocument(
        dry_run=dry_run,
        made=list(result.made),
        existing=list(result.existing),
        planned=list(result.planned),
        legend=result.legend,
    )


def _show(result: "ColorizeResult", path: Path, dry_run: bool) -> None:
    made, existing = len(result.made), len(result.existing)
    first = (result.made + result.existing + result.planned)[0]
    target = first if path.is_file() else first.parent
    if dry_run:
        say(f"{target}: {len(result.planned)} would be coloured, {existing} were there; nothing written")
        return
    idle = " (nothing to do)" if not made and not result.legend_made else ""
    say(f"{target}: {made} coloured" + (f", {existing} were there{idle}" if existing else ""))
    if result.legend:
        say(f"{result.legend}: the legend" + ("" if result.legend_made else ", was there"))
