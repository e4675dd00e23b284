"""Options, folders and names as they should not be: tile refuses them in a line, or takes them for what they are."""

import csv
import json
import os
import shutil

import numpy as np
import pytest
from commands import error_line, refused, tile, tiled
from makers import make_folder, make_indices, make_landcover, make_picture, write_raster


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("place") / "f", scenes=2, size=128, values=(1, 2), classes_toml=True)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--size 0", "--size must be at least 1 and at most 16384, got 0"),
        ("--size -1", "--size must be at least 1 and at most 16384, got -1"),
        ("--size 129", "--size 129 is larger than every scene (the largest is 128 wide × 128 high): choose a smaller"),
        ("--size 100000", "--size must be at least 1 and at most 16384, got 100000"),
        ("--size 100000 --edge pad", "--size must be at least 1 and at most 16384, got 100000"),
        ("--size 64 --overlap 64", "the overlap of tiles of 64 px must be 0 to 63 px, got 64"),
        ("--size 64 --overlap 65", "the overlap of tiles of 64 px must be 0 to 63 px, got 65"),
        ("--size 64 --overlap -1", "--overlap must be at least 0, got -1"),
        ("--bidx red,green,blue", "--bidx must be three band numbers, such as 3,2,1, got red,green,blue"),
        ("--bidx 1,2", "--bidx names 2 bands; give three, for red, green and blue"),
        ("--bidx 0,1,2", "--bidx 0,1,2: "),
        ("--bidx 1,2,4", "place0.tif has bands 1 to 3"),
        ("--workers 0", "--workers must be at least 1, got 0"),
        ("--workers x", "Invalid value for '--workers'"),
        ("--scheduler x", "--scheduler must be an address such as tcp://host:8786, or local, got x"),
        ("--scheduler tcp://host:8786 --workers 2", "--workers and --scheduler tcp://host:8786 exclude each other"),
        ("--fractions most", "--fractions must be three shares, such as 0.8,0.1,0.1, got most"),
        (
            "--fractions 0.8,0.8,0.8",
            "--fractions must be shares from 0 to 1 that sum to 1, with a share of train, got 0.8,0.8,0.8",
        ),
        (
            "--fractions nan,0.5,0.5",
            "--fractions must be shares from 0 to 1 that sum to 1, with a share of train, got nan,0.5,0.5",
        ),
        ("--res 0", "--res must be above 0, got 0"),
        ("--res -1", "--res must be above 0, got -1"),
        ("--res nan", "--res must be above 0, got nan"),
        ("--res 1e-9", "give a resolution within a factor of 64"),
        ("--min-valid 2", "--min-valid must be at least 0 and at most 1, got 2"),
        ("--min-valid nan", "--min-valid must be at least 0 and at most 1, got nan"),
        ("--buffer -1", "--buffer must be at least 0, got -1"),
        ("--seed -1", "--seed must be at least 0, got -1"),
        ("--aoi nowhere.geojson", "cannot read --aoi nowhere.geojson: No such file or directory"),
        ("--scale nan,1", "--scale nan,1: give two numbers, or two percentiles, the lower first"),
        ("--min-share class3=0.5", "--min-share: unknown class 'class3'; did you mean 'class2'?"),
    ],
)
def test_values_that_cannot_be(place, tmp_path, options, told):
    words = options.split()
    size = [] if "--size" in words else ["--size", 64]
    line = refused(tmp_path / "out" / "t", place, *size, *words, code=2)
    assert told in line
    assert not (tmp_path / "out").exists()


def test_a_command_that_asked_wrongly_leaves_a_finished_tileset_as_it_is(place, tmp_path):
    made, _ = tiled(tmp_path / "t", place, "--size", 64)
    before = {path: path.read_bytes() for path in made.folder.rglob("*") if path.is_file()}
    for options in (["--workers", "x"], ["--workers", "0"]):
        result = tile(place, "--size", 64, "-o", tmp_path / "t", "--overwrite", *options)
        assert result.exit_code == 2
        assert "--workers" in error_line(result.stderr)
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_an_output_that_is_a_file_is_left_as_it_is(place, tmp_path):
    (tmp_path / "mine").write_text("years of work")
    for output in (tmp_path / "mine", tmp_path / "mine" / "t"):
        result = tile(place, "--size", 64, "--overwrite", "-o", output)
        assert result.exit_code in (1, 2)
        assert str(tmp_path / "mine") in error_line(result.stderr)
    assert (tmp_path / "mine").read_text() == "years of work"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_an_output_that_is_the_current_folder(place, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    result = tile(place, "--size", 64, "-o", ".")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "here" / "tileset.json").is_file()
    assert "nothing to do" in tile(place, "--size", 64, "-o", "../here").stdout


