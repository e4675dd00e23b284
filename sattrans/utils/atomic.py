"""Files that are whole or not there: atomic writing, locks, hashes and manifests."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from sattrans.errors import OptionError

PART = ".part"
"""What is appended to the name of a thing that is not finished."""


def part_of(path: Path) -> Path:
    """Return the path that `path` has until it is finished."""
    return path.with_name(path.name + PART)


_held: set[Path] = set()


def is_writing() -> bool:
    """Say whether this process holds an output, or has a file half written: whether there is something to leave."""
    return bool(_held)


@contextmanager
def _holding(path: Path) -> Iterator[None]:
    _held.add(path)
    try:
        yield
    finally:
        _held.discard(path)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name the file in an error that does not: a full disk does not say where it is full."""
    try:
        yield
    except OSError as error:
        if error.errno and not error.filename:
            error.filename = str(path)
        raise


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Give a `.part` path to write to; at the end it takes the name `path`, after an error it is removed."""
    part = part_of(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _holding(part):
        try:
            with naming(path):
                yield part
                part.replace(path)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` whole, and make sure it is on the disk."""
    with atomic(path) as part, part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def put(path: Path, data: bytes) -> None:
    """Write `data` to `path` whole, and wait for no disk: for many files that one call of `sync` follows."""
    if not _put_nameless(path, data):
        with atomic(path) as part:
            part.write_bytes(data)


def _put_nameless(path: Path, data: bytes) -> bool:
    """Write a file that gets its name once it is whole, as Linux has it; return False where that cannot be.

    Nothing is left of one that was killed. And threads that fill one folder do not wait for each other: a file
    that is made under one name and renamed holds the folder's lock twice, and on ext4 for long.
    """
    if not hasattr(os, "O_TMPFILE") or path.exists():
        return False
    try:
        handle = os.open(path.parent, os.O_TMPFILE | os.O_WRONLY, 0o666)
    except OSError:  # the folder is not there, or its file system knows no such files
        return False
    with naming(path), open(handle, "wb") as file:  # noqa: PTH123  a handle has no path
        file.write(data)
        file.flush()
        try:
            # With a folder's handle Python calls linkat, which follows the link to the file.
            os.link(f"/proc/self/fd/{handle}", path, src_dir_fd=handle)
        except OSError:
            return False
    return True


def write_json(path: Path, value: Any, indent: int | None = 2) -> None:
    """Write `value` as JSON (UTF-8, keys in their order, no NaN), atomically."""
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    write_bytes(path, (text + "\n").encode())


def sync(*paths: Path) -> None:
    """Make sure that files and folders are on the disk before something says that they are."""
    for path in paths:
        with suppress(FileNotFoundError):
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def sync_all() -> None:
    """Make sure that all that was written is on the disk: for thousands of files, where each alone would cost 10 ms."""
    if hasattr(os, "sync"):
        os.sync()


def now() -> str:
    """Return the time as manifests keep it: UTC, ISO 8601, to the microsecond.

    `SOURCE_DATE_EPOCH` (https://reproducible-builds.org/specs/source-date-epoch), where it is set, is taken
    instead of the clock: the same command then writes the same bytes.
    """
    told = os.environ.get("SOURCE_DATE_EPOCH", "")
    time = datetime.fromtimestamp(int(told), UTC) if told.isdecimal() else datetime.now(UTC)
    return time.isoformat(timespec="microseconds")


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def check_takes_files(path: Path) -> None:
    """Raise `OptionError` where no file can be made at `path`, its folders made first; nothing is left behind."""
    folder = path.parent
    try:
        folder = next(parent for parent in path.parents if parent.exists())
        if not folder.is_dir():
            raise OptionError(f"{folder} is a file, nothing can lie in it: choose another output")
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        where = folder if folder.parts else Path.cwd()
        raise OptionError(f"{where} takes no files of ours ({error.strerror}): choose another output") from None
