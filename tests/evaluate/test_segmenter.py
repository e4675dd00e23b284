"""The segmenter learns the classes, is saved and reused, and is the same each time."""

import pytest
import torch
from commands import error_line, sattrans
from makers import make_folder

from sattrans.data.batches import TileStore
from sattrans.errors import UsageError
from sattrans.evaluate import EvaluateOptions, evaluate
from sattrans.evaluate.segmenter import Segmenter, segmenter_path, train_segmenter
from sattrans.metrics.segmentation import confusion, mean_iou
from sattrans.runs.run import save_checkpoint
from sattrans.tile import TileOptions, tile
from sattrans.train import TrainOptions, train

CPU = torch.device("cpu")


pytestmark = pytest.mark.usefixtures("small_crops")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("place")
    root = make_folder(folder / "f", size=256, classes_toml=True)
    tileset = tile(root, folder / "t", options=TileOptions(size=64)).tileset
    train_segmenter(folder / "s" / "kept.safetensors", tileset, CPU, steps=80)
    return folder, tileset


def test_it_finds_the_classes_of_real_images(place):
    folder, tileset = place
    kept = Segmenter.open(folder / "s" / "kept.safetensors", tileset, CPU)
    store = TileStore(tileset, tileset.split("test"))
    counts = sum(confusion(kept(image), map_, 3) for image, map_ in (store[n] for n in range(len(store))))
    assert mean_iou(counts) > 0.8
    assert kept.about["tileset"]["hash"] == tileset.hash


def test_a_saved_segmenter_is_reused_and_a_new_one_is_the_same(place, tmp_path):
    _, tileset = place
    path = tmp_path / "s.safetensors"
    first = train_segmenter(path, tileset, CPU, steps=3)
    written = path.stat().st_mtime_ns
    assert train_segmenter(path, tileset, CPU, steps=3).hash == first.hash
    assert path.stat().st_mtime_ns == written
    torch.manual_seed(5)  # whatever was drawn before
    assert train_segmenter(tmp_path / "other.safetensors", tileset, CPU, steps=3).hash == first.hash
    assert tileset.hash[:12] in segmenter_path(tmp_path, tileset).name


def test_evaluate_measures_with_it(place, tmp_path):
    folder, tileset = place
    train(tileset.folder, folder / "run", TrainOptions(model="pix2pix", settings={"width": 4}, steps=1, monitor="l1"))
    kept = folder / "s" / "kept.safetensors"
    result = evaluate([folder / "run"], tmp_path / "e", EvaluateOptions(metrics=["miou"], segmenter=str(kept)))
    assert result.baselines["real"].metrics["miou"].value > 0.8
    assert result.columns[0].scores.metrics["miou"].value < 0.5  # one step of training shows nothing
    told = (tmp_path / "e" / "scores.json").read_text()
    assert Segmenter.open(kept, tileset, CPU).hash in told
    assert '"miou_ratio"' in told


def test_other_files_than_segmenters_are_refused(place, tmp_path):
    folder, tileset = place
    (tmp_path / "x.safetensors").write_bytes(b"no")
    with pytest.raises(UsageError, match="is not a segmenter"):
        Segmenter.open(tmp_path / "x.safetensors", tileset, CPU)
    save_checkpoint(tmp_path / "best.safetensors", {"ema.w": torch.zeros(1)}, {"step": 1})
    with pytest.raises(
        UsageError, match=r"best.safetensors contains other weights than a segmenter's: train one with --segm"
    ):
        Segmenter.open(tmp_path / "best.safetensors", tileset, CPU)
    other = tile(
        make_folder(tmp_path / "f", values=(1, 2), classes_toml=True), tmp_path / "t", options=TileOptions(size=64)
    ).tileset
    with pytest.raises(UsageError, match="other classes"):
        Segmenter.open(folder / "s" / "kept.safetensors", other, CPU)
    train(tileset.folder, tmp_path / "run", TrainOptions(model="pix2pix", settings={"width": 4}, steps=1, monitor="l1"))
    done = sattrans("evaluate", tmp_path / "run", "--metrics", "miou", "-o", tmp_path / "e")
    assert done.exit_code == 2
    assert "--segmenter train" in error_line(done.stderr)
