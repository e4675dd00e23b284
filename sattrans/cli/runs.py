"""The command sattrans runs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sattrans.cli.console import guarded, notify, say, show_table

if TYPE_CHECKING:
    from sattrans.runs.run import Run


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    runs = typer.Typer(help="List runs, or show one.", invoke_without_command=True)
    runs.callback()(guarded(list_default))
    runs.command("list")(guarded(list_runs))
    runs.command("show")(guarded(show))
    app.add_typer(runs, name="runs", rich_help_panel="What there is")


def list_default(context: typer.Context) -> None:
    """List runs, or show one."""
    if context.invoked_subcommand is None:
        list_runs()


def list_runs(
    under: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of the runs.")] = Path("runs"),
) -> None:
    """List the runs in a folder, oldest first."""
    from sattrans.errors import SattransError
    from sattrans.runs.run import Run

    rows = []
    for run in Run.all(under):
        summary = run.manifest.get("summary")
        state = (
            f"{summary['monitor']} {summary['best']:.4g} at epoch {summary['best_epoch']}" if summary else "unfinished"
        )
        try:
            epochs = str(summary["epochs"] if summary else max((line["epoch"] for line in run.metrics()), default=0))
        except SattransError as error:
            notify([str(error)])
            epochs = "?"
        rows.append([run.name, run.model_name, run.manifest["data"]["name"], epochs, state, _age(run), _options(run)])
    if not rows:
        say(f"no runs in {under}/; sattrans train makes one")
        return
    show_table(["run", "model", "tileset", "epochs", "best", "age", "options"], rows)


def _age(run: Run) -> str:
    """Return the time since a run was started, in its largest whole unit."""
    passed = datetime.now(UTC) - datetime.fromisoformat(run.manifest["created"])
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


def show(name: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, or its name under runs/.")]) -> None:
    """Show a run: its options, data and progress."""
    from sattrans.runs.run import DEFAULT_FOLDER, Run

    folder = name if name.exists() else DEFAULT_FOLDER / name
    run = Run.open(folder)
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
    rows += [[f"{part}.{key}", str(value)] for part, values in parts.items() for key, value in values.items()]
    show_table(["what", "value"], rows)
    metrics = run.metrics()
    if metrics:
        last = metrics[-1]
        values = ", ".join(f"{name} {value:.4g}" for name, value in {**last["train"], **last["val"]}.items())
        say(f"epoch {last['epoch']}: {values}; {last['images_per_second']:.3g} images/s")
