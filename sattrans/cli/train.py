"""sattrans train."""

import os
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from sattrans.cli.console import guarded, listen, notify, say
from sattrans.cli.params import Device
from sattrans.utils.console import counted


class PrecisionName(StrEnum):
    """The numbers the networks compute in."""

    full = "32"
    bf16 = "bf16"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("train", rich_help_panel="The path from map to image")(guarded(train))


def train(
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="The model's name (sattrans models). [dim]Default: the one that sattrans models marks.[/dim]",
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", "-d", help="A tileset. [dim]Default: the newest under tiles/.[/dim]")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The run's folder. [dim]Default: runs/<model>-<tileset>-<n>.[/dim]"),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A model's option, name=value; repeatable (sattrans models show NAME)."),
    ] = None,
    options: Annotated[
        Path | None,
        typer.Option("--options", help="A TOML file of the model's options; in a table \\[train], of these here."),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Times each tile is seen. [dim]Default: the model's.[/dim]")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Steps, instead of epochs.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Tiles in a step. [dim]Default: the model's.[/dim]")] = None,
    precision: Annotated[
        PrecisionName | None, typer.Option(help="32, or bf16 where the processor is quick at it.")
    ] = None,
    ema: Annotated[
        float | None,
        typer.Option(help="Decay of the generator's moving average, 0 for none. [dim]Default: 0.999.[/dim]"),
    ] = None,
    patience: Annotated[int | None, typer.Option(help="Stop after so many epochs without a better value.")] = None,
    monitor: Annotated[str | None, typer.Option(help="The validation loss that chooses the best checkpoint.")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Same seed, same weights (on the CPU). [dim]Default: 0.[/dim]")
    ] = None,
    device: Device = "auto",
    devices: Annotated[
        int, typer.Option(help="Processes that train together, each on a device of its own (CUDA), with its own batch.")
    ] = 1,
    compile_: Annotated[
        bool, typer.Option("--compile", help="Have PyTorch compile the networks: slow to begin, then faster.")
    ] = False,
    init: Annotated[Path | None, typer.Option(help="A run to begin from: its last weights.")] = None,
    resume: Annotated[
        str | None,
        typer.Option(help="Go on with a run: its folder, or 'last'. Takes no other option but --device and --devices."),
    ] = None,
) -> None:
    """Train a model on a tileset.

    Example: sattrans train --model resse
    """
    arguments = locals()
    if devices != 1 and "WORLD_SIZE" not in os.environ:
        from sattrans.train.launcher import launch

        launch(devices, partial(_train_in_process, arguments))
        return
    from dataclasses import fields

    from sattrans.errors import OptionError
    from sattrans.runs.model_options import parse_settings, read_options
    from sattrans.train import TrainOptions
    from sattrans.train import resume as go_on
    from sattrans.train import train as run
    from sattrans.train.api import train_options

    told: dict[str, Any] = {
        "epochs": epochs,
        "steps": steps,
        "batch_size": batch_size,
        "seed": seed,
        "ema": ema,
        "precision": precision.value if precision else None,
        "patience": patience,
        "monitor": monitor,
        "init": init,
        "compile": compile_ or None,
    }
    given = {name: value for name, value in told.items() if value is not None}
    if resume is not None:
        others = [
            *given,
            *(
                n
                for n, v in (
                    ("model", model),
                    ("data", data),
                    ("output", output),
                    ("set", settings),
                    ("options", options),
                )
                if v
            ),
        ]
        if others:
            raise OptionError(f"--resume goes on with the run's own options: leave out --{others[0].replace('_', '-')}")
        result = go_on(resume, device)
    else:
        names = ["model", *(field.name for field in fields(TrainOptions))]
        own, shared = read_options(options, names) if options else ({}, {})
        if {"epochs", "steps"} & given.keys():  # the one told replaces whichever the file has
            shared = {name: value for name, value in shared.items() if name not in ("epochs", "steps")}
        model = model or shared.pop("model", None)
        shared.pop("model", None)
        own |= parse_settings(settings or [])
        result = run(data, model, own, train_options({**shared, **given}), device, output)
    if not result.run.finished:  # one of several processes; the first tells
        return
    notify(result.notices)
    summary = result.run.manifest["summary"]
    length = f"{counted(summary['steps'], 'step')} in {counted(summary['epochs'], 'epoch')}"
    early = ", stopped early" if summary["stopped_early"] else ""
    say(
        f"{result.run.folder}: {result.run.model_name}, {length}{early}; best {summary['monitor']} "
        f"{summary['best']:.4g} at epoch {summary['best_epoch']}"
    )


def _train_in_process(arguments: dict[str, Any]) -> None:
    listen()
    train(**arguments)
