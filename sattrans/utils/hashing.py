"""utils.hashing."""

import hashlib
from collections.abc import Iterable
from pathlib import Path


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
