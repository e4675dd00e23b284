"""generate again: what is finished, unfinished, damaged, or of another map, and what an update makes anew."""

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from affine import Affine
from commands import kill_when
from forks import Fork
from generate_command import PLACE, read, write_map
from makers import write_raster

from sattrans.errors import OutputExists, RasterError, UsageError
from sattrans.generate import GenerateOptions, generate
from sattrans.generate.update import record_path
from sattrans.raster.cog.writer import RowWriter


def edit(map_, rows=slice(30)):
    """Make another class of some rows."""
    values = read(map_)
    values[:, rows] = 50
    write_raster(map_, values, "EPSG:32652", PLACE)


def test_a_finished_image_is_left_alone_and_other_options_are_refused(run, tmp_path):
    map_ = write_map(tmp_path / "map.tif", 80, 80)
    first = generate(map_, tmp_path / "sat.tif", GenerateOptions(run=run.folder))
    before = first.output.read_bytes()
    assert not generate(map_, tmp_path / "sat.tif", GenerateOptions(run=run.folder)).made
    with pytest.raises(OutputExists, match="blend: bands before, none now"):
        generate(map_, tmp_path / "sat.tif", GenerateOptions(run=run.folder, blend="none"))
    assert first.output.read_bytes() == before
    assert generate(map_, tmp_path / "sat.tif", GenerateOptions(run=run.folder, blend="none"), overwrite=True).made


def test_every_option_that_changes_pixels_is_recorded(run, tmp_path):
    """Refused before anything is translated."""
    map_ = write_map(tmp_path / "map.tif", 80, 80)
    options = GenerateOptions(run=run.folder, precision="32")
    generate(map_, tmp_path / "sat.tif", options)
    for change, told in (
        ({"seed": 7}, "seed: 0 before, 7 now"),
        ({"batch_size": 1}, "batch_size: 4 before, 1 now"),
        ({"stats": "tile"}, "stats: run before, tile now"),
        ({"precision": "bf16"}, "precision: 32 before, bf16 now"),
        ({"compile": True}, "compile: no before, yes now"),
    ):
        with pytest.raises(OutputExists, match=told):
            generate(map_, tmp_path / "sat.tif", replace(options, **change))


def test_tiles_that_are_gone_or_cut_short_are_made_again_and_the_others_left(run, tmp_path):
    map_ = write_map(tmp_path / "map.tif", 150, 170)
    parts = generate(map_, tmp_path / "parts", GenerateOptions(run=run.folder)).output
    before = {path: path.read_bytes() for path in parts.iterdir()}
    times = {path: path.stat().st_mtime_ns for path in before}
    gone, cut, *others = sorted(parts.glob("*.tif"))
    gone.unlink()
    cut.write_bytes(before[cut][:-1])
    assert generate(map_, parts, GenerateOptions(run=run.folder)).made
    assert {path: path.read_bytes() for path in parts.iterdir()} == before
    assert all(path.stat().st_mtime_ns == times[path] for path in others)
    assert not generate(map_, parts, GenerateOptions(run=run.folder)).made


def test_a_map_counts_as_changed_by_its_contents_and_place_not_by_its_time(run, tmp_path):
    map_ = write_map(tmp_path / "map.tif", 80, 80)
    image = generate(map_, tmp_path / "sat.tif", GenerateOptions(run=run.folder)).output
    os.utime(map_, (0, 0))
    assert not generate(map_, image, GenerateOptions(run=run.folder)).made
    values = read(map_)
    write_raster(map_, values, "EPSG:32652", PLACE, compress="DEFLATE")
    assert not generate(map_, image, GenerateOptions(run=run.folder)).made
    write_raster(map_, values, "EPSG:32652", PLACE @ Affine.translation(1, 0))
    with pytest.raises(OutputExists, match="this map before it changed"):
        generate(map_, image, GenerateOptions(run=run.folder))
    write_raster(map_, values, "EPSG:32652", PLACE, nodata=7)
    with pytest.raises(OutputExists, match="this map before it changed"):
        generate(map_, image, GenerateOptions(run=run.folder))


