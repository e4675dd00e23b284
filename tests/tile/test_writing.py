"""tile goes on where it stopped: nothing made twice, nothing kept that is no longer true, nothing lost."""

import json
import os
import shutil
import time
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from affine import Affine
from commands import sattrans
from forks import Fork
from makers import HERE, make_landcover
from makers_scenes import make_scene, spoiled, write_classes
from typer.testing import CliRunner

from sattrans.cli import app
from sattrans.data.tileset import Tileset
from sattrans.errors import ClassesError, OutputExists, SattransError, UsageError
from sattrans.tile import TileOptions, tile
from sattrans.tile.writing import tidy
from sattrans.utils.hashing import sha256

SCENES, SIZE, TILE = ("a", "bb", "ccc"), 128, 32
EACH = (SIZE // TILE) ** 2
OPTIONS = TileOptions(size=TILE, split="random")


@pytest.fixture
def root(tmp_path):
    write_classes(tmp_path / "f")
    for n, name in enumerate(SCENES):
        make_scene(tmp_path / "f", name, size=SIZE, place=HERE @ Affine.translation(300 * n, 0))
    return tmp_path / "f"


@pytest.fixture
def stopped(root, tmp_path):
    """A tileset whose cutting stopped at the last row of the second scene; that one's map is gone since."""
    with spoiled(root, "bb"), pytest.raises(ClassesError, match="bb"):
        tile(root, tmp_path / "t", options=replace(OPTIONS, workers=1))
    return tmp_path / "t"


def tiles_of(folder):
    return {path: path.stat().st_mtime_ns for path in folder.glob("*/*.tif")}


def tree(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def touch(path):
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 5_000_000_000))


def change(path):
    """Change a raster's pixels and time, and not its size."""
    data = path.read_bytes()
    at = len(data) // 2
    path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    touch(path)


def command(root, output, *more):
    return ["tile", root, "-s", "16", "--split", "random", "-o", output, *more]


def finish(arguments):
    assert sattrans(*arguments).exit_code == 0


def run_until_killed(command_line, folder, goal):
    """Start a command and kill it when so many tiles are there; return whether it was in time."""
    process = Fork(*command_line)
    while len(list(folder.glob("images/*.tif"))) < goal and process.poll() is None:
        time.sleep(0.002)
    process.kill()
    return process.wait() != 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_killed_and_gone_on_with_it_is_byte_for_byte_what_it_would_have_been(root, tmp_path, monkeypatch, workers):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    more = ("--workers", workers, "--scale", "2%,98%", "--min-share", "class_30=0.01")
    finish(command(root, tmp_path / "whole", *more))
    whole = tree(tmp_path / "whole")
    assert run_until_killed(command(root, tmp_path / "t", *more), tmp_path / "t", 30)
    before = tiles_of(tmp_path / "t")
    done = [json.loads(line) for line in (tmp_path / "t" / "tiles.geojson.begun").read_text().splitlines()[:-1]]
    journaled = {
        f"{kind}/{t['id']}.tif" for entry in done for t in entry.get("tiles", ()) for kind in ("images", "maps")
    }
    finish(command(root, tmp_path / "t", *more))
    assert tree(tmp_path / "t") == whole
    kept = {path for path, made in tiles_of(tmp_path / "t").items() if before.get(path) == made}
    assert {str(path.relative_to(tmp_path / "t")) for path in kept} >= journaled != set()


def test_only_what_is_missing_is_made_and_the_scene_that_was_mended_is_cut_again(root, stopped):
    before = tiles_of(stopped)
    result = tile(root, stopped, options=OPTIONS)
    assert len(result.tileset.tiles) == 3 * EACH
    for path, made in before.items():
        assert (path.stat().st_mtime_ns == made) == (not path.name.startswith("bb_"))
    assert not list(stopped.glob("*.begun"))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_tile_that_was_deleted_or_damaged_is_made_again_and_no_other(root, stopped, workers):
    before = tiles_of(stopped)
    lost, torn = stopped / "images" / "a_5.tif", stopped / "maps" / "a_13.tif"
    kept, whole = lost.read_bytes(), torn.read_bytes()
    lost.unlink()
    torn.write_bytes(whole[:40])
    (stopped / "images" / "a_99.tif").write_bytes(b"what is this")
    tile(root, stopped, options=replace(OPTIONS, workers=workers))
    assert (lost.read_bytes(), torn.read_bytes()) == (kept, whole)
    assert not (stopped / "images" / "a_99.tif").exists()
    same_rows = {f"a_{k}.tif" for k in (*range(4, 8), *range(12, 16))}
    for path, made in before.items():
        if path.name.startswith("a_") and path.name not in same_rows:
            assert path.stat().st_mtime_ns == made


