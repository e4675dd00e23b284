"""evaluate on a cluster of real processes: the same scores, from a cache that the workers fill."""

import json

import pytest

pytest.importorskip("distributed")

from commands import error_line, sattrans
from distributed import Client
from makers import make_folder

from sattrans.errors import UsageError
from sattrans.evaluate import EvaluateOptions, evaluate, evaluate_pairs, scoring
from sattrans.evaluate import elsewhere as elsewhere_module
from sattrans.tile import TileOptions, tile
from sattrans.train import TrainOptions, train

METRICS = "mae", "ssim", "swd", "class_color", "nearest", "copied16"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("place")
    root = make_folder(folder / "f", scenes=2, size=320, classes_toml=True)
    tileset = tile(root, folder / "t", TileOptions(size=64, split="block", fractions=(0.4, 0.1, 0.5))).tileset
    for name, seed in (("a", 0), ("b", 1)):
        options = TrainOptions(model="pix2pix", settings={"width": 4}, steps=2, monitor="l1", seed=seed)
        train(tileset.folder, folder / name, options)
    return folder


def kept(_=None):
    return len(elsewhere_module._kept)


def test_a_cluster_gives_the_same_scores(cluster, place, tmp_path, monkeypatch):
    monkeypatch.setattr(scoring, "CACHE_CHUNK", 8)  # several units for each set of pairs
    measured = []
    own = scoring.Scorer.measure_chunk
    monkeypatch.setattr(scoring.Scorer, "measure_chunk", lambda self, *rest: measured.append(1) or own(self, *rest))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    monkeypatch.chdir(place)  # whose workers run in another folder
    evaluate(["a", "b"], tmp_path / "there", EvaluateOptions(metrics=METRICS, scheduler=cluster))
    assert not measured
    evaluate(["a", "b"], tmp_path / "here", EvaluateOptions(metrics=METRICS))
    assert measured
    here, there = (json.loads((tmp_path / name / "scores.json").read_text()) for name in ("here", "there"))
    assert there == here
    assert not (tmp_path / "there.part").exists()
    with Client(cluster, set_as_default=False) as client:
        assert set(client.run(kept).values()) == {0}


def test_pairs_of_folders_take_no_scheduler(tmp_path):
    with pytest.raises(UsageError, match="--scheduler needs a tileset"):
        evaluate_pairs(tmp_path, [tmp_path], options=EvaluateOptions(scheduler="local"))


def test_what_a_worker_cannot_read_is_one_line(cluster, place, tmp_path):
    image = next((place / "t" / "images").iterdir())
    before = image.read_bytes()
    image.write_bytes(before[:-100])
    try:
        done = sattrans("evaluate", place / "a", "--split", "test", "-o", tmp_path / "e", "--scheduler", cluster)
    finally:
        image.write_bytes(before)
    assert done.exit_code == 1
    assert image.name in error_line(done.stderr) or image.stem in error_line(done.stderr)
