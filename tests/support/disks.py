"""Commands on disks that are full, and with files that may not grow."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from forks import COMMAND, run_fork

LIMITED = """
import os, resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
most, before = int(sys.argv.pop(1)), resource.getrlimit(resource.RLIMIT_FSIZE)
stderr, (read, write) = os.dup(2), os.pipe()  # what it prints goes to a file, which may not grow either
for stream in (1, 2):
    os.dup2(write, stream)
resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
from sattrans.cli import app
try:
    app()
finally:
    sys.stdout.flush()
    sys.stderr.flush()
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    os.write(stderr, os.read(read, 2**16))
    os.dup2(stderr, 2)
"""
"""The command line where no file may have more bytes than the first argument says; all that it prints is on stderr."""

ON_DISK = """
import ctypes, os, shutil, subprocess, sys
from pathlib import Path

disk, room, code, *arguments = sys.argv[1:]

def mount(*options):
    subprocess.run(["mount", *options, disk], check=True)

def command(arguments):
    child = os.fork()
    if not child:
        status = 70
        try:
            sys.argv[1:] = arguments
            exec(compile(code, "<code>", "exec"), {"__name__": "__main__"})
            status = 0
        except SystemExit as end:
            status = end.code or 0
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

assert ctypes.CDLL(None).unshare(0x20000) == 0  # CLONE_NEWNS: mounts of this process alone
subprocess.run(["mount", "--make-rprivate", "/"], check=True)
mount("-t", "tmpfs", "-o", f"size={room}", "none")
"""

RESUMED = """
output, copy, *arguments = arguments
output = Path(output)
assert command(arguments) == 1
assert not output.is_file() and not (output / "tileset.json").exists()
assert not [path for path in Path(disk).rglob("*.part") if path.is_file()]
mount("-o", "remount,size=256m")
assert command(arguments) == 0
shutil.copytree(output, copy) if output.is_dir() else shutil.copyfile(output, copy)
"""


def skip_unless_mountable(disk: Path) -> Path:
    """Make a folder where a small disk can be mounted; skip the test if this process may not."""
    disk.mkdir()
    tried = ["unshare", "-m", "mount", "-t", "tmpfs", "none", disk]
    if not shutil.which("unshare") or subprocess.run(tried, capture_output=True, check=False).returncode:
        pytest.skip("only root, where it may, can mount a small disk")
    return disk


def run_on_disk(disk: Path, room: str, *arguments: Any, code: str = COMMAND) -> subprocess.CompletedProcess[str]:
    """Run a command while `disk` has so much room, in a mount namespace of its own."""
    return run_fork(disk, room, code, *arguments, code=f"{ON_DISK}\nsys.exit(command(arguments))")


def resume_with_more_room(disk: Path, room: str, output: Path, copy: Path, *arguments: Any, code: str = COMMAND) -> str:
    """Run a command on a disk on which it has to fail, then again with more room.

    The output, which is on that disk, is copied. Returns what both runs print on stderr.
    """
    done = run_fork(disk, room, code, output, copy, *arguments, code=ON_DISK + RESUMED)
    assert done.returncode == 0, done.stderr
    return done.stderr
