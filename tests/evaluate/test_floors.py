"""evaluate --floor: images of a model that learns nothing, made once, beside the scores."""

import json
import shutil

import numpy as np
import pytest
import torch
from commands import error_line, sattrans
from makers import make_folder
from makers_pictures import make_pairs
from parsed import parsed, said

from sattrans.errors import UsageError
from sattrans.evaluate import EvaluateOptions, evaluate, floors
from sattrans.evaluate.images import RealTiles
from sattrans.runs.run import Run
from sattrans.tile import TileOptions, tile
from sattrans.train import TrainOptions, train


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("place")
    root = make_folder(folder / "f", size=128, classes_toml=True)
    tileset = tile(root, folder / "t", options=TileOptions(size=64)).tileset
    with pytest.MonkeyPatch.context() as patch:  # most of the time
        patch.setattr("sattrans.train.api.calibrate", lambda run, device: None)
        patch.setattr("sattrans.train.api.write_curves", lambda run: None)
        trained = TrainOptions(model="pix2pix", settings={"width": 4}, steps=1, monitor="l1")
        train(tileset.folder, folder / "a", trained)
    return folder


class Counted(floors.RunImages):
    """Images of a run, of which each is counted that is made."""

    made = 0

    def images(self, numbers):
        Counted.made += len(numbers)
        yield from super().images(numbers)


def test_a_floor_is_made_once_and_stands_beside_the_scores(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = EvaluateOptions(metrics=("mae", "copied16"), floor=("exemplar",))
    count = len(Run.open(place / "a").tileset().split("test"))
    would = f"the floor exemplar would be made first: {count} images"
    assert evaluate([place / "a"], tmp_path / "e", options, dry_run=True).notes == [would]
    assert not (tmp_path / "evaluations").exists()
    result = evaluate([place / "a"], tmp_path / "e", options)
    scores = json.loads((tmp_path / "e/scores.json").read_text())
    own = [scores["mae"] for scores in result.baselines["exemplar"].images.values()]
    assert scores["floors"]["exemplar"]["mae"] == pytest.approx(np.mean(own))
    assert scores["floors"]["exemplar"]["copied16"] > 10 > scores["columns"][0]["means"]["copied16"]
    assert scores["floor"]["exemplar"]["model"] == "exemplar"
    assert result.table()[0][-3:] == ["real", "class colours", "exemplar (floor)"]
    (note,) = (note for note in result.notes if "compared with a, the floor exemplar, which learns nothing" in note)
    assert "worse by copied" in note
    page = parsed((tmp_path / "e/report.html").read_text())
    captions = [said(each) for each in page.query(".glance figcaption")]
    assert sum(each.startswith("exemplar (floor) MAE ") for each in captions) == len(page.query(".glance"))

    # The next evaluation, by the model or by its run, makes only what is lost, as after a kill.
    monkeypatch.setattr(floors, "train", None)
    monkeypatch.setattr(floors, "RunImages", Counted)
    folder = tmp_path / "evaluations/floors"
    (run,) = (Run.open(path) for path in folder.glob("exemplar-*"))
    tileset = run.tileset()
    real, kept = RealTiles(tileset, tileset.split("test")), sorted(folder.glob("images/*/*.npz"))
    before = kept[0].read_bytes()
    kept[0].write_bytes(before[:100])
    (note,) = evaluate([place / "a"], tmp_path / "again", options, dry_run=True).notes
    assert note == f"{would}, of which {count - 1} are there already"
    for name in ("exemplar", str(run.folder)):
        floors.make_floors(floors.check_floors([name], tileset, folder), real, options, torch.device("cpu"), folder)
        assert (Counted.made, kept[0].read_bytes()) == (1, before)

    other = shutil.copytree(run.folder, tmp_path / "other")
    (other / "run.json").write_text((other / "run.json").read_text().replace(tileset.hash, "0" * 64))
    with pytest.raises(UsageError, match="the run is not of .*; name the model, exemplar$"):
        floors.check_floors([str(other)], tileset, folder)


def test_what_is_no_floor_is_refused(place, tmp_path):
    done = sattrans("evaluate", "--pairs", place / "f/images", place / "f/images", "--floor", "exemplar")
    assert error_line(done.stderr) == "error: --floor needs a tileset and cannot be used with --pairs"
    run = Run.open(place / "a")
    with pytest.raises(UsageError, match="--floor exemplr: there is no such model and no such run; did you mean 'exem"):
        evaluate([run.folder], tmp_path / "e", EvaluateOptions(floor=("exemplr",)))
    assert not (tmp_path / "e").exists()
    for trained in ("pix2pix", str(run.folder)):
        with pytest.raises(UsageError, match="model 'pix2pix' is trained, and a floor learns nothing: .* as exemplar"):
            floors.check_floors([trained], run.tileset(), tmp_path)
    pictures = tile(make_pairs(tmp_path / "f"), tmp_path / "t", options=TileOptions(size=64)).tileset
    with pytest.raises(UsageError, match="--floor exemplar: model 'exemplar' needs classes"):
        floors.check_floors(["exemplar"], pictures, tmp_path)