def test_an_output_that_is_a_link_is_the_folder_it_leads_to(place, tmp_path):
    (tmp_path / "large disk").mkdir()
    (tmp_path / "t").symlink_to(tmp_path / "large disk")
    for options in ([], ["--bidx", "3,2,1", "--overwrite"]):
        tiled(tmp_path / "t", place, "--size", 64, *options)
        assert (tmp_path / "t").is_symlink()
        assert (tmp_path / "large disk" / "tileset.json").is_file()
    (tmp_path / "u").symlink_to(tmp_path / "nowhere")
    result = tile(place, "--size", 64, "-o", tmp_path / "u")
    assert result.exit_code == 2
    assert f"{tmp_path / 'u'} is a broken link; give a folder" in error_line(result.stderr)


@pytest.fixture
def own(place, tmp_path):
    """A copy of the place that a test may spoil."""
    return shutil.copytree(place, tmp_path / "own")


def test_an_image_without_a_mask(own, tmp_path):
    (own / "masks" / "place1.tif").unlink()
    line = refused(tmp_path / "t", own, "--size", 64, code=2)
    assert f"image {own / 'images' / 'place1.tif'} has no partner in {own / 'masks'}: add it" in line


def test_no_masks_at_all(own, tmp_path):
    for mask in (own / "masks").iterdir():
        mask.unlink()
    assert f"no rasters in {own / 'masks'}" in refused(tmp_path / "t", own, "--size", 64, code=2)


def test_an_empty_file(own, tmp_path):
    (own / "images" / "place1.tif").write_bytes(b"")
    assert f"{own / 'images' / 'place1.tif'} is empty" in refused(tmp_path / "t", own, "--size", 64)


def test_a_pipe_is_not_waited_for(own, tmp_path):
    image = own / "images" / "place1.tif"
    image.unlink()
    os.mkfifo(image)
    assert f"{image} is a pipe or a socket" in refused(tmp_path / "t", own, "--size", 64)


def test_links_that_run_in_a_circle(own, tmp_path):
    image = own / "images" / "place1.tif"
    image.unlink()
    image.symlink_to("place1.tif")
    assert f"{image} cannot be read (Too many levels of symbolic links)" in refused(tmp_path / "t", own, "--size", 64)
    (tmp_path / "circle").symlink_to("circle")
    for arguments in ((tmp_path / "circle",), (own, "-o", tmp_path / "circle")):
        result = tile(*arguments, "--size", 64)
        assert result.exit_code == 2
        assert f"{tmp_path / 'circle'}" in error_line(result.stderr)


def test_other_classes_are_another_tileset(own, tmp_path):
    tiled(tmp_path / "t", own, "--size", 64)
    told = own / "classes.toml"
    told.write_text(told.read_text().replace("[class2]", "[water]"), encoding="utf-8")
    result = tile(own, "--size", 64, "-o", tmp_path / "t")
    assert result.exit_code == 2
    assert "from other inputs (classes 1 class1, 2 class2 before, 1 class1, 2 water now" in error_line(result.stderr)
    replaced, _ = tiled(tmp_path / "t", own, "--size", 64, "--overwrite")
    assert replaced.palette.names == ("class1", "water")


@pytest.mark.slow
def test_other_lists_of_a_split_are_another_tileset(tmp_path):
    root = make_landcover(tmp_path / "landcover")
    made, _ = tiled(tmp_path / "t", root)
    moved = made.split("train")[0].id
    for split in ("train", "val"):
        ids = {item.id for item in made.split(split)} ^ {moved}
        (root / f"{split}.txt").write_text("\n".join(sorted(ids)))
    line = error_line(tile(root, "-o", tmp_path / "t").stderr)
    assert f"was made from other inputs (tile {moved} is train before, val now)" in line
    replaced, _ = tiled(tmp_path / "t", root, "--overwrite")
    assert moved in {item.id for item in replaced.split("val")}
    (root / "val.txt").write_text("\n".join(item.id for item in replaced.split("val") if item.id != moved))
    line = error_line(tile(root, "-o", tmp_path / "t").stderr)
    assert f"was made from other inputs (tile {moved} is val before, in no split now)" in line
    fewer, _ = tiled(tmp_path / "t", root, "--overwrite")
    with (root / "test.txt").open("a") as test:
        test.write(f"\n{moved}\n")
    line = error_line(tile(root, "-o", tmp_path / "t").stderr)
    assert moved not in {item.id for item in fewer.tiles}
    assert "was made from other inputs (1 cell was in no split before, 0 are now)" in line


