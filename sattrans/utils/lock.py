"""Locks: an output has one writer at a time."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sattrans.errors import LockedError
from sattrans.utils.atomic import check_writable, holding, naming
from sattrans.utils.console import log


@contextmanager
def lock(path: Path, wait: bool = False) -> Iterator[None]:
    """Hold an output as its one writer.

    The lock is a file beside the output, `.<name>.lock`, with the process and host of the writer; it is removed at the
    end. A writer that was killed does not block: the system drops its lock.

    Args:
        path: The output.
        wait: Wait while another process holds it, and say so.

    Raises:
        LockedError: another process holds it, and `wait` is not set; the message names that process.
        OptionError: no file can be made beside the output.
    """
    from filelock import FileLock, Timeout

    file = _lock_of(path)
    check_writable(file)
    with holding(path):
        new_parent = not path.parent.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        file_lock = FileLock(file, blocking=False)
        try:
            file_lock.acquire()
        except Timeout:
            try:
                holder = file.read_text().strip()
            except OSError:
                holder = ""
            held = f"{path} is being written by {holder or 'another process'}"
            if not wait:
                raise LockedError(f"{held}; wait for it, or stop it") from None
            log.info("%s; waiting for it", held)
            file_lock.acquire(blocking=True)
        try:
            with naming(file):
                file.write_text(f"process {os.getpid()} on {socket.gethostname()}")
            yield
        finally:
            file.unlink(missing_ok=True)
            file_lock.release()
            if new_parent:  # removed again if it is empty
                with suppress(OSError):
                    path.parent.rmdir()


def _lock_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


def has_lock_file(path: Path) -> bool:
    """Whether the output is locked, or a killed process left the file of its lock."""
    return _lock_of(path).exists()


def check_unlocked(path: Path) -> None:
    """Raise `LockedError` if another process writes to the output; make nothing."""
    if has_lock_file(path):
        with lock(path):
            pass
