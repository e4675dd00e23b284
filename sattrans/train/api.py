"""Train a model on a tileset: a tileset and a model plugin in, a run out."""

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from sattrans.data.batches import Batches, TileStore
from sattrans.data.crops import Crops
from sattrans.data.sampling import class_factors
from sattrans.data.tileset import Tile, Tileset
from sattrans.errors import Interrupted, OptionError, UsageError
from sattrans.model import Model, ModelOptions, TileSpec
from sattrans.plugins import default_model, model_class
from sattrans.runs.bases import BaseImages, open_bases
from sattrans.runs.calibration import calibrate, discard
from sattrans.runs.device import choose_device
from sattrans.runs.run import RIGHTS, Run, RunOutput
from sattrans.train.checkpoints import load_initial_weights
from sattrans.train.claim import check_init, claim, new_folders
from sattrans.train.distributed import SINGLE_PROCESS, Processes, process_group
from sattrans.train.launcher import record_run
from sattrans.train.loggers import write_curves
from sattrans.train.loop import Loop
from sattrans.train.options import TrainOptions
from sattrans.train.settings import Settings
from sattrans.train.spec import palette_of, specified, unpaired_tiles
from sattrans.utils.atomic import now
from sattrans.utils.commands import command
from sattrans.utils.console import log, pluralize
from sattrans.utils.output import check_apart