@pytest.mark.slow
@pytest.mark.parametrize("tail", [b"", b'{"row":"torn', b"\x00\x00\x00\n", b"not json\n"])
def test_a_journal_that_is_torn_loses_its_last_line_at_most(root, stopped, tail):
    journal = stopped / "tiles.geojson.begun"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-1]) + lines[-1][:20] + tail if not tail else b"".join(lines) + tail)
    before = tiles_of(stopped)
    assert len(tile(root, stopped, options=OPTIONS).tileset.tiles) == 3 * EACH
    kept = {path for path, made in before.items() if path.stat().st_mtime_ns == made}
    assert len(kept) >= 2 * (EACH - 4)


@pytest.mark.slow
def test_a_journal_that_is_gone_costs_work_and_nothing_else(root, stopped, tmp_path):
    (stopped / "tiles.geojson.begun").unlink()
    resumed = tile(root, stopped, options=OPTIONS).tileset
    assert resumed.hash == tile(root, tmp_path / "fresh", options=OPTIONS).tileset.hash


@pytest.mark.slow
@pytest.mark.parametrize("which", ["images", "masks"])
def test_a_finished_tileset_takes_a_touched_input_and_names_a_changed_one(root, tmp_path, which):
    tile(root, tmp_path / "t", options=OPTIONS)
    path = root / which / "bb.tif"
    touch(path)
    assert not tile(root, tmp_path / "t", options=OPTIONS).made
    before = tree(tmp_path / "t")
    change(path)
    with pytest.raises(OutputExists, match=rf"{which}/bb\.tif has changed since\).*--overwrite") as refused:
        tile(root, tmp_path / "t", options=OPTIONS)
    assert "\n" not in str(refused.value) and tree(tmp_path / "t") == before
    for folder in ("images", "masks"):
        (root / folder / "bb.tif").unlink()
    with pytest.raises(OutputExists, match="bb.tif is gone since"):
        tile(root, tmp_path / "t", options=OPTIONS)


@pytest.mark.parametrize("which", ["images", "masks"])
def test_a_mask_beside_an_input_is_an_input(root, tmp_path, which):
    tile(root, tmp_path / "t", options=OPTIONS)
    path = root / which / "bb.tif"
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as raster:
        raster.write_mask(np.ones((raster.height, raster.width), bool))
    with pytest.raises(OutputExists, match=rf"{which}/bb\.tif\.msk has changed since\)"):
        tile(root, tmp_path / "t", options=OPTIONS)
    made = tile(root, tmp_path / "t", options=OPTIONS, overwrite=True).tileset
    recorded = {entry["path"]: entry["sha256"] for entry in made.manifest["inputs"]}
    assert recorded[str(path.with_name("bb.tif.msk"))] == sha256(path.with_name("bb.tif.msk"))


@pytest.mark.slow
def test_an_unfinished_tileset_takes_a_touched_input_and_cuts_a_changed_scene_again(root, stopped, tmp_path):
    before = tiles_of(stopped)
    touch(root / "images" / "a.tif")
    make_scene(root, "bb", size=SIZE, place=HERE @ Affine.translation(300, 0), image=np.full((3, SIZE, SIZE), 9, "u1"))
    result = tile(root, stopped, options=OPTIONS)
    assert any("1 scene has changed and is cut again" in notice for notice in result.notices)
    assert all(path.stat().st_mtime_ns == made for path, made in before.items() if path.name.startswith("a_"))
    assert result.tileset.hash == tile(root, tmp_path / "fresh", options=OPTIONS).tileset.hash


