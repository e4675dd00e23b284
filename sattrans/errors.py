"""The errors sattrans raises, all of them under one root.

    SattransError                  it failed                          exit 1
    ├── RasterError (OSError)      a raster cannot be read or trusted
    │   └── AlignmentError         image and map are not on one grid
    ├── ClassesError               a map holds values or colours the palette lacks
    ├── LockedError                another process is writing there
    ├── TrainingError              training cannot go on
    │   └── ProcessLost            one of several processes was killed or ended without an error
    ├── Interrupted                a signal asked it to stop          exit 128 + signal
    └── UsageError                 it was asked wrongly               exit 2
        ├── DatasetNotFound        no dataset there, or not that one
        ├── PluginError            no plugin of that name, or it failed to load
        ├── OptionError            an option's name or value is wrong
        ├── OutputExists           finished output that other options made
        └── NothingToUse           no tileset or run to default to

A message is one line: what, where, what to do. The command line prints it and exits with `exit_code`.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class SattransError(Exception):
    """The root: whatever sattrans itself finds wrong."""

    exit_code = 1


class RasterError(SattransError, OSError):
    """A raster cannot be read, or is not what it says it is."""


class AlignmentError(RasterError):
    """Image and map do not lie on one grid."""


class ClassesError(SattransError, ValueError):
    """A map holds values or colours that the palette does not know."""


class LockedError(SattransError):
    """Another process is writing to the same output."""


class TrainingError(SattransError):
    """Training cannot go on: a loss that is not finite, or weights that do not fit."""


class ProcessLost(TrainingError):
    """One of several processes was killed or ended without an error; the message says how to resume."""


class Interrupted(SattransError):
    """A signal asked to stop; what was done is saved, and the message says how to go on."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code

    def __reduce__(self) -> tuple[type["Interrupted"], tuple[str, int]]:
        return Interrupted, (str(self), self.exit_code)


class UsageError(SattransError, ValueError):
    """What was asked for cannot be done as asked."""

    exit_code = 2


class DatasetNotFound(UsageError):
    """No dataset where one was expected; the message says what is expected there."""


class PluginError(UsageError):
    """No plugin of that name, or the one asked for failed to load."""


class OptionError(UsageError):
    """An option's name or value is wrong."""


class OutputExists(UsageError):
    """The output is there already, made with other options."""


class NothingToUse(UsageError):
    """There is no tileset or run to default to; the message says which command makes one."""


def check_seed(seed: int) -> None:
    """Raise `OptionError` for a seed that not every random generator takes."""
    if seed < 0:
        raise OptionError(f"--seed must be at least 0, got {seed}")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `"; did you mean 'x'?"` for the closest known name, ignoring case, or the list of known names."""
    known = sorted(known)
    folded = {one.casefold(): one for one in reversed(known)}
    near = get_close_matches(name.casefold(), folded, n=1)
    if near:
        return f"; did you mean '{folded[near[0]]}'?"
    return f"; available: {', '.join(known)}" if known else ""
