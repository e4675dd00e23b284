"""The command line: one thin file a command; nothing heavy is imported before a command runs."""

import typer

from sattrans.cli import catalog, check, colorize, demo, evaluate, generate, mosaic, rules, runs, tile, tilesets, train
from sattrans.cli.console import listen
from sattrans.cli.guard import Commands, Quiet, Verbose
from sattrans.utils.version import __version__

app = typer.Typer(
    name="sattrans",
    cls=Commands,
    help="Turn maps into satellite images.\n\n"
    "A dataset becomes a tileset (tile), a tileset a run (train), a map and a run a georeferenced image (generate).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sattrans {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", "-V", callback=_version, is_eager=True, metavar="", help="Print the version."
    ),
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    listen()


for _module in (tile, colorize, train, generate, mosaic, evaluate, demo, tilesets, runs, catalog, rules, check):
    _module.add_to(app)


def main() -> None:
    """Run the command line."""
    app()
