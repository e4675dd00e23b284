"""Cut the tiles of a tileset that are missing, and record them in its journal."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from operator import call
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
from sattrans.utils.executor import as_done


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
    pool: Executor,
) -> tuple[list[Tile], Counter[str], dict[tuple[str, str], int], list[Input]]:
    """Cut the missing tiles.

    Return all tiles in order, the counts of dropped cells, those of cells with invalid pixels by scene and by "image"
    or "map", and the inputs with their hashes.

    `hashed` are the inputs whose hash is known, `stale` the ids of scenes whose files changed after an earlier run cut
    them.
    """
    done = {entry["row"]: entry for entry in output.entries if "row" in entry}
    keys = [row.key for row in rows]
    rows = [
        row if row.source.record.id in stale else replace(row, known=_known(done.get(key)))
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
        # Results are recorded as soon as they are done, so that a killed run loses as few as possible.
        for index, result in as_done(pool, call, work):
            if isinstance(result, Input):
                _check_same(before[result.path], result)
                hashed[result.path] = result
                add({"input": result.to_json()})
                continue
            row, key = work[index].args
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


def _work(rows: Sequence[TileRow], keys: Sequence[str], to_hash: Sequence[str]) -> Iterator["partial[Any]"]:
    """Yield the units of work; a scene's files are hashed just before they are cut, and so read only once."""
    waiting = dict.fromkeys(to_hash)
    for row, key in zip(rows, keys, strict=True):
        for path in row.source.files:
            if path in waiting:
                del waiting[path]
                yield partial(Input.hashed, path)
        yield partial(_cut, row, key)
    for path in waiting:
        yield partial(Input.hashed, path)


def _cut(row: TileRow, key: str) -> CutResult:
    """Cut a row; the caller reads the key from the arguments."""
    return cut_row(row)


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
