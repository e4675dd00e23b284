"""Killed again and again at random moments, tile ends with what an uninterrupted run makes."""

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from makers import make_landcover

KILLS = 5


def tree(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("workers", [1, 2])
def test_tile_survives_kills(tmp_path, workers):
    root = make_landcover(tmp_path / "landcover", scenes=2, height=1100, width=1100)
    command = [sys.executable, "-m", "sattrans", "tile", root, "--size", "64", "--workers", str(workers)]
    subprocess.run([*command, "-o", tmp_path / "whole"], check=True, capture_output=True)
    written = len(list((tmp_path / "whole").rglob("*.tif")))
    chance = random.Random(workers)
    # Each process is killed when a number of tiles is there that no process before it reached.
    for goal in sorted(chance.sample(range(1, written * 9 // 10), KILLS)):
        process = subprocess.Popen(
            [*command, "-o", tmp_path / "t"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while len(list((tmp_path / "t").rglob("*.tif"))) < goal:
            if process.poll() is not None:  # refused: a worker of the last kill was still writing its row
                process = subprocess.Popen([*command, "-o", tmp_path / "t"], stderr=subprocess.DEVNULL)
            time.sleep(0.005)
        process.kill()
        process.wait()
    assert not (tmp_path / "t" / "tileset.json").exists()
    last = subprocess.run([*command, "-o", tmp_path / "t"], capture_output=True, text=True, check=False)
    while "being written" in last.stderr:  # a worker of the last kill is still writing its row
        time.sleep(0.2)
        last = subprocess.run([*command, "-o", tmp_path / "t"], capture_output=True, text=True, check=False)
    assert last.returncode == 0, last.stderr
    whole, resumed = tree(tmp_path / "whole"), tree(tmp_path / "t")
    manifests = [json.loads(files.pop("tileset.json")) for files in (whole, resumed)]
    for manifest in manifests:
        del manifest["created"]
    assert manifests[0] == manifests[1]
    assert resumed == whole


def test_two_writers_on_one_output_are_refused(tmp_path):
    root = make_landcover(tmp_path / "landcover", scenes=2, height=3000, width=3000)
    command = [sys.executable, "-m", "sattrans", "tile", root, "--size", "64", "-o", tmp_path / "t"]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (tmp_path / "t" / "images").exists():
        assert first.poll() is None
        time.sleep(0.01)
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert f"process {first.pid} on " in second.stderr
    first.kill()
    first.wait()


def test_workers_end_with_a_parent_that_was_killed(tmp_path):
    root = make_landcover(tmp_path / "landcover", scenes=2, height=2000, width=2000)
    command = [sys.executable, "-m", "sattrans", "tile", root, "--size", "64", "--workers", "2", "-o", tmp_path / "t"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list((tmp_path / "t").rglob("*.tif")):
        assert process.poll() is None
        time.sleep(0.01)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) >= 2
    process.kill()
    process.wait()
    deadline = time.monotonic() + 20
    while any(_runs(pid) for pid in children):
        assert time.monotonic() < deadline, "a worker outlived its parent"
        time.sleep(0.05)


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
