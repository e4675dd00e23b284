"""Inputs: the files a folder of tiles was made from, by size, time and SHA-256, and which of them changed since."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sattrans.errors import RasterError
from sattrans.utils.hashing import sha256


def name_of(path: Path | str) -> str:
    """Return the one name that a file has as an input, from whichever folder it is named."""
    return str(Path(path).absolute())


@dataclass(frozen=True, slots=True)
class Input:
    """A file as it was: its size in bytes, the time of its last change in nanoseconds, and its hash once known."""

    path: str
    bytes: int
    time: int
    sha256: str | None = None

    @classmethod
    def of(cls, path: Path) -> "Input":
        """Take a file as it is now, unread."""
        try:
            stat = path.stat()
        except OSError as error:
            raise RasterError(
                f"{path} cannot be read ({error.strerror}): put it back, then run the same command again"
            ) from error
        return cls(name_of(path), stat.st_size, stat.st_mtime_ns)

    @classmethod
    def hashed(cls, path: str) -> "Input":
        """Take a file as it is now, and read it through for its hash."""
        now = cls.of(Path(path))
        return cls(now.path, now.bytes, now.time, sha256(Path(path)))

    def to_json(self) -> dict[str, Any]:
        """Return what a manifest or a journal keeps."""
        return asdict(self)

    def same_as(self, before: "Input") -> bool:
        """Say whether the file is what it was: by size and time, and where only the time differs by its hash."""
        if self.bytes != before.bytes:
            return False
        return self.time == before.time or (before.sha256 is not None and sha256(Path(self.path)) == before.sha256)


def current_inputs(paths: Iterable[Path]) -> list[Input]:
    """Take files as they are now, each once, unread."""
    return [Input.of(path) for path in dict.fromkeys(paths)]


def changed(now: Sequence[Input], before: Mapping[str, Input]) -> list[str]:
    """Return the paths of the files that are not what they were, those that were not there among them."""
    return [item.path for item in now if item.path not in before or not item.same_as(before[item.path])]