def test_a_map_under_another_name_is_the_same_map_and_what_differs_is_said_in_words(run, tmp_path):
    map_ = write_map(tmp_path / "map.tif", 200, 200)
    image = generate(map_, tmp_path / "sat.tif", GenerateOptions(run=run.folder)).output
    same = shutil.copy(map_, tmp_path / "same.tif")
    assert not generate(same, image, GenerateOptions(run=run.folder)).made
    no_field, wider = GenerateOptions(flat_field=False), GenerateOptions(overlap="32")
    with pytest.raises(OutputExists, match=r"other options \(flat_field: yes before, no now\)"):
        generate(same, image, replace(no_field, run=run.folder))
    write_map(tmp_path / "other.tif", 200, 200, seed=7)
    with pytest.raises(OutputExists, match=r"made from another map, map\.tif; --update .* --overwrite all of it"):
        generate(tmp_path / "other.tif", image, GenerateOptions(run=run.folder))
    write_map(tmp_path / "wide.tif", 200, 210)
    with pytest.raises(OutputExists, match=r"made from another map, map\.tif; choose another output, or replace"):
        generate(tmp_path / "wide.tif", image, GenerateOptions(run=run.folder))
    record_path(image).unlink()
    assert not generate(same, image, GenerateOptions(run=run.folder)).made
    with pytest.raises(OutputExists, match=r"other options \(overlap: 16 before, 32 now\)"):
        generate(map_, image, replace(wider, run=run.folder))
    with pytest.raises(OutputExists, match="made from another map, or from this map before it changed; choose"):
        generate(tmp_path / "other.tif", image, GenerateOptions(run=run.folder))
    record_path(image).write_text("{")
    assert not generate(map_, image, GenerateOptions(run=run.folder)).made


def test_what_is_unfinished_or_in_tiles_says_in_words_that_the_map_changed(run, tmp_path, monkeypatch):
    map_ = write_map(tmp_path / "map.tif", 600, 100)
    generate(map_, tmp_path / "parts", GenerateOptions(run=run.folder))
    stopped(monkeypatch, map_, tmp_path / "sat.tif", run=run.folder)
    write_map(map_, 600, 100, seed=7)
    with pytest.raises(OutputExists, match="parts was made before the file of the map changed; .*--overwrite"):
        generate(map_, tmp_path / "parts", GenerateOptions(run=run.folder))
    with pytest.raises(
        OutputExists, match=r"sat\.tif\.part was made from another map, or from this map before it changed;"
    ):
        generate(map_, tmp_path / "sat.tif", GenerateOptions(run=run.folder))
    with pytest.raises(OutputExists, match=r"parts was made from another map, map\.tif; choose"):
        generate(write_map(tmp_path / "other.tif", 600, 100), tmp_path / "parts", GenerateOptions(run=run.folder))


def stopped(monkeypatch, map_, output, **options):
    """Generate until one chunk is written, then stop."""
    with monkeypatch.context() as patch:
        write = RowWriter.write

        def once(writer, chunk, pixels):
            if list(pieces_of(output)):
                raise KeyboardInterrupt
            write(writer, chunk, pixels)

        patch.setattr(RowWriter, "write", once)
        with pytest.raises(KeyboardInterrupt):
            generate(map_, output, GenerateOptions(**options))
    assert len(list(pieces_of(output))) == 1


def pieces_of(output):
    """What is written of an image that is not finished."""
    return output.with_name(output.name + ".part").glob("piece-*.tif")


def test_what_lies_unfinished_beside_an_image_is_told_and_gone_on_with(run, tmp_path, monkeypatch):
    map_ = write_map(tmp_path / "map.tif", 700, 100)
    image = generate(map_, tmp_path / "sat.tif", GenerateOptions(run=run.folder)).output
    first = shutil.copy(image, tmp_path / "first.tif")
    shutil.copy(record_path(image), record_path(first))
    edit(map_)
    stopped(monkeypatch, map_, image, run=run.folder, update=image)
    before = {path: path.stat().st_mtime_ns for path in pieces_of(image)}
    with pytest.raises(OutputExists, match=rf"repeat the command with --update {image}: .*sat\.tif\.part holds"):
        generate(map_, image, GenerateOptions(run=run.folder))
    assert before == {path: path.stat().st_mtime_ns for path in pieces_of(image)}
    generate(map_, image, GenerateOptions(run=run.folder, update=image))
    whole = generate(map_, tmp_path / "whole.tif", GenerateOptions(run=run.folder, update=first)).output
    assert np.array_equal(read(image), read(whole))
    assert not generate(map_, image, GenerateOptions(run=run.folder)).made
    # What was begun anew and what an update began are not mixed.
    stopped(monkeypatch, map_, tmp_path / "new.tif", run=run.folder)
    with pytest.raises(OutputExists, match=r"new\.tif\.part .*update: none before, first\.tif \(\w+\) now"):
        generate(map_, tmp_path / "new.tif", GenerateOptions(run=run.folder, update=first))


