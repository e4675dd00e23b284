"""utils.lock."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sattrans.errors import LockedError
from sattrans.utils.atomic import _holding, check_takes_files, naming


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
