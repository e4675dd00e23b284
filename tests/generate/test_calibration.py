"""The flat field of a run: estimated at the end of training, kept in the run, and the same for every map."""

import json
import shutil

import numpy as np
import pytest
from commands import sattrans
from generate_command import generate, made, read, refused, write_map

from sattrans.errors import SattransError
from sattrans.runs.calibration import CALIBRATION, calibrate, stored_flat_field
from sattrans.runs.run import Run


@pytest.fixture
def copy(run, tmp_path) -> Run:
    """A copy of the run, which a test may change."""
    return Run.open(shutil.copytree(run.folder, tmp_path / "r"))


def test_training_leaves_the_flat_field_of_its_tiles(run):
    field = stored_flat_field(run, "run")
    assert field is not None and field.digest == calibrate(run, store=False).digest
    # Classes are told apart by what training tiles hold of them.
    assert set(field.classes) <= {0, 1, 2}
    assert calibrate(run, stats="tile", store=False).digest != field.digest


def test_an_old_run_is_calibrated_when_it_is_first_used_and_it_is_said_once(copy, run, tmp_path):
    map_ = write_map(tmp_path / "map.tif", 150, 150)
    made(run, map_, "-o", tmp_path / "expected.tif")
    (copy.folder / CALIBRATION).unlink()
    first = generate(copy, map_, "-o", tmp_path / "a.tif")
    assert f"run {copy.folder} has no flat field: it is estimated now from training tiles" in first.stderr
    assert np.array_equal(read(tmp_path / "a.tif"), read(tmp_path / "expected.tif"))
    assert "flat field" not in generate(copy, map_, "-o", tmp_path / "b.tif").stderr
    assert "for --stats tile" in generate(copy, map_, "-o", tmp_path / "c.tif", "--stats", "tile").stderr


def test_a_dry_run_keeps_no_flat_field(copy, tmp_path):
    (copy.folder / CALIBRATION).unlink()
    made(copy, write_map(tmp_path / "map.tif"), "-o", tmp_path / "o.tif", "--dry-run")
    assert not (copy.folder / CALIBRATION).exists()


def without_tileset(run):
    body = json.loads((run.folder / "run.json").read_text())
    body["data"]["folder"] = "/nowhere/tiles"
    (run.folder / "run.json").write_text(json.dumps(body))
    return Run.open(run.folder)


def test_without_its_tileset_a_run_without_a_field_still_generates_and_says_what_to_do(copy, run, tmp_path):
    (copy.folder / CALIBRATION).unlink()
    lost = without_tileset(copy)
    map_ = write_map(tmp_path / "map.tif")
    (note,) = made(lost, map_, "-o", tmp_path / "o.tif")
    assert f"until sattrans runs calibrate {lost.folder} --data TILESET" in note
    tiles = run.manifest["data"]["folder"]
    result = sattrans("runs", "calibrate", lost.folder, "--data", tiles)
    assert result.exit_code == 0, result.output
    assert f"{lost.folder}: " in result.stdout and "repeated in every window" in result.stdout
    told = refused(lost, 2, map_, "-o", tmp_path / "o.tif")
    assert "flat_field: no before, yes now" in told
    made(lost, map_, "-o", tmp_path / "o.tif", "--overwrite")


def test_an_image_made_before_a_run_was_calibrated_again_is_not_gone_on_with(copy, tmp_path):
    map_ = write_map(tmp_path / "map.tif", 150, 150)
    made(copy, map_, "-o", tmp_path / "o.tif")
    calibrate(copy)
    made(copy, map_, "-o", tmp_path / "o.tif")  # the same field
    body = json.loads((copy.folder / CALIBRATION).read_text())
    body["fields"]["run"] = calibrate(copy, stats="tile", store=False).encode()
    (copy.folder / CALIBRATION).write_text(json.dumps(body))
    assert "was made before the run was calibrated again" in refused(copy, 2, map_, "-o", tmp_path / "o.tif")


@pytest.mark.parametrize("text", ["AAAA", "not base64", ""])
def test_a_damaged_flat_field_is_named_with_what_to_do(copy, text):
    body = json.loads((copy.folder / CALIBRATION).read_text())
    (copy.folder / CALIBRATION).write_text(json.dumps({**body, "fields": {"run": text}}))
    with pytest.raises(
        SattransError, match=r"calibration\.json is damaged: .*; make it again with sattrans runs calib"
    ):
        stored_flat_field(copy, "run")


def test_a_model_that_knows_no_position_has_no_field(styled, tmp_path):
    assert not (styled.folder / CALIBRATION).exists()
    assert "flat field" not in generate(styled, write_map(tmp_path / "map.tif"), "-o", tmp_path / "o.tif").stderr
    assert not calibrate(styled).classes