def test_an_update_begun_from_another_image_is_begun_anew_and_one_for_another_map_is_kept(run, tmp_path, monkeypatch):
    map_ = write_map(tmp_path / "map.tif", 700, 100)
    original = shutil.copy(map_, tmp_path / "original.tif")
    image = generate(map_, tmp_path / "sat.tif", GenerateOptions(run=run.folder)).output
    plain = generate(map_, tmp_path / "plain.tif", GenerateOptions(run=run.folder, flat_field=False)).output
    other = shutil.copy(image, tmp_path / "other.tif")
    shutil.copy(record_path(image), record_path(other))
    edit(map_)
    stopped(monkeypatch, map_, image, run=run.folder, update=image)
    kept = sorted(pieces_of(image))
    assert kept
    assert not generate(original, image, GenerateOptions(run=run.folder)).made
    assert sorted(pieces_of(image)) == kept
    stopped(monkeypatch, map_, tmp_path / "new.tif", run=run.folder, update=other)
    generate(map_, tmp_path / "new.tif", GenerateOptions(run=run.folder, update=image))
    assert generate(map_, image, GenerateOptions(run=run.folder, update=image)).made
    assert np.array_equal(read(tmp_path / "new.tif"), read(image))
    with pytest.raises(UsageError, match="made with flat_field False"):
        generate(map_, tmp_path / "none.tif", GenerateOptions(run=run.folder, update=plain))


KILLED_BEFORE_ITS_RECORD = """
import os, sys
from pathlib import Path
from sattrans.generate import GenerateOptions, generate
replace = Path.replace
def replace_or_end(self, target):
    if self.name == "record.json":
        os._exit(9)
    return replace(self, target)
Path.replace = replace_or_end
map_, image, run, update = sys.argv[1:]
generate(map_, Path(image), GenerateOptions(run=Path(run), update=Path(image) if update else None))
"""


def test_a_kill_between_an_image_and_its_record_loses_neither(run, tmp_path):
    map_, image = write_map(tmp_path / "map.tif", 100, 100), tmp_path / "sat.tif"

    def killed(update):
        assert Fork(map_, image, run.folder, update, code=KILLED_BEFORE_ITS_RECORD).wait() == 9

    killed(update="")
    assert image.exists()
    assert not record_path(image).exists()
    assert not generate(map_, image, GenerateOptions(run=run.folder)).made
    edit(map_)
    killed(update="yes")
    made = read(image)
    assert not generate(map_, image, GenerateOptions(run=run.folder, update=image)).made
    assert not list(tmp_path.glob("*.part"))
    edit(map_, slice(70, None))
    assert generate(map_, image, GenerateOptions(run=run.folder, update=image)).made
    assert np.array_equal(read(image)[:, :30], made[:, :30])


def test_an_image_that_was_cut_short_is_called_so_and_overwrite_makes_it_anew(run, tmp_path):
    map_ = write_map(tmp_path / "map.tif", 90, 90)
    image = generate(map_, tmp_path / "sat.tif", GenerateOptions(run=run.folder)).output
    whole = image.read_bytes()
    image.write_bytes(whole[:-1000])
    for how in ({}, {"preview": tmp_path / "look.png"}):
        with pytest.raises(RasterError, match=r"sat\.tif is damaged, its end is missing; delete it, or replace"):
            generate(map_, image, GenerateOptions(run=run.folder, **how))
    with pytest.raises(
        UsageError, match=r"--update .*sat\.tif: the image is damaged, .*; to make it again, give --overwrite"
    ):
        generate(map_, image, GenerateOptions(run=run.folder, update=image))
    assert not (tmp_path / "look.png").exists()
    assert generate(map_, image, GenerateOptions(run=run.folder), overwrite=True).made
    assert image.read_bytes() == whole
    # What was overwritten within is noticed where it is read.
    image.write_bytes(whole[:-3000] + bytes(3000))
    with pytest.raises(RasterError, match="the file is damaged .* with --overwrite"):
        generate(map_, image, GenerateOptions(run=run.folder, preview=tmp_path / "look.png"))
    values = read(map_)
    values[:, :9, :9] = 50
    write_raster(map_, values, "EPSG:32652", PLACE)
    with pytest.raises(RasterError, match="^--update .*: part of it cannot be read; to make it again, give --over"):
        generate(map_, image, GenerateOptions(run=run.folder, update=image))


