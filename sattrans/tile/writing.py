"""Fill a tileset's folder: begin it or go on with it, cut what is missing, and put index and manifest in place."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from operator import call
from pathlib import Path
from typing import Any

from sattrans.data.tileset import (
    INDEX,
    MANIFEST,
    Tile,
    read_unfinished,
    tile_from_json,
    tile_to_json,
    write_tileset_manifest,
)
from sattrans.errors import SattransError
from sattrans.tile.cut import CutResult, TileRow, cut_row
from sattrans.tile.inputs import Input, changed
from sattrans.utils.atomic import naming, now, remove, sync, sync_all, write_bytes
from sattrans.utils.console import log, pluralize, progress_bar
from sattrans.utils.executor import as_done
from sattrans.utils.manifest import as_json, begun_of, check_free, check_same_options


class Journal:
    """Lines of JSON in a file that only grows. What a kill cut off at the end is left out when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[dict[str, Any]]:
        """Return the entries, in the order they were made."""
        if not self.path.is_file():
            return []
        entries = []
        for line in self.path.read_bytes().split(b"\n")[:-1]:
            try:
                entries.append(json.loads(line))
            except ValueError:  # torn by a machine that lost its power
                continue
        return entries

    @contextmanager
    def appending(self, entries: list[dict[str, Any]]) -> Iterator[Callable[[dict[str, Any]], object]]:
        """Begin the file anew with `entries`, and give what adds to it."""
        write_bytes(self.path, b"".join(_line(entry) for entry in entries))
        with self.path.open("ab", buffering=0) as file:

            def add(entry: dict[str, Any]) -> None:
                with naming(self.path):
                    file.write(_line(entry))

            yield add


def _line(entry: dict[str, Any]) -> bytes:
    return (json.dumps(entry, separators=(",", ":")) + "\n").encode()


@dataclass(frozen=True, slots=True)
class Begun:
    """A folder that is ours to fill: when it was begun, and what a killed run left in its manifest and journal."""

    folder: Path
    created: str
    told: Mapping[str, Any]
    extra: Mapping[str, Any]
    entries: tuple[dict[str, Any], ...]

    def note(self, inputs: Sequence[Input], **extra: Any) -> None:
        """Write the manifest of what is begun, with the inputs as they are and `extra` for who goes on."""
        body = {
            "created": self.created,
            "options": self.told,
            "inputs": [item.to_json() for item in inputs],
            **extra,
        }
        write_tileset_manifest(begun_of(self.folder / MANIFEST), body)


def recover(folder: Path) -> None:
    """Put right what a kill left between two steps: a folder set aside, or one that was finished but for its end."""
    aside = _aside(folder)
    if (folder / MANIFEST).is_file():
        settle_down(folder)
    if (folder / MANIFEST).is_file() or not (aside / MANIFEST).is_file():
        _discard(aside)
    elif not folder.exists():
        aside.rename(folder)


@contextmanager
def claimed(folder: Path, told: Mapping[str, Any], overwrite: bool) -> Iterator[Begun]:
    """Begin a tileset's folder, or go on with one that a killed run left.

    With `overwrite` a finished tileset is set aside until the new one is whole, and put back after an error; an
    unfinished one of other options makes way. An error before the first tile leaves nothing behind; after it, what
    was made is kept for the same command. Raises `OutputExists` for other options, and for a folder of other things.
    """
    aside = _aside(folder)
    if overwrite and (folder / MANIFEST).is_file():
        folder.rename(aside)
    elif overwrite and not _goes_on(folder, told):
        _discard(folder)
    unfinished = read_unfinished(folder)
    if unfinished:
        check_same_options(folder, unfinished["options"], told)
    check_free(folder, MANIFEST)
    journal = Journal(begun_of(folder / INDEX))
    extra: dict[str, Any] = (
        {key: unfinished[key] for key in ("inputs", "scale") if key in unfinished} if unfinished else {}
    )
    created = unfinished["created"] if unfinished else now()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield Begun(folder, created, told, extra, tuple(journal.read()) if unfinished else ())
    except Exception:
        if aside.exists():
            _discard(folder)
            aside.rename(folder)
        else:
            kept = sum(len(entry.get("tiles", ())) for entry in journal.read())
            if kept:
                tiles = pluralize(kept, "tile is", "tiles are")
                log.info("%s kept in %s: the same command goes on from there", tiles, folder)
            else:
                _discard(folder)
        raise
    _discard(aside)


def _goes_on(folder: Path, told: Mapping[str, Any]) -> bool:
    """Say whether a folder is none that was begun, or one that was begun with the same options."""
    try:
        unfinished = read_unfinished(folder)
    except SattransError:  # of another version, or damaged
        return False
    return unfinished is None or bool(unfinished["options"] == as_json(told))


