"""The command sattrans tilesets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sattrans.cli.completion import COMPLETIONS
from sattrans.cli.console import present, say, show_table
from sattrans.cli.guard import group
from sattrans.cli.runs import age
from sattrans.utils.folders import tiles_folder

if TYPE_CHECKING:
    from sattrans.cli.documents import TilesetEntry
    from sattrans.data.tileset import Tileset


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    tilesets = group("List tilesets, or show one.", list_tilesets, show=show)
    app.add_typer(tilesets, name="tilesets", rich_help_panel="What there is")


Folder = Annotated[
    Path | None,
    typer.Argument(metavar="FOLDER", help="The folder of the tilesets. [dim]Default: tiles, or $SATTRANS_TILES.[/dim]"),
]


def list_tilesets(under: Folder = None) -> None:
    """List the tilesets in a folder, oldest first; train takes the last by default."""
    from sattrans.cli.documents import TilesetsDocument
    from sattrans.data.tileset import Tileset

    folder = under or tiles_folder()
    entries = [_entry(tileset) for tileset in Tileset.all(folder)]
    present(lambda: TilesetsDocument(folder=folder, tilesets=entries), lambda: _show_list(folder, entries), asked=True)


def _entry(tileset: Tileset) -> TilesetEntry:
    from sattrans.cli.documents import TilesetEntry

    manifest = tileset.manifest
    return TilesetEntry(
        name=tileset.name,
        folder=tileset.folder,
        dataset=manifest["options"]["dataset"],
        size=tileset.size,
        tiles=dict(manifest["tiles"]),
        classes=list(tileset.palette.names) if tileset.palette else [],
        created=manifest["created"],
    )


def _show_list(folder: Path, entries: list[TilesetEntry]) -> None:
    if not entries:
        say(f"no tilesets in {folder}/; sattrans tile FOLDER makes one")
        return
    rows = [
        [
            entry.name,
            entry.dataset,
            f"{entry.size} px",
            ", ".join(f"{split} {count}" for split, count in entry.tiles.items() if count),
            ", ".join(entry.classes) or "none: its maps are pictures",
            age(entry.created),
        ]
        for entry in entries
    ]
    show_table(["tileset", "dataset", "tile", "tiles", "classes", "age"], rows)


def show(
    name: Annotated[
        Path,
        typer.Argument(
            metavar="TILESET",
            autocompletion=COMPLETIONS["tileset names"],
            help="A tileset's folder, or its name under tiles/.",
        ),
    ],
) -> None:
    """Show a tileset: its tiles by split, and the share of each class."""
    from sattrans.cli.documents import TilesetsDocument
    from sattrans.cli.tile import show_tileset
    from sattrans.data.tileset import Tileset

    tileset = Tileset.open(name if name.exists() else tiles_folder() / name)
    present(
        lambda: TilesetsDocument(folder=tileset.folder.parent, tilesets=[_entry(tileset)]),
        lambda: show_tileset(tileset),
        asked=True,
    )
