"""What happens to files and disks while tile runs: it says so in a line, keeps what is whole, and goes on later."""

import os
import sys

import pytest
import rasterio
from commands import error_line, tile, tiled
from disks import LIMITED, resume_with_more_room, skip_unless_mountable
from forks import COMMAND, run_fork
from makers import make_folder, make_indices, make_picture, write_raster

short = pytest.mark.short
SIZE = 384


def tree(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")  # the same time in every manifest
    return make_folder(tmp_path / "place", scenes=2, size=SIZE, values=(1, 2, 3), classes_toml=True)


def check_same_but_notices(resumed, whole):
    """Both are the same, but that one notes that a scene had changed when it went on."""
    (one, notes), (other, own) = resumed, whole
    assert notes == [own[0], "1 scene has changed and is cut again", *own[1:]]
    assert {**one.manifest, "notices": None} == {**other.manifest, "notices": None}
    assert {**tree(one.folder), "tileset.json": None} == {**tree(other.folder), "tileset.json": None}


# A damaged input


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=short)])
def test_a_block_in_the_middle_that_cannot_be_read(place, tmp_path, workers):
    image = place / "images" / "place1.tif"
    indices = make_indices(SIZE, SIZE, 3, seed=1)
    write_raster(image, make_picture(indices), "EPSG:32652", _transform(image), compress="deflate", blockysize=32)
    right = image.read_bytes()
    stat = image.stat()
    middle = len(right) // 2
    image.write_bytes(right[:middle] + bytes(2000) + right[middle + 2000 :])
    command = [place, "--size", 64, "--workers", workers, "-o", tmp_path / "t"]
    result = tile(*command)
    assert result.exit_code == 1
    line = error_line(result.stderr)
    assert f"{image}: cannot read rows " in line and "the file is damaged" in line
    assert not (tmp_path / "t" / "tileset.json").exists()
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "t" / "images").glob("place0_*")}
    assert len(kept) == (SIZE // 64) ** 2
    image.write_bytes(right)
    os.utime(image, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert tile(*command).exit_code == 0
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())
    whole = tiled(tmp_path / "whole", place, "--size", 64)
    check_same_but_notices(tiled(tmp_path / "t", *command[:-2]), whole)


# Inputs that change or go while they are cut

WATCHED = """
import signal, sys, os
from pathlib import Path
from sattrans.cli import app
output, action = Path(sys.argv.pop(1)), sys.argv.pop(1)
waiting = True

def watch(event, args):
    # Once the first tile is written: that is in the middle, whatever the machine's speed.
    global waiting
    if waiting and event in ("os.link", "os.rename") and str(args[1]).endswith("_0.tif"):
        waiting = False
        exec(action)

sys.addaudithook(watch)
app()
"""


def run_and_do(output, action, *arguments):
    """Run a command in a process of its own, which does something to its inputs when the first tile is there."""
    return run_fork(output, action, "tile", *arguments, "-o", output, code=WATCHED)


@pytest.mark.parametrize(("which", "workers"), [(0, 1), (0, 2), (1, 1), pytest.param(1, 2, marks=short)])
def test_an_input_that_changes(place, tmp_path, workers, which):
    image = place / "images" / f"place{which}.tif"
    other = write_raster(
        tmp_path / "other.tif", make_picture(make_indices(SIZE, SIZE, 3, seed=9)), "EPSG:32652", _transform(image)
    )
    command = [place, "--size", "64", "--workers", workers]
    done = run_and_do(tmp_path / "t", f"os.replace({str(other)!r}, {str(image)!r})", *command)
    assert done.returncode == 1
    assert f"{image} changed while it was being cut; repeat the command to cut it again" in error_line(done.stderr)
    assert not (tmp_path / "t" / "tileset.json").exists()
    check_same_but_notices(tiled(tmp_path / "t", *command), tiled(tmp_path / "whole", *command))


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("what", ["images/place1.tif", pytest.param("masks/place1.tif", marks=short), "."])
def test_an_input_that_goes(place, tmp_path, workers, what):
    gone, elsewhere = (place / what).resolve(), tmp_path / "elsewhere"
    command = [place, "--size", "64", "--workers", workers]
    done = run_and_do(tmp_path / "t", f"os.rename({str(gone)!r}, {str(elsewhere)!r})", *command)
    assert done.returncode == 1, done.stderr
    line = error_line(done.stderr)
    assert str(gone) in line and ("no such file" in line.lower() or "put it back" in line)
    assert not (tmp_path / "t" / "tileset.json").exists()
    elsewhere.rename(gone)
    for output in ("t", "whole"):
        tiled(tmp_path / output, *command)
    assert tree(tmp_path / "t") == tree(tmp_path / "whole")


def _transform(path):
    with rasterio.open(path) as src:
        return src.transform


# A full disk


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("most", [0, 5_000, pytest.param(20_000, marks=short), 30_000])
def test_a_file_that_may_not_grow(place, tmp_path, workers, most):
    """From no byte at all, over a tile, to the journal and the index, which are the largest files."""
    arguments = ["tile", place, "--size", "64", "--workers", workers, "-o"]
    done = run_fork(most, *arguments, tmp_path / "out" / "t", code=LIMITED)
    assert done.returncode == 1
    line = error_line(done.stderr)
    assert line.startswith(f"error: {tmp_path / 'out'}")
    assert line.endswith(": File too large; free some space, then repeat the command")
    assert not (tmp_path / "out" / "t" / "tileset.json").exists()
    for output in (tmp_path / "out" / "t", tmp_path / "whole"):
        tiled(output, *arguments[1:-1])
    assert tree(tmp_path / "out" / "t") == tree(tmp_path / "whole")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["t"]


@pytest.mark.parametrize(
    ("room", "output"),
    [("16k", "t"), pytest.param("300k", "t", marks=short), ("800k", "t"), ("16k", "."), ("300k", ".")],
)
def test_a_disk_that_is_full(place, tmp_path, room, output):
    """A disk of so much room, in a mount namespace of the test's own; then there is more, and the command goes on."""
    disk = skip_unless_mountable(tmp_path / "disk")
    command = ["tile", place, "--size", "64", "--workers", "2", "-o", disk / output]
    told = resume_with_more_room(disk, room, disk / output, tmp_path / "copy", *command)
    errors = [line for line in told.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and errors[0].startswith(f"error: {disk}")
    assert errors[0].endswith(": No space left on device; free some space, then repeat the command")
    assert "Traceback" not in told
    tiled(tmp_path / "whole", place, "--size", 64)
    assert tree(tmp_path / "copy") == tree(tmp_path / "whole")


# Folders that may not be written


POWERLESS = f"""
import ctypes, os
if os.geteuid() == 0:  # root may write anywhere, unless it gives up CAP_DAC_OVERRIDE, which has number 1
    version, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    libc = ctypes.CDLL(None)
    assert libc.capget(version, sets) == 0
    for number in range(3):
        sets[number] &= ~(1 << 1)
    assert libc.capset(version, sets) == 0
{COMMAND}
"""


@short
@pytest.mark.skipif(sys.platform != "linux", reason="capabilities are Linux's")
def test_a_folder_that_may_not_be_written(place, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir()
    command = ["tile", place, "--size", "64", "-o"]
    closed.chmod(0o555)
    done = run_fork(*command, closed / "t", code=POWERLESS)
    assert done.returncode == 2
    refused = f"error: cannot write to {closed} (Permission denied); choose another output"
    assert error_line(done.stderr) == refused
    closed.chmod(0o755)
    assert list(closed.iterdir()) == []
    assert tile(*command[1:], closed / "t").exit_code == 0
    whole = tree(closed / "t")
    # To replace what is there, the folder around it has to be ours to write.
    closed.chmod(0o555)
    done = run_fork(*command, closed / "t", "--bidx", "3,2,1", "--overwrite", code=POWERLESS)
    assert done.returncode == 2
    assert error_line(done.stderr) == refused
    closed.chmod(0o755)
    assert tree(closed) == {f"t/{path}": data for path, data in whole.items()}
