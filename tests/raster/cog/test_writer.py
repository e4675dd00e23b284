import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import makers
import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from makers import HERE, POLAND, make_indices, make_picture, write_raster
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rio_cogeo.cogeo import cog_validate

from sattrans.errors import LockedError, OutputExists, RasterError
from sattrans.raster.cog.chunks import decode_blocks, encode_blocks
from sattrans.raster.cog.layout import blocks_of
from sattrans.raster.cog.output import OPTIONS_TAG, GeoTiffOutput
from sattrans.raster.cog.writer import BLOCK, CHUNK_WIDTH, Layout, row_writer
from sattrans.raster.georeference import Georeference
from sattrans.raster.geotiff import encode_geotiff
from sattrans.raster.open import open_raster
from sattrans.raster.window import Window
from sattrans.utils.atomic import part_of

PLACE = Georeference.of(CRS.from_user_input(POLAND), HERE)
HEIGHT, WIDTH = 1300, 700
INDICES = make_indices(HEIGHT, WIDTH, 4)
PICTURE = make_picture(INDICES)
LAYOUT = Layout(HEIGHT, WIDTH, 3, PLACE)
OPTIONS = {"run": "resse-korea-1", "overlap": 64}
COLORS = {0: (0, 0, 0), 1: (97, 74, 74), 2: (38, 115, 0), 3: (0, 197, 255)}


def output_of(path, options=OPTIONS, overwrite=False):
    return GeoTiffOutput(path, options, overwrite=overwrite)


def is_finished(path, options):
    return output_of(path, options).is_finished()


def write(output, layout=LAYOUT, pixels=PICTURE, options=OPTIONS, overwrite=False):
    with row_writer(output_of(output, options, overwrite), layout) as writer:
        for chunk in writer.missing():
            writer.write(chunk, pixels[:, *chunk.slices])
    return output


def write_some(output, count=1, options=OPTIONS, error=ValueError):
    """Write so many rows, then stop with an error."""
    with row_writer(output_of(output, options), LAYOUT) as writer:
        for chunk in writer.missing()[:count]:
            writer.write(chunk, PICTURE[:, *chunk.slices])
        raise error("stopped")


def pixels_of(path):
    with open_raster(path) as raster:
        return raster.read()


def assert_is_a_cog(path):
    valid, errors, warnings = cog_validate(path, quiet=True)
    assert valid and not errors and not warnings, (errors, warnings)


# The output.


@pytest.mark.parametrize(
    ("layout", "pixels"),
    [
        (LAYOUT, PICTURE),
        (Layout(100, 90, 3, PLACE), PICTURE[:, :100, :90]),
        (Layout(HEIGHT, WIDTH, 3, PLACE, alpha=True), np.concatenate([PICTURE, PICTURE[:1]])),
        (Layout(HEIGHT, WIDTH, 1, PLACE, colormap=COLORS), INDICES[np.newaxis]),
        (Layout(HEIGHT, WIDTH, 1, PLACE, nodata=255), PICTURE[:1]),
        (Layout(HEIGHT, WIDTH, 1, PLACE, alpha=True), PICTURE[:2]),
    ],
    ids=["colours", "small", "alpha", "palette", "nodata", "grey and alpha"],
)
def test_the_output_is_a_valid_cog_with_the_pixels_that_were_written(tmp_path, layout, pixels):
    output = write(tmp_path / "deep" / "out.tif", layout, pixels)
    assert_is_a_cog(output)
    assert (pixels_of(output) == pixels).all()
    assert os.listdir(output.parent) == ["out.tif"]  # noqa: PTH208


