"""sattrans evaluate."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sattrans.cli.completion import COMPLETIONS
from sattrans.cli.console import notify, present, say, show_table
from sattrans.cli.options import DryRun, Overwrite, command, given_options
from sattrans.errors import UsageError
from sattrans.evaluate.options import EvaluateOptions
from sattrans.utils.console import pluralize

if TYPE_CHECKING:
    from sattrans.cli.documents import EvaluateDocument, ScoreEntry, SeamsDocument
    from sattrans.evaluate import Evaluation
    from sattrans.evaluate.scoring import SetScores
    from sattrans.metrics.seams import Seams

IMAGES = (".tif", ".tiff")

LEGEND = (
    "(in brackets: 95 % interval over images;{} * clearly the best: paired 95 % intervals exclude 0; "
    "~ does not distinguish pairs from shuffled ones; = compares sets, not pairs)"
)
OF_SEEDS = " in square brackets: the lowest and the highest seed;"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("evaluate", rich_help_panel="The path from map to image")(command(evaluate, with_json=True))


def evaluate(
    ctx: typer.Context,
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RUN]...",
            autocompletion=COMPLETIONS["runs"],
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
    if result.plan:
        notify(result.notes)
    present(lambda: _document(result), lambda: _show(result), asked=True)


def _document(result: "Evaluation") -> "EvaluateDocument":
    from sattrans.cli.documents import Column, DownstreamEntry, EvaluateDocument

    plan, downstream = result.plan, result.downstream
    return EvaluateDocument(
        folder=result.folder,
        verdict=result.verdict,
        dry_run=plan is not None,
        split=result.split,
        images=result.images,
        names=list(plan.names) if plan else [column.name for column in result.columns],
        metrics={row.metric.name: row.metric.title for row in result.rows if not row.missing},
        columns=[Column(name=column.name, scores=_scores(column.scores)) for column in result.columns],
        baselines={name: _scores(scores) for name, scores in result.baselines.items()},
        downstream=DownstreamEntry.model_validate(downstream.to_json()) if downstream else None,
        notes=list(result.notes),
    )


def _scores(scores: "SetScores") -> "dict[str, ScoreEntry]":
    from sattrans.cli.documents import ScoreEntry

    found = {}
    for name, score in scores.metrics.items():
        low, high = score.interval or (None, None)
        found[name] = ScoreEntry(value=score.value, low=low, high=high)
    return found


def _show(result: "Evaluation") -> None:
    what = "image" if result.split == "pairs" else f"{result.split} tile"
    if result.plan:
        names = ", ".join(result.plan.names)
        say(f"{result.folder}: {names} would be scored on {pluralize(result.images, what)}; nothing written")
        return
    heads, lines = result.table()
    show_table(heads, lines, numeric=True, narrow=result.table("\n")[1])
    say(LEGEND.format(OF_SEEDS if any(column.spread for column in result.columns) else ""))
    if result.verdict:
        say(result.verdict)
    if downstream := result.downstream:
        say("")
        show_table(*downstream.table(), numeric=True, narrow=downstream.table("\n")[1])
        say(downstream.verdict)
    notify(result.notes)
    say(f"{result.folder}: {pluralize(result.images, what)}; look at report.html")


def _seams(images: list[Path]) -> None:
    """Score generated images for their seams."""
    from sattrans.generate.seams import seams_of
    from sattrans.utils.addresses import address_of
    from sattrans.utils.copies import copied

    here = [copied(address) if (address := address_of(path)) else path for path in images]
    found = {path: seams_of(path) for path in here}
    present(lambda: _seams_document(found), lambda: _show_seams(found), asked=True)


def _seams_document(found: "Mapping[Path, Seams | None]") -> "SeamsDocument":
    from sattrans.cli.documents import ImageSeams, SeamScore, SeamsDocument

    return SeamsDocument(images=[ImageSeams(image=path, seams=SeamScore.of(seams)) for path, seams in found.items()])


def _show_seams(found: "Mapping[Path, Seams | None]") -> None:
    rows = []
    for path, seams in found.items():
        values = [f"{seams.gradient:.3f}", f"{seams.detail:.3f}"] if seams else ["–", "–"]
        rows.append([str(path), seams.verdict() if seams else "too few windows to say", *values])
    show_table(["image", "seams", "gradient → 1", "detail → 1"], rows, numeric=True)
    say("(gradient where windows meet, and detail where they overlap, both divided by those inside; 1 is seamless)")
