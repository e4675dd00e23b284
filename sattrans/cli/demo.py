"""sattrans demo."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sattrans.cli.console import guarded, say
from sattrans.cli.params import Overwrite, Seed

if TYPE_CHECKING:
    from sattrans.demo import Step


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("demo", rich_help_panel="What there is")(guarded(demo))


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder that everything goes into.")] = Path(
        "sattrans-demo"
    ),
    seed: Seed = 0,
    overwrite: Overwrite = False,
) -> None:
    """Run the whole pipeline on a small synthetic place, a few minutes on two processor cores.

    Example: sattrans demo
    """
    from sattrans.demo import DemoOptions
    from sattrans.demo import demo as run

    options = DemoOptions(seed=seed)
    say(f"A synthetic place of seed {seed} in {output}: landcover/ to learn from, map.tif to generate from")
    result = run(run_step, output, options, overwrite)
    say(f"\nThe picture, map beside image: {result.picture}")
    say(f"The image, a GeoTIFF: {result.image}")
    say(f"The scores, a page to look at: {result.scores / 'report.html'}")


def run_step(step: "Step") -> None:
    """Print a command as a user would type it, and run it."""
    from sattrans.cli import app

    say(f"\n$ {shlex.join(('sattrans', *step.arguments))}")
    if step.done:
        say(f"{step.output}: nothing to do, it was there")
        return
    code = app(step.arguments, standalone_mode=False)
    if code:
        raise typer.Exit(code)
