"""sattrans evaluate."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sattrans.cli.console import guarded, notify, say, show_table
from sattrans.cli.params import Device, Seed
from sattrans.errors import OptionError, UsageError
from sattrans.utils.console import pluralize

if TYPE_CHECKING:
    from sattrans.evaluate import Evaluation

IMAGES = (".tif", ".tiff")

LEGEND = (
    "(in brackets: 95 % interval over images;{} * clearly the best: paired 95 % intervals exclude 0; "
    "~ does not distinguish pairs from shuffled ones; = compares sets, not pairs)"
)
OF_SEEDS = " in square brackets: the lowest and the highest seed;"


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
        list[Path] | None,
        typer.Argument(
            help="Runs of one tileset, or generated GeoTIFFs for their seams. "
            "[dim]Default: the newest finished run.[/dim]"
        ),
    ] = None,
    split: Annotated[
        SplitName | None, typer.Option(help="The tiles to score on. [dim]Default: test, else val.[/dim]")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder for report.html, scores.json, scores.csv, scores.md, sheet.png. "
            "[dim]Default: evaluations/<runs>-<split>.[/dim]",
        ),
    ] = None,
    pairs: Annotated[
        bool,
        typer.Option("--pairs", help="Take folders instead of runs: REAL FAKE…, images of the same names in each."),
    ] = False,
    data: Annotated[Path | None, typer.Option(help="The runs' tileset, where it is no longer where it was.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Tiles translated at once.")] = 8,
    metrics: Annotated[
        str | None, typer.Option(help="Names of metrics, as in mae,ssim. [dim]Default: all that can be computed.[/dim]")
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
    from sattrans.evaluate import EvaluateOptions, evaluate_pairs
    from sattrans.evaluate import evaluate as score

    paths = runs or []
    images = [path for path in paths if path.is_file() or path.suffix.lower() in IMAGES]
    if images:
        if len(images) < len(paths) or pairs:
            raise UsageError(f"{images[0]} is a file: images are scored for their seams, apart from runs and folders")
        told = {"split": split, "output": output, "data": data, "metrics": metrics, "segmenter": segmenter}
        given = [name for name, value in {**told, "weights": weights or None}.items() if value is not None]
        if given:
            raise UsageError(f"{images[0]} is a file: images are scored for their seams alone, without --{given[0]}")
        _seams(images)
        return
    options = EvaluateOptions(
        split.value if split else None,
        batch_size,
        device,
        seed,
        [name.strip() for name in metrics.split(",")] if metrics is not None else [],
        segmenter,
        dict(_named_file(text) for text in weights or ()),
        data,
    )
    if pairs and len(paths) < 2:
        raise UsageError("--pairs takes two folders at least: real images, and those to score")
    result = evaluate_pairs(paths[0], paths[1:], options, output) if pairs else score(paths, options, output)
    _show(result)


def _show(result: "Evaluation") -> None:
    heads, lines = result.table()
    show_table(heads, lines, numeric=True, narrow=result.table("\n")[1])
    say(LEGEND.format(OF_SEEDS if any(column.spread for column in result.columns) else ""))
    notify(result.notes)
    what = "image" if result.split == "pairs" else f"{result.split} tile"
    say(f"{result.folder}: {pluralize(result.images, what)}; look at report.html")


def _seams(images: list[Path]) -> None:
    """Score generated images for their seams."""
    from sattrans.generate.seams import seams_of

    rows = []
    for path in images:
        found = seams_of(path)
        rows.append([str(path), *([f"{found.gradient:.3f}", f"{found.detail:.3f}"] if found else ["–", "–"])])
    show_table(["image", "seam gradient → 1", "overlap detail → 1"], rows, numeric=True)
    say(
        "(across the lines where windows meet, and where they overlap, against inside; 1 is seamless, – too few to say)"
    )


def _named_file(text: str) -> tuple[str, Path]:
    name, sign, path = text.partition("=")
    if not (name and sign and path):
        raise OptionError(f"--weights {text}: NAME=FILE is needed, as in vgg19=vgg19-dcbb9e9d.pth")
    return name, Path(path)
