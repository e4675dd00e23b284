"""Inputs: the files that a tileset was made from (size, time, SHA-256), and which of them have changed since."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from errno import ENOENT
from pathlib import Path
from typing import Any

from sattrans.errors import RasterError
from sattrans.utils.hashing import sha256


def name_of(path: Path | str) -> str:
    """Return the name under which a file is recorded as an input, an absolute path."""
    return str(Path(path).absolute())


@dataclass(frozen=True, slots=True)
class Input:
    """The recorded state of a file: size in bytes, time of the last change in nanoseconds, and hash once known."""

    path: str
    bytes: int
    time: int
    sha256: str | None = None

    @classmethod
    def of(cls, path: Path) -> "Input":
        """Record the current state of a file without reading it."""
        try:
            stat = path.stat()
        except OSError as error:
            if error.errno == ENOENT and path.is_symlink():
                raise RasterError(
                    f"{path} is a link to {path.readlink()}, which does not exist; put that file back, or remove "
                    "the link"
                ) from error
            raise RasterError(
                f"{path} cannot be read ({error.strerror}); put it back, then repeat the command"
            ) from error
        return cls(name_of(path), stat.st_size, stat.st_mtime_ns)

    @classmethod
    def hashed(cls, path: str) -> "Input":
        """Record the current state of a file with its hash, for which the file is read."""
        now = cls.of(Path(path))
        return cls(now.path, now.bytes, now.time, sha256(Path(path)))

    def to_json(self) -> dict[str, Any]:
        """Return the entry for a manifest or a journal."""
        return asdict(self)

    def same_as(self, before: "Input") -> bool:
        """Return whether the file is unchanged, by size and time, and by hash if only the time differs."""
        if self.bytes != before.bytes:
            return False
        return self.time == before.time or (before.sha256 is not None and sha256(Path(self.path)) == before.sha256)


def current_inputs(paths: Iterable[Path]) -> list[Input]:
    """Record the current state of files, each once, without reading them."""
    return [Input.of(path) for path in dict.fromkeys(paths)]


def changed(now: Sequence[Input], before: Mapping[str, Input]) -> list[str]:
    """Return the paths of the files that have changed or are new."""
    return [item.path for item in now if item.path not in before or not item.same_as(before[item.path])]
