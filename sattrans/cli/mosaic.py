"""sattrans mosaic."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sattrans.cli.frame import guarded, say
from sattrans.cli.params import Overwrite


class MethodName(StrEnum):
    """What is done where tiles overlap."""

    first = "first"
    last = "last"
    mean = "mean"
    feather = "feather"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("mosaic", rich_help_panel="The path from map to image")(guarded(mosaic))


def mosaic(
    tiles: Annotated[Path, typer.Argument(help="A folder of georeferenced tiles, or a tileset.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The GeoTIFF to write.")],
    blend: Annotated[
        MethodName | None, typer.Option(help="Where tiles overlap. [dim]Default: feather; first for class maps.[/dim]")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Join georeferenced tiles into one GeoTIFF.

    Example: sattrans mosaic parts/ -o mosaic.tif
    """
    from sattrans.mosaic import mosaic as join

    result = join(tiles, output, blend.value if blend else None, overwrite)
    gap = f"; {result.gap:.1%} of it is covered by no tile" if result.gap > 0 else ""
    done = "" if result.made else " (nothing to do: it was there)"
    say(f"{result.output}: {result.width} wide × {result.height} high from {result.tiles} tiles{gap}{done}")
