"""sattrans evaluate."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sattrans.cli.frame import guarded, notify, say, show_table
from sattrans.cli.params import Device, Seed
from sattrans.errors import OptionError

if TYPE_CHECKING:
    from sattrans.evaluate import Evaluation
    from sattrans.evaluating.gather import Score
    from sattrans.evaluating.scoring import Scored


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
    metrics: Annotated[
        str | None, typer.Option(help="Names of scores, as in mae,ssim. [dim]Default: all that can be had.[/dim]")
    ] = None,
    segmenter: Annotated[
        str | None,
        typer.Option(help="For mIoU: train, to train one on the real tiles once and keep it; or a kept one's file."),
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            help="vgg19=FILE, inception=FILE: for VGG19, FID, KID. [dim]Else those in $SATTRANS_WEIGHTS.[/dim]"
        ),
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Score runs against real tiles, alone or side by side.

    Example: sattrans evaluate runs/a runs/b
    """
    from sattrans.evaluate import evaluate as score

    names = [name.strip() for name in metrics.split(",")] if metrics else []
    files = dict(_named_file(text) for text in weights or ())
    result = score(
        runs or (), split.value if split else None, output, batch_size, device, seed, names, segmenter, files
    )
    notify(result.notices)
    show_table(*_table(result), numeric=True)
    images = len(result.scores[0].images)
    say("(in brackets: 95 % interval over tiles; ~ cannot tell pairs from shuffled ones; = compares sets, not pairs)")
    say(f"{result.folder}: {images} {result.split} tiles; scores.csv has each tile's, sheet.png shows some")


def _named_file(text: str) -> tuple[str, Path]:
    name, sign, path = text.partition("=")
    if not (name and sign and path):
        raise OptionError(f"--weights {text}: NAME=FILE is needed, as in vgg19=vgg19-dcbb9e9d.pth")
    return name, Path(path)


def _table(result: "Evaluation") -> tuple[list[str], list[list[str]]]:
    """Return columns and rows: a metric a row, a run a column, and the floors beside it."""
    arrows = {"lower": "↓", "higher": "↑", "real": "→ real"}
    columns = ["score", *(scored.run.name for scored in result.scores), "shuffled", *FLOORS.values()]
    rows = []
    for metric in result.metrics:
        if metric.name in result.missing:
            rows.append([metric.title, result.missing[metric.name]])
            continue
        own = [scored.scored.scores[metric.name] for scored in result.scores]
        shuffled = [_shuffled(scored.scored, metric.name) for scored in result.scores]
        floors = [_number(f.scores[metric.name].value if metric.name in f.scores else None) for f in _floors(result)]
        title = f"{metric.title} {arrows[metric.better]}"
        rows.append([title, *map(_with_interval, own), " / ".join(dict.fromkeys(shuffled)), *floors])
    return columns, [row + [""] * (len(columns) - len(row)) for row in rows]


FLOORS = {"real": "real", "class_colors": "class colours"}


def _floors(result: "Evaluation") -> "list[Scored]":
    from sattrans.evaluating.scoring import Scored

    return [result.floors.get(name, Scored({})) for name in FLOORS]


def _with_interval(score: "Score") -> str:
    if score.interval is None:
        return _number(score.value)
    return f"{_number(score.value)} ({_number(score.interval.low)} to {_number(score.interval.high)})"


def _shuffled(scored: "Scored", name: str) -> str:
    if name not in scored.shuffled:
        return "="
    return _number(scored.shuffled[name].value) + ("" if scored.tells_pairs(name) else " ~")


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
