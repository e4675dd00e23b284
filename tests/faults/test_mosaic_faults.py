"""mosaic is killed, stopped, runs out of disk, or loses its tiles: it says so in a line, and the same command goes on.

`SATTRANS_KILLS` says how many kills it has to stand.
"""

import os
import random
import shutil
import signal
import time

import numpy as np
import pytest
import rasterio
from commands import error_line, sattrans
from disks import LIMITED, resume_with_more_room, run_on_disk, skip_unless_mountable
from forks import COMMAND, Fork, run_fork
from makers import make_indices, make_picture
from makers_tiles import cut_tiles, grid_of
from rio_cogeo import cog_validate

short = pytest.mark.short
KILLS = int(os.environ.get("SATTRANS_KILLS", "8"))
HEIGHT, WIDTH = 1600, 4300
PIECES = 8
LARGE = 3_000_000
"""Bytes that all but the largest file, which is the mosaic, are smaller than."""


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    picture = make_picture(make_indices(HEIGHT, WIDTH, 5))
    return cut_tiles(tmp_path_factory.mktemp("tiles") / "t", picture, grid_of(HEIGHT, WIDTH, 512, 448))


def command(tiles, output, *more):
    return ["mosaic", tiles, "-o", output, "--workers", "2", *more]


def joined(tiles, output, *more):
    """Run the command to its end, in this process."""
    return sattrans(*command(tiles, output, *more)).exit_code == 0


@pytest.fixture(scope="module")
def whole(tiles, tmp_path_factory):
    output = tmp_path_factory.mktemp("whole") / "m.tif"
    assert joined(tiles, output)
    return output


def assert_same(output, whole):
    """Same bytes; and, so that these mean something, the same pixels, tags and overviews of a valid COG."""
    assert output.read_bytes() == whole.read_bytes()
    assert cog_validate(output, quiet=True)[0]
    with rasterio.open(output) as one, rasterio.open(whole) as other:
        assert one.overviews(1) == other.overviews(1) == [2, 4, 8, 16]
        assert one.tags() == other.tags() and "SATTRANS_OPTIONS" in one.tags()
        assert np.array_equal(one.read(), other.read())


def test_kills_at_random_moments(tiles, whole, tmp_path):
    output = tmp_path / "out" / "m.tif"
    output.parent.mkdir()
    run_fork("--help")  # what forks have in common is loaded
    begin = time.monotonic()
    assert run_fork(*command(tiles, output)).returncode == 0
    length = time.monotonic() - begin
    output.unlink()
    chance, went_on = random.Random("mosaic"), 0
    for _ in range(KILLS):
        process = Fork(*command(tiles, output))
        time.sleep(chance.uniform(0.1, 1.05) * length)
        process.kill()
        process.wait()
        if output.exists():
            assert_same(output, whole)
            output.unlink()
        went_on += (output.parent / "m.tif.part").exists()
    assert joined(tiles, output)
    assert_same(output, whole)
    assert went_on or KILLS < 3
    assert [path.name for path in output.parent.iterdir()] == ["m.tif"]  # no lock, no pieces


@short
def test_a_piece_that_did_not_reach_the_disk_whole_is_made_again(tiles, whole, tmp_path):
    output = tmp_path / "m.tif"
    process = Fork(*command(tiles, output))
    while len(pieces := list(tmp_path.glob("m.tif.part/*.tif"))) < 4:
        assert process.poll() is None
        time.sleep(0.002)
    process.kill()
    process.wait()
    pieces[0].write_bytes(b"")
    pieces[1].write_bytes(pieces[1].read_bytes()[:-100] + bytes(100))
    assert joined(tiles, output)
    assert_same(output, whole)


@short
def test_ctrl_c_is_told_in_a_line_and_the_same_command_goes_on(tiles, whole, tmp_path):
    process = Fork(*command(tiles, tmp_path / "m.tif"))
    while not list(tmp_path.glob("m.tif.part/piece-*.tif")):
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate()
    assert process.wait() == 130
    assert error_line(told) == "error: stopped; to resume, repeat the command"
    assert joined(tiles, tmp_path / "m.tif")
    assert_same(tmp_path / "m.tif", whole)


def test_a_second_writer_is_told_who_the_first_is(tiles, whole, tmp_path):
    first = Fork(*command(tiles, tmp_path / "m.tif"))
    while not list(tmp_path.glob("m.tif.part/*.tif")):
        assert first.poll() is None
        time.sleep(0.002)
    first.send_signal(signal.SIGSTOP)
    second = run_fork(*command(tiles, tmp_path / "m.tif", "--overwrite"))
    assert second.returncode == 1
    assert f"is being written by process {first.pid} on " in error_line(second.stderr)
    first.send_signal(signal.SIGCONT)
    assert first.wait() == 0
    assert_same(tmp_path / "m.tif", whole)


