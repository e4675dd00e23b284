"""sattrans tile."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sattrans.cli.console import guarded, notify, say, show_table
from sattrans.cli.params import DatasetName, Overwrite, Seed
from sattrans.utils.console import counted

if TYPE_CHECKING:
    from sattrans.tile import DryRun, TileResult
    from sattrans.tile.leakage import Leakage


class SplitScheme(StrEnum):
    """How tiles are split."""

    published = "published"
    scene = "scene"
    block = "block"
    random = "random"


class EdgeRule(StrEnum):
    """What becomes of tiles that stick out of a scene."""

    drop = "drop"
    pad = "pad"
    shift = "shift"


class FileFormat(StrEnum):
    """How tiles are written."""

    tif = "tif"
    png = "png"
    jpg = "jpg"


class FolderLayout(StrEnum):
    """Where tiles are written."""

    tiles = "tiles"
    pairs = "pairs"


class PairDirection(StrEnum):
    """Which half of a side-by-side file is the map."""

    AtoB = "AtoB"
    BtoA = "BtoA"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("tile", rich_help_panel="The path from map to image")(guarded(tile))


GROUND, CHOICE, SPLITS, FILES, RUN = "Image and map", "Which tiles", "Splits", "Files", "Running"


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
    bidx: Annotated[
        str | None,
        typer.Option(
            help="The image's bands for red, green, blue, such as 3,2,1. [dim]Default: 1,2,3.[/dim]",
            rich_help_panel=GROUND,
        ),
    ] = None,
    align: Annotated[
        bool,
        typer.Option("--align", help="Warp a map that lies on another grid onto its image's.", rich_help_panel=GROUND),
    ] = False,
    res: Annotated[
        float | None,
        typer.Option(help="Bring images and maps to this resolution, in units of the CRS.", rich_help_panel=GROUND),
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(
            help="What becomes black and white: two values such as 0,3000, or percentiles such as 2%,98%.",
            rich_help_panel=GROUND,
        ),
    ] = None,
    direction: Annotated[
        PairDirection,
        typer.Option(
            help="Of files side by side: AtoB, the left half is the map; BtoA, the right.", rich_help_panel=GROUND
        ),
    ] = PairDirection.AtoB,
    overlap: Annotated[int, typer.Option(help="Pixels that neighbouring tiles share.", rich_help_panel=CHOICE)] = 0,
    edge: Annotated[
        EdgeRule,
        typer.Option(help="Tiles that stick out: drop, pad with nothing, shift back inside.", rich_help_panel=CHOICE),
    ] = EdgeRule.drop,
    bounds: Annotated[
        str | None,
        typer.Option(
            help="Only tiles wholly within left,bottom,right,top, in the scenes' CRS.", rich_help_panel=CHOICE
        ),
    ] = None,
    aoi: Annotated[
        Path | None,
        typer.Option(help="Only tiles wholly within the polygons of a GeoJSON file.", rich_help_panel=CHOICE),
    ] = None,
    min_valid: Annotated[
        float,
        typer.Option(help="Least part of a tile that must hold something, 0 to 1.", rich_help_panel=CHOICE),
    ] = 1.0,
    drop_empty: Annotated[
        bool,
        typer.Option("--drop-empty", help="Leave out tiles that hold the first class alone.", rich_help_panel=CHOICE),
    ] = False,
    min_share: Annotated[
        list[str] | None,
        typer.Option(help="Least part of a tile that a class covers, such as building=0.01.", rich_help_panel=CHOICE),
    ] = None,
    unpaired: Annotated[bool, typer.Option(help="Tile images that have no map, too.", rich_help_panel=CHOICE)] = True,
    split: Annotated[
        SplitScheme | None,
        typer.Option(
            help="How tiles are split. [dim]Default: as published, else by scene or block.[/dim]",
            rich_help_panel=SPLITS,
        ),
    ] = None,
    fractions: Annotated[
        str | None,
        typer.Option(help="Shares of train, val and test. [dim]Default: 0.8,0.1,0.1.[/dim]", rich_help_panel=SPLITS),
    ] = None,
    buffer: Annotated[
        int,
        typer.Option(help="Pixels that lie at least between tiles of different splits.", rich_help_panel=SPLITS),
    ] = 0,
    merge_val: Annotated[
        bool, typer.Option("--merge-val", help="Train on the val tiles, too.", rich_help_panel=SPLITS)
    ] = False,
    seed: Seed = 0,
    format_: Annotated[
        FileFormat | None,
        typer.Option(
            "--format", help="How tiles are written; maps never as jpg. [dim]Default: tif.[/dim]", rich_help_panel=FILES
        ),
    ] = None,
    layout: Annotated[
        FolderLayout,
        typer.Option(
            help="pairs: map and image side by side in train/, val/, test/, for other tools.", rich_help_panel=FILES
        ),
    ] = FolderLayout.tiles,
    preview: Annotated[
        bool,
        typer.Option("--preview", help="Write preview.png, a sheet of tiles to look at.", rich_help_panel=FILES),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be written; write nothing.", rich_help_panel=RUN)
    ] = False,
    workers: Annotated[
        str | None,
        typer.Option(
            help="Threads, or a Dask scheduler's address. [dim]Default: one a processor.[/dim]", rich_help_panel=RUN
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Cut a dataset's images and masks into a tileset.

    Example: sattrans tile landcover/ --size 512
    """
    from sattrans.tile import TileOptions
    from sattrans.tile import dry_run as look
    from sattrans.tile import tile as run
    from sattrans.tile.splits import parse_fractions

    options = TileOptions(
        size=size,
        overlap=overlap,
        bidx=_bands(bidx),
        split=split.value if split else None,
        seed=seed,
        drop_empty=drop_empty,
        align=align,
        res=res,
        scale=scale,
        bounds=bounds,
        aoi=aoi,
        edge=edge.value,
        min_valid=min_valid,
        min_share=_shares(min_share or []),
        fractions=parse_fractions(fractions) if fractions else None,
        merge_val=merge_val,
        buffer=buffer,
        format=format_.value if format_ else None,
        layout=layout.value,
        direction=direction.value,
        unpaired=unpaired,
    )
    if dry_run:
        _show_plan(look(root, output, dataset, options))
        return
    result = run(root, output, dataset, options, workers, overwrite, preview)
    notify(result.notices)
    _summarise(result)


