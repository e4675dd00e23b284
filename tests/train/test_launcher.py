"""`train --devices`: signals, a lost process and errors are reported once; no process is left."""

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from commands import error_line, sattrans
from forks import Fork
from makers import make_folder

from sattrans.errors import Interrupted, ProcessLost, SattransError
from sattrans.runs.run import Run
from sattrans.tile import TileOptions, tile
from sattrans.train.launcher import _picklable, launch

SMALL = ("-m", "pix2pix", "--set", "width=1", "--device", "cpu", "--batch-size", "8", "--monitor", "l1")


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return tile(make_folder(folder / "f", size=256), folder / "t", options=TileOptions(size=64)).tileset


def start(*told):
    """Start `train --devices 2` as a shell does, in a process group of its own."""
    command = [sys.executable, "-m", "sattrans", "train", "--devices", "2", *map(str, told)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


FORKING = """
import os, pickle
from multiprocessing import context
from sattrans.__main__ import main
from sattrans.train import launcher

os.setsid()
context._concrete_contexts["spawn"] = context._concrete_contexts["fork"]
start = launcher._start
launcher._start = lambda *how: start(*pickle.loads(pickle.dumps(how)))  # the work is copied, as to a spawned process
main()
"""
"""The command line in a process group of its own, with processes that are forks: they do not load torch again."""


def start_forking(*told):
    return Fork("train", "--devices", 2, *told, code=FORKING)


def begun(tiles, run, start=start):
    """Start a long training, and return its process once it has trained an epoch."""
    process = start(*SMALL, "-d", tiles.folder, "--steps", 100000, "-o", run)
    deadline = time.monotonic() + 120
    while not (run / "checkpoints" / "last.safetensors").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def ended(process):
    """Return the error line of a training that has ended, and check that none of its processes is left."""
    _, stderr = process.communicate()
    wait_for_none_of(process)
    return error_line(stderr)


def wait_for_none_of(process):
    """Wait until none of its group is left; multiprocessing's resource tracker ends a moment later."""
    deadline = time.monotonic() + 20
    with suppress(ProcessLookupError):
        while True:
            os.killpg(process.pid, 0)
            assert time.monotonic() < deadline
            time.sleep(0.02)


def processes_of(process):
    """Return the ids of the processes that train, the first one first."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        pytest.skip("this system does not list a process's children")
    told = {int(child): Path(f"/proc/{child}/cmdline").read_text() for child in children.read_text().split()}
    return sorted(child for child, command in told.items() if "spawn_main" in command)


@pytest.mark.parametrize(
    ("number", "send", "start"),
    [
        (signal.SIGINT, os.killpg, start_forking),
        pytest.param(signal.SIGINT, os.killpg, start, marks=pytest.mark.faults),
        pytest.param(signal.SIGTERM, os.kill, start, marks=pytest.mark.faults),
    ],
    ids=["Ctrl-C, forks", "Ctrl-C", "kill"],
)
def test_a_signal_to_all_or_to_the_first_finishes_the_step_and_saves(tiles, tmp_path, number, send, start):
    process, run = begun(tiles, tmp_path / "r", start), tmp_path / "r"
    send(process.pid, number)
    told = ended(process)
    assert told.startswith("error: stopped at step ")
    assert told.endswith(f"saved; resume with sattrans train --resume {run} --devices 2")
    assert process.wait() == 128 + number
    assert not Run.open(run).finished


@pytest.mark.faults
@pytest.mark.parametrize("lost", [0, 1])
def test_a_process_that_is_killed_is_named_and_the_others_end(tiles, tmp_path, lost):
    process, run = begun(tiles, tmp_path / "r"), tmp_path / "r"
    os.kill(processes_of(process)[lost], signal.SIGKILL)
    assert ended(process) == (
        f"error: process {lost + 1} of 2 was ended by SIGKILL: resume with sattrans train --resume {run} --devices 2"
    )
    assert process.returncode == 1


@pytest.mark.faults
def test_processes_end_with_the_process_that_started_them(tiles, tmp_path):
    process = begun(tiles, tmp_path / "r")
    process.kill()
    process.wait()
    wait_for_none_of(process)


@pytest.mark.faults
def test_an_error_that_all_meet_is_reported_once_and_leaves_no_run(tmp_path):
    damaged = tile(make_folder(tmp_path / "f", size=256), tmp_path / "t", options=TileOptions(size=64)).tileset
    for path in (damaged.folder / "images").iterdir():
        path.write_bytes(b"no raster")
    process = start(*SMALL, "-d", damaged.folder, "--steps", 3, "-o", tmp_path / "r")
    assert str(damaged.folder) in ended(process)
    assert process.returncode == 1
    assert not (tmp_path / "r").exists()


def test_wrong_numbers_of_devices_are_refused(tiles):
    done = sattrans("train", "-d", tiles.folder, "--devices", 0)
    assert error_line(done.stderr) == "error: --devices must be at least 1, got 0"
    assert done.exit_code == 2


def work_of_two(number, does):
    """Return work in which one process does something and the other waits for ever."""
    waits = f"while os.environ['RANK'] != '{number}': time.sleep(1)"
    return partial(exec, f"import os, time\n{waits}\n{does}")


@pytest.mark.parametrize(
    ("number", "does", "error", "told"),
    [
        (1, "os.stat('nope')", FileNotFoundError, "nope"),
        (0, "os._exit(3)", ProcessLost, "process 1 of 2 ended with exit status 3: repeat the command"),
        (1, "1 / 0", RuntimeError, "(?s)^Traceback.*ZeroDivisionError: division by zero\n$"),
    ],
)
def test_what_one_raises_is_raised_and_one_that_would_wait_is_ended(monkeypatch, number, does, error, told):
    monkeypatch.setattr("sattrans.train.launcher.GRACE_SECONDS", 0.1)
    with pytest.raises(error, match=told):
        launch(2, work_of_two(number, does))
    assert not multiprocessing.active_children()


def test_how_to_resume_is_told_if_a_process_is_killed_after_the_run_began(monkeypatch, tmp_path):
    """As in training, without torch."""
    monkeypatch.setattr("sattrans.train.launcher.GRACE_SECONDS", 0.1)
    kill = (
        "from pathlib import Path; from sattrans.train.launcher import record_run\n"
        f"record_run(Path({str(tmp_path)!r})); os.kill(os.getpid(), {int(signal.SIGKILL)})"
    )
    with pytest.raises(ProcessLost) as lost:
        launch(2, work_of_two(1, kill))
    resume = f"resume with sattrans train --resume {tmp_path} --devices 2"
    assert str(lost.value) == f"process 2 of 2 was ended by SIGKILL: {resume}"
    assert not multiprocessing.active_children()


def test_a_second_signal_ends_all_at_once():
    work = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGINT, lambda *_, write=os.write: write(1, b'1'))\n"
        "os.write(1, b'0')\n"
        "time.sleep(1000)"
    )
    code = (
        "from functools import partial; from sattrans.train.launcher import _picklable, launch\n"
        f"launch(2, partial(exec, {work!r}))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout.read(2) == "00"
    os.kill(process.pid, signal.SIGINT)
    assert process.stdout.read(1) == "1"  # the first process passes a signal on once it has noticed it
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert stderr.count("Traceback") == 1 and stderr.endswith("KeyboardInterrupt\n")
    wait_for_none_of(process)


def test_an_error_that_pickle_cannot_copy_is_sent_as_its_traceback():
    class OwnWords(SattransError):
        """An error that pickle does not find."""

    assert str(_picklable(OSError(2, "No such file", "nope"))) == "[Errno 2] No such file: 'nope'"
    assert "OwnWords: mine" in _picklable(OwnWords("mine"))


def test_an_interruption_is_pickled_with_its_exit_code():
    again = pickle.loads(pickle.dumps(Interrupted("stopped at step 3", 130)))
    assert (str(again), again.exit_code) == ("stopped at step 3", 130)
