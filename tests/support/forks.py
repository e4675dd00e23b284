"""Processes that begin with torch loaded: forks of one that has loaded it, which takes three seconds.

A test of what happens while modules are loaded starts a process of its own instead. So do systems other than Linux,
where a process that has loaded torch cannot safely be forked.
"""

import multiprocessing
import os
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

COMMAND = "from sattrans.__main__ import main; main()"
"""What `sattrans` runs."""

METHOD = "forkserver" if sys.platform == "linux" else "spawn"
LOADED = ["torch", "torch._dynamo", "rasterio", "sattrans.cli"]  # an optimiser loads the second
LOADED += [f"sattrans.{verb}.api" for verb in ("tile", "train", "generate", "mosaic", "evaluate")]
STREAMS = ("stdout", "stderr")


def run_fork(*arguments: Any, code: str = COMMAND) -> subprocess.CompletedProcess[str]:
    """Run code as `Fork` does, to its end; used as `subprocess.run` is."""
    process = Fork(*arguments, code=code)
    stdout, stderr = process.communicate()
    return subprocess.CompletedProcess(arguments, process.wait(), stdout, stderr)


class Fork:
    """A process that runs Python code, used as `subprocess.Popen` is.

    Args:
        arguments: What follows the program's name in `sys.argv`.
        code: The code; without it, the command line.
    """

    def __init__(self, *arguments: Any, code: str = COMMAND) -> None:
        context = multiprocessing.get_context(METHOD)
        context.set_forkserver_preload(LOADED)
        self._folder = TemporaryDirectory()
        self._files = [Path(self._folder.name, name) for name in STREAMS]
        for file in self._files:
            file.touch()
        given = code, list(map(str, arguments)), str(Path.cwd()), dict(os.environ), self._files
        self._process = context.Process(target=_run, args=given)
        self._process.start()
        self.pid = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()

    def send_signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait(self) -> int:
        self._process.join(120)
        assert self.poll() is not None, "the process does not end"
        return self.poll()

    def communicate(self) -> tuple[str, str]:
        """Wait for the end; return what it wrote to stdout and to stderr."""
        self.wait()
        return tuple(file.read_text(encoding="utf-8") for file in self._files)


def _run(code: str, arguments: list[str], folder: str, environment: dict[str, str], told: list[Path]) -> None:
    with ExitStack() as files:
        for number, path in enumerate(told, 1):
            os.dup2(files.enter_context(path.open("ab")).fileno(), number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["sattrans", *arguments]
    exec(compile(code, "<code>", "exec"), {"__name__": "__main__"})
