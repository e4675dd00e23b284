"""Killed or stopped at random moments, tile ends with what an uninterrupted run makes.

`SATTRANS_KILLS` says how many kills each way of tiling has to stand.
"""

import os
import random
import shutil
import signal
import time

import pytest
from commands import sattrans
from forks import Fork, run_fork
from makers import make_folder, make_landcover

KILLS = int(os.environ.get("SATTRANS_KILLS", "8"))


pytestmark = pytest.mark.usefixtures("timeless")


def tree(folder):
    """Every file below a folder, by its path; what a kill may leave (`.part`, `.begun`) is among them."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def finish(command):
    """Run a command to its end, in this process."""
    done = sattrans(*command)
    assert done.exit_code == 0, done.stderr


def wait_for_tiles(process, folder, count):
    while len(list(folder.glob("images/*.tif"))) < count:
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)


@pytest.mark.parametrize(("workers", "kind"), [(1, "tif"), (2, "tif"), (2, "png")])
def test_tile_survives_kills_at_random_moments(tmp_path, workers, kind):
    root = make_folder(tmp_path / "place", scenes=2, size=768)
    command = ["tile", root, "--size", "64"]
    command += ["--workers", str(workers), "--format", kind, "-o"]
    run_fork("--help")  # what forks have in common is loaded
    begin = time.monotonic()
    assert run_fork(*command, tmp_path / "whole").returncode == 0
    length = time.monotonic() - begin
    whole = tree(tmp_path / "whole")
    chance = random.Random(f"{workers} {kind}")
    output = tmp_path / "out" / "t"
    # From the first moment to a little after the last. A tileset that came to its end is compared, and begun anew.
    for _ in range(KILLS):
        process = Fork(*command, output)
        time.sleep(chance.uniform(0, 1.05 * length))
        process.kill()
        if process.wait() == 0:
            assert tree(output) == whole
            shutil.rmtree(output)
    finish([*command, output])
    assert tree(output) == whole
    assert [path.name for path in output.parent.iterdir()] == ["t"]  # no lock, nothing set aside


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.short)])
def test_ctrl_c_says_so_in_a_line_and_the_same_command_goes_on(tmp_path, workers):
    # Tiles that take longer to cut than to record: else, on a busy machine, several rows wait to be recorded.
    root = make_folder(tmp_path / "place", scenes=2, size=960)
    command = ["tile", root, "--size", "96", "--workers", workers, "-o"]
    process = Fork(*command, tmp_path / "out" / "t")
    wait_for_tiles(process, tmp_path / "out" / "t", 60)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate()
    assert process.wait() == 130
    errors = [line for line in told.splitlines() if not line.startswith("dataset folder in ")]
    assert errors == ["error: stopped; to resume, repeat the command"]
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "t" / "images").iterdir()}
    journal = (tmp_path / "out" / "t" / "tiles.geojson.begun").read_text().splitlines()
    recorded = sum('"row"' in line for line in journal)
    finish([*command, tmp_path / "out" / "t"])
    # What was recorded was not written again. On a busy machine some rows are cut and not recorded yet.
    assert recorded
    assert sum(path.stat().st_mtime_ns == time for path, time in kept.items() if path.exists()) >= recorded * 10
    finish([*command, tmp_path / "whole"])
    assert tree(tmp_path / "out" / "t") == tree(tmp_path / "whole")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["t"]


@pytest.mark.short
def test_a_second_writer_is_told_who_the_first_is_and_disturbs_nothing(tmp_path):
    root = make_landcover(tmp_path / "landcover", scenes=2, height=700, width=700)
    command = ["tile", root, "--size", "64", "-o"]
    first = Fork(*command, tmp_path / "t")
    wait_for_tiles(first, tmp_path / "t", 1)
    first.send_signal(signal.SIGSTOP)  # it holds the folder for as long as the others need to start
    for extra in ([], ["--overwrite"]):
        second = run_fork(*command, tmp_path / "t", *extra)
        assert second.returncode == 1
        errors = [line for line in second.stderr.splitlines() if line.startswith("error:")]
        assert errors == [second.stderr.splitlines()[-1]]
        assert f"{tmp_path / 't'} is being written by process {first.pid} on " in errors[0]
    first.send_signal(signal.SIGCONT)
    _, told = first.communicate()
    assert first.wait() == 0, told
    finish([*command, tmp_path / "whole"])
    assert tree(tmp_path / "t") == tree(tmp_path / "whole")