def _aside(folder: Path) -> Path:
    """Return where a finished tileset waits until the one that is to replace it is whole."""
    return folder.with_name(f".{folder.name}.before")


def _discard(folder: Path) -> None:
    """Delete a tileset, in an order that a kill may stop: what is half gone is never taken for whole, nor for others'.

    A folder that cannot go, such as one that something is mounted on, stays, empty.
    """
    if not folder.is_dir():
        return
    begun = begun_of(folder / MANIFEST)
    (folder / MANIFEST).unlink(missing_ok=True)
    for path in folder.iterdir():
        if path != begun:
            remove(path)
    begun.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


def known_inputs(begun: Begun, inputs: Sequence[Input]) -> tuple[dict[str, Input], list[str]]:
    """Return the inputs whose hash an earlier run knows, by path, and the paths of those that changed since."""
    before = {item["path"]: Input(**item) for item in begun.extra.get("inputs", ())}
    before |= {entry["input"]["path"]: Input(**entry["input"]) for entry in begun.entries if "input" in entry}
    differing = changed(inputs, before) if before else []
    hashed = {
        item.path: replace(item, sha256=before[item.path].sha256)
        for item in inputs
        if item.path in before and before[item.path].sha256 and item.path not in differing
    }
    return hashed, differing


def cut_rows(
    begun: Begun,
    rows: Sequence[TileRow],
    inputs: Sequence[Input],
    hashed: dict[str, Input],
    stale: set[str],
    pool: Executor,
) -> tuple[list[Tile], Counter[str], list[Input]]:
    """Cut what is missing. Return all tiles in order, what was dropped, and the inputs with their hashes.

    `hashed` are the inputs whose hash is known, `stale` the ids of scenes whose tiles an earlier run made from
    other files.
    """
    done = {entry["row"]: entry for entry in begun.entries if "row" in entry}
    keys = [row.key for row in rows]
    rows = [
        row if row.source.record.id in stale else replace(row, known=_known(done.get(key)))
        for row, key in zip(rows, keys, strict=True)
    ]
    left = sum(len(row.cells) for row in rows if not row.known)
    total = sum(len(row.cells) for row in rows)
    kept = [{"row": key, **_cut_to_json(row.known)} for row, key in zip(rows, keys, strict=True) if row.known]
    kept += [{"input": item.to_json()} for item in hashed.values()]
    before = {item.path: item for item in inputs}
    results: dict[str, CutResult] = {}
    rows_left = Counter(row.source.record.id for row in rows)
    with (
        Journal(begun_of(begun.folder / INDEX)).appending(kept) as add,
        progress_bar(total, "tile", "tile", total - left) as progress,
        ThreadPoolExecutor(1) as disk,  # takes up a scene's tiles while the next are cut
    ):
        work = list(_work(rows, keys, [item.path for item in inputs if item.path not in hashed]))
        # As they are done: what waits for its turn to be noted would be made again after a kill.
        for place, result in as_done(pool, call, work):
            if isinstance(result, Input):
                _check_same(before[result.path], result)
                hashed[result.path] = result
                add({"input": result.to_json()})
                continue
            row, key = work[place].args
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
    return tiles, dropped, [hashed[item.path] for item in inputs]


def _check_same(before: Input, after: Input) -> None:
    """Raise where a file is not what it was when its scene was looked at: before what was cut of it is noted."""
    if (after.bytes, after.time) != (before.bytes, before.time):
        raise SattransError(f"{before.path} changed while it was being cut: the same command cuts it again")


def _work(rows: Sequence[TileRow], keys: Sequence[str], to_hash: Sequence[str]) -> Iterator["partial[Any]"]:
    """Yield the pieces of work: a scene's files are hashed just before they are cut, while they are in memory."""
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
    """Cut a row; its key is for who gets the result."""
    return cut_row(row)


def _known(entry: Mapping[str, Any] | None) -> CutResult | None:
    return CutResult(tuple(map(tile_from_json, entry["tiles"])), entry["dropped"]) if entry else None


def _cut_to_json(result: CutResult) -> dict[str, Any]:
    return {"tiles": [tile_to_json(tile) for tile in result.tiles], "dropped": dict(result.dropped)}


def tidy(folder: Path, tiles: Sequence[Tile]) -> None:
    """Remove what a killed run left among the tiles, and make sure that these are on the disk."""
    wanted = {path for tile in tiles for path in (tile.image, tile.map)}
    for part in folder.iterdir():
        for path in part.iterdir() if part.is_dir() else ():
            if f"{part.name}/{path.name}" not in wanted:
                remove(path)
        if part.is_dir():
            sync(part)
    sync_all()


def settle_down(folder: Path) -> None:
    """Remove what stands for a folder that is not finished."""
    sync(folder)
    for path in (begun_of(folder / MANIFEST), begun_of(folder / INDEX)):
        path.unlink(missing_ok=True)
