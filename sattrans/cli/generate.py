"""sattrans generate."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sattrans.cli.console import guarded, notify, say
from sattrans.cli.params import CreationOptions, Device, Overwrite, RunFolder, Seed
from sattrans.errors import OptionError, SattransError
from sattrans.utils.console import pluralize

if TYPE_CHECKING:
    from sattrans.generate import GenerateResult

INPUT = "The map"
SPEED = "Speed"


class BlendName(StrEnum):
    """How overlapping windows are joined."""

    none = "none"
    linear = "linear"
    hann = "hann"
    bands = "bands"


class PrecisionName(StrEnum):
    """The numbers the networks compute in."""

    auto = "auto"
    full = "32"
    bf16 = "bf16"


class StatsName(StrEnum):
    """Whose mean and variance batch norms take."""

    run = "run"
    tile = "tile"


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
    blend: Annotated[
        BlendName | None,
        typer.Option(help="How they are joined. [dim]Default: bands; none where the model needs no blending.[/dim]"),
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Windows translated at once.")] = 4,
    stats: Annotated[
        StatsName, typer.Option(help="Whose statistics batch norms take: the run's, or each tile's own.")
    ] = StatsName.run,
    flat_field: Annotated[
        bool, typer.Option("--flat-field/--no-flat-field", help="Take out what every window repeats at the same place.")
    ] = True,
    update: Annotated[
        Path | None,
        typer.Option(help="An image made before from this map: only what has changed since is made anew."),
    ] = None,
    preview: Annotated[Path | None, typer.Option(help="Write map and image side by side as a PNG.")] = None,
    creation: CreationOptions = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the size, and the memory and disk it needs; write nothing.")
    ] = False,
    seed: Seed = 0,
    device: Device = "auto",
    devices: Annotated[int, typer.Option(help="GPUs that translate at the same time.", rich_help_panel=SPEED)] = 1,
    precision: Annotated[
        PrecisionName,
        typer.Option(help="auto is bf16 where the device is quick at it, else 32.", rich_help_panel=SPEED),
    ] = PrecisionName.auto,
    compile_: Annotated[
        bool,
        typer.Option("--compile", help="Have PyTorch compile the generator: for large maps.", rich_help_panel=SPEED),
    ] = False,
    workers: Annotated[int, typer.Option(help="Threads that encode and write.", rich_help_panel=SPEED)] = 1,
    overwrite: Overwrite = False,
) -> None:
    """Generate a georeferenced image from a map of any size.

    Example: sattrans generate map.tif -o sat.tif
    """
    from sattrans.generate.options import GenerateOptions, check_asked
    from sattrans.maps.class_mapping import parse_class_mapping
    from sattrans.maps.options import MapOptions
    from sattrans.raster.cog.options import parse_creation_options

    blended: Any = blend.value if blend else None
    options = GenerateOptions(overlap, blended, batch_size, seed, precision.value, stats.value, compile_, flat_field)
    map_options = MapOptions(res, bounds, aoi, parse_class_mapping(classes or []), rules)
    encoding = parse_creation_options(creation) if creation else None
    if not Path(map_).is_dir():  # before what takes seconds to load
        check_asked(map_, output, map_options, workers, update, preview, encoding)

    from sattrans.generate import generate as make
    from sattrans.generate.batch import generate_series, is_series

    where: dict[str, Any] = {"devices": devices, "workers": workers, "dry_run": dry_run}
    if not is_series(map_):
        where |= {"update": update, "preview": preview, "creation": encoding}
        result = make(map_, output, run, options, device, overwrite, map_options, **where)
        _show(result)
        if result.need:
            say(_need(result.need.memory, result.need.disk, result.output))
        return
    if update or preview or creation:
        raise OptionError("--update, --preview and --co are for one map, not for a folder of maps")
    series = generate_series(Path(map_), output, run, options, device, overwrite, map_options, **where)
    for result in series.made:
        _show(result)
    if needs := [result.need for result in series.made if result.need]:
        memory, disk = max(need.memory for need in needs), sum(need.disk for need in needs)
        say(f"{pluralize(len(needs), 'map')} {_need(memory, disk, output)}")
    if series.failed:
        notify(series.failed.values(), "failed", "bold red")
        names = ", ".join(path.name for path in series.failed)
        maps = pluralize(len(series.failed) + len(series.made), "map")
        raise SattransError(f"{len(series.failed)} of {maps} failed: {names}")


def _need(memory: int, disk: int, output: Path) -> str:
    from sattrans.raster.cog.disk_space import disk_space_left, format_bytes

    return (
        f"would need about {format_bytes(memory)} of memory, and up to {format_bytes(disk)} of disk while it is "
        f"written; the disk has {format_bytes(disk_space_left(output))}"
    )


def _show(result: "GenerateResult") -> None:
    from sattrans.generate.options import is_image

    windows = pluralize(result.windows, "window")
    if result.anew is not None:
        windows = f"{windows}, {result.anew} of them anew,"
    tiles = "" if is_image(result.output) else f", a folder of {pluralize(result.windows, 'tile')} for sattrans mosaic"
    done = "" if result.made or result.need else " (nothing to do: it was there)"
    say(
        f"{result.output}: {'would be ' if result.need else ''}{result.width} wide × {result.height} high in {windows} "
        f"by {result.run.folder} ({result.run.model_name}){tiles}{done}"
    )
    if result.seams:
        say(
            f"seams: {result.seams.gradient:.3f} of the gradient inside windows, {result.seams.detail:.3f} of their "
            "detail (1 and 1 is seamless)"
        )
