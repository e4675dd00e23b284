"""sattrans tile."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sattrans.cli.console import notify, present, say, show_table
from sattrans.cli.options import DryRun, Overwrite, command
from sattrans.tile.options import TileOptions
from sattrans.utils.console import NOTHING_TO_DO, pluralize

if TYPE_CHECKING:
    from sattrans.cli.documents import TileDocument
    from sattrans.data.tileset import Tileset
    from sattrans.tile import TilePlan, TileResult
    from sattrans.tile.leakage import Leakage


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("tile", rich_help_panel="The path from map to image")(command(tile, with_json=True))


def tile(
    root: Annotated[Path, typer.Argument(metavar="FOLDER", help="The dataset's folder.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="The tileset's folder. [dim]Default: tiles/<dataset>-<size>, of own data tiles/<folder>-<size>.[/dim]",
        ),
    ] = None,
    options: TileOptions = TileOptions(),
    *,
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
) -> None:
    """Cut a dataset's images and masks into a tileset.

    Example: sattrans tile landcover/ --size 512
    """
    from sattrans.tile import tile as run

    result = run(root, output, options, overwrite=overwrite, dry_run=dry_run)
    notify(result.notices)
    if plan := result.plan:
        present(lambda: _planned(plan), lambda: _show_plan(plan), asked=True)
    else:
        present(lambda: _made(result), lambda: _summarise(result))


def _planned(plan: "TilePlan") -> "TileDocument":
    from sattrans.cli.documents import Leaks, Scene, TileDocument

    return TileDocument(
        folder=plan.folder,
        dry_run=True,
        made=False,
        size=plan.size,
        tiles=dict(plan.splits),
        scenes=[Scene(id=s.id, width=s.width, height=s.height, tiles=dict(s.splits)) for s in plan.scenes],
        classes={},
        dropped={},
        leaks=Leaks(**plan.leakage.to_json()),
        bytes=plan.bytes,
    )


def _made(result: "TileResult") -> "TileDocument":
    from sattrans.cli.documents import Leaks, Scene, TileDocument
    from sattrans.tile.api import class_balance

    tileset = result.tileset
    tiles: dict[str, dict[str, int]] = {}
    for tile in tileset.tiles:
        of_scene = tiles.setdefault(tile.scene, {})
        of_scene[tile.split] = of_scene.get(tile.split, 0) + 1
    paired = [split for split, count in tileset.manifest["tiles"].items() if count and split != "unpaired"]
    palette = tileset.palette
    return TileDocument(
        folder=result.folder,
        dry_run=False,
        made=result.made,
        size=tileset.size,
        tiles=dict(tileset.manifest["tiles"]),
        scenes=[
            Scene(id=s.id, width=s.width, height=s.height, tiles=tiles.get(s.id, {})) for s in tileset.scenes.values()
        ],
        classes={
            split: dict(zip(palette.names, class_balance(tileset, palette, split), strict=True)) for split in paired
        }
        if palette
        else {},
        dropped=dict(result.dropped),
        leaks=Leaks(**result.leakage.to_json()),
    )


def _show_plan(plan: "TilePlan") -> None:
    from sattrans.data.dataset import SPLITS, UNPAIRED

    splits = [split for split in (*SPLITS, UNPAIRED) if split in plan.splits]
    rows = [
        [scene.id, f"{scene.width} × {scene.height}", *(str(scene.splits.get(split, 0)) for split in splits)]
        for scene in plan.scenes[:MOST_SCENES]
    ]
    if len(plan.scenes) > MOST_SCENES:
        rows.append([f"and {len(plan.scenes) - MOST_SCENES} more", "", *("" for _ in splits)])
    rows.append(["all", "", *(str(plan.splits[split]) for split in splits)])
    show_table(["scene", "pixels", *splits], rows, numeric=True)
    say(
        f"{plan.folder}: {pluralize(sum(plan.splits.values()), 'tile')} of {plan.size} px from "
        f"{pluralize(len(plan.scenes), 'scene')}, about {_bytes(plan.bytes)}; {_leaks(plan.leakage)}; nothing written"
    )


MOST_SCENES = 50
"""Of a dry run that are shown, a row each."""


def _bytes(count: int) -> str:
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB" if size < 1000 else f"{size / 1000:.3g} TB"


def _leaks(leakage: "Leakage") -> str:
    """Return the leakage report as a line."""
    if not leakage.tiles:
        return "tiles of different splits do not touch"
    kinds = ", ".join(f"{kind} {count}" for kind, count in leakage.by_splits.items())
    between = f", {leakage.between_scenes} of them between scenes" if leakage.between_scenes else ""
    one, many = "pair of tiles of different splits touches", "pairs of tiles of different splits touch"
    return (
        f"{pluralize(leakage.touching, one, many)}, {pluralize(leakage.overlapping, 'overlaps', 'overlap')}{between} "
        f"({kinds}; {pluralize(leakage.tiles, 'tile')}; --buffer 1 leaves such tiles out)"
    )


WHY = {"nodata": "with nodata (--min-valid)", "empty": "empty (--drop-empty)"}
"""What a reason for leaving cells out is called, and which option asks for it."""


def _summarise(result: "TileResult") -> None:
    tileset = result.tileset
    show_tileset(tileset)
    dropped = "".join(f", {count} {WHY.get(reason, reason)} left out" for reason, count in result.dropped.items())
    done = "" if result.made else f" ({NOTHING_TO_DO})"
    say(
        f"{result.folder}: {pluralize(len(tileset.tiles), 'tile')} of {tileset.size} px from "
        f"{pluralize(len(tileset.scenes), 'scene')}{dropped}; {_leaks(result.leakage)}{done}"
    )


def show_tileset(tileset: "Tileset") -> None:
    """Print the number of tiles of each split, and the share of each class."""
    from sattrans.tile.api import class_balance

    palette = tileset.palette
    rows = []
    for split, count in tileset.manifest["tiles"].items():
        if split == "unpaired" and not count:
            continue
        paired = palette and split != "unpaired"
        shares = (f"{share:.1%}" for share in class_balance(tileset, palette, split)) if palette and paired else ()
        rows.append([split, str(count), *shares])
    show_table(["split", "tiles", *(palette.names if palette else ())], rows, numeric=True)
