"""Cut the tiles of a tileset that are missing, and record them in its journal."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from sattrans.data.tileset import (
    Tile,
    tile_from_json,
    tile_to_json,
)
from sattrans.errors import SattransError
from sattrans.tile.cut import CutResult, TileRow, cut_row
from sattrans.tile.inputs import Input, changed
from sattrans.tile.up_to_date import TilesetOutput
from sattrans.utils.atomic import remove, sync, sync_all
from sattrans.utils.console import progress_bar
from sattrans.utils.executor import Pool

Task = str | tuple[TileRow, str]
"""The path of a file to hash, or a row to cut with its key."""

PIXELS_ELSEWHERE = 1 << 23
"""Pixels of tiles that a process elsewhere cuts at a time, in half a second: to hand out work takes milliseconds."""


def known_inputs(output: TilesetOutput, inputs: Sequence[Input]) -> tuple[dict[str, Input], list[str]]:
    """Return the inputs whose hash an earlier run recorded, by path, and the paths of those that changed since."""
    before = {item["path"]: Input(**item) for item in output.earlier.get("inputs", ())}
    before |= {entry["input"]["path"]: Input(**entry["input"]) for entry in output.entries if "input" in entry}
    differing = changed(inputs, before) if before else []
    hashed = {
        item.path: replace(item, sha256=before[item.path].sha256)
        for item in inputs
        if item.path in before and before[item.path].sha256 and item.path not in differing
    }
    return hashed, differing


def cut_rows(
    output: TilesetOutput,
    rows: Sequence[TileRow],
    inputs: Sequence[Input],
    hashed: dict[str, Input],
    stale: set[str],
    pool: Pool,
) -> tuple[list[Tile], Counter[str], dict[tuple[str, str], int], list[Input]]:
    """Cut the missing tiles.

    Return all tiles in order, the counts of dropped cells, those of cells with invalid pixels by scene and by "image"
    or "map", and the inputs with their hashes.

    `hashed` are the inputs whose hash is known, `stale` the ids of scenes whose files changed after an earlier run cut
    them.
    """
    cut = {entry["row"]: entry for entry in output.entries if "row" in entry}
    keys = [row.key for row in rows]
    rows = [
        row if row.source.record.id in stale else replace(row, known=_known(cut.get(key)))
        for row, key in zip(rows, keys, strict=True)
    ]
    left = sum(len(row.cells) for row in rows if not row.known)
    total = sum(len(row.cells) for row in rows)
    entries = [{"row": key, **_cut_to_json(row.known)} for row, key in zip(rows, keys, strict=True) if row.known]
    entries += [{"input": item.to_json()} for item in hashed.values()]
    before = {item.path: item for item in inputs}
    results: dict[str, CutResult] = {}
    rows_left = Counter(row.source.record.id for row in rows)
    with (
        output.journal.appending(entries) as add,
        progress_bar(total, "tile", "tile", total - left) as progress,
        ThreadPoolExecutor(1) as disk,  # syncs the tiles of a scene while the next are cut
    ):
        work = list(_work(rows, keys, [item.path for item in inputs if item.path not in hashed]))
        units = list(_units(work, PIXELS_ELSEWHERE if pool.elsewhere else 0))
        sent: Iterable[list[Task]] = map(_from_anywhere, units) if pool.elsewhere else units
        # Results are recorded as soon as they are done, so that a killed run loses as few as possible.
        done = pool.as_done(_do, sent)
        for task, result in ((t, r) for index, found in done for t, r in zip(units[index], found, strict=True)):
            if isinstance(result, Input):
                _check_same(before[result.path], result)
                hashed[result.path] = result
                add({"input": result.to_json()})
                continue
            assert not isinstance(task, str)
            row, key = task
            results[key] = result
            if not row.known:
                add({"row": key, **_cut_to_json(result)})
                progress.update(len(row.cells))
            rows_left[row.source.record.id] -= 1
            if not rows_left[row.source.record.id]:
                disk.submit(sync_all)
    for path, was in before.items():
        _check_same(was, Input.of(Path(path)))
    tiles = [tile for key in keys for tile in results[key].tiles]
    dropped = sum((Counter(result.dropped) for result in results.values()), Counter())
    invalid: Counter[tuple[str, str]] = Counter()
    for row, key in zip(rows, keys, strict=True):
        invalid.update({(row.source.record.id, file): count for file, count in results[key].invalid.items()})
    return tiles, dropped, dict(invalid), [hashed[item.path] for item in inputs]


def _check_same(before: Input, after: Input) -> None:
    """Raise `SattransError` if a file has changed since its scene was inspected."""
    if (after.bytes, after.time) != (before.bytes, before.time):
        raise SattransError(f"{before.path} changed while it was being cut; repeat the command to cut it again")


def _work(rows: Sequence[TileRow], keys: Sequence[str], to_hash: Sequence[str]) -> Iterator[Task]:
    """Yield the tasks; a scene's files are hashed just before they are cut, and so read only once."""
    waiting = dict.fromkeys(to_hash)
    for row, key in zip(rows, keys, strict=True):
        for path in row.source.files:
            if path in waiting:
                del waiting[path]
                yield path
        yield row, key
    yield from waiting


def _units(tasks: Iterable[Task], least: int) -> Iterator[list[Task]]:
    """Yield tasks in units that have at least so many pixels to cut, but for the last; 0 for single tasks."""
    unit: list[Task] = []
    pixels = 0
    for task in tasks:
        unit.append(task)
        pixels += 0 if isinstance(task, str) else sum(c.window.height * c.window.width for c, _ in task[0].cells)
        if pixels >= least:
            yield unit
            unit, pixels = [], 0
    if unit:
        yield unit


def _do(unit: Sequence[Task]) -> list[Input | CutResult]:
    """Do the tasks of a unit: hash a file, cut a row."""
    return [Input.hashed(task) if isinstance(task, str) else cut_row(task[0]) for task in unit]


def _from_anywhere(unit: Sequence[Task]) -> list[Task]:
    """Return the tasks of a unit for a process that may run in another folder."""
    return [task if isinstance(task, str) else (task[0].from_anywhere(), task[1]) for task in unit]


def _known(entry: Mapping[str, Any] | None) -> CutResult | None:
    if not entry:
        return None
    return CutResult(tuple(map(tile_from_json, entry["tiles"])), entry["dropped"], entry.get("invalid", {}))


def _cut_to_json(result: CutResult) -> dict[str, Any]:
    return {
        "tiles": [tile_to_json(tile) for tile in result.tiles],
        "dropped": dict(result.dropped),
        "invalid": dict(result.invalid),
    }


def tidy(folder: Path, tiles: Sequence[Tile]) -> None:
    """Remove files that a killed run left among the tiles, and sync the tiles to the disk.

    Raises `SattransError` if a tile is gone, because something else removed it while others were cut.
    """
    wanted = {path for tile in tiles for path in (tile.image, tile.map) if path}
    there = {f"{part.name}/{path.name}" for part in folder.iterdir() if part.is_dir() for path in part.iterdir()}
    gone = sorted(wanted - there)
    if gone:
        more = f", and {len(gone) - 1} more" if len(gone) > 1 else ""
        raise SattransError(
            f"{folder / gone[0]} was removed while tiles were cut{more}; to cut what is missing, repeat the command"
        )
    for part in folder.iterdir():
        for path in part.iterdir() if part.is_dir() else ():
            if f"{part.name}/{path.name}" not in wanted:
                remove(path)
        if part.is_dir():
            sync(part)
    sync_all()
