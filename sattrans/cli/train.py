"""sattrans train."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sattrans.cli.completion import COMPLETIONS
from sattrans.cli.console import Mode, current_mode, listen, mode_of, notify, present, say
from sattrans.cli.options import DryRun, Overwrite, command, given_options
from sattrans.errors import OptionError
from sattrans.train.options import TrainOptions, read_recipe
from sattrans.utils import process
from sattrans.utils.addresses import address_of
from sattrans.utils.console import pluralize
from sattrans.utils.options import option_fields

if TYPE_CHECKING:
    from sattrans.cli.documents import TrainDocument
    from sattrans.runs.run import Run
    from sattrans.train import TrainResult

LENGTHS = ("epochs", "steps")
"""Options that exclude each other: one on the command line replaces either in a file."""

NOT_IN_A_FILE = ("settings", "device", "devices")
"""Options that a table [train] may not set: the model's own stand above it, and devices are the machine's."""


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("train", rich_help_panel="The path from map to image")(command(train, with_json=True))


def train(
    ctx: typer.Context,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            "-d",
            metavar="FOLDER",
            autocompletion=COMPLETIONS["tilesets"],
            help="A tileset. [dim]Default: the newest under tiles/.[/dim]",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FOLDER", help="The run's folder. [dim]Default: runs/<model>-<tileset>-<n>.[/dim]"
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--options",
            metavar="FILE",
            help="A TOML file of the model's options; its table \\[train] holds options of this command.",
        ),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            autocompletion=COMPLETIONS["runs"],
            help="Resume a run with its own options: its folder, or 'last'. Takes only --device, --devices, --data, "
            "and --epochs or --steps, which train a finished run further.",
        ),
    ] = None,
    options: TrainOptions = TrainOptions(),
    *,
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
) -> None:
    """Train a model on a tileset.

    Example: sattrans train --model resse
    """
    given = given_options(ctx)
    if resume is not None:
        others = [name for name in given if name not in ("resume", "device", "devices", "data", *LENGTHS)]
        if others:
            flag = {"settings": "set", "file": "options"}.get(others[0], others[0]).replace("_", "-")
            raise OptionError(f"--resume takes the run's own options; leave out --{flag}")
    elif file is not None:
        options = _with_file(file, options, given)
    from sattrans.train.membership import membership

    work = partial(_train, data, output, options, resume, overwrite, dry_run)
    if options.devices == 1 or membership().count > 1 or dry_run:
        work()
    else:
        from sattrans.train.launcher import check_enough_tiles, launch

        if resume is None:
            check_enough_tiles(data, options.devices)
        launch(options.devices, partial(_train_in_process, work, current_mode()))


def _with_file(file: Path, options: TrainOptions, given: list[str]) -> TrainOptions:
    """Return the options of a file, replaced by those given on the command line."""
    from sattrans.utils.options import from_mapping

    own, shared = read_recipe(file)
    if set(LENGTHS) & set(given):
        shared = {name: value for name, value in shared.items() if name not in LENGTHS}
    where = f"--options {file}: [train]"
    from_file = from_mapping(TrainOptions, shared, where, without=NOT_IN_A_FILE)
    for name in shared:
        if address := address_of(getattr(from_file, name)):
            raise OptionError(f"{where}: {name} is {address}; an address is opened only where it is typed: --{name}")
    if options.devices == 1:  # else torch, which the check loads, would be loaded by one process more
        _check_model_options(file, options.model or from_file.model, own)
    replaced = {one.name: getattr(options, one.name) for one in option_fields(TrainOptions) if one.name in given}
    return replace(from_file, **{**replaced, "settings": {**own, **options.settings}})


def _check_model_options(file: Path, model: str | None, own: Mapping[str, Any]) -> None:
    """Check the model's options of a file on their own, so that an error names the file."""
    from sattrans.plugins import default_model, model_class
    from sattrans.runs.model_options import resolve

    kind = model_class(model or default_model())
    try:
        resolve(kind, own)
    except OptionError as error:
        raise OptionError(f"--options {file}: {error}") from error


def _train(
    data: Path | None,
    output: Path | None,
    options: TrainOptions,
    resume: str | None,
    overwrite: bool,
    dry_run: bool,
) -> None:
    from sattrans.train import resume as resume_run
    from sattrans.train import train as run

    if resume is not None:
        result = resume_run(resume, options.device, data, epochs=options.epochs, steps=options.steps)
    else:
        result = run(data, output, options, overwrite=overwrite, dry_run=dry_run)
    notify(result.notices)
    if result.plan or result.run.finished:  # else one of several processes; the first prints the result
        present(lambda: _document(result), lambda: _show(result), asked=dry_run)


def _document(result: "TrainResult") -> "TrainDocument":
    from sattrans.cli.documents import TrainDocument

    if plan := result.plan:
        return TrainDocument(
            folder=plan.folder,
            dry_run=True,
            model=plan.model,
            tileset=plan.tileset,
            steps=plan.steps,
            epochs=None,
            monitor=None,
            best=None,
            best_epoch=None,
            stopped_early=None,
        )
    run = result.run
    data = run.manifest["data"]["folder"]
    return TrainDocument(
        folder=run.folder, dry_run=False, model=run.model_name, tileset=data, **run.manifest["summary"]
    )


def _show(result: "TrainResult") -> None:
    if plan := result.plan:
        say(
            f"{plan.folder}: {plan.model} would train on {pluralize(plan.tiles, 'tile')} of {plan.size} px for "
            f"{pluralize(plan.steps, 'step')} of {plan.batch_size} on {plan.device}; nothing written"
        )
        return
    summary = result.run.manifest["summary"]
    length = f"{pluralize(summary['steps'], 'step')} in {pluralize(summary['epochs'], 'epoch')}"
    early = ", stopped early" if summary["stopped_early"] else ""
    say(
        f"{result.run.folder}: {result.run.model_name}, {length}{early}; best {summary['monitor']} "
        f"{summary['best']:.4g} (lower is better) at {best_at(result.run)}"
    )


def best_at(run: "Run") -> str:
    """Return when the best checkpoint of a finished run was saved, such as "epoch 3", or "step 40" within an epoch."""
    summary = run.manifest["summary"]
    if run.manifest["settings"].get("sample_every") and summary.get("best_step"):
        return f"step {summary['best_step']}"
    return f"epoch {summary['best_epoch']}"


def _train_in_process(work: "partial[None]", mode: Mode) -> None:
    process.configure()
    listen()
    with mode_of(mode):
        work()
