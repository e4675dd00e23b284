"""Outputs at an address: they are made in the cache, and published when they are whole. See `sattrans.utils.output`."""

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

from sattrans.errors import OutputExists, StorageError
from sattrans.utils.addresses import spelled, unspelled
from sattrans.utils.atomic import PART, remove
from sattrans.utils.console import progress_bar
from sattrans.utils.manifest import begun_of
from sattrans.utils.object_store import Stored, delete, download, objects_below, put, upload

AT_ONCE = 8
"""Number of files that are uploaded at the same time."""

SENT = ".sent"
"""The record of what was uploaded: a line of JSON for each file."""


def mark_begun(address: str, options: Mapping[str, Any]) -> None:
    """Write the mark that an output is being made: an object `<address>.begun`, which says with which options.

    It shows before the work that the bucket is there and may be written.
    """
    put(json.dumps(options, indent=2, ensure_ascii=False).encode(), f"{address}.begun")


def unmark(address: str) -> None:
    """Delete that mark; it stays if these credentials may write and not delete."""
    with suppress(StorageError):
        delete(f"{address}.begun")


def publish_file(path: Path, address: str, companions: Iterable[tuple[Path, str]] = ()) -> None:
    """Upload a file in one piece, after the files that belong beside it."""
    for companion, beside in companions:
        upload(companion, beside)
    with progress_bar(path.stat().st_size, "upload", "byte") as progress:
        upload(path, address, progress.update)


class PublishedFolder:
    """What lies at the address of a folder with a manifest.

    Args:
        address: The address.
        folder: The folder in the cache in which it is made.
        records: The manifest's name, then those of files that describe the finished folder, too.
    """

    def __init__(self, address: str, folder: Path, records: Sequence[str]) -> None:
        self.address, self.folder, self.names = address, folder, records
        self.records = folder.with_name(f".{folder.name}.published")
        """A folder with copies of these records."""

    @cached_property
    def objects(self) -> dict[str, Stored]:
        """The objects, by their names in the folder. On the first look the records are copied."""
        found = objects_below(self.address)
        remove(self.records)
        if self.names[0] in found:
            for name in self.names:
                if name in found:
                    download(f"{self.address}/{name}", self.records / name)
            manifest = self.records / self.names[0]
            manifest.write_text(unspelled(manifest.read_text("utf-8")), "utf-8")
        return found

    def check_own(self) -> None:
        """Raise `OutputExists` if objects are there, and neither a manifest nor the mark of an unfinished folder."""
        marks = {self.names[0], begun_of(Path(self.names[0])).name}
        if self.objects and not marks & self.objects.keys():
            raise OutputExists(f"{self.address} holds objects that sattrans did not make; choose another output")

    def mark_begun(self, options: Mapping[str, Any]) -> None:
        """Write the mark of an unfinished folder; see `mark_begun`."""
        mark_begun(f"{self.address}/{self.names[0]}", options)

    def publish(self, besides: Iterable[str]) -> None:
        """Upload the folder, its manifest last, and delete what else was there of an earlier one.

        What an interrupted call has uploaded is not uploaded again. `besides` stay here.
        """
        manifest, begun = self.names[0], begun_of(Path(self.names[0])).name
        kept = {manifest, SENT, *besides}
        files = {path.relative_to(self.folder).as_posix(): path for path in self.folder.rglob("*") if path.is_file()}
        files = {name: path for name, path in sorted(files.items()) if name not in kept and not name.endswith(PART)}
        there = objects_below(self.address)
        if manifest in there:  # from here on the folder is unfinished, until its new manifest is there
            delete(f"{self.address}/{manifest}")
        with _sent(self.folder / SENT) as (sent, note):
            left = [name for name, path in files.items() if not _is_there(path, sent.get(name), there.get(name))]
            self._upload(left, len(files), note)
        self._publish_manifest()
        folders = {name.partition("/")[0] for name in files if "/" in name}
        for name in there.keys() - files.keys() - {manifest, begun}:
            if "/" not in name or name.partition("/")[0] in folders:
                delete(f"{self.address}/{name}")
        with suppress(StorageError):
            delete(f"{self.address}/{begun}")
        for name in self.names:
            shutil.copyfile(self.folder / name, self.records / name)
        self.objects = objects_below(self.address)

    def _upload(self, names: Sequence[str], total: int, note: "Note") -> None:
        with (
            progress_bar(total, "upload", "file", total - len(names)) as progress,
            ThreadPoolExecutor(AT_ONCE) as pool,
        ):
            tasks = {pool.submit(upload, self.folder / name, f"{self.address}/{name}"): name for name in names}
            try:
                for done in as_completed(tasks):
                    note(tasks[done], self.folder / tasks[done], done.result())
                    progress.update()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _publish_manifest(self) -> None:
        text = (self.folder / self.names[0]).read_text("utf-8")
        put(spelled(text).encode(), f"{self.address}/{self.names[0]}")
        self.records.mkdir(parents=True, exist_ok=True)


class Note:
    """Adds lines to the record of what was uploaded."""

    def __init__(self, path: Path) -> None:
        self._file, self._lock = path.open("a", encoding="utf-8"), Lock()

    def __call__(self, name: str, path: Path, tag: str) -> None:
        """Note that a file was uploaded, and the tag of its object."""
        with self._lock:
            self._file.write(json.dumps([name, *_state(path), tag]) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Close the record."""
        self._file.close()


@contextmanager
def _sent(path: Path) -> Iterator[tuple[dict[str, list[object]], Note]]:
    sent = {}
    if path.is_file():
        for line in path.read_text("utf-8").splitlines():
            with suppress(ValueError):  # a kill may cut the last line short
                name, *state = json.loads(line)
                sent[name] = state
    note = Note(path)
    try:
        yield sent, note
    finally:
        note.close()


def _state(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def _is_there(path: Path, sent: list[object] | None, stored: Stored | None) -> bool:
    return sent is not None and stored is not None and sent == [*_state(path), stored.tag]
