"""Files that are whole or absent: written under another name and renamed."""

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
"""The suffix of an unfinished file."""


def part_of(path: Path) -> Path:
    """Return the path of the unfinished file that becomes `path`."""
    return path.with_name(path.name + PART)


_held: set[Path] = set()


def is_writing() -> bool:
    """Whether this process holds the lock of an output or has an unfinished file: a stop interrupts something then."""
    return bool(_held)


@contextmanager
def holding(path: Path) -> Iterator[None]:
    """Note that this process is writing to `path`; see `is_writing`."""
    _held.add(path)
    try:
        yield
    finally:
        _held.discard(path)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Add the file's name to an error that lacks it, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno and not error.filename:
            error.filename = str(path)
        raise


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a `.part` path to write to; it is renamed to `path` at the end, or removed after an error."""
    part = part_of(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with holding(part):
        try:
            with naming(path):
                yield part
                part.replace(path)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole, and wait until it is on the disk."""
    with atomic(path) as part, part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def put(path: Path, data: bytes) -> None:
    """Write a file whole without waiting for the disk: for many files that one call of `sync` follows."""
    if not _write_unnamed(path, data):
        with atomic(path) as part:
            part.write_bytes(data)


def _write_unnamed(path: Path, data: bytes) -> bool:
    """Write a file that gets its name once it is whole (Linux, O_TMPFILE); return False if that is not possible.

    A kill leaves nothing behind. And threads that fill one folder do not wait for each other: to make a file under one
    name and rename it takes the folder's lock twice, on ext4 for a long time.
    """
    if not hasattr(os, "O_TMPFILE") or path.exists():
        return False
    try:
        handle = os.open(path.parent, os.O_TMPFILE | os.O_WRONLY, 0o666)
    except OSError:  # the folder is absent, or its file system has no unnamed files
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
    """Write `value` as JSON, whole: UTF-8, keys in their order, no NaN."""
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    write_bytes(path, (text + "\n").encode())


def sync(*paths: Path) -> None:
    """Wait until files and folders are on the disk, before something says that they are there."""
    for path in paths:
        with suppress(FileNotFoundError):
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def sync_all() -> None:
    """Wait until everything that was written is on the disk: for thousands of files, at 10 ms each one by one."""
    if hasattr(os, "sync"):
        os.sync()


def now() -> str:
    """Return the time for a manifest: UTC, ISO 8601, to the microsecond.

    If `SOURCE_DATE_EPOCH` is set (https://reproducible-builds.org/specs/source-date-epoch), it replaces the clock, so
    that the same command writes the same bytes.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    time = datetime.fromtimestamp(int(epoch), UTC) if epoch.isdecimal() else datetime.now(UTC)
    return time.isoformat(timespec="microseconds")


def remove(path: Path) -> None:
    """Delete a file or a folder, if there is one; of a link, the link itself."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Raise `OptionError` if no file can be made at `path` and in its folders. Leaves nothing behind."""
    folder = path.parent
    try:
        folder = next(parent for parent in path.parents if parent.exists())
        if not folder.is_dir():
            raise OptionError(f"{folder} is a file, not a folder; choose another output")
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        where = folder if folder.parts else Path.cwd()
        raise OptionError(f"cannot write to {where} ({error.strerror}); choose another output") from None
