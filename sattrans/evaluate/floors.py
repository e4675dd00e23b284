"""Floors: the images of models that learn nothing, such as one that copies training tiles, of the scored maps."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from sattrans.data.tileset import Tileset
from sattrans.errors import Interrupted, UsageError, did_you_mean
from sattrans.evaluate.images import ImageSource, RealTiles, RunImages
from sattrans.evaluate.kept_images import KeptImages
from sattrans.evaluate.options import EvaluateOptions
from sattrans.evaluate.scoring import MeasurementCache
from sattrans.evaluate.table import BASELINE_TITLES
from sattrans.model import Model
from sattrans.plugins import manager, model_class
from sattrans.runs.run import Run
from sattrans.train import TrainOptions, train
from sattrans.train.spec import specified
from sattrans.utils.console import pluralize
from sattrans.utils.hashing import hash_of
from sattrans.utils.lock import lock


@dataclass(frozen=True, slots=True)
class Floor:
    """A model that learns nothing, and its run, which need not exist yet.

    Attributes:
        name: What its scores are called: the name of the model, or that of the run.
        model: The model.
        run: The folder of the run.
    """

    name: str
    model: str
    run: Path


def check_floors(given: Sequence[str], tileset: Tileset, folder: Path) -> list[Floor]:
    """Return the floors of a tileset, of which nothing is made yet.

    Args:
        given: Names of models, and folders or names of runs.
        tileset: The tileset of the scored runs.
        folder: Where the runs of models given by name are kept.

    Raises:
        UsageError: One is neither a model nor a run, is trained, or does not fit the tileset.
    """
    floors: dict[str, Floor] = {}
    for name in dict.fromkeys(given):
        is_model = name in manager().names("model")
        try:
            floor = _of_model(name, tileset, folder) if is_model else _of_run(name, tileset)
        except UsageError as error:
            raise UsageError(f"--floor {name}: {error}") from error
        if floor.name in BASELINE_TITLES or floor.name in floors:
            raise UsageError(f"--floor {name}: the scores have another {floor.name}; rename the run")
        floors[floor.name] = floor
    return list(floors.values())


def _of_model(name: str, tileset: Tileset, folder: Path) -> Floor:
    kind, options, spec = specified(model_class(name), {}, tileset)
    _check_untrained(kind(spec, options))
    key = hash_of(tileset.hash, options.model_dump_json(), *_version(name))
    return Floor(name, name, folder / f"{name}-{tileset.name}-{key[:12]}")


def _of_run(name: str, tileset: Tileset) -> Floor:
    try:
        run = Run.open(Path(name))
    except UsageError as error:
        raise UsageError(f"there is no such model and no such run{did_you_mean(name, _copying())}") from error
    _check_untrained(run.build_model())
    if run.manifest["data"]["hash"] != tileset.hash:
        raise UsageError(
            f"the run is not of {tileset.folder}, but of {run.manifest['data']['folder']} as it was then; "
            f"name the model, {run.model_name}"
        )
    if not run.finished:
        raise UsageError(f"the run is not finished: sattrans train --resume {run.folder}")
    return Floor(run.name, run.model_name, run.folder)


def _check_untrained(model: Model) -> None:
    if model.optimizers():
        such_as = f", such as {' or '.join(_copying())}" if _copying() else ""
        raise UsageError(
            f"model '{model.name}' is trained, and a floor learns nothing: name a model without training{such_as}, or "
            "score a run of it beside the others"
        )


def _copying() -> list[str]:
    """Return the names of the models that copy training tiles, as those do that floors are meant for."""
    return [kind.name for kind in manager().loadable("model") if kind.copies]


def _version(model: str) -> tuple[str, str]:
    row = manager().row("model", model)
    return row.origin, row.version


def make_floors(
    floors: Sequence[Floor], real: RealTiles, options: EvaluateOptions, device: torch.device, folder: Path
) -> Mapping[str, ImageSource]:
    """Make the images of floors, by name. What exists of these tiles, model and seed is used again.

    Args:
        floors: The floors.
        real: The tiles that are scored.
        options: How to evaluate: the seed and the device count here.
        device: The device that translates.
        folder: Where the images are kept.
    """
    made: dict[str, ImageSource] = {}
    for floor in floors:
        # One image at a time, because each may take seconds: it is kept, and the progress shown, as soon as it is made.
        with lock(folder / f"{floor.run.name}.images", wait=True):  # another evaluation may make the same
            images = _images(_run_of(floor, real.tileset, options), floor, real, options, device, folder)
            for _ in images.make():
                pass
        made[floor.name] = images
    return made


def floor_plans(
    floors: Sequence[Floor], real: RealTiles, options: EvaluateOptions, device: torch.device, folder: Path
) -> list[str]:
    """Return a sentence about each floor of which `make_floors` would make something; the arguments are the same."""
    notes = []
    for floor in floors:
        run = _finished(floor)
        kept = _images(run, floor, real, options, device, folder).kept if run else 0
        if kept < len(real):
            already = f", of which {kept} are there already" if kept else ""
            notes.append(f"the floor {floor.name} would be made first: {pluralize(len(real), 'image')}{already}")
    return notes


def _images(
    run: Run, floor: Floor, real: RealTiles, options: EvaluateOptions, device: torch.device, folder: Path
) -> KeptImages:
    source = RunImages(run, real, device, options.seed, batch_size=1)
    source.name = floor.name
    return KeptImages(source, real, MeasurementCache(folder / "images"), *_version(floor.model))


def _run_of(floor: Floor, tileset: Tileset, options: EvaluateOptions) -> Run:
    """Return the run of a floor, and make it if it does not exist."""
    if run := _finished(floor):
        return run
    once = TrainOptions(model=floor.model, steps=1, device=options.device)  # there is nothing to optimise
    try:
        return train(tileset.folder, floor.run, once, overwrite=True).run  # replaces what a kill left unfinished
    except Interrupted as error:
        raise Interrupted("stopped; repeat the command to go on", error.exit_code) from None


def _finished(floor: Floor) -> Run | None:
    """Return the run of a floor if it exists and is finished."""
    with suppress(UsageError):
        run = Run.open(floor.run)
        return run if run.finished else None
    return None
