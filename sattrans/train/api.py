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
from sattrans.plugins import fallback_model, model_class
from sattrans.runs.device import choose_device
from sattrans.runs.model_options import resolve
from sattrans.runs.run import DEFAULT_FOLDER, Run, load_checkpoint, under
from sattrans.train.distributed import ALONE, Ranks, joined
from sattrans.train.launcher import leave_word
from sattrans.train.loggers import draw_curves
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


def train_options(told: Mapping[str, Any]) -> TrainOptions:
    """Return options from names and values as a file or a command line has them. Raises `OptionError`."""
    try:
        return TypeAdapter(TrainOptions).validate_python(dict(told))
    except ValidationError as error:
        first = error.errors()[0]
        own = first.get("ctx", {}).get("error")  # what TrainOptions itself found, in its words
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
    `TrainingError` where training fails, `Interrupted` after a signal.
    """
    check_seed((options or TrainOptions()).seed)
    chosen = choose_device(device)
    with joined(chosen) as ranks:
        if not ranks.leads:
            log.setLevel(logging.WARNING)
            run = Run.open(ranks.told_folder(None))
            return _train(run, _prepared(run, chosen, ranks), ranks)
        return _begin(data, model, settings or {}, options or TrainOptions(), chosen, output, ranks)


def _begin(
    data: Path | None,
    model: str | None,
    settings: Mapping[str, Any],
    options: TrainOptions,
    device: torch.device,
    output: Path | None,
    ranks: Ranks,
) -> TrainResult:
    tileset = Tileset.open(data) if data else Tileset.newest()
    kind = model_class(model or fallback_model())
    model_options = resolve(kind, settings)
    spec = _spec(tileset, kind, model_options.source)
    count, unpaired = len(tileset.split("train")), len(_unpaired(tileset, kind.pairing))
    batch_size = max(1, min(options.batch_size or kind.defaults.batch_size, count // ranks.count))
    per_epoch = max(1, count // (batch_size * ranks.count))
    resolved = Settings(
        steps=options.steps or (options.epochs or kind.defaults.epochs) * per_epoch,
        batch_size=batch_size,
        seed=options.seed,
        precision=options.precision,
        ema=options.ema,
        patience=options.patience or kind.defaults.patience,
        monitor=options.monitor or kind.defaults.monitor,
        schedule=kind.defaults.schedule,
        processes=ranks.count,
        compile=options.compile,
    )
    folder = output or _new_folder(kind.name, tileset.name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):  # an empty one a kill may have left
        raise UsageError(f"{folder} exists: choose another name, or go on with it by --resume {folder}")
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
        batch_size * ranks.count,
        device if ranks.count == 1 else f"{ranks.count} × {device}",
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
            loop = _prepared(run, device, ranks)
            ranks.told_folder(folder)
            return _train(run, loop, ranks)
        except BaseException as error:
            kept = Run(folder, {}).has_trained()
            if not kept:  # nothing is lost, and --resume last must not take it up
                remove(folder)
            if isinstance(error, KeyboardInterrupt):
                way_on = f"stopped; go on with sattrans train --resume {folder}" if kept else "interrupted"
                raise Interrupted(way_on, 130) from None
            raise


def resume(run: Path | str, device: str = "auto") -> TrainResult:
    """Go on with a run (`last`: the newest unfinished one) from its last checkpoint, with its own options."""
    opened = Run.newest(finished=False) if str(run) == "last" else Run.open(Path(run))
    if opened.finished:
        raise UsageError(f"{opened.folder} is finished: begin a new run with sattrans train")
    chosen = choose_device(device)
    with joined(chosen) as ranks:
        processes = opened.manifest["settings"]["processes"]
        if processes != ranks.count:
            raise UsageError(
                f"{opened.folder} was trained by {counted(processes, 'process', 'processes')}, "
                f"{counted(ranks.count, 'is', 'are')} here: go on with as many (--devices {processes})"
            )
        saved = opened.checkpoint("last").is_file()
        if not ranks.leads:
            return _train(opened, _prepared(opened, chosen, ranks, saved), ranks)
        leave_word(opened.folder)
        log.info("going on with %s (%s on %s)", opened.folder, opened.model_name, opened.manifest["data"]["folder"])
        with lock(opened.folder):
            return _train(opened, _prepared(opened, chosen, ranks, saved), ranks)


def _spec(tileset: Tileset, kind: type[Model], source: SourceEncoding) -> TileSpec:
    """Return what the model is built for. Raises `UsageError` where it cannot be trained on the tileset."""
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
            "take --set source=color"
        )
    if not tileset.split("train"):
        unpaired = len(tileset.split(UNPAIRED))
        lone = f" with a map, {unpaired} without one" if unpaired else ""
        raise UsageError(f"{tileset.folder} has no training tiles{lone}: tile again with another --split, or with maps")
    return TileSpec(tileset.size, channels, classes=len(tileset.palette) if tileset.palette else 0)


def _prepared(run: Run, device: torch.device, ranks: Ranks, resume: bool = False) -> Loop:
    """Return a loop that stands before its next step, with all checked that can be without one."""
    loop = build_loop(run, device, ranks, resume)
    loop.check_monitor()
    if resume:
        loop.load()
    return loop


def _train(run: Run, loop: Loop, ranks: Ranks) -> TrainResult:
    notices = []
    if loop.val is loop.train:
        notices.append(f"{run.manifest['data']['folder']} has no val tiles: the run is judged on training tiles")
    summary = loop.run()
    if not ranks.leads:
        return TrainResult(run)
    draw_curves(run)
    return TrainResult(run.finish(summary), tuple(notices))


def build_loop(run: Run, device: torch.device, ranks: Ranks = ALONE, resume: bool = False) -> Loop:
    """Return the loop that trains a run, at its beginning; what it needs to know stands in the run."""
    tileset = run.tileset()
    settings = Settings(**run.manifest["settings"])
    torch.manual_seed(settings.seed)  # the same weights for all ranks
    model = run.build_model().to(device)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch has it, its stubs do not
    if run.manifest["init"] and not resume:
        _begin_from(model, Path(run.manifest["init"]), device)
    torch.manual_seed(settings.seed + ranks.number)  # and unlike dropout
    if settings.compile:
        for network in model.children():
            network.compile()
    encoding = run.manifest["options"]["source"]

    def batches(tiles: Sequence[Tile], rank: int = 0, count: int = 1) -> Batches:
        store = TileStore(tileset, tiles, device)
        return Batches(store, encoding, settings.batch_size, device, settings.seed, model.pairing, rank, count)

    val_tiles = tileset.split("val")
    training = batches([*tileset.split("train"), *_unpaired(tileset, model.pairing)], ranks.number, ranks.count)
    return Loop(model, training, batches(val_tiles) if val_tiles else training, settings, run, ranks)


def _unpaired(tileset: Tileset, pairing: Pairing) -> list[Tile]:
    """Return the tiles without a map that a model of this pairing trains on."""
    return tileset.split(UNPAIRED) if pairing == "unaligned" else []


def _check_init(folder: Path) -> None:
    """Raise `UsageError` where a run to begin from is none, or has no checkpoint yet."""
    try:
        kept = Run.open(folder).checkpoint("last")
    except UsageError as error:
        raise UsageError(f"--init {error}") from error
    if not kept.is_file():
        raise UsageError(f"--init {folder}: it was stopped before its first checkpoint: name another run")


def _begin_from(model: Model, folder: Path, device: torch.device) -> None:
    """Take over another run's last weights. Raises `UsageError` where they do not fit."""
    tensors, _ = load_checkpoint(Run.open(folder).checkpoint("last"), device)
    try:
        model.load_state_dict(under("model", tensors))
    except RuntimeError as error:
        told = str(error).splitlines()
        raise UsageError(
            f"--init {folder}: its weights do not fit this model, tileset and options ({told[-1].strip()}): "
            "take those it was trained with (sattrans runs show)"
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
