"""sattrans tile."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sattrans.cli.frame import guarded, notify, say, show_table
from sattrans.cli.params import DatasetName, Overwrite, Seed

if TYPE_CHECKING:
    from sattrans.tile import TileResult


class SplitScheme(StrEnum):
    """How tiles are split."""

    published = "published"
    scene = "scene"
    block = "block"
    random = "random"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("tile", rich_help_panel="The path from map to image")(guarded(tile))


def tile(
    root: Annotated[Path, typer.Argument(help="The dataset's folder.")],
    size: Annotated[
        int | None,
        typer.Option("--size", "-s", help="Side of a tile in pixels. [dim]Default: as published, or 256.[/dim]"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The tileset's folder. [dim]Default: tiles/<dataset>-<size>.[/dim]"),
    ] = None,
    dataset: DatasetName = None,
    overlap: Annotated[int, typer.Option(help="Pixels that neighbouring tiles share.")] = 0,
    bidx: Annotated[
        str | None,
        typer.Option(help="The image's bands for red, green, blue, such as 3,2,1. [dim]Default: 1,2,3.[/dim]"),
    ] = None,
    split: Annotated[
        SplitScheme | None,
        typer.Option(help="How tiles are split. [dim]Default: as published, else by scene or block.[/dim]"),
    ] = None,
    drop_empty: Annotated[
        bool, typer.Option("--drop-empty", help="Leave out tiles of nothing but background.")
    ] = False,
    workers: Annotated[str, typer.Option(help="Processes, or a Dask scheduler's address.")] = "1",
    seed: Seed = 0,
    overwrite: Overwrite = False,
) -> None:
    """Cut a dataset's images and masks into a tileset.

    Example: sattrans tile landcover/ --size 512
    """
    from sattrans.errors import OptionError
    from sattrans.tile import TileOptions
    from sattrans.tile import tile as run

    try:
        bands = tuple(int(number) for number in bidx.split(",")) if bidx else None
    except ValueError:
        raise OptionError(f"--bidx {bidx}: write three band numbers, such as 3,2,1") from None
    options = TileOptions(size, overlap, bands, split.value if split else None, seed, drop_empty)
    result = run(root, output, dataset, options, workers, overwrite)
    notify(result.notices)
    _summarise(result)


def _summarise(result: "TileResult") -> None:
    tileset = result.tileset
    names = tileset.palette.names if tileset.palette else ()
    rows = []
    for split, count in tileset.manifest["tiles"].items():
        tiles = tileset.split(split)
        shares = (sum(t.shares.get(name, 0.0) for t in tiles) / len(tiles) if tiles else 0.0 for name in names)
        rows.append([split, str(count), *(f"{share:.1%}" for share in shares)])
    show_table(["split", "tiles", *names], rows, numeric=True)
    dropped = "".join(f", {count} {reason} left out" for reason, count in result.dropped.items())
    done = "" if result.made else " (nothing to do: it was there)"
    scenes = f"{len(tileset.scenes)} scene{'s' * (len(tileset.scenes) != 1)}"
    say(
        f"{tileset.folder}: {len(tileset.tiles)} tiles of {tileset.size} px from {scenes}"
        f"{dropped}; {result.border} border a tile of another split{done}"
    )
