"""Train a model on a tileset: a tileset and a model plugin in, a run out."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError

from sattrans.data.batches import Batches, TileStore, source_channels
from sattrans.data.dataset import UNPAIRED
from sattrans.data.tileset import Tile, Tileset
from sattrans.errors import Interrupted, OptionError, UsageError, check_seed
from sattrans.model import Model, Pairing, SourceEncoding, TileSpec
from sattrans.plugins import default_model, model_class
from sattrans.runs.device import choose_device
from sattrans.runs.model_options import resolve
from sattrans.runs.run import DEFAULT_FOLDER, Run, load_checkpoint, under
from sattrans.train.distributed import SINGLE_PROCESS, Processes, process_group
from sattrans.train.launcher import record_run
from sattrans.train.loggers import write_curves
from sattrans.train.loop import Loop
from sattrans.train.settings import Precision, Settings
from sattrans.utils.atomic import now, remove
from sattrans.utils.console import counted, log
from sattrans.utils.lock import lock


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A finished run, and what a user should know about how it was trained."""

    run: Run
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """What `train` may be told; None takes the model's default (`Model.defaults`).

    `epochs` and `steps` exclude each other. `batch_size` is that of each process. `ema` is the decay of the
    generator's moving average, 0 for none. `init` is a run to begin from: its last weights, not its optimisers.
    `compile` has PyTorch compile the networks.
    """

    epochs: int | None = None
    steps: int | None = None
    batch_size: int | None = None
    seed: int = 0
    precision: Precision = "32"
    ema: float = 0.999
    patience: int | None = None
    monitor: str | None = None
    init: Path | None = None
    compile: bool = False

    def __post_init__(self) -> None:
        if self.epochs is not None and self.steps is not None:
            raise OptionError("--epochs and --steps exclude each other: give one")
        for name in ("epochs", "steps", "batch_size", "patience"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise OptionError(f"--{name.replace('_', '-')} {value}: at least 1 is needed")
        if not 0 <= self.ema < 1:
            raise OptionError(f"--ema {self.ema}: a decay from 0 (no average) to below 1 is needed")


def train_options(values: Mapping[str, Any]) -> TrainOptions:
    """Return options from names and values as a file or a command line has them. Raises `OptionError`."""
    try:
        return TypeAdapter(TrainOptions).validate_python(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        own = first.get("ctx", {}).get("error")  # an error of TrainOptions itself
        name = ".".join(map(str, first["loc"]))
        raise OptionError(str(own) if own else f"{name}={first['input']}: {first['msg']}") from error


def train(
    data: Path | None = None,
    model: str | None = None,
    settings: Mapping[str, Any] | None = None,
    options: TrainOptions | None = None,
    device: str = "auto",
    output: Path | None = None,
) -> TrainResult:
    """Train `model` on the tileset in `data` (the newest under `tiles/`), into a new run.

    `settings` are the model's own options. The run is `output`, or `runs/<model>-<tileset>-<n>`. Under `torchrun`
    every process calls this, and they train one run together. Raises `UsageError` for what does not fit,
    `TrainingError` if training fails, `Interrupted` after a signal.
    """
    check_seed((options or TrainOptions()).seed)
    chosen = choose_device(device)
    with process_group(chosen) as processes:
        if not processes.is_first:
            log.setLevel(logging.WARNING)
            run = Run.open(processes.broadcast_folder(None))
            return _train(run, _prepare_loop(run, chosen, processes), processes)
        return _begin(data, model, settings or {}, options or TrainOptions(), chosen, output, processes)


def _begin(
    data: Path | None,
    model: str | None,
    settings: Mapping[str, Any],
    options: TrainOptions,
    device: torch.device,
    output: Path | None,
    processes: Processes,
) -> TrainResult:
    tileset = Tileset.open(data) if data else Tileset.newest()
    kind = model_class(model or default_model())
    model_options = resolve(kind, settings)
    spec = _spec(tileset, kind, model_options.source)
    count, unpaired = len(tileset.split("train")), len(_unpaired(tileset, kind.pairing))
    batch_size = max(1, min(options.batch_size or kind.defaults.batch_size, count // processes.count))
    per_epoch = max(1, count // (batch_size * processes.count))
    resolved = Settings(
        steps=options.steps or (options.epochs or kind.defaults.epochs) * per_epoch,
        batch_size=batch_size,
        seed=options.seed,
        precision=options.precision,
        ema=options.ema,
        patience=options.patience or kind.defaults.patience,
        monitor=options.monitor or kind.defaults.monitor,
        schedule=kind.defaults.schedule,
        processes=processes.count,
        compile=options.compile,
    )
    folder = output or _new_folder(kind.name, tileset.name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):  # a kill may have left an empty one
        raise UsageError(f"{folder} exists: choose another name, or resume it with --resume {folder}")
    if options.init:
        _check_init(options.init)
    log.info(
        "model %s on %s (%s%s of %d px), %s of %d on %s, into %s",
        kind.name,
        tileset.folder,
        counted(count, "training tile"),
        f" and {counted(unpaired, 'image')} without {'a map' if unpaired == 1 else 'maps'}" if unpaired else "",
        tileset.size,
        counted(resolved.steps, "step"),
        batch_size * processes.count,
        device if processes.count == 1 else f"{processes.count} × {device}",
        folder,
    )
    with lock(folder):
        scene = next(iter(tileset.scenes.values()))
        try:
            run = Run.begin(
                folder,
                {
                    "created": now(),
                    "model": kind.name,
                    "plugin": _plugin_version(kind),
                    "options": model_options.model_dump(),
                    "settings": asdict(resolved),
                    "spec": asdict(spec),
                    "palette": tileset.palette.to_json() if tileset.palette else None,
                    "resolution": list(scene.georeference.resolution),
                    "ground_resolution": tileset.ground_resolution,
                    "data": {"folder": str(tileset.folder.resolve()), "name": tileset.name, "hash": tileset.hash},
                    "init": str(options.init.resolve()) if options.init else None,
                },
            )
            loop = _prepare_loop(run, device, processes)
            processes.broadcast_folder(folder)
            return _train(run, loop, processes)
        except BaseException as error:
            trained = Run(folder, {}).has_trained()
            if not trained:  # nothing is lost, and --resume last must not find it
                remove(folder)
            if isinstance(error, KeyboardInterrupt):
                message = f"stopped; resume with sattrans train --resume {folder}" if trained else "interrupted"
                raise Interrupted(message, 130) from None
            raise


def resume(run: Path | str, device: str = "auto") -> TrainResult:
    """Resume a run (`last`: the newest unfinished one) from its last checkpoint, with its own options."""
    opened = Run.newest(finished=False) if str(run) == "last" else Run.open(Path(run))
    if opened.finished:
        raise UsageError(f"{opened.folder} is finished: start a new run with sattrans train")
    chosen = choose_device(device)
    with process_group(chosen) as processes:
        recorded = opened.manifest["settings"]["processes"]
        if recorded != processes.count:
            raise UsageError(
                f"{opened.folder} was trained by {counted(recorded, 'process', 'processes')}, not "
                f"{processes.count}: resume with --devices {recorded}"
            )
        saved = opened.checkpoint("last").is_file()
        if not processes.is_first:
            return _train(opened, _prepare_loop(opened, chosen, processes, saved), processes)
        record_run(opened.folder)
        log.info("resuming %s (%s on %s)", opened.folder, opened.model_name, opened.manifest["data"]["folder"])
        with lock(opened.folder):
            return _train(opened, _prepare_loop(opened, chosen, processes, saved), processes)


def _spec(tileset: Tileset, kind: type[Model], source: SourceEncoding) -> TileSpec:
    """Return what the model is built for. Raises `UsageError` if it cannot be trained on the tileset."""
    if tileset.side_by_side:
        raise UsageError(
            f"{tileset.folder} holds map and image side by side, for other tools: tile again without --layout pairs"
        )
    if tileset.size not in kind.sizes:
        raise UsageError(
            f"model '{kind.name}' takes tiles of {', '.join(map(str, kind.sizes))} px, {tileset.folder} "
            f"has {tileset.size}: tile again with --size"
        )
    channels = source_channels(source, tileset.palette)
    if not channels:
        raise UsageError(
            f"the maps of {tileset.folder} are pictures without classes, source={source} needs classes: "
            "use --set source=color"
        )
    if not tileset.split("train"):
        unpaired = len(tileset.split(UNPAIRED))
        maps = f" with a map, {unpaired} without one" if unpaired else ""
        raise UsageError(f"{tileset.folder} has no training tiles{maps}: tile again with another --split, or with maps")
    return TileSpec(tileset.size, channels, classes=len(tileset.palette) if tileset.palette else 0)


def _prepare_loop(run: Run, device: torch.device, processes: Processes, resume: bool = False) -> Loop:
    """Return a loop at its next step, after all checks that need no training step."""
    loop = build_loop(run, device, processes, resume)
    loop.check_monitor()
    if resume:
        loop.load()
    return loop


def _train(run: Run, loop: Loop, processes: Processes) -> TrainResult:
    notices = []
    if loop.val is loop.train:
        notices.append(f"{run.manifest['data']['folder']} has no val tiles: the run is validated on training tiles")
    summary = loop.run()
    if not processes.is_first:
        return TrainResult(run)
    write_curves(run)
    return TrainResult(run.finish(summary), tuple(notices))


def build_loop(run: Run, device: torch.device, processes: Processes = SINGLE_PROCESS, resume: bool = False) -> Loop:
    """Return the loop that trains a run, at its beginning; all it needs is recorded in the run."""
    tileset = run.tileset()
    settings = Settings(**run.manifest["settings"])
    torch.manual_seed(settings.seed)  # the same weights in all processes
    model = run.build_model().to(device)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch has it, its stubs do not
    if run.manifest["init"] and not resume:
        _load_initial_weights(model, Path(run.manifest["init"]), device)
    torch.manual_seed(settings.seed + processes.rank)  # and different dropout
    if settings.compile:
        for network in model.children():
            network.compile()
    encoding = run.manifest["options"]["source"]

    def batches(tiles: Sequence[Tile], rank: int = 0, count: int = 1) -> Batches:
        store = TileStore(tileset, tiles, device)
        return Batches(store, encoding, settings.batch_size, device, settings.seed, model.pairing, rank, count)

    val_tiles = tileset.split("val")
    training = batches([*tileset.split("train"), *_unpaired(tileset, model.pairing)], processes.rank, processes.count)
    return Loop(model, training, batches(val_tiles) if val_tiles else training, settings, run, processes)


def _unpaired(tileset: Tileset, pairing: Pairing) -> list[Tile]:
    """Return the tiles without a map that a model of this pairing trains on."""
    return tileset.split(UNPAIRED) if pairing == "unaligned" else []


def _check_init(folder: Path) -> None:
    """Raise `UsageError` if the run to start from does not exist or has no checkpoint yet."""
    try:
        checkpoint = Run.open(folder).checkpoint("last")
    except UsageError as error:
        raise UsageError(f"--init {error}") from error
    if not checkpoint.is_file():
        raise UsageError(f"--init {folder}: it was stopped before its first checkpoint: name another run")


def _load_initial_weights(model: Model, folder: Path, device: torch.device) -> None:
    """Load another run's last weights into a model. Raises `UsageError` if they do not fit."""
    tensors, _ = load_checkpoint(Run.open(folder).checkpoint("last"), device)
    try:
        model.load_state_dict(under("model", tensors))
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise UsageError(
            f"--init {folder}: its weights do not fit this model, tileset and options ({reason}): "
            "use those it was trained with (sattrans runs show)"
        ) from error


def _new_folder(model: str, tileset: str) -> Path:
    number = 1
    while (folder := DEFAULT_FOLDER / f"{model}-{tileset}-{number}").exists():
        number += 1
    return folder


def _plugin_version(kind: type[Model]) -> dict[str, str]:
    from sattrans.plugins import manager

    row = manager().row("model", kind.name)
    return {"origin": row.origin, "version": row.version}
