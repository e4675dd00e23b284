"""sattrans generate."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sattrans.cli.frame import guarded, notify, say
from sattrans.cli.params import Device, Overwrite, RunFolder, Seed


class BlendName(StrEnum):
    """How overlapping windows are joined."""

    none = "none"
    linear = "linear"
    hann = "hann"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("generate", rich_help_panel="The path from map to image")(guarded(generate))


def generate(
    map_: Annotated[
        str,
        typer.Argument(
            metavar="MAP",
            help="A class map, a paletted map, or a map in the classes' colours; a picture, if the run's maps are.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="A GeoTIFF, or a folder to write tiles for mosaic into.")
    ],
    run: RunFolder = None,
    overlap: Annotated[
        str, typer.Option(help="What neighbouring windows share: pixels, or a part of the tile size.")
    ] = "25%",
    blend: Annotated[BlendName, typer.Option(help="How they are joined.")] = BlendName.hann,
    batch_size: Annotated[int, typer.Option(help="Windows translated at once.")] = 4,
    seed: Seed = 0,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Generate a georeferenced image from a map of any size.

    Example: sattrans generate map.tif -o sat.tif
    """
    from sattrans.generate import GenerateOptions
    from sattrans.generate import generate as make

    result = make(map_, output, run, GenerateOptions(overlap, blend.value, batch_size, seed), device, overwrite)
    notify(result.notices)
    done = "" if result.made else " (nothing to do: it was there)"
    say(
        f"{result.output}: {result.width} wide × {result.height} high in {result.windows} windows by "
        f"{result.run.folder} ({result.run.model_name}){done}"
    )