def test_an_image_that_was_moved_by_its_world_file_is_another_tileset(tmp_path):
    indices = make_indices(128, 128, 2)
    for folder, pixels in (("images", make_picture(indices)), ("masks", indices)):
        write_raster(tmp_path / "f" / folder / "place.png", pixels, None, None, driver="PNG")
    world = tmp_path / "f" / "images" / "place.pgw"
    world.write_text("10 0 0 -10 300005 4099995")
    command = [tmp_path / "f", "--size", 64, "-o", tmp_path / "t"]
    assert tile(*command).exit_code == 0
    assert "nothing to do" in tile(*command).stdout
    world.write_text("10 0 0 -10 500005 4099995")
    line = error_line(tile(*command).stderr)
    assert f"was made from other inputs ({tmp_path / 'f' / 'images' / 'place.pgw'} has changed since)" in line


NAMES = [
    "two words",
    "Straße, Übergröße",
    "first line\nsecond line",
    "[red]alert[bold]",
    "[link=file:x]",
    ":smile: :fire:",
    "🛰️ map",
    "back\\slash\\",
    "per%cent {brace} $HOME ~",
]


def renamed(own, name):
    for folder in ("images", "masks"):
        (own / folder / "place0.tif").rename(own / folder / f"{name}.tif")
    return own


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_any_letters_is_kept_and_shown_as_it_is(own, tmp_path, name):
    renamed(own, name)
    shown = name.replace("\n", " ")
    tileset, _ = tiled(tmp_path / name, own, "--size", 64)
    assert {item.scene for item in tileset.tiles} == {name, "place1"}
    assert all(item.image_path(tileset.folder).is_file() for item in tileset.tiles)
    index = json.loads((tileset.folder / "tiles.geojson").read_text(encoding="utf-8"))
    assert {feature["properties"]["scene"] for feature in index["features"]} == {name, "place1"}
    planned = tile(own, "--size", 64, "--dry-run").stdout
    assert all(line in planned for line in name.split("\n"))
    mask = own / "masks" / f"{name}.tif"
    mask.write_bytes(b"")
    line = refused(tmp_path / "u", own, "--size", 64)
    assert line == f"error: {own / 'masks'}/{shown}.tif is empty"


def test_a_name_that_would_command_the_terminal_is_shown_without_its_command(own, tmp_path):
    renamed(own, "\x1b[31mred\r\x07")
    (own / "masks" / "\x1b[31mred\r\x07.tif").write_bytes(b"")
    assert refused(tmp_path / "t", own, "--size", 64).endswith("/\ufffd[31mred\ufffd\ufffd.tif is empty")


def test_a_name_that_is_a_formula_is_text_in_the_list_of_leaks(own, tmp_path):
    renamed(own, "=1+1")
    tileset, _ = tiled(tmp_path / "t", own, "--size", 64, "--split", "random")
    with (tileset.folder / "leakage.csv").open(newline="") as file:
        tiles = {row[name] for row in csv.DictReader(file) for name in ("tile", "other")}
    assert any(name.startswith("'=1+1_") for name in tiles)
    assert not any(name.startswith("=") for name in tiles)


def test_a_name_that_is_no_text(own, tmp_path):
    # Latin-1, as an old archive may hold it; Python stands \udce4 for the byte that is no UTF-8.
    renamed(own, "w\udce4lder")
    line = refused(tmp_path / "t", own, "--size", 64)
    assert line.endswith("/w\ufffdlder.tif: its name is not UTF-8; rename it")


def test_notes_of_one_kind_are_counted_whatever_the_files_are_called(own, tmp_path):
    indices = make_indices(128, 128, 2)
    for number in range(5):
        name = f"place {number} of five.tif"
        write_raster(own / "images" / name, make_picture(indices), None, None)
        write_raster(own / "masks" / name, indices + np.uint8(1), None, None)
    _, notes = tiled(tmp_path / "t", own, "--size", 64)
    without = [note for note in notes if "has no CRS" in note]
    assert len(without) == 1
    assert "place 0 of five" in without[0] and without[0].endswith(" (and 4 more scenes)")
