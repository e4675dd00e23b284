"""generate: the map's place and size, its classes visible, any coding of the map, resumable, refused in words."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from commands import kill_when
from generate_command import PLACE, VALUES, read, write_map
from hypothesis import given
from hypothesis import strategies as st
from makers import COLORS, make_indices, write_raster
from PIL import Image

from sattrans.errors import ClassesError, LockedError, NothingToUse, OptionError, OutputExists, UsageError
from sattrans.generate import GenerateOptions, generate
from sattrans.generate.windows import parse_overlap
from sattrans.mosaic import mosaic
from sattrans.raster.palette import Palette
from sattrans.runs.translator import Translator
from sattrans.utils.lock import lock


@pytest.mark.parametrize(("height", "width"), [(150, 233), (64, 64), (1, 1), (7, 300), (513, 40)])
def test_the_image_lies_where_the_map_lies_whatever_its_size(run, tmp_path, height, width):
    map_ = write_map(tmp_path / "map.tif", height, width)
    result = generate(map_, tmp_path / "sat.tif", GenerateOptions(run=run.folder))
    with rasterio.open(map_) as src, rasterio.open(result.output) as out:
        assert (out.height, out.width, out.count, out.dtypes[0]) == (height, width, 3, "uint8")
        assert out.crs == src.crs
        assert out.transform == src.transform
        assert out.tags()["SATTRANS_RUN"] == run.name
        assert out.tags()["SATTRANS_MODEL"] == "pix2pix"
    assert not list(tmp_path.glob("*.part"))


def test_classes_are_visible_in_the_image(run, tmp_path):
    map_ = write_map(tmp_path / "map.tif", 192, 192)
    image = read(generate(map_, tmp_path / "sat.tif", GenerateOptions(run=run.folder)).output).astype(float)
    classes = read(map_)[0]
    means = np.array([image[:, classes == value].mean(axis=1) for value in VALUES])
    wanted = np.array(COLORS[:3], float)
    # MapFunction class is nearest to its own colour of the training images.
    distances = np.abs(means[:, np.newaxis] - wanted[np.newaxis]).sum(axis=2)
    assert distances.argmin(axis=1).tolist() == [0, 1, 2]
    assert np.abs(means - wanted).mean() < 25


def test_every_coding_of_one_map_gives_the_same_image(run, tmp_path):
    values = read(write_map(tmp_path / "values.tif", 100, 130))[0]
    palette: Palette = run.palette
    indices = palette.from_values(values)
    colors = dict(enumerate(palette.colors))
    maps = [
        tmp_path / "values.tif",
        write_raster(tmp_path / "table.tif", indices, "EPSG:32652", PLACE, colormap=colors),
        write_raster(tmp_path / "colors.tif", palette.to_rgb(indices), "EPSG:32652", PLACE),
        write_raster(tmp_path / "three.tif", np.stack([values] * 3), "EPSG:32652", PLACE),
        write_raster(tmp_path / "wide.tif", values.astype(np.int16), "EPSG:32652", PLACE),
    ]
    images = [read(generate(m, tmp_path / f"{m.stem}.out.tif", GenerateOptions(run=run.folder)).output) for m in maps]
    for image in images[1:]:
        assert np.array_equal(image, images[0])


@pytest.mark.parametrize("blend", ["none", "linear", "hann", "bands"])
def test_what_lies_outside_a_windows_reach_changes_nothing(run, tmp_path, blend):
    one = read(write_map(tmp_path / "a.tif", 128, 256))[0]
    changed = one.copy()
    changed[:, 200:] = 10
    write_raster(tmp_path / "b.tif", changed, "EPSG:32652", PLACE)
    options = GenerateOptions(overlap="16", blend=blend, flat_field=False)
    a, b = (
        read(generate(tmp_path / f"{n}.tif", tmp_path / f"{n}.out.tif", replace(options, run=run.folder)).output)
        for n in "ab"
    )
    # Windows start every 48 px and see 64: the one that starts at 144 is the first to see column 200.
    assert np.array_equal(a[:, :, :144], b[:, :, :144])
    assert not np.array_equal(a, b)


def test_batch_size_changes_at_most_one_grey_level(run, tmp_path):
    map_ = write_map(tmp_path / "map.tif", 120, 200)
    one = read(generate(map_, tmp_path / "1.tif", GenerateOptions(run=run.folder, batch_size=1)).output)
    five = read(generate(map_, tmp_path / "5.tif", GenerateOptions(run=run.folder, batch_size=5)).output)
    assert np.abs(one.astype(int) - five).max() <= 1


def test_tiles_in_a_folder_join_to_the_same_place(run, tmp_path):
    map_ = write_map(tmp_path / "map.tif", 150, 170)
    result = generate(map_, tmp_path / "parts", GenerateOptions(run=run.folder))
    assert len(list((tmp_path / "parts").glob("*.tif"))) == result.windows
    joined = mosaic(tmp_path / "parts", tmp_path / "joined.tif")
    whole = generate(map_, tmp_path / "whole.tif", GenerateOptions(run=run.folder)).output
    for make in (
        lambda: mosaic(tmp_path / "parts", whole),
        lambda: generate(map_, joined.output, GenerateOptions(run=run.folder)),
    ):
        with pytest.raises(OutputExists, match=r"\.tif was made by another sattrans command; [^(;]*--overwrite"):
            make()
    with rasterio.open(joined.output) as a, rasterio.open(whole) as b:
        assert (a.height, a.width, a.transform, a.crs) == (b.height, b.width, b.transform, b.crs)
        assert np.abs(a.read().astype(int) - b.read()).mean() < 4  # another blend, the same windows
    assert not generate(map_, tmp_path / "parts", GenerateOptions(run=run.folder)).made


def test_tiles_that_a_kill_left_unfinished_are_not_joined(run, tmp_path):
    map_ = write_map(tmp_path / "map.tif", 1500, 200)
    parts = tmp_path / "parts"
    kill_when(parts, "*.tif", "generate", map_, "-o", parts, "--run", run.folder)
    with pytest.raises(UsageError, match="parts is unfinished.*repeat the command that makes it"):
        mosaic(parts, tmp_path / "joined.tif")
    assert not list(tmp_path.glob("joined*"))
    assert generate(map_, parts, GenerateOptions(run=run.folder)).made
    assert mosaic(parts, tmp_path / "joined.tif").height == 1500


def test_who_finds_the_folder_of_tiles_locked_translates_nothing(run, tmp_path, monkeypatch):
    map_ = write_map(tmp_path / "map.tif", 100, 100)
    calls = []
    monkeypatch.setattr(Translator, "__call__", lambda *given: calls.append(given))
    with lock(tmp_path / "parts"), pytest.raises(LockedError, match="parts is being written by process"):
        generate(map_, tmp_path / "parts", GenerateOptions(run=run.folder))
    assert not calls and not (tmp_path / "parts").exists()


def test_nodata_in_the_map_is_transparent_in_the_image(run, tmp_path):
    values = VALUES[make_indices(80, 90, 3)]
    values[:20, :30] = 255
    map_ = write_raster(tmp_path / "map.tif", values, "EPSG:32652", PLACE, nodata=255)
    image = read(generate(map_, tmp_path / "sat.tif", GenerateOptions(run=run.folder)).output)
    assert image.shape[0] == 4
    assert np.array_equal(image[3] == 0, values == 255)


def test_a_map_without_a_place_gives_an_image_without_one(run, tmp_path):
    map_ = write_raster(tmp_path / "map.tif", VALUES[make_indices(70, 70, 3)], None, None)
    with rasterio.open(generate(map_, tmp_path / "sat.tif", GenerateOptions(run=run.folder)).output) as out:
        assert out.crs is None
        assert out.transform.is_identity


def test_somebody_elses_file_is_not_replaced(run, tmp_path):
    map_ = write_map(tmp_path / "map.tif", 80, 80)
    (tmp_path / "notes.tif").write_text("not a raster at all")
    with pytest.raises(OutputExists, match="not made by sattrans"):
        generate(map_, tmp_path / "notes.tif", GenerateOptions(run=run.folder))
    with pytest.raises(OutputExists, match="map itself"):
        generate(map_, map_, GenerateOptions(run=run.folder))
    assert (tmp_path / "notes.tif").read_text() == "not a raster at all"


def test_the_map_is_never_the_output_and_overwrite_makes_tiles_anew(run, tmp_path):
    map_ = write_map(tmp_path / "map.tif", 80, 80)
    before = map_.read_bytes()
    with pytest.raises(OutputExists, match="map itself"):
        generate(map_, map_, GenerateOptions(run=run.folder), overwrite=True)
    assert map_.read_bytes() == before
    generate(map_, tmp_path / "parts", GenerateOptions(run=run.folder))
    one = next((tmp_path / "parts").glob("*.tif"))
    one.write_bytes(b"spoiled")
    assert generate(map_, tmp_path / "parts", GenerateOptions(run=run.folder), overwrite=True).made
    assert read(one).shape[0] == 3
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputExists, match="files that sattrans did not make"):
        generate(map_, tmp_path / "mine", GenerateOptions(run=run.folder), overwrite=True)


def test_transparent_pixels_of_a_drawn_map_are_transparent_in_the_image(run, tmp_path):
    rgba = np.zeros((4, 80, 90), np.uint8)
    rgba[:3] = run.palette.to_rgb(make_indices(80, 90, 3))
    rgba[3, 10:] = 255
    rgba[:3, :10] = 77  # whatever lies under a transparent pixel
    map_ = write_raster(tmp_path / "map.tif", rgba, "EPSG:32652", PLACE, photometric="RGB", ALPHA="YES")
    image = read(generate(map_, tmp_path / "sat.tif", GenerateOptions(run=run.folder)).output)
    assert (image[3, :10] == 0).all()
    assert (image[3, 10:] == 255).all()


def test_a_map_of_other_classes_is_refused_with_both_lists_and_nothing_left(run, tmp_path):
    map_ = write_raster(tmp_path / "map.tif", np.full((70, 70), 4, np.uint8), "EPSG:32652", PLACE)
    with pytest.raises(ClassesError, match=r"value 4, .*10 class10, 30 class30, 50 class50.*run"):
        generate(map_, tmp_path / "sat.tif", GenerateOptions(run=run.folder))
    rgb = np.zeros((3, 70, 70), np.uint8)
    rgb[0] = 200
    map_ = write_raster(tmp_path / "rgb.tif", rgb, "EPSG:32652", PLACE)
    with pytest.raises(ClassesError, match=r"#c80000.*#3c4632 class10"):
        generate(map_, tmp_path / "sat.tif", GenerateOptions(run=run.folder))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["map.tif", "rgb.tif"]


def test_wrong_requests(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    map_ = write_map(tmp_path / "map.tif", 80, 80)
    with pytest.raises(NothingToUse, match="sattrans train"):
        generate(map_, tmp_path / "sat.tif")
    with pytest.raises(UsageError, match="is not a run"):
        generate(map_, tmp_path / "sat.tif", GenerateOptions(run=tmp_path))
    with pytest.raises(OptionError, match="--batch-size"):
        generate(map_, tmp_path / "sat.tif", GenerateOptions(run=run.folder, batch_size=0))
    assert [p.name for p in tmp_path.iterdir()] == ["map.tif"]


@pytest.mark.slow
@given(st.integers(8, 1024), st.integers(0, 75))
def test_overlap_in_percent_is_that_part_of_the_tile(size, percent):
    most = size * 3 // 4  # whole pixels
    assert parse_overlap(f"{percent}%", size) == pytest.approx(min(size * percent / 100, most), abs=0.5)


@pytest.mark.parametrize("text", ["-1", "193", "80%", "a lot", "%", ""])
def test_an_overlap_that_cannot_be_is_refused(text):
    with pytest.raises(OptionError, match="--overlap"):
        parse_overlap(text, 256)


def test_a_plan_says_what_is_needed_and_writes_nothing(run, tmp_path):
    map_ = write_map(tmp_path / "map.tif", 300, 400)
    there = sorted(tmp_path.iterdir())
    result = generate(map_, tmp_path / "sat.tif", GenerateOptions(run=run.folder), dry_run=True)
    need = result.estimate
    assert (result.height, result.width, result.windows, result.made) == (300, 400, 6 * 9, False)
    assert need.disk > 300 * 400 * 3
    assert sorted(tmp_path.iterdir()) == there


MEASURED = """
import sys
from pathlib import Path
from sattrans.generate import GenerateOptions, generate
given = sys.argv[1], Path(sys.argv[2]), GenerateOptions(run=Path(sys.argv[3]))
print(generate(*given, dry_run=True).estimate.memory)
generate(*given)
print(next(1024 * int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how much memory a process takes")
def test_the_memory_it_says_is_a_little_more_than_it_takes(run, tmp_path):
    map_ = write_map(tmp_path / "map.tif", 700, 900)
    command = [sys.executable, "-c", MEASURED, map_, tmp_path / "sat.tif", run.folder]
    said, peak = map(int, subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split())
    assert peak < said < 1.4 * peak


def test_bf16_differs_little_and_is_never_taken_up_by_a_run_in_float32(run, tmp_path):
    map_ = write_map(tmp_path / "map.tif", 120, 120)
    full = read(generate(map_, tmp_path / "a.tif", GenerateOptions(run=run.folder, precision="32")).output).astype(int)
    reduced = generate(map_, tmp_path / "b.tif", GenerateOptions(run=run.folder, precision="bf16"))
    assert np.abs(full - read(reduced.output)).mean() < 1
    with pytest.raises(UsageError, match="precision"):
        generate(map_, reduced.output, GenerateOptions(run=run.folder, precision="32"))


def test_statistics_of_the_tile_make_another_image_whatever_the_batch(run, tmp_path):
    map_ = write_map(tmp_path / "map.tif", 120, 120)
    images = [
        read(generate(map_, tmp_path / f"{n}.tif", GenerateOptions(run=run.folder, stats=stats, batch_size=n)).output)
        for n, stats in ((1, "run"), (2, "tile"), (3, "tile"))
    ]
    assert not np.array_equal(images[0], images[1])
    assert np.abs(images[1].astype(int) - images[2]).max() <= 1


def test_the_image_says_how_seamless_it_is(run, tmp_path):
    map_ = write_map(tmp_path / "map.tif", 300, 300)
    result = generate(map_, tmp_path / "sat.tif", GenerateOptions(run=run.folder))
    with rasterio.open(result.output) as out:
        tag = out.tags()["SATTRANS_SEAMS"]
    assert tag == f"gradient={result.seams.gradient:.4f} detail={result.seams.detail:.4f}"
    small = generate(
        write_map(tmp_path / "small.tif", 50, 50), tmp_path / "small.out.tif", GenerateOptions(run=run.folder)
    )
    assert small.seams is None


def test_a_preview_shows_map_and_image(run, tmp_path):
    map_ = write_map(tmp_path / "map.tif", 90, 2100)
    result = generate(map_, tmp_path / "sat.tif", GenerateOptions(run=run.folder, preview=tmp_path / "look.png"))
    picture = np.asarray(Image.open(tmp_path / "look.png"))
    colors = run.palette.to_rgb(run.palette.from_values(read(map_)[0]))
    shown = picture[24 : 24 + 30, 6 : 6 + 700]
    assert np.abs(shown.astype(float) - cells(colors, 3)).max() <= 1
    assert np.abs(picture[24 : 24 + 30, 712 : 712 + 700].astype(float) - cells(read(result.output), 3)).max() <= 1


def cells(rgb, factor):
    """The means of cells, (H, W, 3)."""
    bands, height, width = rgb.shape
    means = rgb.reshape(bands, height // factor, factor, width // factor, factor).mean(axis=(2, 4))
    return np.moveaxis(means, 0, -1).round()


def test_a_preview_takes_no_other_files_place(run, tmp_path):
    map_ = write_map(tmp_path / "map.tif", 70, 70)
    (tmp_path / "mine.png").write_text("mine")
    whole = map_.read_bytes()
    for preview in (map_, tmp_path / "sat.tif", tmp_path / "mine.png"):
        with pytest.raises((OptionError, OutputExists), match="--preview"):
            generate(map_, tmp_path / "sat.tif", GenerateOptions(run=run.folder, preview=preview))
    assert map_.read_bytes() == whole
    assert (tmp_path / "mine.png").read_text() == "mine"
    for _ in range(2):  # its own it replaces
        generate(map_, tmp_path / "sat.tif", GenerateOptions(run=run.folder, preview=tmp_path / "look.png"))
    assert (tmp_path / "look.png").is_file()
