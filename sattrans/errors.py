"""The errors that sattrans raises, with one base class.

    SattransError                  the command failed                 exit 1
    ├── RasterError (OSError)      a raster cannot be read or trusted
    │   └── AlignmentError         image and map are not on one grid
    ├── ClassesError               a map holds values or colours the palette lacks
    ├── LockedError                another process is writing there
    ├── StorageError               object storage refuses, or does not answer
    ├── ClusterLost                the scheduler of a cluster is gone, its workers may still write
    ├── TrainingError              training cannot continue
    │   └── ProcessLost            one of several processes was killed or ended without an error
    ├── Interrupted                stopped by a signal                exit 128 + signal
    └── UsageError                 the command was used wrongly       exit 2
        ├── DatasetNotFound        no dataset in the folder, or another one
        ├── PluginError            no plugin of that name, or it failed to load
        ├── OptionError            an option's name or value is wrong
        ├── OutputExists           finished output that was made with other options
        └── NothingToUse           no tileset or run to use by default

A message is one line: what, where, what to do. The command line prints it and exits with `exit_code`.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class SattransError(Exception):
    """The base class of all errors that sattrans raises."""

    exit_code = 1
    details: tuple[str, ...] = ()
    """Further lines that the command line prints below the message."""


class RasterError(SattransError, OSError):
    """A raster cannot be read, or its contents do not match its header."""


class AlignmentError(RasterError):
    """Image and map do not lie on one grid."""


class ClassesError(SattransError, ValueError):
    """A map contains values or colours that are not in the palette."""


class LockedError(SattransError):
    """Another process is writing to the same output."""


class ClusterLost(SattransError):
    """The scheduler of a cluster was lost, so that its workers cannot be stopped; the message says how to resume."""


class StorageError(SattransError):
    """Object storage refuses access, or does not answer."""


class TrainingError(SattransError):
    """Training cannot continue, because a loss is not finite or weights do not fit."""


class ProcessLost(TrainingError):
    """One of several processes was killed or ended without an error; the message says how to resume."""


class Interrupted(SattransError):
    """The command was stopped by a signal. Finished work is saved, and the message says how to resume."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code

    def __reduce__(self) -> tuple[type["Interrupted"], tuple[str, int]]:
        return Interrupted, (str(self), self.exit_code)


class UsageError(SattransError, ValueError):
    """The command or function was used wrongly."""

    exit_code = 2


class DatasetNotFound(UsageError):
    """There is no dataset in a folder; the message says which files are expected, `details` say it on further lines."""

    def __init__(self, message: str, details: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.details = tuple(details)


class PluginError(UsageError):
    """There is no plugin of that name, or it failed to load."""


class OptionError(UsageError):
    """An option's name or value is wrong."""


class OutputExists(UsageError):
    """The output exists already and was made with other options."""


class NothingToUse(UsageError):
    """There is no tileset or run to use by default; the message says which command makes one."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `"; did you mean 'x'?"` for the closest known name, ignoring case, or the list of known names."""
    known = sorted(known)
    folded = {one.casefold(): one for one in reversed(known)}
    near = get_close_matches(name.casefold(), folded, n=1)
    if near:
        return f"; did you mean '{folded[near[0]]}'?"
    return f"; available: {', '.join(known)}" if known else ""
