"""sattrans generate."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sattrans.cli.frame import guarded, notify, say
from sattrans.cli.params import Device, Overwrite, RunFolder, Seed
from sattrans.errors import SattransError

if TYPE_CHECKING:
    from sattrans.generate import GenerateResult

INPUT = "The map"


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
            help="A class map, a paletted map, or a map in the classes' colours; a picture, if the run's maps are; a "
            "vector map (GeoPackage, GeoJSON, shapefiles); a folder of maps.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="A GeoTIFF, or a folder to write tiles for mosaic into; of a folder of maps, a folder of images.",
        ),
    ],
    run: RunFolder = None,
    res: Annotated[
        str | None,
        typer.Option(
            help="Ground resolution to translate at: metres, or native for the map's pixels. "
            "[dim]Default: as the run was trained.[/dim]",
            rich_help_panel=INPUT,
        ),
    ] = None,
    bounds: Annotated[
        str | None,
        typer.Option(help="Only left,bottom,right,top of the map, in its CRS.", rich_help_panel=INPUT),
    ] = None,
    aoi: Annotated[
        Path | None,
        typer.Option(help="Only the polygons of a GeoJSON file; the rest is transparent.", rich_help_panel=INPUT),
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            help="Which class of the run, by value or name, a value of the map is, such as 5=2; or a TOML file of such "
            "lines. May be given several times.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    rules: Annotated[
        str | None,
        typer.Option(
            help="Of a vector map: a file that says which feature makes which class; osm for OpenStreetMap extracts.",
            rich_help_panel=INPUT,
        ),
    ] = None,
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
    from sattrans.mapping.options import MapOptions
    from sattrans.mapping.values import parse_classes
    from sattrans.series import generate_series, is_series

    options = GenerateOptions(overlap, blend.value, batch_size, seed)
    map_options = MapOptions(res, bounds, aoi, parse_classes(classes or []), rules)
    if not is_series(map_):
        _show(make(map_, output, run, options, device, overwrite, map_options))
        return
    series = generate_series(Path(map_), output, run, options, device, overwrite, map_options)
    for result in series.made:
        _show(result)
    if series.failed:
        notify(series.failed.values())
        names = ", ".join(path.name for path in series.failed)
        raise SattransError(f"{len(series.failed)} of {len(series.failed) + len(series.made)} maps failed: {names}")


def _show(result: "GenerateResult") -> None:
    notify(result.notices)
    done = "" if result.made else " (nothing to do: it was there)"
    say(
        f"{result.output}: {result.width} wide × {result.height} high in {result.windows} windows by "
        f"{result.run.folder} ({result.run.model_name}){done}"
    )