@pytest.mark.slow
@pytest.mark.parametrize("finished", [True, False])
def test_a_folder_named_in_another_way_is_the_same_one(root, tmp_path, monkeypatch, finished):
    monkeypatch.chdir(tmp_path)
    if finished:
        tile(root, tmp_path / "t", options=OPTIONS)
    else:
        with spoiled(root, "ccc"), pytest.raises(ClassesError):
            tile(root, tmp_path / "t", options=replace(OPTIONS, workers=1))
    relative = root.relative_to(tmp_path)
    before = tiles_of(tmp_path / "t")
    result = tile(relative, (tmp_path / "t").relative_to(tmp_path), options=OPTIONS)
    assert result.made == (not finished)
    kept = {path for path, made in before.items() if path.stat().st_mtime_ns == made}
    assert kept >= {path for path in before if not path.name.startswith("ccc_")}


@pytest.mark.slow
def test_other_classes_another_published_split_or_place_are_not_the_same_tileset(root, tmp_path):
    tile(root, tmp_path / "t", options=OPTIONS)
    told = root / "classes.toml"
    classes = told.read_text()
    told.write_text(classes.replace("class_30", "forest"))
    with pytest.raises(OutputExists, match=r"classes .*30 class_30.* before, .*30 forest.* now"):
        tile(root, tmp_path / "t", options=OPTIONS)
    told.write_text(classes)
    assert not tile(root, tmp_path / "t", options=OPTIONS).made
    landcover = make_landcover(tmp_path / "landcover", scenes=1)
    tile(landcover, tmp_path / "u")
    train, test = (landcover / f"{split}.txt" for split in ("train", "test"))
    test.write_text(test.read_text() + train.read_text())
    train.write_text("")
    with pytest.raises(OutputExists, match=r"tile M-34-1-A-b-1-1_\d+ is train before, test now"):
        tile(landcover, tmp_path / "u")


# --overwrite


@pytest.mark.slow
def test_overwrite_keeps_the_finished_tileset_until_the_new_one_is_whole(root, tmp_path):
    tile(root, tmp_path / "t", options=OPTIONS)
    before = tree(tmp_path / "t")
    other = TileOptions(size=64, split="random")
    with spoiled(root, "ccc"), pytest.raises(ClassesError, match="ccc"):
        tile(root, tmp_path / "t", options=replace(other, workers=1), overwrite=True)
    assert tree(tmp_path / "t") == before
    assert {path.name for path in tmp_path.iterdir()} == {"f", "t"}
    with pytest.raises(UsageError, match="is left"):
        tile(root, tmp_path / "t", options=TileOptions(size=64, bounds="0,0,1,1"), overwrite=True)
    assert tree(tmp_path / "t") == before
    assert tile(root, tmp_path / "t", options=other, overwrite=True).tileset.size == 64
    assert {path.name for path in tmp_path.iterdir()} == {"f", "t"}


def test_overwrite_that_was_killed_goes_on_with_the_same_command_and_leaves_nothing_beside(root, tmp_path):
    tile(root, tmp_path / "t", options=OPTIONS)
    again = command(root, tmp_path / "t", "--workers", "1", "--overwrite")
    # The tiles of 32 px are 48, in the folder that is set aside.
    beside = tmp_path / ".t.before"
    process = Fork(*again)
    while not beside.exists() or len(list((tmp_path / "t").glob("images/*.tif"))) < 60:
        assert process.poll() is None
        time.sleep(0.002)
    process.kill()
    process.wait()
    assert len(list(beside.glob("images/*.tif"))) == 3 * EACH
    before = tiles_of(tmp_path / "t")
    finish(again)
    kept = {path for path, made in tiles_of(tmp_path / "t").items() if before.get(path) == made}
    assert len(kept) > 60
    assert {path.name for path in tmp_path.iterdir()} == {"f", "t"}
    assert len(list((tmp_path / "t").glob("images/*.tif"))) == 3 * 64


