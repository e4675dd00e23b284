"""sattrans generate."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sattrans.cli.console import notify, present, say
from sattrans.cli.options import DryRun, Overwrite, command
from sattrans.errors import SattransError
from sattrans.generate.options import GenerateOptions
from sattrans.utils.console import NOTHING_TO_DO, pluralize

if TYPE_CHECKING:
    from sattrans.cli.documents import GenerateDocument
    from sattrans.generate import GenerateResult


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("generate", rich_help_panel="The path from map to image")(command(generate, with_json=True))


def generate(
    map_: Annotated[
        str,
        typer.Argument(
            metavar="MAP",
            help="A map of classes: values, a colour table or colours; a picture, if the run's maps are pictures; a "
            "vector map (GeoPackage, GeoJSON, Shapefile, FlatGeobuf, .osm); or a folder of maps.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="A GeoTIFF, or a folder for tiles that mosaic joins; for a folder of maps, a folder of images. "
            "[dim]Default: <map>.sat.tif, <folder>-sat/.[/dim]",
        ),
    ] = None,
    options: GenerateOptions = GenerateOptions(),
    *,
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
) -> None:
    """Generate a georeferenced image from a map of any size.

    Example: sattrans generate map.tif -o sat.tif
    """
    if not (Path(map_).is_dir() or map_.endswith("/")):  # before what takes seconds to load
        from sattrans.generate.checks import check_request, default_image

        check_request(map_, output or default_image(map_), options)
    from sattrans.generate import generate as run
    from sattrans.generate.batch import generate_batch, is_batch

    made: Sequence[GenerateResult]
    failed: Mapping[Path, str] = {}
    if is_batch(map_):
        batch = generate_batch(Path(map_), output, options, overwrite=overwrite, dry_run=dry_run)
        made, failed = batch.made, batch.failed
    elif options.variants > 1:
        from sattrans.generate.variants import generate_variants

        made = list(generate_variants(map_, output, options, overwrite=overwrite, dry_run=dry_run))
    else:
        made = [run(map_, output, options, overwrite=overwrite, dry_run=dry_run)]
    present(lambda: _document(made), lambda: _show_all(made), asked=dry_run)
    if failed:
        notify(failed.values(), "failed", "bold red")
        names = ", ".join(path.name for path in failed)
        raise SattransError(f"{len(failed)} of {pluralize(len(failed) + len(made), 'map')} failed: {names}")


def _document(results: "Sequence[GenerateResult]") -> "GenerateDocument":
    from sattrans.cli.documents import GenerateDocument, Image, SeamScore

    images = [
        Image(
            output=result.output,
            dry_run=result.estimate is not None,
            made=result.made,
            run=result.run.folder,
            model=result.run.model_name,
            width=result.width,
            height=result.height,
            windows=result.windows,
            updated=result.updated,
            seams=SeamScore.of(result.seams),
            refined=result.refined and result.refined.folder,
            consistency=result.consistency,
            memory=result.estimate and result.estimate.memory,
            disk=result.estimate and result.estimate.disk,
        )
        for result in results
    ]
    return GenerateDocument(images=images, notes=[note for result in results for note in result.notices])


def _show_all(results: "Sequence[GenerateResult]") -> None:
    for result in results:
        _show(result)
    if estimates := [result.estimate for result in results if result.estimate]:
        memory, disk = max(one.memory for one in estimates), sum(one.disk for one in estimates)
        maps = f"{pluralize(len(estimates), 'map')} " if len(estimates) > 1 else ""
        say(f"{maps}{_need(memory, disk, results[0].output if not maps else results[0].output.parent)}")


def _need(memory: int, disk: int, output: Path) -> str:
    from sattrans.raster.cog.disk_space import disk_space_left, format_bytes

    return (
        f"would need about {format_bytes(memory)} of memory, and up to {format_bytes(disk)} of disk while it is "
        f"written; the disk has {format_bytes(disk_space_left(output))}"
    )


def _refined(result: "GenerateResult") -> str:
    run = result.refined
    return f", refined × {run.kind.refines} by {run.folder} ({run.model_name})" if run else ""


def _show(result: "GenerateResult") -> None:
    from sattrans.generate.checks import is_image

    windows = pluralize(result.windows, "window")
    if result.updated is not None:
        windows = f"{windows}, {result.updated} of them translated again,"
    tiles = "" if is_image(result.output) else f", a folder of {pluralize(result.windows, 'tile')} for sattrans mosaic"
    done = "" if result.made or result.estimate else f" ({NOTHING_TO_DO})"
    say(
        f"{result.output}: {'would be ' if result.estimate else ''}{result.width} wide × {result.height} high "
        f"in {windows} "
        f"by {result.run.folder} ({result.run.model_name}){_refined(result)}{tiles}{done}"
    )
    if result.consistency is not None:
        say(f"consistency: made coarse again, it is {result.consistency:.2f} grey levels from what was refined")
    if result.seams:
        say(
            f"seams: {result.seams.verdict()} (gradient {result.seams.gradient:.3f}, detail {result.seams.detail:.3f}; "
            "1 and 1 is seamless)"
        )