def _bands(text: str | None) -> tuple[int, ...] | None:
    from sattrans.errors import OptionError

    try:
        return tuple(int(number) for number in text.split(",")) if text else None
    except ValueError:
        raise OptionError(f"--bidx {text}: write three band numbers, such as 3,2,1") from None


def _shares(texts: list[str]) -> dict[str, float]:
    from sattrans.errors import OptionError

    shares = {}
    for text in texts:
        name, _, share = text.rpartition("=")
        try:
            shares[name] = float(share)
        except ValueError:
            raise OptionError(f"--min-share {text}: write a class and a part, such as building=0.01") from None
    return shares


def _show_plan(plan: "DryRun") -> None:
    from sattrans.data.dataset import SPLITS, UNPAIRED

    notify(plan.notices)
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
        f"{plan.folder}: {counted(sum(plan.splits.values()), 'tile')} of {plan.size} px from "
        f"{counted(len(plan.scenes), 'scene')}, about {_bytes(plan.bytes)}; {_leaks(plan.leakage)}; nothing written"
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
        return "no tile touches one of another split"
    kinds = ", ".join(f"{kind} {count}" for kind, count in leakage.by_splits.items())
    between = f", {leakage.between_scenes} of them between scenes" if leakage.between_scenes else ""
    one, many = "pair of tiles of different splits touches", "pairs of tiles of different splits touch"
    return (
        f"{counted(leakage.touching, one, many)}, {counted(leakage.overlapping, 'overlaps', 'overlap')}{between} "
        f"({kinds}; {counted(leakage.tiles, 'tile')})"
    )


WHY = {"nodata": "with nodata (--min-valid)", "empty": "empty (--drop-empty)"}
"""What a reason for leaving cells out is called, and which option asks for it."""


def _summarise(result: "TileResult") -> None:
    from sattrans.tile.api import class_balance

    tileset = result.tileset
    palette = tileset.palette
    rows = []
    for split, count in tileset.manifest["tiles"].items():
        if split == "unpaired" and not count:
            continue
        paired = palette and split != "unpaired"
        shares = (f"{share:.1%}" for share in class_balance(tileset, palette, split)) if palette and paired else ()
        rows.append([split, str(count), *shares])
    show_table(["split", "tiles", *(palette.names if palette else ())], rows, numeric=True)
    dropped = "".join(f", {count} {WHY.get(reason, reason)} left out" for reason, count in result.dropped.items())
    done = "" if result.made else " (nothing to do: it was there)"
    say(
        f"{tileset.folder}: {counted(len(tileset.tiles), 'tile')} of {tileset.size} px from "
        f"{counted(len(tileset.scenes), 'scene')}{dropped}; {_leaks(result.leakage)}{done}"
    )