# A full disk


def told_at_the_end(output, reason):
    """Return the line where all pieces are written, and the whole is not."""
    kept = f"Its chunks are kept in {output}.part; to resume, repeat the command"
    return f"error: cannot write {output} ({reason}); is the disk full? {kept}"


@pytest.mark.parametrize("most", [0, pytest.param(5_000, marks=short), 1_000_000, pytest.param(-100, marks=short)])
def test_a_file_that_may_not_grow(tiles, whole, tmp_path, most):
    """From no byte at all, over a piece, to all but the last of the whole."""
    output = tmp_path / "out" / "m.tif"
    most = most if most >= 0 else whole.stat().st_size + most
    done = run_fork(most, *command(tiles, output), code=LIMITED)
    assert done.returncode == 1
    line = error_line(done.stderr)
    if most > LARGE:
        assert line == told_at_the_end(output, "File too large")
    else:
        assert line.startswith(f"error: {output.parent}/")
        assert line.endswith(": File too large; free some space, then repeat the command")
    assert not output.exists()
    kept = {path: path.stat().st_mtime_ns for path in output.parent.glob("m.tif.part/*-*.tif")}
    if most > LARGE:
        assert len(kept) > PIECES  # all of them, and those of the overviews
    assert joined(tiles, output)
    assert_same(output, whole)


NO_LOOK = "import sattrans.mosaic.api as m; m.check_disk_space = lambda *_: None; from sattrans.cli import app; app()"
"""The command without a look at the disk: as when another fills it in between."""


@pytest.mark.parametrize("room", ["16k", pytest.param("2m", marks=short), "6m", "12m"])
def test_a_disk_that_fills_up(tiles, whole, tmp_path, room):
    disk = skip_unless_mountable(tmp_path / "disk")
    output = disk / "m.tif"
    told = resume_with_more_room(disk, room, output, tmp_path / "copy.tif", *command(tiles, output), code=NO_LOOK)
    errors = [line for line in told.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    if room == "12m":
        assert errors[0] == told_at_the_end(output, "No space left on device")
    else:
        assert errors[0].startswith(f"error: {output}.part/piece-")
        assert errors[0].endswith(": No space left on device; free some space, then repeat the command")
    assert "Traceback" not in told
    assert_same(tmp_path / "copy.tif", whole)


@short
def test_a_disk_without_room_is_told_before(tiles, tmp_path):
    disk = skip_unless_mountable(tmp_path / "disk")
    done = run_on_disk(disk, "9m", *command(tiles, disk / "m.tif"), code=COMMAND)
    assert done.returncode == 1
    assert "m.tif needs about " in error_line(done.stderr) and "its disk has 9." in error_line(done.stderr)


# Tiles that change


def stopped(tiles, output):
    """Begin, and be killed after a few pieces."""
    process = Fork(*command(tiles, output))
    while len(list(output.parent.glob("m.tif.part/*.tif"))) < 3:
        assert process.poll() is None
        time.sleep(0.002)
    process.kill()
    process.wait()


@short
def test_tiles_that_changed_since_it_was_killed_are_refused(tiles, tmp_path):
    own = shutil.copytree(tiles, tmp_path / "t")
    stopped(own, tmp_path / "m.tif")
    (own / "t000.tif").touch()
    done = sattrans(*command(own, tmp_path / "m.tif"))
    assert done.exit_code == 2
    assert "was made from other tiles, or from these tiles before they changed" in error_line(done.stderr)
    assert joined(own, tmp_path / "m.tif", "--overwrite")


WATCHED = """
import os, sys
from pathlib import Path
from sattrans.cli import app
action = sys.argv.pop(1)
waiting = True

def watch(event, args):
    # Once the first piece is written: that is in the middle, whatever the machine's speed.
    global waiting
    if waiting and event in ("os.link", "os.rename") and "piece-" in str(args[1]):
        waiting = False
        exec(action)

sys.addaudithook(watch)
app()
"""


@pytest.mark.parametrize(
    ("action", "told"),
    [
        pytest.param("Path({!r}).touch()", "tiles changed while the mosaic was made", marks=short),
        ("Path({!r}).unlink()", "{name}"),
        ("Path({!r}).write_bytes(b'II*\\0')", "t"),
    ],
)
def test_a_tile_that_changes_or_goes_while_it_is_joined(tiles, tmp_path, action, told):
    own = shutil.copytree(tiles, tmp_path / "t")
    last = max(own.iterdir())
    done = run_fork(action.format(str(last)), *command(own, tmp_path / "m.tif"), code=WATCHED)
    assert done.returncode == 1, done.stderr
    assert told.format(name=last.name) in error_line(done.stderr)
    assert not (tmp_path / "m.tif").exists()
