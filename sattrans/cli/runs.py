"""The commands sattrans runs and sattrans tilesets: what training and tiling have made."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sattrans.cli.completion import COMPLETIONS
from sattrans.cli.console import notify, present, say, show_table
from sattrans.cli.guard import group
from sattrans.cli.options import DryRun
from sattrans.cli.train import best_at
from sattrans.utils.folders import runs_folder

if TYPE_CHECKING:
    from sattrans.cli.documents import RunDocument, RunEntry
    from sattrans.runs.run import Run


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    runs = group("List, show, calibrate or remove runs.", list_runs, show=show, calibrate=calibrate, remove=remove)
    app.add_typer(runs, name="runs", rich_help_panel="What there is")


Folder = Annotated[
    Path | None,
    typer.Argument(metavar="FOLDER", help="The folder of the runs. [dim]Default: runs, or $SATTRANS_RUNS.[/dim]"),
]


def list_runs(under: Folder = None) -> None:
    """List the runs in a folder, oldest first."""
    from sattrans.cli.documents import RunsDocument
    from sattrans.runs.run import Run

    folder = under or runs_folder()
    found = [(run, _entry(run)) for run in Run.all(folder)]
    present(
        lambda: RunsDocument(folder=folder, runs=[entry for _, entry in found]),
        lambda: _show_list(folder, found),
        asked=True,
    )


def _entry(run: Run) -> RunEntry:
    from sattrans.cli.documents import RunEntry
    from sattrans.errors import SattransError

    summary = run.manifest.get("summary")
    epochs: int | None
    try:
        epochs = summary["epochs"] if summary else max((line["epoch"] for line in run.metrics()), default=0)
    except SattransError as error:
        notify([str(error)])
        epochs = None
    return RunEntry(
        name=run.name,
        folder=run.folder,
        model=run.model_name,
        tileset=run.manifest["data"]["name"],
        finished=run.finished,
        epochs=epochs,
        monitor=run.manifest["settings"]["monitor"],
        best=summary and summary["best"],
        best_epoch=summary and summary["best_epoch"],
        created=run.manifest["created"],
    )


def _show_list(folder: Path, found: list[tuple[Run, RunEntry]]) -> None:
    rows = []
    for run, entry in found:
        best = f"{entry.monitor} {entry.best:.4g} at {best_at(run)}" if entry.finished else "unfinished"
        epochs = "?" if entry.epochs is None else str(entry.epochs)
        rows.append([run.name, run.model_name, entry.tileset, epochs, best, age(entry.created), _options(run)])
    if not rows:
        say(f"no runs in {folder}/; sattrans train makes one")
        return
    show_table(["run", "model", "tileset", "epochs", "best", "age", "options"], rows)


def age(created: str) -> str:
    """Return the time since something was made, in its largest whole unit."""
    passed = datetime.now(UTC) - datetime.fromisoformat(created)
    seconds = max(0, int(passed.total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def _options(run: Run) -> str:
    """Return the options that differ from the model's defaults; all options if the model is not installed."""
    from sattrans.errors import SattransError
    from sattrans.plugins import model_class

    options = {**run.manifest["options"], **{name: run.manifest["settings"][name] for name in SETTINGS}}
    try:
        kind = model_class(run.model_name)
    except SattransError:
        defaults = {}
    else:
        defaults = {**kind.Options().model_dump(), **SETTINGS, "batch_size": kind.defaults.batch_size}
        if defaults["source"] == "auto":  # a run records what it stood for
            defaults["source"] = "onehot" if run.manifest["palette"] else "color"
    return " ".join(f"{name}={value}" for name, value in options.items() if defaults.get(name, ...) != value)


SETTINGS = {"batch_size": 1, "precision": "32", "seed": 0}
"""The settings of a training that the list of runs shows, with their defaults unless the model has its own."""


