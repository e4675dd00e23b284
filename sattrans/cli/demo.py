"""sattrans demo."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sattrans.cli.console import current_mode, say
from sattrans.cli.options import DryRun, Overwrite, command
from sattrans.demo.options import DemoOptions
from sattrans.utils.console import NOTHING_TO_DO

if TYPE_CHECKING:
    from sattrans.demo import Step


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("demo", rich_help_panel="What there is")(command(demo))


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="The folder of all outputs.")] = Path(
        "sattrans-demo"
    ),
    options: DemoOptions = DemoOptions(),
    *,
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
) -> None:
    """Run the whole pipeline on a small synthetic landscape: a few minutes on two processor cores.

    Example: sattrans demo
    """
    from sattrans.demo import demo as run

    if not dry_run and not current_mode().quiet:
        say(f"Synthetic landscape (seed {options.seed}) in {output}: landcover/ for training, map.tif for generating")
    result = run(output, options, run=run_step, overwrite=overwrite, dry_run=dry_run)
    if dry_run:
        for step in result.steps:
            say(f"$ {shlex.join(('sattrans', *step.arguments))}")
        return
    if current_mode().quiet:
        return
    say(f"\nThe picture, map beside image: {result.picture}")
    say(f"The image, a GeoTIFF: {result.image}")
    say(f"The scores, a web page: {result.scores / 'report.html'}")


def run_step(step: "Step") -> None:
    """Print a command as a user would type it, and run it."""
    from sattrans.cli import app

    quiet = current_mode().quiet
    if not quiet:
        say(f"\n$ {shlex.join(('sattrans', *step.arguments))}")
    if step.done:
        if not quiet:
            say(f"{step.output}: {NOTHING_TO_DO}")
        return
    code = app(step.arguments, standalone_mode=False)
    if code:
        raise typer.Exit(code)
