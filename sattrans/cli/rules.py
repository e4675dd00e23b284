"""sattrans rules."""

from pathlib import Path
from typing import Annotated

import typer

from sattrans.cli.console import say
from sattrans.cli.guard import guarded


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(help="Rules that draw vector maps.", no_args_is_help=True)
    group.command("init")(guarded(init))
    app.add_typer(group, name="rules", rich_help_panel="What there is")


def init(map_: Annotated[Path, typer.Argument(metavar="MAP", help="A vector map.")]) -> None:
    """Print a rule file to start from: the layers of a vector map, and the values of their features.

    Example: sattrans rules init town.gpkg > rules.toml
    """
    from sattrans.maps.rules_init import starting_rules

    say(starting_rules(map_).rstrip())
