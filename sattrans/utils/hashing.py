"""Hashes of files and texts."""

import hashlib
from collections.abc import Iterable
from pathlib import Path


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_of(*texts: str) -> str:
    """Return a short hash of texts in their order, 32 hex digits."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:32]


def fingerprint(paths: Iterable[Path]) -> str:
    """Return a short hash of the names, sizes and times of files, 16 hex digits: it shows a change without reading."""
    digest = hashlib.sha256()
    for path in paths:
        stat = path.stat()
        digest.update(f"{path.name}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]
