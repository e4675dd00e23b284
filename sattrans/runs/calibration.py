"""Calibration: the flat field of a run, estimated once from its training tiles, and kept in the run's folder."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sattrans.data.batches import TileStore
from sattrans.data.tileset import Tile
from sattrans.errors import SattransError, UsageError
from sattrans.runs.device import choose_device
from sattrans.runs.flat_field import THREADS, FlatField
from sattrans.runs.flat_field_fit import FlatFieldEstimator
from sattrans.runs.options import Stats
from sattrans.runs.run import Run
from sattrans.runs.schemas import Calibration
from sattrans.runs.translator import Translator
from sattrans.utils.console import log, progress_bar
from sattrans.utils.manifest import read_manifest, write_manifest

VERSION = 1
CALIBRATION = "calibration.json"

MOST_TILES = 128
"""Training tiles that a flat field is estimated from, at most."""

WINDOWS = 64
"""Windows that it is estimated from, at least: fewer tiles are turned and mirrored, in up to eight ways."""

BATCH = 4


def has_flat_field(run: Run) -> bool:
    """Return whether windows of a run may repeat a pattern that can be subtracted.

    A model with a margin or a context does not know the position of a pixel in its window; without classes there is
    nothing to tell a pattern from what the map shows.
    """
    return run.kind.margin is None and run.kind.context is None and run.palette is not None


def find_flat_field(run: Run, stats: Stats, device: torch.device, *, store: bool) -> FlatField | None:
    """Return the flat field of a run, None if it can have none. A run without one is calibrated, and it is said."""
    if not has_flat_field(run):
        return None
    stored = stored_flat_field(run, stats)
    if stored is not None:
        return stored
    which = "" if stats == "run" else f" for --stats {stats}"
    log.info("run %s has no flat field%s: it is estimated now from training tiles", run.folder, which)
    try:
        return calibrate(run, None, device, stats, store=store and run.finished)
    except UsageError as error:
        log.warning(
            "%s; until sattrans runs calibrate %s --data TILESET, images keep the pattern that every window repeats",
            error,
            run.folder,
        )
        return None


def stored_flat_field(run: Run, stats: Stats) -> FlatField | None:
    """Return the flat field in a run's folder; None if it has none for these statistics of batch norms.

    Raises `SattransError` if it is damaged.
    """
    path = run.folder / CALIBRATION
    if not path.is_file():
        return None
    fields = _read(path)
    if stats not in fields:
        return None
    try:
        field = FlatField.decode(fields[stats])
        if any(one.side != run.spec.size for one in field.classes.values()):
            raise ValueError("has fields of another size than the tiles")
    except ValueError as error:
        raise SattransError(
            f"{path} is damaged: it {error}; make it again with sattrans runs calibrate {run.folder}"
        ) from error
    return field


def calibrate(
    run: Run, data: Path | None = None, device: str | torch.device = "auto", stats: Stats = "run", *, store: bool = True
) -> FlatField:
    """Estimate the flat field of a run from its training tiles.

    Args:
        run: A run that has trained.
        data: Where its tileset lies, if it was moved.
        device: The device that translates.
        stats: The statistics that batch norms use.
        store: Whether to keep the field in the run's folder, where `generate` finds it.

    Returns:
        The flat field; it has no classes if no pattern is repeated, or the run can have none (`has_flat_field`), of
        which nothing is kept.

    Raises:
        UsageError: The tileset is not there, or not that of the training.
    """
    if not has_flat_field(run):
        return FlatField({})
    tileset = run.tileset(data)
    tiles = _spread(tileset.split("train"))
    tile_store, windows = TileStore(tileset, tiles), list(_windows(len(tiles)))
    chosen = choose_device(device) if isinstance(device, str) else device
    translator, estimator = Translator(run, chosen, stats=stats), FlatFieldEstimator()
    with ThreadPoolExecutor(THREADS) as pool, progress_bar(len(windows), "flat field", "window") as progress:
        for start in range(0, len(windows), BATCH):
            batch = windows[start : start + BATCH]
            maps = np.stack([_turned(tile_store.maps([tile])[0].numpy(), way) for tile, way in batch])
            estimator.add(maps, translator(maps, [(0, 0)] * len(batch)), pool.map)
            progress.update(len(batch))
        field = estimator.fit(pool.map)
    if store:
        path = run.folder / CALIBRATION
        fields = _read(path) if path.is_file() else {}
        write_manifest(path, "calibration", VERSION, {"fields": {**fields, stats: field.encode()}})
    if field.strength >= 0.5:
        log.info(
            "run %s repeats a pattern of %.1f grey levels in every window; generate subtracts it",
            run.folder,
            field.strength,
        )
    return field


def discard(run: Run) -> None:
    """Remove the flat field of a run that trains further."""
    (run.folder / CALIBRATION).unlink(missing_ok=True)


def _read(path: Path) -> dict[str, str]:
    fields: dict[str, str] = read_manifest(path, "calibration", VERSION, lambda: Calibration)["fields"]
    return fields


def _spread(tiles: Sequence[Tile]) -> list[Tile]:
    """Return `MOST_TILES` of the tiles at most, evenly spaced."""
    return list(tiles[:: -(-len(tiles) // MOST_TILES)])


def _windows(tiles: int) -> Iterator[tuple[int, int]]:
    """Yield each window: the number of its tile, and in which of eight ways it is turned."""
    for way in range(min(8, -(-WINDOWS // tiles))):
        for tile in range(tiles):
            yield tile, way


def _turned(window: NDArray[np.uint8], way: int) -> NDArray[np.uint8]:
    turned = np.rot90(window, way % 4)
    return turned if way < 4 else turned.T
