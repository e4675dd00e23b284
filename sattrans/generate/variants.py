"""Generate several images of one map, which differ by their random numbers alone."""

from dataclasses import replace
from pathlib import Path

from sattrans.errors import OptionError
from sattrans.generate.api import GenerateResult, generate_by, open_run
from sattrans.generate.checks import check_request, default_image
from sattrans.generate.options import GenerateOptions
from sattrans.utils.commands import command, publishing


@command
@publishing
def generate_variants(
    map_: str | Path,
    output: Path | None = None,
    options: GenerateOptions = GenerateOptions(),
    *,
    overwrite: bool = False,
    dry_run: bool = False,
) -> tuple[GenerateResult, ...]:
    """Translate a map into `options.variants` images; an interrupted call is resumed by the same call.

    Args:
        map_: The map, as for `generate`.
        output: The path of the images: `sat.tif` becomes `sat-1.tif`, `sat-2.tif` and so on.
        options: As for `generate`, without `update` and `preview`. The first image has the seed `options.seed`, each
            other one the next seed.
        overwrite: Replace outputs that were made with other options.
        dry_run: Check everything, but write nothing.

    Returns:
        The images.

    Raises:
        OptionError: The run's model makes one image of a map, or options do not fit several images.
    """
    output = output or default_image(map_)
    if options.update or options.preview:
        raise OptionError("--update and --preview are for one image, not for --variants")
    check_request(map_, output, options)
    run = open_run(options.run)
    if not run.kind.random:
        raise OptionError(f"--variants {options.variants}: model '{run.model_name}' makes one image of a map")
    made = []
    for number in range(options.variants):
        path = output.with_name(f"{output.stem}-{number + 1}{output.suffix}")
        own = replace(options, seed=options.seed + number, variants=1)
        made.append(generate_by(run, map_, path, own, overwrite=overwrite, dry_run=dry_run))
    return tuple(made)
