"""sattrans colorize."""

from pathlib import Path
from typing import Annotated

import typer

from sattrans.cli.frame import guarded, notify, say
from sattrans.cli.params import DatasetName, Overwrite


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("colorize", rich_help_panel="The path from map to image")(guarded(colorize))


def colorize(
    path: Annotated[Path, typer.Argument(help="A mask, a folder of masks, a dataset or a tileset.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="A file or a folder. [dim]Default: <name>.color.tif, <folder>-color/.[/dim]"
        ),
    ] = None,
    dataset: DatasetName = None,
    rgb: Annotated[bool, typer.Option("--rgb", help="Write colours instead of values with a colour table.")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Turn masks into maps a person can read; writes copies.

    Example: sattrans colorize landcover/
    """
    from sattrans.colorize import colorize as run

    result = run(path, output, dataset, rgb, overwrite)
    notify(result.notices)
    made, kept = len(result.made), len(result.kept)
    where = (result.made + result.kept)[0]
    target = where if made + kept == 1 else where.parent
    say(f"{target}: {made} coloured" + (f", {kept} were there (nothing to do)" if kept else ""))
