"""A run's records are checked when they are read, and a damaged run does not stop the good ones beside it."""

import json
import logging

import pytest
from run_records import MANIFEST

from sattrans.data.tileset import Tileset
from sattrans.errors import SattransError, TrainingError, UsageError
from sattrans.runs.run import METRICS, Run


def write(folder, **changes):
    folder.mkdir(parents=True)
    body = {name: value for name, value in {**MANIFEST, **changes}.items() if value is not ...}
    (folder / "run.json").write_text(json.dumps(body))
    return folder


def test_a_run_as_it_was_written_is_read(tmp_path):
    run = Run.open(write(tmp_path / "r"))
    assert run.finished and run.spec.classes == 2 and run.palette.names == ("grass", "lake")


WRONG = [
    *[
        ({name: ...}, f"{name} is missing")
        for name in ("created", "model", "spec", "palette", "options", "data", "init")
    ],
    ({"spec": 7}, "spec must be"),
    ({"spec": {**MANIFEST["spec"], "size": 10**9}}, "spec.size must be at most"),
    ({"spec": {**MANIFEST["spec"], "shares": [[0.5]]}}, "shares"),
    ({"spec": {**MANIFEST["spec"], "more": 1}}, "spec.more is unknown"),
    ({"options": []}, "options must be a table"),
    ({"options": {"width": 8}}, "options must have source"),
    ({"options": {"source": "onehot", "width": "8"}}, "options must have a whole number width"),
    ({"palette": [{"value": "x", "name": "grass", "color": [1, 2, 3]}]}, "palette.0.value must be an integer, got 'x'"),
    ({"palette": MANIFEST["palette"][:1]}, "as many classes"),
    ({"ground_resolution": "ab"}, "ground_resolution must be a list"),
    ({"ground_resolution": [1.0, 0.0]}, "ground_resolution.1 must be above 0"),
    ({"settings": {**MANIFEST["settings"], "steps": 0}}, "settings.steps must be at least"),
    ({"settings": {**MANIFEST["settings"], "precision": "8"}}, "settings.precision must match"),
    ({"summary": None}, "summary must be"),
    ({"created": "now"}, "created must be a time"),
]


@pytest.mark.parametrize(("changes", "told"), WRONG)
def test_a_wrong_field_is_one_line_with_the_file_and_the_field(tmp_path, changes, told):
    folder = write(tmp_path / "r", **changes)
    with pytest.raises(SattransError) as refused:
        Run.open(folder)
    text = str(refused.value)
    assert text.startswith(f"{folder / 'run.json'} is damaged: ") and told in text and "\n" not in text


@pytest.mark.parametrize("damage", ["{", "[]", '{"format": "sattrans.run", "version": 1}', "[" * 2000, ""])
def test_a_damaged_run_is_named_and_left_out(tmp_path, caplog, damage):
    write(tmp_path / "good")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "run.json").write_text(damage)
    with caplog.at_level(logging.WARNING, "sattrans"):
        logging.getLogger("sattrans").addHandler(caplog.handler)
        try:
            assert Run.newest(tmp_path).name == "good"
        finally:
            logging.getLogger("sattrans").removeHandler(caplog.handler)
    assert any(str(tmp_path / "bad" / "run.json") in record.getMessage() for record in caplog.records)


def test_metrics_are_read_but_for_a_torn_last_line(tmp_path):
    run = Run.open(write(tmp_path / "r"))
    line = {"epoch": 1, "step": 3, "train": {"l1": 0.5}, "val": {"l1": float("nan")}, "images_per_second": 2.0}
    (run.folder / METRICS).write_text(json.dumps(line) + '\n{"step": 9')
    assert [line["step"] for line in run.metrics()] == [3]
    (run.folder / METRICS).write_text('{"step": 9}\n' + json.dumps(line) + "\n")
    with pytest.raises(SattransError, match=r"metrics\.jsonl is damaged: line 1: epoch is missing"):
        run.metrics()


def test_the_tileset_of_a_moved_project_is_found_by_the_end_of_its_path(tmp_path, tiny_tileset, monkeypatch):
    hash_ = Tileset.open(tiny_tileset).hash
    data = {"folder": "/old/disk/project/tiles/tiny-64", "name": "tiny-64", "hash": hash_}
    run = Run.open(write(tmp_path / "runs" / "r", data=data))
    assert run.at(None).manifest["data"]["folder"] == str(tiny_tileset)
    tiny_tileset.rename(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="does not exist; give its folder with --data"):
        run.at(None)
    assert run.at(tmp_path / "elsewhere").manifest["data"]["folder"] == str(tmp_path / "elsewhere")
    other = Run.open(write(tmp_path / "runs" / "s", data={**data, "hash": "0" * 64}))
    with pytest.raises(UsageError, match="is not the tileset"):
        other.at(tmp_path / "elsewhere")


def test_a_run_whose_folder_is_gone_is_not_made_again_in_part(tmp_path):
    run = Run.open(write(tmp_path / "r"))
    run.check_present()
    (run.folder / "run.json").unlink()
    with pytest.raises(TrainingError, match="was deleted or moved"):
        run.check_present()
