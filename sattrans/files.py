"""Files that are whole or not there: atomic writing, locks, hashes and manifests."""

import hashlib
import json
import os
import shutil
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from sattrans.errors import LockedError, OptionError, OutputExists, SattransError

PART = ".part"
"""What is appended to the name of a thing that is not finished."""


def part_of(path: Path) -> Path:
    """Return the path that `path` has until it is finished."""
    return path.with_name(path.name + PART)


def begun_of(path: Path) -> Path:
    """Return the path of the manifest that stands for `path` while its folder is being filled."""
    return path.with_name(path.name + ".begun")


def is_unfinished(folder: Path) -> bool:
    """Say whether a folder was being filled when it was left: by a manifest that has no finished one beside it."""
    begun = folder.glob(begun_of(Path("*.json")).name)
    return any(not path.with_suffix("").exists() for path in begun)


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


def sha256(path: Path) -> str:
    """Return the hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_of(*texts: str) -> str:
    """Return one short hash over texts, in their order."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:32]


def fingerprint(paths: Iterable[Path]) -> str:
    """Return one short hash over the names, sizes and times of files: a changed input is noticed, unread."""
    digest = hashlib.sha256()
    for path in paths:
        stat = path.stat()
        digest.update(f"{path.name}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


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


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold `folder` as its one writer; raise `LockedError`, naming the holder, where another has it.

    Raises `OptionError` where nothing can be written beside it.

    The lock is a file beside the folder, `.<name>.lock`: it holds the pid and host of who writes and is
    removed when they are done. A holder that was killed does not block: the system drops its lock.
    """
    from filelock import FileLock, Timeout

    path = _lock_of(folder)
    check_takes_files(path)
    with _holding(folder):
        new_parent = not folder.parent.exists()
        folder.parent.mkdir(parents=True, exist_ok=True)
        held = FileLock(path, blocking=False)
        try:
            held.acquire()
        except Timeout:
            try:
                holder = path.read_text().strip()
            except OSError:
                holder = ""
            raise LockedError(
                f"{folder} is being written by {holder or 'another process'}: wait for it, or stop it"
            ) from None
        try:
            with naming(path):
                path.write_text(f"process {os.getpid()} on {socket.gethostname()}")
            yield
        finally:
            path.unlink(missing_ok=True)
            held.release()
            if new_parent:  # and nothing came of it: leave nothing behind
                with suppress(OSError):
                    folder.parent.rmdir()


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")


def check_unlocked(folder: Path) -> None:
    """Raise `LockedError` where another process writes to `folder`; nothing is made."""
    if _lock_of(folder).exists():
        with lock(folder):
            pass


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


def write_manifest(path: Path, kind: str, version: int, body: Mapping[str, Any]) -> None:
    """Write a manifest: `format`, `version`, `created_by`, then `body`."""
    from sattrans.version import __version__

    head = {"format": f"sattrans.{kind}", "version": version, "created_by": f"sattrans {__version__}"}
    write_json(path, {**head, **body})


def read_manifest(path: Path, kind: str, version: int) -> dict[str, Any]:
    """Read a manifest of this kind; raise `SattransError` where it is another kind, newer, or damaged."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SattransError(f"{path} cannot be read as a sattrans manifest: {error}") from error
    if not isinstance(body, dict) or body.get("format") != f"sattrans.{kind}":
        raise SattransError(f"{path} is no sattrans {kind}")
    if body.get("version") != version:
        made_by = body.get("created_by", "another version of sattrans")
        raise SattransError(
            f"{path} has format version {body.get('version')}, this sattrans reads {version}: "
            f"it was made by {made_by}; make it again, or use that version"
        )
    return body


def as_json(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as they come back from a file: tuples as lists, keys as strings."""
    plain: dict[str, Any] = json.loads(json.dumps(dict(options)))
    return plain


def _said(value: Any) -> str:
    """Return an option's value as a person would say it."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, dict):
        return ", ".join(f"{key} {_said(part)}" for key, part in value.items()) or "none"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def check_same_options(
    where: Path, made_with: Mapping[str, Any], asked: Mapping[str, Any], words: Mapping[str, str] | None = None
) -> None:
    """Raise `OutputExists`, naming what differs, unless what stands at `where` was made with the same options.

    Of what another command made, that is said instead. `words` are for options whose values tell a reader nothing,
    such as hashes: "of other tiles", where they differ. A hash may follow from other options: where those differ, too,
    they alone are said.
    """
    asked = as_json(asked)
    keys = {**made_with, **asked}
    if 2 * len(made_with.keys() & asked.keys()) < len(keys):  # versions of one command share most of their options
        raise OutputExists(
            f"{where} was made by another sattrans command: choose another output, or --overwrite to replace it"
        )
    differing = [key for key in keys if made_with.get(key) != asked.get(key)]
    in_words = [words[key] for key in differing if words and key in words]
    if in_words and len(in_words) == len(differing):
        raise OutputExists(
            f"{where} was made {' and '.join(in_words)}: choose another output, or --overwrite to replace it"
        )
    differing = [key for key in differing if not words or key not in words]
    if differing:
        told = "; ".join(f"{key}: {_said(made_with.get(key))} there, {_said(asked.get(key))} now" for key in differing)
        raise OutputExists(
            f"{where} was made with other options ({told}): choose another output, or --overwrite to replace it"
        )


def check_writable_folder(path: Path) -> None:
    """Raise `OptionError` where `path` cannot become a folder of ours."""
    if path.is_symlink() and not path.exists():
        raise OptionError(f"{path} is a link that leads nowhere: give a folder")
    if path.exists() and not path.is_dir():
        raise OptionError(f"{path} is a file: give a folder")


def check_free(folder: Path, manifest: str) -> None:
    """Raise `OutputExists` for a folder of other things: that holds files, but no such manifest, finished or begun."""
    ours = [folder / manifest, begun_of(folder / manifest)]
    if not folder.is_dir() or any(path.is_file() for path in ours):
        return
    if set(folder.iterdir()) - {part_of(path) for path in ours}:  # a kill may leave the first file's part
        raise OutputExists(f"{folder} holds other files: choose another output")
