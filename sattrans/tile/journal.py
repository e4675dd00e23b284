"""The journal of an unfinished tileset: which rows of tiles are cut, and which inputs are hashed."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sattrans.utils.atomic import naming, write_bytes
from sattrans.utils.records import checked, parse_json


class Journal:
    """Lines of JSON in a file that only grows. What a kill cut off at the end is left out when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[dict[str, Any]]:
        """Return the entries, in the order they were made; the work of a line that is damaged is done again."""
        if not self.path.is_file():
            return []
        from sattrans.data.schemas import JournalEntry

        entries = []
        for line in self.path.read_bytes().split(b"\n")[:-1]:
            with suppress(ValueError):  # torn by a machine that lost its power
                entry = parse_json(line)
                checked(JournalEntry, entry)
                entries.append(entry)
        return entries

    @contextmanager
    def appending(self, entries: list[dict[str, Any]]) -> Iterator[Callable[[dict[str, Any]], object]]:
        """Begin the file anew with `entries`, and give what adds to it."""
        write_bytes(self.path, b"".join(_line(entry) for entry in entries))
        with self.path.open("ab", buffering=0) as file:

            def add(entry: dict[str, Any]) -> None:
                with naming(self.path):
                    file.write(_line(entry))

            yield add


def _line(entry: dict[str, Any]) -> bytes:
    return (json.dumps(entry, separators=(",", ":")) + "\n").encode()
