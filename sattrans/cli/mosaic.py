"""sattrans mosaic."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sattrans.cli.console import guarded, notify, say
from sattrans.cli.params import Overwrite
from sattrans.utils.console import pluralize
from sattrans.utils.process import configure_mosaic

if TYPE_CHECKING:
    from sattrans.mosaic import MosaicResult


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
    res: Annotated[
        float | None,
        typer.Option(help="Side of a pixel, in units of the tiles' CRS: other tiles are resampled."),
    ] = None,
    bounds: Annotated[str | None, typer.Option(help="Only left,bottom,right,top, in the tiles' CRS.")] = None,
    co: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="An option of GDAL's COG driver, such as COMPRESS=DEFLATE."),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Threads. [dim]Default: one a processor, up to 8.[/dim]")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the size, and the memory and disk it needs; write nothing.")
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Join georeferenced tiles into one GeoTIFF.

    Example: sattrans mosaic parts/ -o mosaic.tif
    """
    configure_mosaic()
    from sattrans.mosaic import MosaicOptions
    from sattrans.mosaic import mosaic as join

    options = MosaicOptions(blend.value if blend else None, res, bounds, tuple(co or ()), workers)
    result = join(tiles, output, options, overwrite, dry_run)
    if result.gaps:
        notify([_gaps(result)])
    size = f"{result.output}: {result.width} wide × {result.height} high from {pluralize(result.tiles, 'tile')}"
    if result.estimate:
        from sattrans.raster.cog.disk_space import said

        need = result.estimate
        say(
            f"{size} would need about {said(need.memory)} of memory, and {said(need.disk)} of disk while it is written "
            f"({said(need.free)} are free)"
        )
        return
    say(size + ("" if result.made else " (nothing to do: it was there)"))


def _gaps(result: "MosaicResult") -> str:
    largest, count = result.gaps[0], len(result.gaps)
    gaps = "1 gap," if count == 1 else f"{count} gaps, the largest"
    return (
        f"{100 * result.gap_share:.2f} % of the mosaic is not covered by any tile ({gaps} {largest.width} wide × "
        f"{largest.height} high at row {largest.row}, column {largest.col})"
    )
