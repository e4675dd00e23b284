"""A dry run says what the run would say: the same refusals, nothing to do, and what is needed; it writes nothing."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from commands import error_line, sattrans
from generate_command import VALUES, generate, made, write_map
from makers_tiles import PICTURE, WINDOWS, cut_tiles

from sattrans.generate import estimate as need
from sattrans.generate.stream import Stream
from sattrans.raster.cog.writer import RowWriter
from sattrans.utils.atomic import part_of
from sattrans.utils.lock import lock

CLOSED = Path("/proc")
"""A folder in which nobody can make a file."""

needs_proc = pytest.mark.skipif(not (CLOSED / "self").is_dir(), reason="needs a folder in which nobody can make a file")


def tree(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def both_refused(command, tmp_path, *arguments):
    """Run a command, dry and not; both have to end with the same line, which is returned, and change nothing."""
    before = tree(tmp_path)
    lines = set()
    for more in (["--dry-run"], []):
        result = command(*arguments, *more)
        assert result.exit_code in (1, 2), result.output
        lines.add((result.exit_code, error_line(result.stderr)))
        assert tree(tmp_path) == before
    ((_, line),) = lines
    return line


@pytest.fixture
def refused(run, tmp_path):
    def command(*arguments):
        return generate(run, *arguments)

    return lambda *arguments: both_refused(command, tmp_path, *arguments)


def stopped(*_):
    raise KeyboardInterrupt


def test_what_is_refused_then_is_refused_now(run, refused, tmp_path, monkeypatch):
    map_, output = write_map(tmp_path / "map.tif"), tmp_path / "sat.tif"
    made(run, map_, "-o", output)
    assert "blend: bands before, none now" in refused(map_, "-o", output, "--blend", "none")
    assert "the preview is a PNG" in refused(map_, "-o", tmp_path / "b.tif", "--preview", tmp_path / "p.jpg")
    assert "map.tif is a file, not a folder" in refused(map_, "-o", map_ / "x.tif")
    assert "is the map itself" in refused(map_, "-o", map_)
    assert "no such image" in refused(map_, "-o", tmp_path / "b.tif", "--update", tmp_path / "no.tif")
    assert "with seed 0, not 7" in refused(map_, "-o", tmp_path / "b.tif", "--update", output, "--seed", 7)
    assert "--workers must be at least 1, got 0" in refused(map_, "-o", tmp_path / "b.tif", "--workers", 0)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    assert "holds files that sattrans did not make" in refused(map_, "-o", tmp_path / "mine")
    for name in ("b.tif", "parts"):
        held = part_of(tmp_path / name) if name.endswith(".tif") else tmp_path / name
        with lock(held):
            line = both_refused(lambda *a: generate(run, *a), tmp_path / "mine", map_, "-o", tmp_path / name)
            assert "is being written by process" in line
    with monkeypatch.context() as patch:
        patch.setattr(Stream, "write", stopped)
        assert generate(run, map_, "-o", tmp_path / "c.tif").exit_code == 130
    assert "blend: bands before, none now" in refused(map_, "-o", tmp_path / "c.tif", "--blend", "none")
    assert generate(run, map_, "-o", tmp_path / "c.tif", "--dry-run").exit_code == 0


@needs_proc
def test_a_folder_that_takes_no_files_is_named_before_any_work(run, refused, tmp_path, monkeypatch):
    map_ = write_map(tmp_path / "map.tif")
    monkeypatch.setattr("sattrans.maps.raster_map.RasterMap.check", stopped)
    told = "cannot write to /proc (No such file or directory); choose another output"
    for output in (CLOSED / "o.tif", CLOSED / "a" / "o.tif", CLOSED / "parts"):
        assert refused(map_, "-o", output) == f"error: {told}"
    line = refused(map_, "-o", tmp_path / "o.tif", "--preview", CLOSED / "p.png")
    assert line == f"error: --preview {CLOSED}/p.png: {told}"


@pytest.mark.parametrize("name", ["sat.tfi", "sat.tiff2", "sat.geotiff"])
def test_a_suffix_that_nobody_knows_makes_no_folder(refused, tmp_path, name):
    line = refused(write_map(tmp_path / "map.tif"), "-o", tmp_path / name)
    assert "an image ends in .tif, and ." in line and "would make a folder of tiles" in line


def test_a_folder_of_tiles_is_called_one(run, tmp_path):
    map_ = write_map(tmp_path / "map.tif", 90, 120)
    for name in ("sat", "0.5m"):
        for more in (["--dry-run"], []):
            told = generate(run, map_, "-o", tmp_path / name, *more).stdout
            assert "in 6 windows by" in told and ", a folder of 6 tiles for sattrans mosaic" in told
    assert "a folder of" not in generate(run, map_, "-o", tmp_path / "sat.tif").stdout


def test_where_it_is_there_already_nothing_is_to_do(run, tmp_path):
    map_ = write_map(tmp_path / "map.tif")
    for name in ("sat.tif", "parts"):
        made(run, map_, "-o", tmp_path / name)
        result = generate(run, map_, "-o", tmp_path / name, "--dry-run")
        assert "nothing to do: it is there already" in result.stdout and "would" not in result.stdout
        assert "would be" in generate(run, map_, "-o", tmp_path / name, "--overwrite", "--dry-run").stdout


def test_an_update_counts_the_windows_that_it_would_make(run, tmp_path):
    map_ = write_map(tmp_path / "map.tif", 300, 300)
    made(run, map_, "-o", tmp_path / "sat.tif")
    with rasterio.open(map_, "r+") as dst:
        corner = ((0, 20), (0, 20))
        dst.write(np.where(dst.read(window=corner) == VALUES[0], VALUES[1], VALUES[0]), window=corner)
    before = tree(tmp_path)
    arguments = map_, "-o", tmp_path / "sat.tif", "--update", tmp_path / "sat.tif"
    dry = generate(run, *arguments, "--dry-run")
    assert "would be 300 wide × 300 high in 42 windows, 4 of them translated again, by" in dry.stdout, dry.output
    assert "1 of 42 windows changed" in dry.stderr
    assert tree(tmp_path) == before
    assert "300 wide × 300 high in 42 windows, 4 of them translated again, by" in generate(run, *arguments).stdout


def test_a_folder_of_maps_has_a_line_a_map_and_what_all_need(run, tmp_path, monkeypatch):
    monkeypatch.setattr(
        need, "_resident_bytes", lambda: 10**8
    )  # else it is this process's, which grows from test to test
    for number, size in enumerate((40, 70, 600)):
        write_map(tmp_path / "maps" / f"place{number}.tif", size, size)
    made(run, tmp_path / "maps" / "place0.tif", "-o", tmp_path / "out" / "place0.tif")
    before = tree(tmp_path)
    told = generate(run, tmp_path / "maps", "-o", tmp_path / "out", "--dry-run").stdout.splitlines()
    assert tree(tmp_path) == before
    assert [("would be" in line, "nothing to do" in line) for line in told[:3]] == [(False, True), *[(True, False)] * 2]
    alone = [
        generate(run, tmp_path / "maps" / f"place{n}.tif", "-o", tmp_path / "out" / f"{n}.tif", "--dry-run").stdout
        for n in (1, 2)
    ]
    assert told[3].startswith("2 maps would need about ") and len(told) == 4
    assert told[3].split(" of memory")[0].removeprefix("2 maps ") == alone[1].splitlines()[1].split(" of memory")[0]
    (tmp_path / "maps" / "bad.tif").write_text("no map")
    line = both_refused(lambda *a: generate(run, *a), tmp_path / "maps", tmp_path / "maps", "-o", tmp_path / "out")
    assert line == "error: 1 of 4 maps failed: bad.tif"


@pytest.mark.slow
def test_mosaic_refuses_dry_what_it_refuses(tmp_path, monkeypatch):
    tiles, output = cut_tiles(tmp_path / "t", PICTURE, WINDOWS), tmp_path / "m.tif"

    def refused(*arguments, where=tmp_path):
        return both_refused(lambda *a: sattrans("mosaic", tiles, *a), where, *arguments)

    assert "m.tif is a file" not in refused("-o", tiles / "none.png")
    with monkeypatch.context() as patch:
        patch.setattr(RowWriter, "missing", stopped)
        assert sattrans("mosaic", tiles, "-o", output).exit_code == 130
    assert "blend: feather before, mean now" in refused("-o", output, "--method", "mean")
    assert sattrans("mosaic", tiles, "-o", output).exit_code == 0
    assert "blend: feather before, mean now" in refused("-o", output, "--method", "mean")
    assert "nothing to do" in sattrans("mosaic", tiles, "-o", output, "--dry-run").stdout
    assert "is a file, not a folder" in refused("-o", output / "m.tif")
    with lock(part_of(tmp_path / "n.tif")):
        assert "is being written by process" in refused("-o", tmp_path / "n.tif", where=tiles)
    if CLOSED.is_dir():
        assert "cannot write to /proc" in refused("-o", CLOSED / "m.tif")
