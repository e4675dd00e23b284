"""Copies of what lies at an address, for commands that read a folder or a file of this machine."""

import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path

from sattrans.errors import OptionError, RasterError
from sattrans.utils.addresses import BUCKETS, cache_folder, copy_for
from sattrans.utils.atomic import remove
from sattrans.utils.console import log, progress_bar
from sattrans.utils.lock import lock
from sattrans.utils.object_store import Stored, download, head, objects_below
from sattrans.utils.output import check_folder

AT_ONCE = 8
"""Number of objects that are read at the same time."""


def copied(address: str) -> Path:
    """Return the path of a copy of the file or the folder at an address, which is made or brought up to date.

    Only objects whose size, tag or time differs are read. An interrupted call is resumed by the same call.

    Raises `RasterError` if nothing is there, `OptionError` if its names cannot be those of files.
    """
    path = copy_for(address)
    address = address.rstrip("/")
    scheme = address.partition("://")[0]
    if "/" in address.partition("://")[2] and (stored := head(address)):
        found, folder, below = {path.name: stored}, path.parent, address.rpartition("/")[0]
    elif scheme not in BUCKETS:
        raise RasterError(f"{address}: no such file; a folder can be read from {', '.join(BUCKETS)} alone")
    else:
        found, folder, below = _files(address, objects_below(address)), path, address
        if not found:
            raise RasterError(f"{address}: no object has this name, or a name that begins with it and a slash")
    with lock(path):
        if folder is path:
            _make_folder(path, found)
        _bring_up_to_date(found, folder, below, path.with_name(f".{path.name}.tags"))
    return path


def _files(address: str, found: Mapping[str, Stored]) -> dict[str, Stored]:
    """Return the objects that become files. Those that stand for folders, as consoles make them, do not."""
    folders = {str(parent) for name in found for parent in Path(name).parents}
    files = {name: stored for name, stored in found.items() if name not in folders or stored.bytes}
    for name in files:
        if {"", ".", ".."} & set(name.split("/")) or name in folders or "\0" in name:
            raise OptionError(
                f"{address}: the object {name!r} cannot be a file here; rename it, or give another folder"
            )
    return files


def _make_folder(path: Path, found: Mapping[str, Stored]) -> None:
    """Make the folder, without files that are no longer at the address."""
    check_folder(path)
    path.mkdir(parents=True, exist_ok=True)
    wanted = {path / name for name in found}
    for file in path.rglob("*"):
        if not file.is_dir() and file not in wanted:
            remove(file)


def _bring_up_to_date(found: Mapping[str, Stored], folder: Path, address: str, record: Path) -> None:
    tags = {}
    if record.is_file():
        for line in record.read_text("utf-8").splitlines():
            with suppress(ValueError):  # a kill may cut the last line short
                name, tag = json.loads(line)
                tags[name] = tag
    left = [name for name, stored in found.items() if not _is_copy(folder / name, stored, tags.get(name))]
    if not left:
        return
    log.info("%s is copied into %s", address, cache_folder())
    with (
        record.open("a", encoding="utf-8") as noted,
        progress_bar(sum(found[name].bytes for name in left), "download", "byte") as progress,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        tasks = {pool.submit(download, f"{address}/{name}", folder / name, progress.update): name for name in left}
        try:
            for done in as_completed(tasks):
                done.result()
                name = tasks[done]
                os.utime(folder / name, ns=(_time(found[name]),) * 2)
                noted.write(json.dumps([name, found[name].tag]) + "\n")
                noted.flush()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _is_copy(path: Path, stored: Stored, tag: object) -> bool:
    if tag != stored.tag or not path.is_file():
        return False
    stat = path.stat()
    return (stat.st_size, stat.st_mtime_ns) == (stored.bytes, _time(stored))


def _time(stored: Stored) -> int:
    """Return when an object was written, in nanoseconds since 1970; its file gets this time."""
    return round(stored.time.timestamp() * 1_000_000) * 1000
