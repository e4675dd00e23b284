"""The entry point of the command: Ctrl-C ends it with one line and exit status 130, even while modules are loaded."""

import os
import signal
import sys
from types import FrameType

INTERRUPTED = 128 + signal.SIGINT

_interrupted_before = False


def main() -> None:
    """Run the command line."""
    _handle_interrupts()
    from sattrans.utils import process

    process.configure()
    from sattrans.cli import main as command

    try:
        command()
    except SystemExit as end:
        if end.code != INTERRUPTED:
            raise
        sys.stdout.flush()
        os._exit(INTERRUPTED)  # threads of libraries that are interrupted may block a normal exit
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command has finished, and Python exits by itself
        process.prepare_exit()


def _handle_interrupts() -> None:
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # otherwise the parent process ignores it
        signal.signal(signal.SIGINT, _interrupted)


def _interrupted(number: int, frame: FrameType | None) -> None:
    """Exit at once if nothing is being written; otherwise raise `KeyboardInterrupt` at the first signal, for clean-up.

    No exception is raised otherwise, because one raised while a library is loaded may crash in its C++ code.
    """
    global _interrupted_before
    files = sys.modules.get("sattrans.utils.atomic")
    writing = files is not None and hasattr(files, "is_writing") and files.is_writing()
    if writing and not _interrupted_before:
        _interrupted_before = True
        raise KeyboardInterrupt
    os.write(2, b"error: interrupted\n")
    os._exit(INTERRUPTED)


IS_COMMAND = __name__ == "__main__" or os.path.basename(sys.argv[0]) in ("sattrans", "sattrans.exe")  # noqa: PTH119
"""Whether this process runs the command, so that Ctrl-C is handled from here on, before `main` is called."""

if IS_COMMAND:
    _handle_interrupts()
if __name__ == "__main__":
    main()
