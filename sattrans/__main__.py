"""The command from its first moment: Ctrl-C ends it with one line and status 130, whatever is being loaded."""

import os
import signal
import sys
from types import FrameType

INTERRUPTED = 128 + signal.SIGINT

_asked = False


def main() -> None:
    """Run the command line."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else whoever started us has it ignored
        signal.signal(signal.SIGINT, _interrupted)
    from sattrans.utils import process

    process.configure()
    from sattrans.cli import main as command

    try:
        command()
    except SystemExit as end:
        if end.code != INTERRUPTED:
            raise
        sys.stdout.flush()
        os._exit(INTERRUPTED)  # threads of libraries, stopped amid their work, may not come to an orderly end
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is said, and Python ends on its own
        process.prepare_exit()


def _interrupted(number: int, frame: FrameType | None) -> None:
    """End at once where nothing is being written; else let that be left in order, unless asked a second time.

    An exception while a library is loaded may end in its C++, with the whole process.
    """
    global _asked
    files = sys.modules.get("sattrans.utils.atomic")
    writing = files is not None and hasattr(files, "is_writing") and files.is_writing()
    if writing and not _asked:
        _asked = True
        raise KeyboardInterrupt
    os.write(2, b"error: interrupted\n")
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