@dataclass(frozen=True, slots=True)
class TrainPlan:
    """What a dry run found that `train` would do.

    Attributes:
        folder: The folder of the run.
        model: The name of the model.
        tileset: The folder of the tileset.
        tiles: Number of training tiles.
        unpaired: Number of images without maps that are used too.
        size: Side of a tile, in pixels.
        steps: Number of optimisation steps.
        batch_size: Tiles in a step, of all processes.
        device: The device of each process.
    """

    folder: Path
    model: str
    tileset: Path
    tiles: int
    unpaired: int
    size: int
    steps: int
    batch_size: int
    device: str


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What `train` made, or would make.

    Attributes:
        folder: The folder of the run.
        notices: What a user should know, a sentence each.
        written: The run; None after a dry run.
        plan: Of a dry run, what would be trained; else None.
    """

    folder: Path
    notices: tuple[str, ...] = ()
    written: Run | None = None
    plan: TrainPlan | None = None

    @property
    def run(self) -> Run:
        """The trained run. Raises `UsageError` after a dry run, which trains none."""
        if self.written is None:
            raise UsageError(f"a dry run trained no run in {self.folder}: see the result's plan")
        return self.written


@dataclass(frozen=True)
class _Job:
    """A training whose options are checked and resolved."""

    tileset: Tileset
    kind: type[Model]
    model_options: ModelOptions
    spec: TileSpec
    settings: Settings
    output: RunOutput
    init: Path | None
    device: torch.device
    chosen: bool = False
    """Whether the folder was chosen by its number, so that another one will do as well."""

    @property
    def plan(self) -> TrainPlan:
        settings, count = self.settings, self.settings.processes
        return TrainPlan(
            self.output.path,
            self.kind.name,
            self.tileset.folder,
            len(self.tileset.split("train")),
            len(unpaired_tiles(self.tileset, self.kind.pairing)),
            self.tileset.size,
            settings.steps,
            settings.batch_size * count,
            str(self.device) if count == 1 else f"{count} × {self.device}",
        )

    @property
    def manifest(self) -> dict[str, Any]:
        """What `run.json` records."""
        tileset, palette = self.tileset, palette_of(self.tileset, self.kind)
        scene = next(iter(tileset.scenes.values()))
        return {
            "created": now(),
            "model": self.kind.name,
            "plugin": _plugin_version(self.kind),
            "options": self.model_options.model_dump(),
            "settings": asdict(self.settings),
            "spec": asdict(self.spec),
            "palette": palette.to_json() if palette else None,
            "resolution": list(scene.georeference.resolution),
            "ground_resolution": tileset.ground_resolution,
            "data": {"folder": str(tileset.folder.resolve()), "name": tileset.name, "hash": tileset.hash},
            **{name: tileset.manifest[name] for name in RIGHTS if tileset.manifest.get(name)},
            "init": str(self.init.resolve()) if self.init else None,
        }


@command
def train(
    data: Path | None = None,
    output: Path | None = None,
    options: TrainOptions = TrainOptions(),
    *,
    overwrite: bool = False,
    dry_run: bool = False,
) -> TrainResult:
    """Train a model on a tileset, into a new run.

    Under `torchrun` every process calls this, and they train one run together.

    Args:
        data: The folder of the tileset; None for the newest under `tiles/`.
        output: The folder of the run; None for `runs/<model>-<tileset>-<n>`.
        options: What is trained, and how.
        overwrite: Replace a run in `output`; the old run stays until the new one has trained.
        dry_run: Check everything, but train and write nothing.

    Returns:
        The trained run, or the plan of a dry run.

    Raises:
        UsageError: If tileset, model, options and output do not fit together.
        TrainingError: If training fails.
        Interrupted: After a signal; what was trained is saved.
    """
    device = choose_device(options.device)
    with process_group(device) as processes:
        if not processes.is_first:
            log.setLevel(logging.WARNING)
            run = Run.open(processes.broadcast_folder(None))
            return _train(run, _prepare_loop(run, device, processes), processes)
        job = _prepare(data, output, options, device, processes.count if not dry_run else options.devices, overwrite)
        plan = job.plan
        log.info(
            "model %s on %s (%s%s of %d px), %s of %d on %s, into %s",
            plan.model,
            plan.tileset,
            pluralize(plan.tiles, "training tile"),
            f" and {pluralize(plan.unpaired, 'image')} without {'a map' if plan.unpaired == 1 else 'maps'}"
            if plan.unpaired
            else "",
            plan.size,
            pluralize(plan.steps, "step"),
            plan.batch_size,
            plan.device,
            plan.folder,
        )
        if dry_run:
            job.output.check()
            return TrainResult(job.output.path, plan=plan)
        return _begin(job, processes)


def _prepare(
    data: Path | None, output: Path | None, options: TrainOptions, device: torch.device, processes: int, overwrite: bool
) -> _Job:
    tileset = Tileset.open(data) if data else Tileset.newest()
    kind, model_options, spec = specified(model_class(options.model or default_model()), options.settings, tileset)
    defaults = kind.defaults
    if open_bases(kind, tileset) and options.warp:
        raise OptionError("--warp bends maps and images, but not the images of a base: leave out one of them")
    crops = Crops(tileset.size, kind.crop)
    batch_size = crops.batch_size(options.batch_size or defaults.batch_size, spec.tiles, processes)
    steps = options.steps or (None if options.epochs else defaults.steps)
    per_epoch = crops.steps(spec.tiles, batch_size * processes)
    settings = Settings(
        steps=steps or (options.epochs or defaults.epochs) * per_epoch,
        batch_size=batch_size,
        seed=options.seed,
        precision=options.precision,
        ema=defaults.ema if options.ema is None else options.ema,
        patience=options.patience or defaults.patience,
        monitor=options.monitor or defaults.monitor,
        schedule=defaults.schedule,
        processes=processes,
        compile=options.compile,
        sample_every=options.sample_every,
        balance=class_factors(options.balance, tileset) if options.balance else None,
        warp=options.warp,
    )
    if output:
        check_apart(output, [tileset.folder, *([options.init] if options.init else [])])
    run = RunOutput(output or next(new_folders(kind.name, tileset.name)), {}, overwrite=overwrite)
    run.is_finished()  # refuses a folder that is in use
    if options.init:
        check_init(options.init)
    return _Job(tileset, kind, model_options, spec, settings, run, options.init, device, chosen=output is None)


def _begin(job: _Job, processes: Processes) -> TrainResult:
    output = job.output
    try:
        with ExitStack() as stack:
            output = claim(job.output, (job.kind.name, job.tileset.name) if job.chosen else None, stack)
            run = Run.begin(output.path, job.manifest)
            loop = _prepare_loop(run, job.device, processes)
            processes.broadcast_folder(output.path)
            result = _train(run, loop, processes)
            output.recover()  # deletes a run that this one replaces
            return result
    except KeyboardInterrupt:
        trained = Run(output.path, {}).has_trained()
        message = f"stopped; resume with sattrans train --resume {output.path}" if trained else "interrupted"
        raise Interrupted(message, 130) from None


@command
def resume(
    run: Path | str,
    device: str = "auto",
    data: Path | None = None,
    *,
    epochs: int | None = None,
    steps: int | None = None,
) -> TrainResult:
    """Resume a run from its last checkpoint, with its own options; or train a finished one further.

    A schedule of the learning rate is that of the new length: where it fell to 0, it begins higher again.

    Args:
        run: The folder of the run; `last` for the newest unfinished one.
        device: The device to train on.
        data: Where the tileset lies now, if it was moved and is not found by itself.
        epochs: Train until each tile was seen this often, in all; None for the run's own length.
        steps: Train for this many steps, in all; instead of `epochs`.

    Raises:
        UsageError: The run is finished and no other length is given, or has trained that long already.
    """
    opened = Run.newest(finished=False) if str(run) == "last" else Run.open(Path(run))
    if opened.finished and epochs is None and steps is None:
        done = opened.manifest["summary"]["steps"]
        raise UsageError(
            f"{opened.folder} is finished, after {pluralize(done, 'step')}: train it further with a larger number, as "
            f"--steps {2 * done} or in --epochs, or start a new run with sattrans train"
        )
    opened = _with_length(opened.at(data), epochs, steps)
    further = epochs is not None or steps is not None
    chosen = choose_device(device)
    with process_group(chosen) as processes:
        recorded = opened.manifest["settings"]["processes"]
        if recorded != processes.count:
            raise UsageError(
                f"{opened.folder} was trained by {pluralize(recorded, 'process', 'processes')}, not "
                f"{processes.count}: resume with --devices {recorded}, or as many processes of torchrun or srun"
            )
        saved = opened.checkpoint("last").is_file()
        if not processes.is_first:
            return _train(opened, _prepare_loop(opened, chosen, processes, saved), processes)
        record_run(opened.folder)
        log.info("resuming %s (%s on %s)", opened.folder, opened.model_name, opened.manifest["data"]["folder"])
        output = RunOutput(opened.folder, {})
        with output.locked():
            loop = _prepare_loop(opened, chosen, processes, saved)
            if further and loop.step >= loop.settings.steps:
                done = f"{pluralize(loop.step, 'step')}, {loop.step / loop.train.per_epoch:.3g} epochs"
                raise UsageError(f"{opened.folder} has trained that long already ({done}): give a larger number")
            if further:
                discard(opened)
                loop.state["stale"] = 0  # else a run that stopped early would stop at once
            result = _train(opened, loop, processes)
            output.recover()  # deletes a run that this one replaces
            return result


def _with_length(run: Run, epochs: int | None, steps: int | None) -> Run:
    """Return a run that is trained for other epochs or steps in all; itself if none are given.

    Its manifest changes when it finishes. Until then a run that was finished can be used as it was.
    """
    if epochs is None and steps is None:
        return run
    settings, kind = run.manifest["settings"], model_class(run.model_name)
    TrainOptions(epochs=epochs, steps=steps)  # checks them
    if epochs is not None:
        tiles = settings["batch_size"] * settings["processes"]
        steps = epochs * Crops(run.spec.size, kind.crop).steps(len(run.tileset().split("train")), tiles)
    kept = {key: value for key, value in run.manifest.items() if key != "summary"}
    return Run(run.folder, {**kept, "settings": {**settings, "steps": steps}})


def _prepare_loop(run: Run, device: torch.device, processes: Processes, resume: bool = False) -> Loop:
    """Return a loop at its next step, after all checks that need no training step."""
    loop = build_loop(run, device, processes, resume)
    loop.check_monitor()
    if resume:
        loop.load()
    else:
        loop.model.prepare(loop.train.whole())
    return loop


def _train(run: Run, loop: Loop, processes: Processes) -> TrainResult:
    notices = []
    if loop.val is loop.train:
        notices.append(f"{run.manifest['data']['folder']} has no val tiles: the run is validated on training tiles")
    if run.unseen_classes:
        notices.append(
            f"no training tile holds {', '.join(run.unseen_classes)}: the run keeps the class, but has not learned it"
        )
    summary = loop.run()
    if not processes.is_first:
        return TrainResult(run.folder, written=run)
    write_curves(run)
    calibrate(run, device=loop.device)
    return TrainResult(run.folder, tuple(notices), run.finish(summary))


def build_loop(run: Run, device: torch.device, processes: Processes = SINGLE_PROCESS, resume: bool = False) -> Loop:
    """Return the loop that trains a run, at its beginning; all it needs is recorded in the run."""
    tileset = run.tileset()
    settings = Settings(**run.manifest["settings"])
    torch.manual_seed(settings.seed)  # the same weights in all processes
    model = run.build_model().to(device)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch has it, its stubs do not
    if run.manifest["init"] and not resume:
        load_initial_weights(model, Path(run.manifest["init"]), device)
    torch.manual_seed(settings.seed + processes.rank)  # and different dropout
    if settings.compile:
        for network in model.children():
            network.compile()
    source = run.manifest["options"]["source"]

    bases = open_bases(type(model), tileset)

    def batches(tiles: Sequence[Tile], rank: int = 0, count: int = 1) -> Batches:
        store = TileStore(tileset, tiles, device)
        coarse = BaseImages(bases, store, model.refines, device) if bases and model.refines else None
        sampling = model.crop, model.spec.scenes, settings.balance, settings.warp, model.refines, coarse
        return Batches(store, source, settings.batch_size, device, settings.seed, model.pairing, rank, count, *sampling)

    val_tiles = tileset.split("val")
    training = batches(
        [*tileset.split("train"), *unpaired_tiles(tileset, model.pairing)], processes.rank, processes.count
    )
    return Loop(model, training, batches(val_tiles) if val_tiles else training, settings, run, processes)


def _plugin_version(kind: type[Model]) -> dict[str, str]:
    from sattrans.plugins import manager

    row = manager().row("model", kind.name)
    return {"origin": row.origin, "version": row.version}
