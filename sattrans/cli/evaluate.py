"""sattrans evaluate."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sattrans.cli.console import notify, say, show_table
from sattrans.cli.options import DryRun, Overwrite, command, given_options
from sattrans.errors import UsageError
from sattrans.evaluate.options import EvaluateOptions
from sattrans.utils.console import pluralize

if TYPE_CHECKING:
    from sattrans.evaluate import Evaluation

IMAGES = (".tif", ".tiff")

LEGEND = (
    "(in brackets: 95 % interval over images;{} * clearly the best: paired 95 % intervals exclude 0; "
    "~ does not distinguish pairs from shuffled ones; = compares sets, not pairs)"
)
OF_SEEDS = " in square brackets: the lowest and the highest seed;"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("evaluate", rich_help_panel="The path from map to image")(command(evaluate))


def evaluate(
    ctx: typer.Context,
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="Runs of one tileset, or generated GeoTIFFs for their seams. "
            "[dim]Default: the newest finished run.[/dim]",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Folder for report.html, scores.json, scores.csv, scores.md, sheet.png. "
            "[dim]Default: evaluations/<runs>-<split>.[/dim]",
        ),
    ] = None,
    pairs: Annotated[
        bool,
        typer.Option(
            "--pairs", metavar="", help="Take folders instead of runs: REAL FAKE…, images of the same names in each."
        ),
    ] = False,
    options: EvaluateOptions = EvaluateOptions(),
    *,
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
) -> None:
    """Score runs against real tiles, alone or side by side.

    Example: sattrans evaluate runs/a runs/b
    """
    paths = runs or []
    images = [path for path in paths if path.is_file() or path.suffix.lower() in IMAGES]
    if images:
        if len(images) < len(paths) or pairs:
            raise UsageError(f"{images[0]} is a file: images are scored for their seams, apart from runs and folders")
        others = [name for name in given_options(ctx) if name != "runs"]
        if others:
            flag = others[0].replace("_", "-")
            raise UsageError(f"{images[0]} is a file: images are scored for their seams alone, without --{flag}")
        _seams(images)
        return
    if pairs and len(paths) < 2:
        raise UsageError("--pairs takes at least two folders: real images, and those to score")
    from sattrans.evaluate import evaluate as score
    from sattrans.evaluate import evaluate_pairs

    if pairs:
        result = evaluate_pairs(paths[0], paths[1:], output, options, overwrite=overwrite, dry_run=dry_run)
    else:
        result = score(paths, output, options, overwrite=overwrite, dry_run=dry_run)
    _show(result)


def _show(result: "Evaluation") -> None:
    what = "image" if result.split == "pairs" else f"{result.split} tile"
    if result.plan:
        notify(result.notes)
        names = ", ".join(result.plan.names)
        say(f"{result.folder}: {names} would be scored on {pluralize(result.images, what)}; nothing written")
        return
    heads, lines = result.table()
    show_table(heads, lines, numeric=True, narrow=result.table("\n")[1])
    say(LEGEND.format(OF_SEEDS if any(column.spread for column in result.columns) else ""))
    if result.verdict:
        say(result.verdict)
    notify(result.notes)
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
