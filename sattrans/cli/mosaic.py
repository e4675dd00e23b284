"""sattrans mosaic."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sattrans.cli.console import notify, present, say
from sattrans.cli.options import DryRun, Overwrite, command
from sattrans.mosaic.options import MosaicOptions
from sattrans.utils.console import NOTHING_TO_DO, pluralize
from sattrans.utils.process import configure_mosaic

if TYPE_CHECKING:
    from sattrans.cli.documents import MosaicDocument
    from sattrans.mosaic import MosaicResult


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("mosaic", rich_help_panel="The path from map to image")(command(mosaic, with_json=True))


def mosaic(
    tiles: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder of georeferenced tiles, or a tileset.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="The GeoTIFF to write. [dim]Default: <folder>-mosaic.tif.[/dim]"
        ),
    ] = None,
    options: MosaicOptions = MosaicOptions(),
    *,
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
) -> None:
    """Join georeferenced tiles into one GeoTIFF.

    Example: sattrans mosaic parts/ -o mosaic.tif
    """
    configure_mosaic()
    from sattrans.mosaic import mosaic as run

    result = run(tiles, output, options, overwrite=overwrite, dry_run=dry_run)
    if result.gaps:
        notify([_gaps(result)])
    present(lambda: _document(result), lambda: _show(result), asked=dry_run)


def _document(result: "MosaicResult") -> "MosaicDocument":
    from sattrans.cli.documents import Gap, MosaicDocument

    need = result.estimate
    return MosaicDocument(
        output=result.output,
        dry_run=need is not None,
        made=result.made,
        width=result.width,
        height=result.height,
        tiles=result.tiles,
        gap_share=result.gap_share,
        gaps=[Gap(row=w.row, column=w.col, width=w.width, height=w.height) for w in result.gaps],
        memory=need and need.memory,
        disk=need and need.disk,
        free=need and need.free,
    )


def _show(result: "MosaicResult") -> None:
    size = f"{result.output}: {result.width} wide × {result.height} high from {pluralize(result.tiles, 'tile')}"
    if result.estimate:
        from sattrans.raster.cog.disk_space import format_bytes

        need = result.estimate
        say(
            f"{size} would need about {format_bytes(need.memory)} of memory, and {format_bytes(need.disk)} of disk "
            f"while it is written ({format_bytes(need.free)} are free)"
        )
        return
    say(size + ("" if result.made else f" ({NOTHING_TO_DO})"))


def _gaps(result: "MosaicResult") -> str:
    largest, count = result.gaps[0], len(result.gaps)
    gaps = "1 gap," if count == 1 else f"{count} gaps, the largest"
    return (
        f"{100 * result.gap_share:.2f} % of the mosaic is not covered by any tile ({gaps} {largest.width} wide × "
        f"{largest.height} high at row {largest.row}, column {largest.col})"
    )
