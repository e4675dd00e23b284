"""sattrans evaluate."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sattrans.cli.frame import guarded, notify, say, show_table
from sattrans.cli.params import Device, Seed


class SplitName(StrEnum):
    """A split of a tileset."""

    train = "train"
    val = "val"
    test = "test"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("evaluate", rich_help_panel="The path from map to image")(guarded(evaluate))


def evaluate(
    runs: Annotated[
        list[Path] | None, typer.Argument(help="Runs of one tileset. [dim]Default: the newest finished one.[/dim]")
    ] = None,
    split: Annotated[
        SplitName | None, typer.Option(help="The tiles to score on. [dim]Default: test, else val.[/dim]")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder for scores.csv, scores.json, sheet.png. [dim]Default: evaluations/<runs>-<split>.[/dim]",
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Tiles translated at once.")] = 8,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Score runs against real tiles, alone or side by side.

    Example: sattrans evaluate runs/a runs/b
    """
    from sattrans.evaluate import METRICS
    from sattrans.evaluate import evaluate as score

    result = score(runs or (), split.value if split else None, output, batch_size, device, seed)
    notify(result.notices)
    arrows = {"lower": "↓", "higher": "↑"}
    rows = [
        [
            scored.run.name,
            scored.run.model_name,
            *(
                "–"
                if (mean := scored.means[m.name]) is None
                else f"{mean:.4g}"
                if m.name != "l1_sum"
                else f"{mean:.0f}"
                for m in METRICS
            ),
        ]
        for scored in result.scores
    ]
    show_table(["run", "model", *(f"{m.title} {arrows[m.better]}" for m in METRICS)], rows, numeric=True)
    images = len(result.scores[0].images)
    say(f"{result.folder}: means over {images} {result.split} tiles; scores.csv has each tile's, sheet.png shows some")