@pytest.mark.slow
@pytest.mark.parametrize("overwrite", [True, False])
def test_what_was_set_aside_by_a_run_killed_at_its_very_end_is_in_nobodys_way(root, tmp_path, overwrite):
    old = tile(root, tmp_path / "old", options=TileOptions(size=64, split="random")).tileset
    tile(root, tmp_path / "t", options=OPTIONS)
    shutil.move(old.folder, tmp_path / ".t.before")
    for name in ("tileset.json", "tiles.geojson"):
        shutil.copy(tmp_path / "t" / name, tmp_path / "t" / f"{name}.begun")
    result = tile(root, tmp_path / "t", options=OPTIONS, overwrite=overwrite)
    assert len(result.tileset.tiles) == 3 * EACH
    assert {path.name for path in tmp_path.iterdir()} == {"f", "t"}
    assert not list((tmp_path / "t").glob("*.begun"))
    # And where the clean-up itself was killed, only the folder aside is there.
    shutil.copytree(tmp_path / "t", tmp_path / ".t.before")
    assert tile(root, tmp_path / "t", options=TileOptions(size=64, split="random"), overwrite=True).tileset.size == 64
    assert {path.name for path in tmp_path.iterdir()} == {"f", "t"}


def test_a_run_killed_between_two_renames_has_its_old_tileset_back(root, tmp_path):
    tile(root, tmp_path / "t", options=OPTIONS)
    before = tree(tmp_path / "t")
    (tmp_path / "t").rename(tmp_path / ".t.before")
    assert not tile(root, tmp_path / "t", options=OPTIONS).made
    assert tree(tmp_path / "t") == before and not (tmp_path / ".t.before").exists()


# --dry-run


@pytest.mark.slow
@pytest.mark.parametrize("more", [{}, {"format": "png"}, {"layout": "pairs"}, {"edge": "pad", "size": 48, "buffer": 8}])
def test_a_dry_run_writes_nothing_and_counts_what_the_real_one_makes(root, tmp_path, more):
    options = TileOptions(**{"size": TILE, "split": "random", **more})
    before = tree(tmp_path)
    plan = tile(root, tmp_path / "t", options=options, dry_run=True).plan
    assert tree(tmp_path) == before and not (tmp_path / "t").exists()
    result = tile(root, tmp_path / "t", options=options)
    counts = {split: n for split, n in result.tileset.manifest["tiles"].items() if n}
    assert dict(plan.splits) == counts
    assert {s.id: sum(s.splits.values()) for s in plan.scenes} == {
        name: sum(t.scene == name for t in result.tileset.tiles) for name in SCENES
    }
    assert plan.leakage == result.leakage
    written = sum(p.stat().st_size for p in (tmp_path / "t").glob("*/*"))
    assert plan.bytes == pytest.approx(written, rel=0.3)


@pytest.mark.parametrize(("dtype", "scale"), [("uint16", "2%,98%"), ("float32", "1%,99%"), ("uint16", "0,5000")])
def test_a_dry_run_of_deep_pixels_is_not_far_off(tmp_path, dtype, scale):
    rng = np.random.default_rng(0)
    unit = 1 if dtype == "uint16" else 1e-4  # reflectances, as whole numbers or as parts of one
    image = ((1000 + 300 * rng.standard_normal((3, 256, 256))) * unit).astype(dtype)
    make_scene(tmp_path / "f", size=256, image=image)
    options = TileOptions(size=64, split="random", scale=scale)
    plan = tile(tmp_path / "f", tmp_path / "t", options=options, dry_run=True).plan
    tile(tmp_path / "f", tmp_path / "t", options=options)
    written = sum(p.stat().st_size for p in (tmp_path / "t").glob("*/*"))
    assert plan.bytes == pytest.approx(written, rel=0.3)


def test_a_dry_run_says_in_a_table_and_a_line_what_would_be(root, tmp_path):
    line = ["tile", str(root), "-s", "32", "--split", "random", "-o", str(tmp_path / "t"), "--dry-run"]
    shown = CliRunner().invoke(app, line)
    assert shown.exit_code == 0, shown.output
    text = " ".join(shown.output.split())
    assert "48 tiles of 32 px from 3 scenes, about" in text and text.endswith("nothing written")
    assert "128 × 128" in text
    assert not (tmp_path / "t").exists()


def test_a_tile_that_was_removed_meanwhile_is_noticed(tiny_tileset):
    tiles = Tileset.open(tiny_tileset).tiles
    tidy(tiny_tileset, tiles)
    (tiny_tileset / "images" / "a_0.tif").unlink()
    with pytest.raises(
        SattransError, match=r"a_0\.tif was removed while tiles were cut; to cut what is missing, repeat"
    ):
        tidy(tiny_tileset, tiles)
