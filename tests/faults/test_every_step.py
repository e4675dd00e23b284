"""Killed before each single change that tile makes to the disk, one after the other, nothing is lost or half-made."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
from makers import make_folder

# A process that has loaded everything, and forks for each run. It kills a fork just before the n-th time that
# this opens a file to write, names or renames it, removes, or makes or removes a folder; Python says so by audit events
# (https://docs.python.org/3/library/audit_events.html).
DRIVER = """
import json, os, signal, sys, tempfile
from sattrans.cli import app

warm = False
sys.stdout, answers = open(os.devnull, "w"), sys.stdout

def changes(event, args):
    if event == "open":
        return isinstance(args[1], str) and args[1][0] in "wax"
    return event in ("os.link", "os.rename", "os.remove", "os.mkdir", "os.rmdir")

def run(arguments, last):
    done = 0
    def watch(event, args):
        nonlocal done
        if changes(event, args):
            done += 1
            if done == last:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(watch)
    return app(arguments, standalone_mode=False) or 0

for line in sys.stdin:
    arguments, last = json.loads(line)
    if not warm:  # what is loaded at the first run need not be loaded again in each fork
        with tempfile.TemporaryDirectory() as folder:
            app([*arguments[:-1], folder + "/warm"], standalone_mode=False)
        warm = True
    child = os.fork()
    if not child:
        status = 3  # what no error of ours ends with
        try:
            status = run(arguments, last)
        finally:
            sys.stderr.flush()
            os._exit(status)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=answers, flush=True)
"""

KILLED = -signal.SIGKILL


class Driver:
    def __init__(self):
        env = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, text=True
        )

    def run(self, *arguments, killed_before=0):
        """Run a command; return its exit status, negative for the signal that ended it."""
        self.process.stdin.write(json.dumps([list(map(str, arguments)), killed_before]) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@pytest.fixture(scope="module")
def driver():
    driver = Driver()
    yield driver
    driver.process.stdin.close()
    driver.process.wait()


# Each single step takes long; every seventh of them is part of make test.
EVERY = pytest.mark.parametrize("every", [1, pytest.param(7, marks=pytest.mark.short)])


def tree(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@EVERY
def test_tile_goes_on_after_a_kill_before_any_step(tmp_path, driver, every):
    root = make_folder(tmp_path / "place", scenes=2, size=64)
    tile = ["tile", root, "--size", "64", "--workers", "1", "-o"]
    assert driver.run(*tile, tmp_path / "whole") == 0
    whole = tree(tmp_path / "whole")
    steps = 1
    while driver.run(*tile, tmp_path / str(steps) / "t", killed_before=steps) == KILLED:
        out = tmp_path / str(steps)
        if (out / "t" / "tileset.json").exists():
            assert whole.items() <= tree(out / "t").items()
        assert driver.run(*tile, out / "t") == 0
        assert tree(out / "t") == whole
        assert [path.name for path in out.iterdir()] == ["t"]
        steps += every
    assert steps > 30


@EVERY
@pytest.mark.parametrize("again", ["the same command", "the first command", "the first command, the folder gone"])
def test_overwrite_leaves_the_old_or_the_new_tileset_after_a_kill_before_any_step(tmp_path, driver, again, every):
    root = make_folder(tmp_path / "place", scenes=2, size=64)
    first = ["tile", root, "--size", "64", "--workers", "1", "-o"]
    second = ["tile", root, "--size", "64", "--workers", "1", "--bidx", "3,2,1", "--overwrite", "-o"]
    for command, name in ((first, "old"), (second, "new")):
        assert driver.run(*command, tmp_path / name) == 0
    old, new = tree(tmp_path / "old"), tree(tmp_path / "new")
    assert old["tileset.json"] != new["tileset.json"]
    steps = 1
    while True:
        out = tmp_path / str(steps)
        shutil.copytree(tmp_path / "old", out / "t")
        if driver.run(*second, out / "t", killed_before=steps) != KILLED:
            break
        there = [tree(out / name) for name in ("t", ".t.before") if (out / name).is_dir()]
        assert any(whole.items() <= held.items() for whole in (old, new) for held in there), steps
        if again == "the same command":
            assert driver.run(*second, out / "t") == 0
            assert tree(out / "t") == new
        elif again == "the first command, the folder gone":
            shutil.rmtree(out / "t", ignore_errors=True)
            assert driver.run(*first, out / "t") == 0
            assert tree(out / "t") == old
        else:
            # Refused where the new one was begun or is finished; else the old one is what it was.
            refused = driver.run(*first, out / "t")
            if refused:
                assert driver.run(*second, out / "t") == 0
            assert tree(out / "t") == (new if refused else old)
        assert [path.name for path in out.iterdir()] == ["t"]
        steps += every
    assert tree(out / "t") == new
    assert steps > 30


@EVERY
def test_an_error_while_overwriting_puts_the_old_one_back_after_a_kill_before_any_step(tmp_path, driver, every):
    root = make_folder(tmp_path / "place", scenes=2, size=64, values=(1, 2, 3), classes_toml=True)
    tile = ["tile", root, "--size", "64", "--workers", "1", "-o"]
    assert driver.run(*tile, tmp_path / "old") == 0
    old = tree(tmp_path / "old")
    image = root / "images" / "place1.tif"
    image.write_bytes(image.read_bytes()[:-6_000])
    steps = 1
    while True:
        out = tmp_path / str(steps)
        shutil.copytree(tmp_path / "old", out / "t")
        if driver.run(*tile, out / "t", "--overwrite", killed_before=steps) != KILLED:
            break
        assert driver.run(*tile, out / "t", "--overwrite") == 1
        assert tree(out / "t") == old
        assert [path.name for path in out.iterdir()] == ["t"]
        steps += every
    assert tree(out / "t") == old
    assert steps > 20
