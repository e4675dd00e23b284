"""Fill a tileset's folder: begin it or go on with it, cut what is missing, and put index and manifest in place."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from operator import call
from pathlib import Path
from typing import Any

from sattrans.errors import OutputExists, SattransError, UsageError
from sattrans.files import as_json, begun_of, check_same_options, now, remove, sync
from sattrans.progress import bar, log
from sattrans.tileset import (
    INDEX,
    MANIFEST,
    Tile,
    Tileset,
    read_unfinished,
    tile_from_json,
    tile_to_json,
    write_tileset_manifest,
)
from sattrans.tiling.cut import CutRow, Row, cut_row
from sattrans.tiling.inputs import Input, changed
from sattrans.tiling.journal import Journal


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
    """Undo or finish what a run did that was killed while it set an old tileset aside, or cleaned up at its end."""
    aside = _aside(folder)
    if (folder / MANIFEST).is_file():
        settle_down(folder)
        remove(aside)
    elif aside.exists() and not (folder.is_dir() and any(folder.iterdir())):
        remove(folder)
        aside.rename(folder)


def _aside(folder: Path) -> Path:
    """Return where a finished tileset is until the one that replaces it is whole."""
    return folder.with_name(f".{folder.name}.before")


def finished(folder: Path, told: Mapping[str, Any], plan: str, inputs: Sequence[Input]) -> Tileset | None:
    """Return the tileset where it is there already; None where it is not.

    Raises `OutputExists` where it was made with other options, by another `plan` (its hash), or from files that have
    changed since.
    """
    if not (folder / MANIFEST).is_file():
        return None
    done = Tileset.open(folder)
    check_same_options(folder, done.manifest["options"], told)
    differing = changed(inputs, {item["path"]: Input(**item) for item in done.manifest["inputs"]})
    if differing or len(inputs) != len(done.manifest["inputs"]):
        what = f"{differing[0]} has changed" if differing else "files are gone"
        more = f", and {len(differing) - 1} more" if len(differing) > 1 else ""
        raise OutputExists(
            f"{folder} was made from other inputs ({what} since{more}): choose another output, or --overwrite to "
            "replace it"
        )
    if done.manifest["plan"] != plan:
        raise OutputExists(
            f"{folder} was made with other classes, another published split or another georeference: choose another "
            "output, or --overwrite to replace it"
        )
    return done


@contextmanager
def claimed(folder: Path, told: Mapping[str, Any], overwrite: bool) -> Iterator[Begun]:
    """Begin a tileset's folder, or go on with one that a killed run left.

    With `overwrite` a finished tileset is set aside until the new one is whole, and put back after an error; one that
    is unfinished gives way unless its options are the same. An
    error before the first tile leaves nothing behind; after it, what was made is kept for the same command.
    Raises `OutputExists` for other options, `UsageError` for a folder of other things.
    """
    aside = _aside(folder)
    unfinished = read_unfinished(folder)
    if overwrite and unfinished and unfinished["options"] != as_json(told):
        remove(folder)
        unfinished = None
    elif overwrite and (folder / MANIFEST).is_file():
        folder.rename(aside)
    if unfinished:
        check_same_options(folder, unfinished["options"], told)
    elif folder.is_dir() and any(folder.iterdir()):
        raise UsageError(f"{folder} holds other files: choose another output")
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
            remove(folder)
            aside.rename(folder)
        else:
            kept = sum(len(entry.get("tiles", ())) for entry in journal.read())
            if kept:
                log.info("%d tiles are kept in %s: the same command goes on from there", kept, folder)
            else:
                remove(folder)
        raise
    remove(aside)


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
    rows: Sequence[Row],
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
    results: list[CutRow] = []
    with (
        Journal(begun_of(begun.folder / INDEX)).appending(kept) as add,
        bar(total, "tile", "tile", total - left) as progress,
    ):
        work = list(_work(rows, [item.path for item in inputs if item.path not in hashed]))
        for item, result in zip(work, pool.map(call, work), strict=True):
            if isinstance(result, Input):
                hashed[result.path] = result
                add({"input": result.to_json()})
                continue
            row, key = item.args[0], keys[len(results)]
            results.append(result)
            if not row.known:
                add({"row": key, **_cut_to_json(result)})
                progress.update(len(row.cells))
    for before in inputs:
        after = Input.of(Path(before.path))
        if (after.bytes, after.time) != (before.bytes, before.time):
            raise SattransError(f"{before.path} changed while it was being cut: the same command cuts it again")
    tiles = [tile for result in results for tile in result.tiles]
    dropped = sum((Counter(result.dropped) for result in results), Counter())
    return tiles, dropped, [hashed[item.path] for item in inputs]


def _work(rows: Sequence[Row], to_hash: Sequence[str]) -> Iterator["partial[Any]"]:
    """Yield the pieces of work: a scene's files are hashed just before they are cut, while they are in memory."""
    waiting = dict.fromkeys(to_hash)
    for row in rows:
        for path in row.source.files:
            if path in waiting:
                del waiting[path]
                yield partial(Input.hashed, path)
        yield partial(cut_row, row)
    for path in waiting:
        yield partial(Input.hashed, path)


def _known(entry: Mapping[str, Any] | None) -> CutRow | None:
    return CutRow(tuple(map(tile_from_json, entry["tiles"])), entry["dropped"]) if entry else None


def _cut_to_json(result: CutRow) -> dict[str, Any]:
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
    if hasattr(os, "sync"):
        os.sync()  # one call for thousands of files: an fsync each would cost 10 ms a tile


def settle_down(folder: Path) -> None:
    """Remove what stands for a folder that is not finished."""
    sync(folder)
    for path in (begun_of(folder / MANIFEST), begun_of(folder / INDEX)):
        path.unlink(missing_ok=True)