def test_a_killed_generate_goes_on_and_ends_in_the_same_bytes(run, tmp_path):
    map_ = write_map(tmp_path / "map.tif", 3000, 200)
    whole = generate(map_, tmp_path / "whole.tif", GenerateOptions(run=run.folder)).output
    kill_when(tmp_path, "sat.tif.part/piece-*.tif", "generate", map_, "-o", tmp_path / "sat.tif", "--run", run.folder)
    assert not (tmp_path / "sat.tif").exists()
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("sat.tif.part/piece-*.tif")}
    assert 0 < len(kept) < 6
    os.utime(map_)
    assert generate(map_, tmp_path / "sat.tif", GenerateOptions(run=run.folder)).made
    assert np.array_equal(read(tmp_path / "sat.tif"), read(whole))


@pytest.mark.parametrize("flat", [False, True])
def test_an_update_makes_anew_what_the_map_changed_and_leaves_every_other_pixel(run, tmp_path, flat):
    map_ = write_map(tmp_path / "map.tif", 200, 260)
    options = GenerateOptions(flat_field=flat)
    first = generate(map_, tmp_path / "sat.tif", replace(options, run=run.folder))
    before = read(first.output)
    values = read(map_)
    values[:, :30, :30] = 50
    write_raster(map_, values, "EPSG:32652", PLACE)
    after = read(generate(map_, tmp_path / "new.tif", replace(options, run=run.folder, update=first.output)).output)
    assert np.array_equal(after[:, 64:], before[:, 64:])
    assert np.array_equal(after[:, :, 64:], before[:, :, 64:])
    assert not np.array_equal(after, before)
    anew = read(generate(map_, tmp_path / "anew.tif", replace(options, run=run.folder)).output)
    assert np.array_equal(after, anew)
    # In place: the same, and the map as it now is needs no further update. Unasked it is not done, but said.
    with pytest.raises(OutputExists, match="this map before it changed; --update"):
        generate(map_, first.output, replace(options, run=run.folder))
    generate(map_, first.output, replace(options, run=run.folder, update=first.output))
    assert np.array_equal(read(first.output), after)
    assert not generate(map_, first.output, replace(options, run=run.folder)).made
    assert not list(tmp_path.glob("*.part"))


def test_an_update_is_refused_where_it_would_mix_images(run, tmp_path):
    map_ = write_map(tmp_path / "map.tif", 100, 130)
    old = generate(map_, tmp_path / "sat.tif", GenerateOptions(run=run.folder)).output

    def refused(message, **how):
        with pytest.raises(UsageError, match=message):
            generate(
                how.pop("map", map_),
                tmp_path / "new.tif",
                replace(how.pop("options", GenerateOptions()), run=run.folder, update=old),
            )
        assert not (tmp_path / "new.tif").exists()

    refused("made with seed 0, not 7", options=GenerateOptions(seed=7))
    refused("100 high, the map is now 131", map=write_map(tmp_path / "other.tif", 100, 131))
    generate(
        write_map(tmp_path / "third.tif", 100, 130, seed=4), tmp_path / "third.out.tif", GenerateOptions(run=run.folder)
    )
    record_path(tmp_path / "third.out.tif").replace(record_path(old))
    refused("is not the record of this image")
    record_path(old).unlink()
    refused("its record .* is missing")
    old.unlink()
    refused("no such image")
    done = generate(map_, tmp_path / "done.tif", GenerateOptions(run=run.folder)).output
    with pytest.raises(UsageError, match="no such image"):
        generate(map_, done, GenerateOptions(run=run.folder, update=old))