COMPLETE = COMPLETIONS["run names"]
Name = Annotated[
    Path,
    typer.Argument(metavar="RUN", autocompletion=COMPLETE, help="A run's folder, or its name under runs/."),
]
Names = Annotated[
    list[Path],
    typer.Argument(metavar="RUN...", autocompletion=COMPLETE, help="Folders of runs, or their names under runs/."),
]


def show(name: Name) -> None:
    """Show a run: its options, data and progress."""
    from sattrans.runs.run import Run

    run = Run.open(name)
    present(lambda: _document(run), lambda: _show(run), asked=True)


def calibrate(
    name: Name,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            autocompletion=COMPLETIONS["tilesets"],
            help="Where the tileset of the run lies. [dim]Default: where it was.[/dim]",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
) -> None:
    """Estimate the flat field of a run anew: the pattern that it repeats in every window.

    Training does this at its end. It is needed for runs of older versions.

    Example: sattrans runs calibrate pix2pix-landcover-512-1
    """
    from sattrans.cli.documents import CalibratedDocument
    from sattrans.runs.calibration import calibrate as estimate
    from sattrans.runs.run import Run

    run = Run.open(name)
    field = estimate(run, data, device)
    names = [run.palette.names[number] for number in field.classes] if run.palette else []
    pattern = f"a pattern of {field.strength:.1f} grey levels in {', '.join(names)}"
    present(
        lambda: CalibratedDocument(folder=run.folder, classes=names, strength=field.strength),
        lambda: say(f"{run.folder}: {pattern if names else 'no pattern'} is repeated in every window"),
    )


def remove(names: Names, dry_run: DryRun = False) -> None:
    """Remove runs, with their checkpoints and samples, for good.

    Example: sattrans runs remove resse-landcover-512-1
    """
    from sattrans.cli.documents import RemovedDocument
    from sattrans.raster.cog.disk_space import format_bytes
    from sattrans.runs.run import Run, remove_run

    runs = [Run.open(name) for name in names]  # all are found before one is removed
    size = sum(path.stat().st_size for run in runs for path in run.folder.rglob("*") if path.is_file())
    if not dry_run:
        for run in runs:
            remove_run(run)
    folders = [run.folder for run in runs]
    would, listed = "would be " if dry_run else "", ", ".join(map(str, folders))
    present(
        lambda: RemovedDocument(dry_run=dry_run, folders=folders, bytes=size),
        lambda: say(f"{listed}: {would}removed ({format_bytes(size)})"),
        asked=dry_run,
    )


def _document(run: Run) -> RunDocument:
    from sattrans.cli.documents import RunDocument

    metrics = run.metrics()
    return RunDocument(
        folder=run.folder, finished=run.finished, manifest=dict(run.manifest), last=metrics[-1] if metrics else None
    )


def _value(value: object) -> str:
    """Return an option's value for the table."""
    from sattrans.utils.manifest import format_value

    return f"{value:.4g}" if isinstance(value, float) else format_value(value)


def _show(run: Run) -> None:
    rows = [
        ["model", run.model_name],
        ["tileset", f"{run.manifest['data']['folder']} ({run.manifest['data']['hash'][:12]})"],
    ]
    rows.append(["classes", str(run.palette or "none: its maps are pictures")])
    metres = run.ground_resolution
    if metres:
        rows.append(["ground resolution", " to ".join(f"{side:.4g} m" for side in dict.fromkeys(metres))])
    parts = {part: run.manifest[part] for part in ("spec", "options", "settings", "versions")}
    parts["summary"] = run.manifest.get("summary", {"state": "unfinished"})
    rows += [
        [f"{part}.{key}", _value(value)]
        for part, values in parts.items()
        for key, value in values.items()
        if (part, key) != ("spec", "shares")  # a number for each scene and class
    ]
    show_table(["what", "value"], rows)
    metrics = run.metrics()
    if metrics:
        last = metrics[-1]
        values = ", ".join(f"{name} {value:.4g}" for name, value in {**last["train"], **last["val"]}.items())
        say(f"epoch {last['epoch']}: {values}; {last['images_per_second']:.3g} images/s")
