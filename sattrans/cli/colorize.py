"""sattrans colorize."""

from pathlib import Path
from typing import Annotated

import typer

from sattrans.cli.console import guarded, notify, say
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
    classes: Annotated[
        Path | None,
        typer.Option(
            "--classes", help="A classes.toml: values, names, colours. [dim]Default: one that lies there.[/dim]"
        ),
    ] = None,
    rgb: Annotated[bool, typer.Option("--rgb", help="Write colours instead of values with a colour table.")] = False,
    legend: Annotated[
        bool, typer.Option("--legend", help="Add a PNG: each class's colour, value, name and share of the pixels.")
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Turn masks into maps a person can read; writes copies.

    Example: sattrans colorize landcover/
    """
    from sattrans.colorize import colorize as run

    result = run(path, output, dataset, rgb, overwrite, classes, legend)
    notify(result.notices)
    made, kept = len(result.made), len(result.kept)
    where = (result.made + result.kept)[0]
    target = where if path.is_file() else where.parent
    idle = " (nothing to do)" if not made and not result.legend_made else ""
    say(f"{target}: {made} coloured" + (f", {kept} were there{idle}" if kept else ""))
    if result.legend:
        say(f"{result.legend}: the legend" + ("" if result.legend_made else ", was there"))
