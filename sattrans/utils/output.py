"""One output on disk: what is at its path, whether a command may write there, and how the output becomes whole.

Every command that writes goes through the same steps:

    output = FolderOutput(path, ..., options, overwrite=overwrite)
    if output.is_finished():     # nothing to do; raises when the path holds something else
        return
    output.check()               # raises what `claim` would raise, and makes nothing: a dry run ends here
    with output.claim() as resumed:
        ...                      # write what is missing
        output.finish()

What happens depends on the state of the output:

    state          the same command                --overwrite
    absent         begins                          begins
    unfinished     resumes                         resumes
    finished       has nothing to do               makes it again
    other options  is refused: says what differs   replaces it
    damaged        is refused                      replaces it
    foreign        is refused                      replaces a file that is named; a folder is refused

An output at an address, such as s3://bucket/sat.tif, has the same life: it is made at a path in the cache, from which
its last step publishes it, and whether it is finished says what lies at the address.

What a command reads is never an output of it (`check_apart`).

The first three promises of docs/design.md are kept here and in the adapters:

1. Whole or absent. An output under its final name is whole: a file gets the name by one rename, a folder counts from
   the moment its manifest has the final name, which is the last step. Until then the recorded options lie in a manifest
   of the unfinished output.
2. Never lost, never twice. The recorded options of what is there are compared with those of the command; an output of
   other options is replaced only with --overwrite. The old one stays until the new one is whole: a file under its
   name, a tileset as `.NAME.before`.
3. One writer. All steps that change something hold the lock of the output.

The adapters: `FolderOutput` (`sattrans.utils.folder_output`) for a folder with a manifest, with a subclass for each
kind of folder; `GeoTiffOutput` (`sattrans.raster.cog.output`) for a large raster.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sattrans.errors import LockedError, OptionError, OutputExists, SattransError
from sattrans.utils.addresses import destination_of, place_of
from sattrans.utils.atomic import check_writable
from sattrans.utils.lock import check_unlocked, lock
from sattrans.utils.manifest import as_json, format_value

State = Literal["absent", "unfinished", "finished", "other options", "foreign", "damaged"]

REPLACE = "choose another output, or replace it with --overwrite"
"""What to do about an output that is there already."""

RESUME = "to resume, repeat the command"
"""What to do about an output that is not finished."""


def not_made_by_sattrans(path: Path | str) -> OutputExists:
    """Return the error for a file that something else wrote."""
    return OutputExists(f"{path} exists and was not made by sattrans; choose another name")


def check_apart(output: Path, read: Iterable[Path | str], below: bool = True) -> None:
    """Raise `OutputExists` if an output would lie among what a command reads, or around it.

    --overwrite does not change that.

    Args:
        output: The output, a file or a folder.
        read: The files that the command reads, and the folders all of which it reads.
        below: Whether the folders in these folders are read, too.
    """
    here = place_of(output)  # not Path.resolve, which raises for circular links on Python before 3.13
    places = {path: place_of(path) for path in read}
    if here in places.values():
        raise OutputExists(f"-o {output} is what the command reads; choose another output")
    for path, there in places.items():
        if there in here.parents and below and there.is_dir():
            raise OutputExists(f"-o {output} would lie in {path}, which the command reads; choose another output")
        if here in there.parents:
            raise OutputExists(f"-o {output} holds {path}, which the command reads; choose another output")


def check_folder(path: Path) -> None:
    """Raise `OptionError` if `path` cannot become a folder."""
    if path.is_symlink() and not path.exists():
        raise OptionError(f"{path} is a broken link; give a folder")
    if path.exists() and not path.is_dir():
        raise OptionError(f"{path} is a file; give a folder")


def difference(
    where: Path,
    recorded: Mapping[str, Any],
    options: Mapping[str, Any],
    reasons: Mapping[str, str] | None = None,
) -> OutputExists | None:
    """Return the error that names the options that differ, or None if none does.

    Args:
        where: the output, or its unfinished part.
        recorded: the options it was made with.
        options: the options of this command.
        reasons: how to say that an option differs whose values tell a reader nothing, such as a hash. They are said
            only if nothing else differs: the hash may follow from the other options.
    """
    options, reasons = as_json(options), reasons or {}
    names = {**recorded, **options}
    if 2 * len(recorded.keys() & options.keys()) < len(names):  # versions of one command share most options
        return OutputExists(f"{where} was made by another sattrans command; {REPLACE}")
    differing = [name for name in names if recorded.get(name) != options.get(name)]
    readable = [name for name in differing if name not in reasons]
    if readable:
        changes = "; ".join(
            f"{name}: {format_value(recorded.get(name))} before, {format_value(options.get(name))} now"
            for name in readable
        )
        return OutputExists(f"{where} was made with other options ({changes}); {REPLACE}")
    if differing:
        said = " and ".join(dict.fromkeys(reasons[name] for name in differing))
        return OutputExists(f"{where} was made {said}; {REPLACE}")
    return None


@dataclass(frozen=True, slots=True)
class Found:
    """The state of an output, and the error for a command that may not touch it as it is."""

    state: State
    refusal: SattransError | None = None


class Output(ABC):
    """An output of a command.

    Args:
        path: the file or folder.
        options: the recorded options: all that decide its bytes, resolved.
        overwrite: replace what is there.
        reasons: see `difference`.
    """

    def __init__(
        self,
        path: Path,
        options: Mapping[str, Any],
        *,
        overwrite: bool = False,
        reasons: Mapping[str, str] | None = None,
    ) -> None:
        self.path, self.overwrite, self.reasons = path, overwrite, reasons
        self.destination = destination_of(path)
        """The address at which it is published; None if it stays at its path."""
        self._options = options

    # What an adapter knows of its kind of output.

    @property
    @abstractmethod
    def unfinished(self) -> Path:
        """Where the output lies while it is unfinished, and what is locked."""

    @abstractmethod
    def read_finished(self) -> Mapping[str, Any] | None:
        """Return the recorded options of the finished output, or None if there is none.

        Raises `OutputExists` if something else is there, any other `SattransError` if it is damaged.
        """

    @abstractmethod
    def read_unfinished(self) -> Mapping[str, Any] | None:
        """Return the recorded options of the unfinished output, or None. Raises `SattransError` if it is damaged."""

    @abstractmethod
    def begin(self, resumed: bool) -> None:
        """Mark the output as begun with these options, after making way for it; the lock is held."""

    def check_own(self) -> None:  # noqa: B027  most adapters need none
        """Raise `OutputExists` if something is there that even --overwrite does not replace."""

    def needs_recovery(self) -> bool:
        """Whether a kill between two of the last steps left something that `recover` puts right."""
        return False

    def recover(self) -> None:  # noqa: B027
        """Complete the step that a kill interrupted; the lock is held."""

    def abandon(self, error: BaseException) -> None:  # noqa: B027
        """Leave the output after an error; the lock is held. By default what was written stays, to be resumed."""

    # What every command does with it.

    @property
    def options(self) -> Mapping[str, Any]:
        """The recorded options of this command."""
        return self._options

    @property
    def unfinished_options(self) -> Mapping[str, Any]:
        """The recorded options of this command while its output is unfinished."""
        return self.options

    def reasons_for(self, recorded: Mapping[str, Any]) -> Mapping[str, str] | None:
        """Return how to say that options differ from the recorded ones whose values tell nothing; see `difference`."""
        return self.reasons

    @property
    def replaces(self) -> bool:
        """Whether an output of other options makes way."""
        return self.overwrite

    @property
    def state(self) -> State:
        """The state of what is at the path, or beside it and unfinished."""
        finished = self.find_finished()
        return finished.state if finished.state != "absent" else self.find_unfinished().state

    def find_finished(self) -> Found:
        """Look at what has the output's name."""
        try:
            recorded = self.read_finished()
        except OutputExists as error:
            return Found("foreign", error)
        except SattransError as error:
            return Found("damaged", error)
        if recorded is None:
            return Found("absent")
        refusal = self.compare(recorded)
        return Found("other options" if refusal else "finished", refusal)

    def find_unfinished(self) -> Found:
        """Look at what was begun and not finished."""
        try:
            recorded = self.read_unfinished()
        except SattransError as error:
            return Found("damaged", error)
        if recorded is None:
            return Found("absent")
        refusal = difference(self.unfinished, recorded, self.unfinished_options, self.reasons_for(recorded))
        return Found("other options" if refusal else "unfinished", refusal)

    def compare(self, recorded: Mapping[str, Any]) -> SattransError | None:
        """Return the error that says how a finished output differs from that of this command."""
        return difference(self.path, recorded, self.options, self.reasons_for(recorded))

    def is_finished(self, dry_run: bool = False) -> bool:
        """Whether the output is there, made with these options, so that there is nothing to do.

        What a kill left between two steps is put right on the way, unless it is a `dry_run`. Raises the refusal if
        something else is there. With --overwrite, an output is never finished.
        """
        if not dry_run and self.needs_recovery():
            with self.locked():
                pass
        self.check_own()
        if self.overwrite:
            return False
        found = self.find_finished()
        if found.refusal:
            raise found.refusal
        return found.state == "finished"

    def check(self) -> None:
        """Raise what `claim` would raise; make nothing."""
        self.check_own()
        check_writable(self.path)
        check_unlocked(self.unfinished)
        self._can_resume()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock, with what a kill left put right."""
        with lock(self.unfinished):
            self.recover()
            yield

    @contextmanager
    def claim(self) -> Iterator[bool]:
        """Begin the output, or resume an unfinished one, as its one writer; yield whether it is resumed.

        Raises `OutputExists` if something was begun with other options, unless it is to be replaced; `LockedError` if
        another process writes to the output.
        """
        with self.locked():
            self.check_own()
            if not self.replaces and self.find_finished().state == "finished":  # since `is_finished` looked
                raise LockedError(f"{self.path} was finished by another process just now; there is nothing left to do")
            resumed = self._can_resume()
            try:
                self.begin(resumed)
                yield resumed
            except BaseException as error:
                self.abandon(error)
                raise

    def _can_resume(self) -> bool:
        found = self.find_unfinished()
        if found.refusal and not self.replaces:
            raise found.refusal
        return found.state == "unfinished"