def test_place_meaning_of_bands_and_tags_survive(tmp_path):
    layout = Layout(HEIGHT, WIDTH, 3, PLACE, alpha=True, tags={"SATTRANS_RUN": 'a "run" & <more>'})
    write(tmp_path / "out.tif", layout, np.concatenate([PICTURE, PICTURE[:1]]))
    with rasterio.open(tmp_path / "out.tif") as src:
        assert (src.crs, src.transform) == (CRS.from_user_input(POLAND), HERE)
        assert src.colorinterp == (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
        assert src.tags()["SATTRANS_RUN"] == 'a "run" & <more>'
        assert src.nodata is None
        assert src.compression.name == "zstd"


def test_a_palette_and_nodata_survive_together(tmp_path):
    layout = Layout(HEIGHT, WIDTH, 1, PLACE, colormap=COLORS, nodata=9)
    pixels = INDICES[np.newaxis].copy()
    pixels[0, :50] = 9
    with open_raster(write(tmp_path / "out.tif", layout, pixels)) as raster:
        assert (raster.read() == pixels).all()
        assert {value: raster.colormap()[value] for value in COLORS} == COLORS
        assert raster.nodata == 9
        assert raster.src.colorinterp == (ColorInterp.palette,)


def test_an_unnamed_crs_a_turned_place_and_none_at_all_survive(tmp_path):
    unnamed = CRS.from_user_input("+proj=tmerc +lon_0=19 +k=0.9993 +x_0=500000 +y_0=-5300000 +datum=WGS84")
    for place in (
        Georeference.of(unnamed, Affine(0.1 + 0.2, 0.01, 1e6 / 3, 0.02, -0.3, 4e6 / 7)),
        Georeference.of(None, HERE),
        Georeference.of(None, Affine.identity()),
    ):
        layout = Layout(600, 600, 3, place)
        with open_raster(write(tmp_path / "out.tif", layout, PICTURE[:, :600, :600], overwrite=True)) as raster:
            found = raster.georeference
        assert (found.rasterio_crs, found.affine) == (place.rasterio_crs, place.affine)


def test_a_large_output_has_overviews_and_a_small_one_has_none(tmp_path):
    with rasterio.open(write(tmp_path / "large.tif")) as src:
        assert src.overviews(1) == [2, 4]
        half = src.read(out_shape=(3, HEIGHT // 2, WIDTH // 2)).astype(int)
    mean = PICTURE.reshape(3, HEIGHT // 2, 2, WIDTH // 2, 2).mean((2, 4))
    assert np.abs(half - mean).max() <= 1
    with rasterio.open(write(tmp_path / "small.tif", Layout(90, 80, 3, PLACE), PICTURE[:, :90, :80])) as src:
        assert src.overviews(1) == []


def test_overviews_of_classes_hold_classes_that_are_there_and_no_mean_of_two(tmp_path):
    grey_between = {0: (0, 0, 0), 100: (128, 128, 128), 200: (255, 255, 255)}
    board = (np.indices((HEIGHT, WIDTH)).sum(0) // 3 % 2 * 200).astype(np.uint8)[np.newaxis]
    layout = Layout(HEIGHT, WIDTH, 1, PLACE, colormap=grey_between)
    with rasterio.open(write(tmp_path / "out.tif", layout, board)) as src:
        assert src.overviews(1)
        assert set(np.unique(src.read(out_shape=(1, HEIGHT // 2, WIDTH // 2)))) == {0, 200}


def test_chunks_may_come_in_any_order(tmp_path):
    with row_writer(output_of(tmp_path / "out.tif"), LAYOUT) as writer:
        chunks = writer.missing()
        assert chunks == [Window(0, 0, 512, 700), Window(512, 0, 512, 700), Window(1024, 0, 276, 700)]
        for chunk in (chunks[2], chunks[0], chunks[1]):
            assert chunk in writer.missing()
            writer.write(chunk, PICTURE[:, *chunk.slices])
            assert chunk not in writer.missing()
    assert (pixels_of(tmp_path / "out.tif") == PICTURE).all()


@pytest.mark.parametrize("compress", ["zstd", "lzw", "deflate"])
@pytest.mark.parametrize("predictor", [1, 2])
@pytest.mark.parametrize("shape", [(1, 600, 700), (3, 512, 1024), (4, 37, 513)])
def test_the_blocks_of_a_piece_are_those_that_gdal_makes_of_its_pixels(shape, predictor, compress):
    pixels = np.random.default_rng(0).integers(0, 9, shape, np.uint8)
    profile = {"compress": compress, "predictor": predictor}
    made = encode_blocks(pixels, profile)
    by_gdal = encode_geotiff(pixels, tiled=True, blockxsize=BLOCK, blockysize=BLOCK, **profile)
    assert [bytes(block) for block in blocks_of(made)] == [bytes(block) for block in blocks_of(by_gdal)]
    assert np.array_equal(decode_blocks(made, Window(512, 1024, *shape[1:]), profile), pixels)


@pytest.mark.slow
@given(st.integers(1, 3 * CHUNK_WIDTH), st.integers(1, 2 * BLOCK + 1))
def test_chunks_are_whole_blocks_and_cover_each_pixel_once(width, height):
    chunks = Layout(height, width, 3, PLACE).chunks
    covered = np.zeros((height, -(-width // BLOCK)), int)
    for chunk in chunks:
        assert chunk.row % BLOCK == chunk.col % CHUNK_WIDTH == 0
        assert chunk.width <= CHUNK_WIDTH and (chunk.width == CHUNK_WIDTH or chunk.right == width)
        assert chunk.height == BLOCK or chunk.bottom == height
        covered[chunk.row : chunk.bottom, chunk.col // BLOCK : -(-chunk.right // BLOCK)] += 1
    assert (covered == 1).all()
    assert chunks == sorted(chunks)


def test_a_wide_raster_is_written_in_panels_from_many_threads(tmp_path):
    width = 2 * CHUNK_WIDTH + 300
    pixels = np.random.default_rng(0).integers(0, 256, (1, 700, width), np.uint8)
    layout = Layout(700, width, 1, PLACE)
    with row_writer(output_of(tmp_path / "out.tif"), layout) as writer:
        assert len(writer.missing()) == 6
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda chunk: writer.write(chunk, pixels[:, *chunk.slices]), reversed(writer.missing())))
        assert writer.missing() == []
    assert (pixels_of(tmp_path / "out.tif") == pixels).all()
    assert_is_a_cog(tmp_path / "out.tif")


def test_a_row_that_is_missing_at_the_end_is_an_error_and_no_output(tmp_path):
    with (
        pytest.raises(RasterError, match=r"cannot write .*out\.tif"),
        row_writer(output_of(tmp_path / "out.tif"), LAYOUT) as writer,
    ):
        writer.write(writer.missing()[0], PICTURE[:, :BLOCK])
    assert not (tmp_path / "out.tif").exists()


# Taking up what was stopped.


def test_an_error_keeps_the_chunks_and_leaves_no_output(tmp_path):
    output = tmp_path / "out.tif"
    with pytest.raises(ValueError, match="stopped"):
        write_some(output, 2)
    assert not output.exists()
    with row_writer(output_of(output), LAYOUT) as writer:
        assert [chunk.row for chunk in writer.missing()] == [1024]
        writer.write(writer.missing()[0], PICTURE[:, 1024:])
    assert (pixels_of(output) == PICTURE).all()


def test_rows_made_with_other_options_are_refused_and_kept(tmp_path):
    output = tmp_path / "out.tif"
    with pytest.raises(ValueError, match="stopped"):
        write_some(output, 2)
    with pytest.raises(OutputExists, match="overlap: 64 before, 32 now"):
        write(output, options={**OPTIONS, "overlap": 32})
    with pytest.raises(ValueError, match="stopped"):
        write_some(output, 0)
    assert len(list(part_of(output).glob("piece-*.tif"))) == 2


def test_overwrite_begins_anew_and_replaces_only_when_all_is_there(tmp_path):
    output = write(tmp_path / "out.tif")
    before = output.read_bytes()
    with pytest.raises(ValueError, match="stopped"):
        write_some(tmp_path / "other.tif", 2)
    part_of(tmp_path / "other.tif").rename(part_of(output))
    inverse, options = 255 - PICTURE, {**OPTIONS, "overlap": 0}
    with row_writer(output_of(output, options, True), LAYOUT) as writer:
        assert len(writer.missing()) == 3
        for chunk in writer.missing():
            writer.write(chunk, inverse[:, *chunk.slices])
            assert output.read_bytes() == before
    assert (pixels_of(output) == inverse).all()


def test_a_second_writer_is_refused_and_the_first_goes_on(tmp_path):
    with row_writer(output_of(tmp_path / "out.tif"), LAYOUT) as writer:
        for chunk in writer.missing():
            with pytest.raises(LockedError, match=f"process {os.getpid()}"):
                write(tmp_path / "out.tif", overwrite=True)
            writer.write(chunk, PICTURE[:, *chunk.slices])
    assert (pixels_of(tmp_path / "out.tif") == PICTURE).all()


CHILD = """
import os, resource, signal, sys, time
from pathlib import Path
sys.path[:0] = sys.argv[2].split(os.pathsep)
import test_writer as t
from sattrans.raster.cog import chunks, writer as rows

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

kind, output = sys.argv[3], Path(sys.argv[1])
if kind == "in a row":
    whole = chunks.put
    def half(path, data):
        if "1024" in path.name:
            path.with_name(path.name + ".part").write_bytes(data[: len(data) // 2])
            die()
        whole(path, data)
    chunks.put = half
if kind == "at the end":
    written = iter(range(9))
    write_block = rows.write_block
    rows.write_block = lambda file, block: write_block(file, block) if next(written) < 5 else die()
if kind == "before the last step":
    Path.replace, replace = (lambda self, to: die() if to == output else replace(self, to)), Path.replace
if kind.isdecimal():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    write_header = rows.write_header
    def limited(*args):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(kind), int(kind)))
        write_header(*args)
    rows.write_header = limited
with rows.row_writer(t.output_of(output), t.LAYOUT) as writer:
    for chunk in writer.missing():
        if kind == "between rows" and chunk.row == 1024:
            print("two rows", flush=True)
            time.sleep(60)
        writer.write(chunk, t.PICTURE[:, *chunk.slices])
"""


def child(output, kind):
    modules = os.pathsep.join(str(Path(file).parent) for file in (__file__, makers.__file__))
    command = [sys.executable, "-c", CHILD, str(output), modules, kind]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("kind", "written"), [("between rows", 2), ("in a row", 2), ("at the end", 3), ("before the last step", 3)]
)
def test_a_killed_process_leaves_no_output_and_the_same_options_go_on_without_writing_a_row_twice(
    tmp_path, kind, written
):
    output = tmp_path / "out.tif"
    process = child(output, kind)
    if kind == "between rows":
        assert process.stdout.readline() == "two rows\n"
        process.kill()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, errors
    assert not output.exists()
    assert not is_finished(output, OPTIONS)
    rows = sorted(part_of(output).glob("piece-*.tif"))
    times = [row.stat().st_mtime_ns for row in rows]
    assert len(rows) == written
    with pytest.raises(OutputExists, match="run: resse-korea-1 before, another now"):
        write(output, options={**OPTIONS, "run": "another"})
    with row_writer(output_of(output), LAYOUT) as writer:
        for chunk in writer.missing():
            writer.write(chunk, PICTURE[:, *chunk.slices])
        assert [row.stat().st_mtime_ns for row in rows] == times
    assert (pixels_of(output) == PICTURE).all()
    assert_is_a_cog(output)
    assert os.listdir(tmp_path) == ["out.tif"]  # noqa: PTH208
    assert is_finished(output, OPTIONS)


@pytest.mark.parametrize("short_by", [100, 500_000])
def test_a_disk_that_fills_up_at_the_end_keeps_the_rows_and_leaves_no_output(tmp_path, short_by):
    size = write(tmp_path / "reference.tif").stat().st_size
    output = tmp_path / "out.tif"
    process = child(output, str(size - short_by))
    _, errors = process.communicate(timeout=60)
    assert "RasterError" in errors and "is the disk full? Its chunks are kept in" in errors
    assert not output.exists()
    assert not list(part_of(output).glob("cog*"))
    with row_writer(output_of(output), LAYOUT) as writer:
        assert writer.missing() == []
    assert (pixels_of(output) == PICTURE).all()


# What stands there already.


def test_an_output_is_finished_for_the_options_that_made_it_and_refused_for_others(tmp_path):
    output = write(tmp_path / "out.tif")
    assert is_finished(output, dict(reversed(OPTIONS.items())))
    with pytest.raises(OutputExists, match=r"overlap: 64 before, 65 now.*--overwrite"):
        is_finished(output, {**OPTIONS, "overlap": 65})


def test_options_are_compared_as_json_keeps_them(tmp_path):
    output = write(tmp_path / "out.tif", options={"map": ("a.tif", 10), "nodata": None})
    assert is_finished(output, {"map": ("a.tif", 10), "nodata": None})


def test_options_with_letters_of_any_kind_survive(tmp_path):
    options = {"map": "Łódź <\"&'>.tif"}
    assert is_finished(write(tmp_path / "out.tif", options=options), options)


def test_nothing_there_is_not_finished(tmp_path):
    assert not is_finished(tmp_path / "out.tif", OPTIONS)


@pytest.mark.parametrize("tag", [None, "no JSON", "[1]", "5", "null"])
def test_a_raster_that_is_not_ours_is_refused(tmp_path, tag):
    tags = {OPTIONS_TAG: tag} if tag else {}
    path = write_raster(tmp_path / "out.tif", PICTURE, tags=tags)
    with pytest.raises(OutputExists, match="not made by sattrans"):
        is_finished(path, OPTIONS)


def test_a_file_that_is_no_raster_and_a_folder_are_refused(tmp_path):
    (tmp_path / "out.tif").write_text("my notes")
    for path in (tmp_path / "out.tif", tmp_path):
        with pytest.raises(OutputExists, match="not made by sattrans"):
            is_finished(path, OPTIONS)
